"""Runs that are there, asked from Python."""

from pathlib import Path

import pytest

import s5eval

pytestmark = pytest.mark.usefixtures("systems_on_path")


def test_tune_writes_a_decision_that_a_run_takes(staged_set: Path, tmp_path: Path) -> None:
    run = s5eval.run("staged:build", staged_set, tmp_path / "run", cache=False)
    found = s5eval.tune(run, out=tmp_path / "t.yaml", folds=2)
    assert found.n_mixtures == 12
    tuned = s5eval.run("staged:build", staged_set, tmp_path / "tuned", decision=tmp_path / "t.yaml", cache=False)
    assert tuned.record.decision.silence_thresholds == found.decision.silence_thresholds
    with pytest.raises(s5eval.UsageError, match="not a run folder"):
        s5eval.tune(tmp_path / "nowhere")
