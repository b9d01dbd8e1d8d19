"""Runs with a plugin: isolation of failures, settings, the run folder, and predictions without references."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.record.config import RunConfig
from s5eval.harness.runs.plan import plan_run

Call = Callable[..., Any]
PLUGIN = "plugins:build"


pytestmark = pytest.mark.usefixtures("systems_on_path")


def run(s5eval: Call, data: Path, out: Path, *options: object) -> Any:
    return s5eval("run", "--system", PLUGIN, "--data", data, "--out", out, *options)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("raise_on", "RuntimeError: the network fell over"),
        ("nan_on", "NaN or infinite samples in estimate 0"),
        ("short_on", "the system returned 15995 samples, the mixture has 16000"),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_a_mixture_that_breaks_the_system_costs_itself_only(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, setting: str, message: str, batch_size: int
) -> None:
    out = tmp_path / "run"
    result = run(s5eval, small_set, out, "--set", f"system.{setting}=m_2", "--batch-size", batch_size)
    assert result.code == 4
    failed = {
        id_: line["outcome"]["error"] for id_, line in lines(out).items() if line["outcome"]["status"] == "failed"
    }
    assert list(failed) == ["m_2"]
    assert failed["m_2"].startswith(message), "without the id, which stands beside it"
    if setting == "raise_on":
        assert "Traceback" in (out / "log.txt").read_text()
        assert "Traceback" not in result.err


def test_the_mixtures_of_a_batch_share_its_time(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(step=6)
    monkeypatch.setattr("s5eval.harness.runs.engine.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert run(s5eval, small_set, tmp_path / "run", "--batch-size", 3).code == 0
    assert [line["outcome"]["seconds"] for line in lines(tmp_path / "run").values()] == [2, 2, 2, 3, 3]


def test_an_error_of_a_system_says_where_it_came_from(
    small_set: Path, tmp_path: Path, s5eval: Call, systems_on_path: None
) -> None:
    """Also where it was raised by a package, on behalf of a line of the system's."""
    out = tmp_path / "run"
    (tmp_path / "falling_system.py").write_text(
        "import numpy as np\nfrom plugins import Omni\n\n\nclass Mine(Omni):\n    def propose(self, mixtures):\n"
        "        return np.stack([])\n\n\ndef build(config, device):\n    return Mine(config)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        shown = s5eval("run", "--system", "falling_system:build", "--data", small_set, "--out", out)
    reason = "ValueError: need at least one array to stack (falling_system.py, line 7)"
    assert shown.code == 4 and f"  all 5 mixtures: {reason}\n" in shown.out
    assert f"  the tracebacks are in {out / 'log.txt'}\n" in shown.out
    assert "np.stack([])" in (out / "log.txt").read_text()


def test_what_is_refused_at_once_is_refused_before_any_scene_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr("s5eval.harness.runs.plan.open_manifest", lambda *_, **__: made.append(1))
    for config in (RunConfig("no-such-system"), RunConfig("silence", device="no-such-device")):
        with pytest.raises(UsageError, match="no-such"):
            plan_run(config)
    assert not made


def test_the_run_folder_holds_what_it_promises(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    result = run(s5eval, small_set, out, "--save-audio", "--set", "system.p_silence=0.2")
    assert result.code == 0
    assert {entry.name for entry in out.iterdir()} == {
        "run.json", "mixtures.jsonl", "summary.json", "report.html", "log.txt", "pairs", "audio", ".lock",
    }  # fmt: skip
    record = json.loads((out / "run.json").read_text())
    assert record["config"]["settings"] == {"system": {"p_silence": 0.2}}
    assert (record["status"], record["about"]["tune"]) == ("complete", "allowed")
    assert record["provenance"]["packages"]["torch"]
    assert len(record["manifest_sha256"]) == 64
    assert {path.name for path in (out / "audio").iterdir()} == {
        f"m_{k}_0_Speech.wav" for k in (1, 10, 2, 3, 4)
    }  # fmt: skip
    assert {path.stem for path in (out / "pairs").iterdir()} == {"m_1", "m_10", "m_2", "m_3", "m_4"}
    assert str(out) in result.out


def test_a_decision_file_and_set_change_the_prediction(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    (tmp_path / "d.yaml").write_text("silence_thresholds: {Speech: 0.05}\n")
    by_file = run(s5eval, small_set, tmp_path / "a", "--decision", tmp_path / "d.yaml", "--json").json
    by_key = run(s5eval, small_set, tmp_path / "b", "--set", "decision.silence_thresholds.Speech=0.05", "--json").json
    plain = run(s5eval, small_set, tmp_path / "c", "--json").json
    assert by_file["metrics"] == by_key["metrics"]
    assert by_file["metrics"]["source_accuracy"]["value"] == 0.0 < plain["metrics"]["source_accuracy"]["value"]


def test_a_set_without_references_is_predicted_and_complete(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call
) -> None:
    (small_set / "oracle_target").rename(tmp_path / "away")
    result = run(s5eval, small_set, tmp_path / "run", "--save-audio", "--json")
    assert (result.code, result.json["status"]) == (0, "complete")
    assert (result.json["n_predicted"], result.json["n_scored"], result.json["n_failed"]) == (5, 0, 0)
    assert all(metric["value"] is None for metric in result.json["metrics"].values())
    for line in lines(tmp_path / "run").values():
        assert (line["outcome"]["status"], line["capi"], line["labels"]) == ("predicted", None, None)
        assert line["estimates"][0]["label"] == "Speech"
    assert result.json["n_estimates"] == 5
    again = s5eval("rescore", tmp_path / "run").out
    page = (tmp_path / "run" / "report.html").read_text()
    for shown in (again, page):
        assert "predicted, and not scored: 5 sources in 5 mixtures" in shown
        assert "written to 16-bit wavs: 5 sources, 0 samples clipped" in shown
        assert "mixture acc" not in shown, "no table of dashes"
    table = run(s5eval, small_set, tmp_path / "table")
    assert table.code == 0 and "predicted, and not scored: 5 sources in 5 mixtures" in table.out


def test_a_folder_that_holds_a_run_or_anything_is_refused(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    assert run(s5eval, small_set, out).code == 0
    again = run(s5eval, small_set, out)
    assert (again.code, "--resume" in again.err) == (2, True)
    other = run(s5eval, small_set, small_set)
    assert (other.code, "not an empty folder" in other.err) == (2, True)


def test_what_fails_before_the_run_begins_leaves_no_folder(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    for options, code in ((["--split", "nope"], 2), (["--only", "m_99"], 2), (["--decision", tmp_path / "x"], 2)):
        assert run(s5eval, small_set, tmp_path / "run", *options).code == code
        assert not (tmp_path / "run").exists()


def test_a_wrong_decision_is_refused_before_scenes_are_made(tmp_path: Path) -> None:
    made: list[int] = []
    config = RunConfig(system=PLUGIN, dataset="mini", limit=3)
    wrong: tuple[tuple[RunConfig, str], ...] = (
        (replace(config, decision_file=tmp_path / "mispelled.yaml"), r"decision file \S+mispelled\.yaml: No such file"),
        (
            replace(config, settings={"decision": {"max_sources": 0}}),
            r"max_sources is 0, expected a whole number above",
        ),
    )
    for asked, message in wrong:
        with pytest.raises(UsageError, match=message):
            plan_run(asked, making=lambda done, total: made.append(total))
    assert not made


def test_a_folder_with_anything_of_somebody_else_is_never_touched(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    theirs = tmp_path / "repo"
    (theirs / ".git").mkdir(parents=True)
    (theirs / ".env").write_text("secret")
    assert s5eval("run", "--system", "typo", "--data", small_set, "--out", theirs).code == 2
    assert (theirs / ".env").read_text() == "secret"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert s5eval("run", "--system", "typo", "--data", small_set, "--out", empty).code == 2
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("exit_on=m_2", "SystemExit"),
        ("p_silence=7.0", "the silence probability of candidate 0 is 7.0, expected 0 to 1"),
        ("p_silence=-0.5", "expected 0 to 1; a logit goes through a sigmoid first"),
        ("p_silence=1.0000001", "of candidate 0 is 1.0000001, expected 0 to 1"),
        ("label=Dog", "candidate 0: unknown label 'Dog'"),
    ],
)
def test_what_a_plugin_may_not_do_fails_by_name(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, setting: str, message: str
) -> None:
    assert run(s5eval, small_set, tmp_path / "run", "--set", f"system.{setting}").code == 4
    assert message in lines(tmp_path / "run")["m_2"]["outcome"]["error"]


def test_a_factory_that_returns_no_system_is_a_usage_error(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    result = s5eval("run", "--system", "plugins:nothing", "--data", small_set, "--out", tmp_path / "run")
    assert (result.code, "returned a NoneType" in result.err) == (2, True)


def test_only_and_limit_choose(small_set: Path, tmp_path: Path, s5eval: Call, lines: Call) -> None:
    run(s5eval, small_set, tmp_path / "a", "--only", "m_4", "--only", "m_2")
    run(s5eval, small_set, tmp_path / "b", "--limit", 2)
    assert list(lines(tmp_path / "a")) == ["m_2", "m_4"]
    assert list(lines(tmp_path / "b")) == ["m_1", "m_10"]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    plain, machine = run(s5eval, small_set, out, "--dry-run"), run(s5eval, small_set, out, "--dry-run", "--json")
    assert plain.code == machine.code == 0
    assert "5: m_1, m_10" in plain.out
    assert machine.json["mixtures"] == ["m_1", "m_10", "m_2", "m_3", "m_4"]
    assert machine.json["disk_needed"]["run_bytes"] > 0
    assert not out.exists()


def test_a_dry_run_is_a_page_and_only_its_json_has_everything(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision that was tuned carries the digests of all mixtures it was tuned on, and they were one line."""
    digests = " ".join(f"{k:064x}" for k in range(1000))
    provenance = {"data": "mini/valid", "mixture_digests": digests}
    (tmp_path / "d.yaml").write_text(json.dumps({"provenance": provenance}))
    monkeypatch.chdir(small_set)
    options = ("run", "--system", "plugins:build", "--data", ".", "--decision", tmp_path / "d.yaml", "--dry-run")
    more = ("--set", "system.label=Cough", "--limit", 3)
    plain, machine = s5eval(*options, *more), s5eval(*options, *more, "--json")
    assert machine.json["decision"]["provenance"]["mixture_digests"] == digests
    page = [line for line in plain.out.splitlines() if str(small_set) not in line and str(tmp_path) not in line]
    assert max(map(len, page)) <= 80 and len(page) < 30
    assert page[-1].startswith("with --json: the whole decision")
    assert any(line.split() == ["settings", 'system.label="Cough"'] for line in page)
    assert "thresholds tuned on mini/valid" in " ".join(plain.out.split())
    assert "null" not in plain.out and "{" not in plain.out


def test_untrained_weights_stand_in_table_summary_and_page(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    result = run(s5eval, small_set, out, "--set", "system.weights=untrained")
    assert "weights: untrained | " in result.out and "RANDOM WEIGHTS: the numbers say nothing" in result.out
    assert "note: RANDOM WEIGHTS: the numbers say nothing about the system" in result.err, "before the first mixture"
    assert json.loads((out / "summary.json").read_text())["weights"] == "untrained"
    assert "weights: untrained" in (out / "report.html").read_text()
    (listed,) = s5eval("runs", out, "--json").json
    assert listed["marks"][0].startswith("RANDOM WEIGHTS")


def test_an_interrupted_run_is_not_damaged(
    small_set: Path, tmp_path: Path, s5eval: Call, systems_on_path: None
) -> None:
    out = tmp_path / "run"
    words = ("--system", "plugins:build", "--data", small_set, "--set", "system.interrupt_on=m_2", "--out", out)
    assert s5eval("run", *words).code == 130
    shown = s5eval("check", out)
    assert (shown.code, "damaged" in shown.out) == (0, False), shown.out
    assert "partial, 2 of 2 mixtures are as they were written, 3 not run yet" in shown.out
    assert "note: the run was interrupted; s5eval run --resume" in shown.out
    assert s5eval("check", out, "--json").json["not_reached"] == 3
    (out / "summary.json").write_text("{}")
    assert s5eval("check", out).code == 3


def test_a_page_that_cannot_be_made_costs_the_run_nothing_else(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stayed 'running' after its last mixture: nothing would export or pack it, and resuming fell over the same."""

    def broken(*_: object, **__: object) -> None:
        raise ValueError("no such glyph")

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("s5eval.harness.runs.run.write_page", broken)
        shown = run(s5eval, small_set, out)
    assert shown.code != 0 and "no such glyph" in shown.err
    assert json.loads((out / "run.json").read_text())["status"] == "complete"
    assert s5eval("compare", out, out).code == 0
    assert s5eval("run", "--resume", out).code == 0 and (out / "report.html").is_file()
