"""What a worker does, in this process: on a machine that sees the data or is sent them; and who may not be one."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s5eval.data_manifests.common.errors import DataError, S5Error
from s5eval.harness.dispatch.driver import Answer
from s5eval.harness.dispatch.queue import Queue
from s5eval.harness.record.config import RunConfig
from s5eval.harness.runs.by_workers import packed, results_of_workers
from s5eval.harness.runs.evaluation_job import EvaluationJob, Share
from s5eval.harness.runs.guard import Guard
from s5eval.harness.runs.plan import Plan, plan_run
from s5eval.systems.decision import Decision

Call = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("systems_on_path")


def numbers(share: Share) -> list[dict[str, Any]]:
    return [{**o.score.as_dict(), "outcome": o.score.outcome.status, "files": o.audio} for o in share.outcomes]


def test_a_machine_that_does_not_see_the_data_is_sent_them(small_set: Path, tmp_path: Path) -> None:
    config = RunConfig("plugins:build", data=small_set, save_audio=True, cache=False, workers=2)
    plan = plan_run(config)
    job = EvaluationJob(config, ("cpu",), plan.manifest)
    task = ("m_2", "m_4")
    sees = job.begin(0)
    expected = sees.do(task, None)
    files = packed(scene for scene in plan.manifest.scenes if scene.mixture.id in task)
    small_set.rename(tmp_path / "elsewhere")
    blind = job.begin(1)
    assert (sees.facts["send"], blind.facts["send"]) == (False, True)
    for facts in (sees.facts, blind.facts):
        assert plan.identity.items() <= facts.items()
    got = blind.do(task, files)
    assert numbers(got) == numbers(expected)
    assert got.wavs == expected.wavs
    assert set(got.wavs) == {f"audio/{id_}_0_Speech.wav" for id_ in task}


def test_weights_that_tell_what_they_were_trained_on_work_where_the_data_are_not_seen(
    small_set: Path, tmp_path: Path
) -> None:
    """What lies beside the data, the driver has looked at."""
    config = RunConfig("plugins:build", data=small_set, settings={"system": {"trained_on": ["a" * 12]}}, workers=2)
    job = EvaluationJob(config, ("cpu",), plan_run(config).manifest)
    small_set.rename(tmp_path / "elsewhere")
    assert job.begin(0).facts["send"]


def test_a_file_that_the_driver_cannot_read_any_more_costs_its_mixture_alone(
    small_set: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = plan_run(RunConfig("plugins:build", data=small_set, cache=False, workers=2))
    job = EvaluationJob(plan.config, ("cpu",), plan.manifest)
    (small_set / "soundscape" / "m_2.wav").unlink()
    task = ("m_2", "m_4")
    files = packed(scene for scene in plan.manifest.scenes if scene.mixture.id in task)
    assert "m_2.wav: cannot be read, and so not sent to a worker: No such file" in caplog.text
    small_set.rename(tmp_path / "elsewhere")
    share = job.begin(1).do(task, files)
    assert {o.score.mixture_id: o.score.outcome.status for o in share.outcomes} == {"m_2": "failed", "m_4": "scored"}
    assert "m_2.wav: no such file" in str(share.outcomes[0].score.outcome.error)


def test_a_process_of_this_machine_that_does_not_see_the_data_says_so(small_set: Path, tmp_path: Path) -> None:
    job = EvaluationJob(RunConfig("plugins:build", data=small_set), ("cpu",))
    small_set.rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="no data folder"):
        job.begin(0)


def test_the_tally_of_a_share_is_what_it_cost(staged_set: Path) -> None:
    work = EvaluationJob(RunConfig("staged:build", data=staged_set), ("cpu",)).begin(0)
    first, again, other = work.do(("m_00", "m_01"), None), work.do(("m_00",), None), work.do(("m_02",), None)
    counts = [{(tally.executed, tally.reused) for tally in share.tally.values()} for share in (first, again, other)]
    assert counts == [{(2, 0)}, {(0, 1)}, {(1, 0)}]


@pytest.mark.parametrize("what", ["data", "decision"])
def test_a_worker_with_other_data_or_another_decision_is_refused_by_name(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    plan = plan_run(RunConfig("plugins:build", data=small_set, workers=1))
    if what == "data":
        mine, said = replace(plan, manifest=replace(plan.manifest, sha256="0" * 64)), "has other data: their digest is"
    else:
        chosen = replace(plan.chosen, decision=Decision(max_sources=1))
        mine, said = replace(plan, chosen=chosen), "has another decision: its decision differs in max_sources"
    patched = "s5eval.harness.runs.by_workers.dispatch"
    monkeypatch.setattr(patched, lambda queue, crew, *, admit, **_: admit("worker 1", plan.identity))
    with pytest.raises(S5Error, match=f"worker 1 {said}"):
        answers(mine, tmp_path)


def test_what_an_earlier_process_died_of_is_handed_out_once_and_alone(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".started").write_text(json.dumps({"under_way": ["m_10"], "deaths": {}}))
    plan = plan_run(RunConfig("plugins:build", data=small_set, workers=1, batch_size=3))
    tasks = []

    def work(queue: Queue, crew: object, **_: object) -> Iterator[Answer]:
        queue.ready(0)
        while queue.give(0) is not None:
            tasks.append(queue.finished(0))
        yield from ()

    monkeypatch.setattr("s5eval.harness.runs.by_workers.dispatch", work)
    answers(plan, tmp_path)
    assert tasks == [("m_1", "m_2", "m_3"), ("m_4",), ("m_10",)]


def answers(plan: Plan, folder: Path) -> None:
    assert plan.staff is not None
    list(results_of_workers(plan, plan.staff, plan.manifest.scenes, folder / "audio", Guard(folder, ())))
