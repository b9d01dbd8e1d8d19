"""What runs are tuned on: everything that was asked, every one of them, and of each what was scored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sealed_files import edit_lines, edit_record

from s5eval.data_manifests.common.digests import digest_start
from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.record.lines import load_table
from s5eval.harness.record.reading import read_lines, read_run_record
from s5eval.harness.record.tables import PairTable
from s5eval.harness.scoring.mixture import adapted
from s5eval.harness.tuning import joint_runs, tune
from s5eval.harness.tuning.coordinate_search import Fit
from s5eval.harness.tuning.threshold_table import Objective
from s5eval.harness.tuning.tune import tune_runs, tune_tables
from s5eval.harness.tuning.tuned_table import tuning_table
from s5eval.systems.decision import Decision

Make = Callable[..., Path]
Tables = Callable[..., list[PairTable]]


class Handed(Exception):  # noqa: N818 - no error
    """What a tuning was handed: nothing is tuned."""


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """`handed(run, …)`: what `tune_runs` hands on; a recording for every mixture, named for where it was looked for."""

    def take(tables: list[PairTable], **how: Any) -> None:
        raise Handed({"tables": tables, **how})

    def told(ids: list[str], data: Path | None, **where: Any) -> dict[str, frozenset[str]]:
        return {id_: frozenset({f"{data} {where['dataset']} {where['split']} {id_}"}) for id_ in reversed(ids)}

    monkeypatch.setattr(tune, "tune_tables", take)
    monkeypatch.setattr(tune, "tune_expected_score", take)
    monkeypatch.setattr(joint_runs, "recordings_of", told)

    def call(run: Path, **how: Any) -> dict[str, Any]:
        with pytest.raises(Handed) as found:
            tune_runs(run, **how)
        given: dict[str, Any] = found.value.args[0]
        return given

    return call


def test_all_that_was_asked_reaches_the_fits(made_run: Make, handed: Callable[..., dict[str, Any]]) -> None:
    one, two = made_run("one", 6), made_run("two", 5, n_expected=9)
    recordings = [
        frozenset({f"{run.parent / 'nowhere'} {run.name} valid m_{k:04d}"})
        for run, count in ((one, 6), (two, 5))
        for k in range(count)
    ]
    asked = {"folds": 3, "seed": 4}
    of_thresholds = {"objective": Objective("mix", 0.3), "shrinkage": 7.0, "workers": 2}
    found = handed(one, others=[two], **asked, **of_thresholds)
    assert len(found.pop("tables")) == 11
    assert found.pop("context")["run"] == ["one", "two"]
    base = read_run_record(one).decision
    always = {"base": base, "recordings": recordings, "n_left_out": 4, **asked}
    assert found == {**always, **of_thresholds}
    found = handed(one, others=[two], rule="expected_score", **asked)
    assert (len(found.pop("tables")), found.pop("context")["run"]) == (11, ["one", "two"])
    assert found == always


def test_mixtures_without_a_score_are_left_out(made_run: Make, handed: Callable[..., dict[str, Any]]) -> None:
    run = made_run("one", 6)
    failed = {"status": "failed", "error": "it fell"}

    def fail(line: dict[str, Any]) -> None:
        if line["mixture_id"] in ("m_0001", "m_0004"):
            line["outcome"] |= failed

    edit_lines(run, fail)
    found = handed(run)
    lines = read_lines(run, read_run_record(run))
    scored = [load_table(run, lines[f"m_{k:04d}"]).reference_labels for k in (0, 2, 3, 5)]
    assert [table.reference_labels for table in found["tables"]] == scored
    assert (len(found["recordings"]), found["n_left_out"]) == (4, 2)
    edit_lines(run, lambda line: line["outcome"].update(failed))
    with pytest.raises(
        UsageError, match=f"{run} has no scored mixtures: decisions can be tuned only against references"
    ):
        tune_runs(run)


def test_every_other_run_has_to_have_the_decision_of_the_first(made_run: Make) -> None:
    runs = [made_run("one", 3), made_run("two", 3), made_run("three", 3, threshold=0.4)]
    with pytest.raises(
        UsageError, match=f"{runs[2]} has another decision than {runs[0]}: they cannot be tuned together"
    ):
        tune_runs(runs[0], others=runs[1:])


def test_what_the_decision_of_before_was_fitted_to_is_counted_in_every_run(made_run: Make) -> None:
    runs = [made_run("one", 6), made_run("two", 5, n_expected=9)]
    digests = [read_run_record(run).mixture_digests or () for run in runs]
    fitted = " ".join(digest_start(of_run[k]) for of_run, k in zip(digests, (1, 3), strict=True))
    for run in runs:
        edit_record(run / "run.json", lambda record: record["decision"].update(provenance={"mixture_digests": fitted}))
    result = tune_runs(runs[0], others=runs[1:], folds=2, seed=3)
    assert (result.n_known, result.n_mixtures, result.n_left_out) == (2, 11, 4)
    written = yaml.safe_load((runs[0] / "thresholds.yaml").read_text())["provenance"]
    assert (written["mixtures"], written["folds"], written["seed"]) == (11, 2, 3)
    assert written["run"] == ["one", "two"]
    assert written["objective"] == "capi_sdri"
    again = tune_runs(runs[0], others=runs[1:], folds=2, objective=Objective("mix", 0.3))
    assert (again.decision.provenance or {})["objective"] == "capi_sdri + 0.3 mixture_accuracy"


def test_what_failed_is_not_among_the_known_ones(made_run: Make) -> None:
    """The row of before is over the mixtures that are tuned on, and so is what is said of it."""
    run = made_run("one", 8)
    fitted = " ".join(map(digest_start, (read_run_record(run).mixture_digests or ())[:4]))
    edit_record(run / "run.json", lambda record: record["decision"].update(provenance={"mixture_digests": fitted}))

    def fail(line: dict[str, Any]) -> None:
        if line["mixture_id"] in ("m_0000", "m_0001", "m_0007"):
            line["outcome"] |= {"status": "failed", "error": "it fell"}

    edit_lines(run, fail)
    result = tune_runs(run, folds=2)
    assert (result.n_known, result.n_mixtures, result.n_left_out) == (2, 5, 3)
    assert "the decision of before was fitted to 2 of these mixtures" in tuning_table(result)


def test_the_shrinkage_that_a_file_names_is_the_one_that_was_used(
    make_tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is halved where it would cost the gain."""
    monkeypatch.setattr(tune, "all_fits", lambda job, workers: dict.fromkeys(job.kept, Fit(job.base, 0.5, 12.5)))
    result = tune_tables(make_tables(12, 1), base=Decision(), objective=Objective(), shrinkage=50.0)
    assert (result.decision.provenance or {})["shrinkage"] == 12.5


def test_amounts_of_numpy_are_written_as_numbers(made_run: Make) -> None:
    """A loop in a notebook gives them; YAML holds none of them, which was found when all had been fitted."""
    result = tune_runs(made_run("one", 6), folds=2, shrinkage=np.float64(25.0))
    assert result.file is not None
    assert yaml.safe_load(result.file.read_text())["provenance"]["shrinkage"] in (25.0, 12.5, 6.25, 0.0)
    assert [type(Objective("mix", amount).weight) for amount in (np.float64(0.5), np.float32(0.5), 2)] == [float] * 3


def test_thresholds_are_fitted_to_what_priors_make_of_the_candidates_once(make_tables: Tables) -> None:
    tables, factors = make_tables(40, 2), {"Speech": 3.0, "silence": 0.2}
    base = Decision(prior_factors=factors)
    found = tune_tables(tables, base=base, objective=Objective(), folds=2)
    alike = tune_tables([adapted(table, base) for table in tables], base=Decision(), objective=Objective(), folds=2)
    assert found.scores == alike.scores
    assert found.decision.silence_thresholds == alike.decision.silence_thresholds
    assert found.decision.prior_factors == factors


def test_one_candidate_that_may_be_silence_is_enough_to_tune(make_tables: Tables) -> None:
    tables = make_tables(6, 2)
    for table in tables:
        table.p_silence[:] = 0.0
    with pytest.raises(UsageError, match="no candidate of this run has a silence probability above 0"):
        tune_tables(tables, base=Decision(), objective=Objective(), folds=2)
    tables[3].p_silence[1] = 0.7
    assert tune_tables(tables, base=Decision(), objective=Objective(), folds=2).n_mixtures == 6
