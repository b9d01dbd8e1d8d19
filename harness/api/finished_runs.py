"""What is asked of runs that are there: how two differ, which thresholds would have fitted, what others would give."""

from collections.abc import Sequence
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Literal, TypeAlias, cast

from s5eval.arguments import as_needed_number, as_needed_path, as_path, as_switch
from s5eval.data_manifests.common.errors import UsageError
from s5eval.frames import Run
from s5eval.harness.comparing import pair_of_runs
from s5eval.harness.exporting.packed_run import run_folder_of
from s5eval.harness.record.reading import coherent
from s5eval.harness.runs.rescore import rescore as rescore_folder
from s5eval.harness.tuning.coordinate_search import SHRINKAGE
from s5eval.harness.tuning.folds import FOLDS
from s5eval.harness.tuning.threshold_table import Objective
from s5eval.harness.tuning.tune import tune_runs
from s5eval.harness.tuning.tune_result import TuneResult

AnyRun: TypeAlias = Run | str | PathLike[str]
"""A run that has been read, its folder, or a packed run."""


class Comparison(pair_of_runs.PairOfRuns):
    """Two runs side by side, as `compare` found them; a notebook shows the table and a forest of the differences."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        from s5eval.harness.comparing.comparison_html import comparison_html

        return comparison_html(self)


def compare(first: AnyRun, second: AnyRun, *, allow_different: bool = False) -> Comparison:
    """Compare two runs on the same mixtures; differences are second − first, with 95 % intervals (paired bootstrap).

    Args:
        first: the run to compare with.
        second: the run that is judged.
        allow_different: compare what both have, although data or metric versions differ.

    Raises:
        UsageError: not a run; different data or metric versions; no mixture in common.
        DataError: a run folder is damaged.
    """
    anyway = as_switch(allow_different, "allow_different")
    folders = _folder(first, "first"), _folder(second, "second")
    with coherent(*folders):
        found = pair_of_runs.compare_runs(*folders, allow_different=anyway)
    return Comparison(**{entry.name: getattr(found, entry.name) for entry in fields(found)})


def rescore(run: AnyRun, out: str | PathLike[str] | None = None, *, decision: str | PathLike[str] | None = None) -> Run:
    """Score a run again from its stored tables, with another decision: no audio is read and no network is run.

    Args:
        run: the run, which stays as it is where `out` is given.
        out: the run folder to make; None: scores and summary are rebuilt in place.
        decision: a decision file, as `tune` writes it; it needs `out`. None: the run's own.

    Returns:
        The run with that decision. Secondary metrics of estimates that have changed need audio, and are undefined.

    Raises:
        UsageError: no run there; `out` is missing or in use; or the decision file is wrong.
        DataError: a table is missing or damaged.
    """
    folder, file = as_path(out, "out"), as_path(decision, "decision")
    if file is not None and folder is None:
        raise UsageError("`decision` changes the result: name a new run folder with `out`")
    source = _folder(run, "run")
    with coherent(source):
        return Run(rescore_folder(source, decision_file=file, out=folder).path)


def tune(
    run: AnyRun | Sequence[AnyRun],
    *,
    out: str | PathLike[str] | None = None,
    rule: Literal["thresholds", "expected_score"] = "thresholds",
    objective: Literal["capi_sdri", "mixture_accuracy", "source_accuracy", "mix"] = "capi_sdri",
    weight: float = 0.1,
    folds: int = FOLDS,
    shrinkage: float = SHRINKAGE,
    seed: int = 0,
    allow_test: bool = False,
) -> TuneResult:
    """Fit class-specific silence thresholds to a run, or an expected score, from its stored tables alone.

    Args:
        run: the run, on a validation split; or several of one system on other mixtures each, which count alike;
            all shards of one run are that run.
        out: the decision file to write, for `run(…, decision=FILE)`; default: `thresholds.yaml` in the (first) run
            folder, which a packed run has not.
        rule: `thresholds`, or `expected_score`: how many of the likeliest candidates are worth keeping; objective,
            weight and shrinkage are of thresholds.
        objective: what to maximise.
        weight: for `mix`: dB of CAPI-SDRi that one percentage point of mixture accuracy is worth.
        folds: parts of the cross-validation.
        shrinkage: pulls rare classes towards the common threshold, as so many candidates would.
        seed: of folds and search.
        allow_test: tune although the split forbids it; the file, and every run that uses it, carries the mark.

    Returns:
        The decision and the `file` that holds it, its cross-validated gain in dB with interval, and what changed per
        class.

    Raises:
        UsageError: no run there; runs of several systems, or with a mixture in common; the split is forbidden; nothing
            to tune on; or an argument means nothing.
        DataError: a table is missing or damaged.
    """
    on_test = as_switch(allow_test, "allow_test")
    first, *others = folders = _folders(run)
    file, goal = as_path(out, "out"), Objective(objective, weight)
    folds, seed = as_needed_number(folds, "folds"), as_needed_number(seed, "seed")
    with coherent(*folders):
        return tune_runs(
            first,
            others=others,
            out=file,
            rule=rule,
            objective=goal,
            folds=folds,
            shrinkage=shrinkage,
            seed=seed,
            allow_test=on_test,
        )


def _folders(runs: AnyRun | Sequence[AnyRun]) -> list[Path]:
    if isinstance(runs, list | tuple) and runs:
        return [_folder(run, "run") for run in runs]
    return [_folder(cast(AnyRun, runs), "run")]


def _folder(run: AnyRun, name: str) -> Path:
    return run.path if isinstance(run, Run) else run_folder_of(as_needed_path(run, name))
