"""Runs that are there, asked from Python."""

from pathlib import Path
from typing import Any

import pytest

import s5eval

pytestmark = pytest.mark.usefixtures("systems_on_path")

_NO_TUNING: tuple[tuple[dict[str, Any], str], ...] = (
    ({"objective": "capi"}, "`objective` is 'capi', expected one of capi_sdri"),
    ({"objective": "mix", "weight": "0.1"}, "`weight` is '0.1', expected a finite number"),
    ({"folds": 2.5}, "`folds` is 2.5, expected a whole number"),
    ({"seed": "a"}, "`seed` is 'a', expected a whole number"),
    ({"seed": -1}, "`seed` is -1, expected a whole number, 0 or larger"),
    ({"shrinkage": True}, "`shrinkage` is True, expected a finite number"),
    ({"out": ""}, "`out` is an empty path"),
)
"""What `tune` is given, and what it says."""


def test_records_that_do_not_fit_together_are_told_as_such(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one file says of another cannot be checked when each is read: `m_9` is in the one alone, say."""

    def parts(*given: object, **more: object) -> None:
        raise KeyError("m_9")

    run = s5eval.run("silence", small_set, tmp_path / "run")
    for name in ("rescore_folder", "tune_runs", "pair_of_runs.compare_runs"):
        monkeypatch.setattr(f"s5eval.finished_runs.{name}", parts)
    for ask in (lambda: s5eval.rescore(run), lambda: s5eval.tune(run), lambda: s5eval.compare(run, run)):
        with pytest.raises(s5eval.DataError, match=r"run: the records do not fit together \(KeyError: 'm_9'\)"):
            ask()


def test_tune_writes_a_decision_that_a_run_takes(staged_set: Path, tmp_path: Path) -> None:
    run = s5eval.run("staged:build", staged_set, tmp_path / "run", cache=False)
    found = s5eval.tune(run, out=tmp_path / "t.yaml", folds=2)
    assert found.n_mixtures == 12
    assert repr(found).startswith("<TuneResult, thresholds of 12 mixtures: CAPI-SDRi ")
    tuned = s5eval.run("staged:build", staged_set, tmp_path / "tuned", decision=tmp_path / "t.yaml", cache=False)
    assert tuned.record.decision.silence_thresholds == found.decision.silence_thresholds
    assert found.file == tmp_path / "t.yaml"
    rescored = s5eval.rescore(run, tmp_path / "rescored", decision=found.file)
    assert rescored.summary.metrics == tuned.summary.metrics
    assert s5eval.rescore(tmp_path / "rescored").summary == rescored.summary
    with pytest.raises(s5eval.UsageError, match="no run folder at"):
        s5eval.tune(tmp_path / "nowhere")
    for given, message in _NO_TUNING:
        with pytest.raises(s5eval.UsageError) as refused:
            s5eval.tune(run, **{"out": tmp_path / "none.yaml", "folds": 2, **given})
        assert message in str(refused.value)
    with pytest.raises(s5eval.S5Error, match="cannot be written"):
        s5eval.tune(run, out=tmp_path / "run" / "pairs", folds=2)
    one = s5eval.run("staged:build", staged_set, tmp_path / "one", cache=False, limit=1)
    with pytest.raises(s5eval.UsageError, match="1 scored mixture: cross-validation tunes on some"):
        s5eval.tune(one)
    with pytest.raises(s5eval.UsageError, match="`mixture_id` is 0, expected the id of a mixture"):
        one.mixture(0)  # type: ignore[arg-type]
