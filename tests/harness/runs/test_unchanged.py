"""Who gives a system again with the folder of a finished run is told where its numbers are of another one."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s5eval.harness.runs.resume import resume
from s5eval.systems.decision import Decision

Call = Callable[..., Any]


@pytest.fixture
def finished(small_set: Path, tmp_path: Path, s5eval: Call, systems_on_path: None) -> Path:
    assert s5eval("run", "--system", "plugins:build", "--data", small_set, "--out", tmp_path / "run").code == 0
    return tmp_path / "run"


def test_a_finished_run_of_other_weights_is_not_taken_for_these(
    finished: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ("run", "--system", "plugins:build", "--resume", finished)
    assert s5eval(*call).code == 0
    monkeypatch.setattr("plugins.Omni.fingerprint", lambda self: {"weights": "sha256:new"})
    refused = s5eval(*call)
    assert (refused.code, 'weights was "none" and is "sha256:new"' in refused.err) == (2, True)
    assert resume(finished, given={}, fresh=None).summary.status == "complete", "what stands may be read all the same"


def test_nor_one_of_another_decision(finished: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins.Decision", lambda: Decision({"default": 0.2}))
    refused = s5eval("run", "--system", "plugins:build", "--resume", finished)
    assert (refused.code, "the decision is not as it was when" in refused.err) == (2, True)


def test_nor_one_on_other_data_in_the_same_place(finished: Path, small_set: Path, s5eval: Call) -> None:
    (small_set / "oracle_target" / "m_3_0_Dishes.wav").unlink()
    refused = s5eval("run", "--system", "plugins:build", "--resume", finished)
    assert (refused.code, "does not hold the data that" in refused.err) == (3, True)


def test_nor_one_of_other_data_than_are_named_now(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    """Although no system is named, and so nothing but the data is asked for."""
    assert s5eval("run", "--system", "silence", "--data", small_set, "--out", tmp_path / "run").code == 0
    other = shutil.copytree(small_set, tmp_path / "other")
    (other / "oracle_target" / "m_3_0_Dishes.wav").unlink()
    refused = s5eval("run", "--resume", tmp_path / "run", "--data", other)
    assert (refused.code, "does not hold the data that" in refused.err) == (3, True), refused.err


def test_nor_a_rescored_one(finished: Path, tmp_path: Path, s5eval: Call) -> None:
    file, out = tmp_path / "mine.yaml", tmp_path / "again"
    file.write_text("silence_thresholds: {default: 0.05}\n")
    assert s5eval("rescore", finished, "--decision", file, "--out", out).code == 0
    refused = s5eval("run", "--system", "plugins:build", "--resume", out)
    assert (refused.code, f"it was rescored from {finished}" in refused.err) == (2, True)


def test_nor_are_estimates_that_have_changed_since(make_set: Call, tmp_path: Path, s5eval: Call) -> None:
    scenes = {"m_1": ["Speech"], "m_2": ["Cough"]}
    data = make_set(tmp_path / "data", scenes, estimates=scenes)
    call = ("score", data / "estimate", "--data", data)
    assert s5eval(*call, "--out", tmp_path / "run").code == 0
    assert s5eval(*call, "--resume", tmp_path / "run").code == 0
    next((data / "estimate").glob("m_2*")).unlink()
    refused = s5eval(*call, "--resume", tmp_path / "run")
    assert (refused.code, "system 'folder' is not as it was" in refused.err) == (2, True)
