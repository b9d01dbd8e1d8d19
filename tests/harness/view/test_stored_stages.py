"""What the stage store still has of a mixture is shown if it is what the run was scored on, and as far as it goes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sealed_files import edit_record
from viewing import Made, key


def snapshot(run: Path) -> Any:
    from s5eval.harness.view.runs import ViewedRun

    return ViewedRun(key(run), run).snapshot()


def test_candidates_that_the_run_was_not_scored_on_are_not_shown(made: Made) -> None:
    from s5eval.harness.view.stored_stages import stages_of

    run, mixture = snapshot(made.staged), made.data / "soundscape" / "m_2.wav"
    table = run.table("m_2")
    found = stages_of(run, mixture, table)
    assert (list(found.candidates), found.problem) == (["stage1", "stage2", "stage3"], None)
    assert found.last is found.candidates["stage3"]
    silence = table.p_silence.copy()
    silence[0] = 1.0 - silence[0]
    for other in (replace(table, p_silence=silence), replace(table, p_silence=silence[:1])):
        assert stages_of(run, mixture, other).problem == "what the stage store has is not what this run was scored on"
        assert not stages_of(run, mixture, other).candidates


def test_where_a_stage_is_missing_none_is_taken_for_the_last(made: Made) -> None:
    """Its waveforms would be played as the candidates'."""
    from s5eval.harness.view.stored_stages import Stages, stages_of

    run, mixture = snapshot(made.staged), made.data / "soundscape" / "m_2.wav"
    stages = dict(run.record.fingerprint["stages"])
    stages["stage2"] = {**stages["stage2"], "weights": "others"}
    run = replace(run, record=replace(run.record, fingerprint={"stages": stages}))
    found = stages_of(run, mixture, run.table("m_2"))
    assert list(found.candidates) == ["stage1"] and "stage2 is not in the stage store" in str(found.problem)
    assert found.last is None and Stages({}).last is None


def test_a_data_folder_that_comes_back_is_played_from(copied: Made, browse: Callable[..., Any], tmp_path: Path) -> None:
    edit_record(copied.scored / "run.json", lambda record: record["config"].update(data=str(copied.data)))
    copied.data.rename(tmp_path / "away")
    client, asked = browse(copied.scored), {"run": key(copied.scored), "id": "m_2", "of": "mixture"}
    assert client.get("/audio", params=asked).status_code == 422
    (tmp_path / "away").rename(copied.data)
    assert client.get("/audio", params=asked).status_code == 200


def test_candidates_are_shown_with_the_silence_that_the_decision_has_judged_by(made: Made) -> None:
    from s5eval.data_manifests.labels import CLASSES
    from s5eval.harness.scoring.mixture import adapted
    from s5eval.harness.view.judged_candidates import judged_candidates

    run = snapshot(made.staged)
    table, score = run.table("m_2"), run.lines["m_2"].score
    decision = replace(run.decision, prior_factors={**dict.fromkeys(CLASSES, 1.0), "silence": 3.0})
    judged, plain = judged_candidates(table, decision, score), judged_candidates(table, run.decision, score)
    expected = adapted(table, decision).p_silence
    assert [candidate.p_silence for candidate in judged] == pytest.approx(expected.tolist())
    assert [candidate.p_silence for candidate in judged] != [candidate.p_silence for candidate in plain]
