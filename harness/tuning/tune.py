"""Tunes class-specific silence thresholds on a finished run's stored tables; no audio, no network."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.lines import load_table
from s5eval.harness.record.reading import read_lines, read_run_record
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.record.tables import PairTable
from s5eval.harness.scoring.mixture import adapted, select
from s5eval.harness.tuning.closed_form_start import observe_slots
from s5eval.harness.tuning.coordinate_search import SHRINKAGE, Fit
from s5eval.harness.tuning.decision_file import made_on, refuse_forbidden, write_decision
from s5eval.harness.tuning.fold_job import FitJob, all_fits
from s5eval.harness.tuning.threshold_table import Objective, ObjectiveName, SweepTable, sweep_table
from s5eval.metrics.arrays import Array
from s5eval.metrics.bootstrap import paired_bootstrap
from s5eval.systems.decision import Decision
from s5eval.systems.decision_reading import THRESHOLDS

FOLDS = 5
GAIN_RESAMPLES = 2_000  # of the interval of the cross-validated gain, a by-product here


@dataclass(frozen=True, slots=True)
class TuneResult:
    """What tuning has found: the decision, and the report that goes into its provenance.

    Attributes:
        decision: the tuned decision, with provenance.
        scores: `untuned`, `fitted` and `cross_validated` values of the objective and of the three metrics.
        gain: cross-validated gain in CAPI-SDRi, dB: `value`, `ci_low`, `ci_high` (paired bootstrap).
        classes: per class the number of candidates, thresholds before and after, and the candidates `revived` and
            `silenced`, with how many of them have a class that is in the scene.
        n_mixtures: tuned on.
        n_left_out: mixtures of the run that failed.
    """

    decision: Decision
    scores: Mapping[str, Mapping[str, float | None]]
    gain: Mapping[str, float | None]
    classes: Mapping[str, Mapping[str, float]]
    n_mixtures: int
    n_left_out: int

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "decision": self.decision.as_dict()}


def tune_runs(
    run: Path,
    *,
    others: Sequence[Path] = (),
    out: Path | None = None,
    objective: Objective | None = None,
    folds: int = FOLDS,
    shrinkage: float = SHRINKAGE,
    seed: int = 0,
    allow_test: bool = False,
    workers: int | None = None,
) -> TuneResult:
    """Tune on a run, or several together, and write the decision file.

    Args:
        run: the run folder; its own decision is what is improved on.
        others: runs of the same weights and decision on other data, whose mixtures count as much as those of `run`.
        out: the decision file; default `thresholds.yaml` in the run folder.
        objective: what to maximise; default CAPI-SDRi.
        folds: how many parts the cross-validated gain is computed with.
        shrinkage: see `fit`.
        seed: of the folds and the search.
        allow_test: tune although the split is marked `tune: forbidden`; the file, and every run that uses it, say so.
        workers: processes to share the fits of the folds among; 0: as many as cores are free; None: this one alone.

    Raises:
        UsageError: no run there; the split is forbidden; the run has no references or no silence probabilities,
            or fewer mixtures than folds; runs of different weights or decisions.
        DataError: a table is missing or damaged.
    """
    read = [_read_tables(path, allow_test=allow_test) for path in (run, *others)]
    record = read[0][0]
    for path, (other, _) in zip(others, read[1:], strict=True):
        if (other.about.weights, other.decision) != (record.about.weights, record.decision):
            raise UsageError(f"{path} has other weights or another decision than {run}: they cannot be tuned together")
    tables = [table for _, of_run in read for table in of_run]
    context = made_on((run, *others), [other for other, _ in read])
    result = tune_tables(
        tables,
        base=record.decision,
        objective=objective or Objective(),
        folds=folds,
        shrinkage=shrinkage,
        seed=seed,
        context=context,
        n_left_out=sum(other.n_expected for other, _ in read) - len(tables),
        workers=workers,
    )
    write_decision(out or run / THRESHOLDS, result.decision)
    return result


def _read_tables(run: Path, *, allow_test: bool) -> tuple[RunRecord, list[PairTable]]:
    """What a run says of itself, and the pair tables of its scored mixtures."""
    record = read_run_record(run)
    why = "scores on it would say nothing afterwards; tune on a validation split"
    refuse_forbidden(run, record, allow_test=allow_test, why=why)
    recorded = read_lines(run, record)
    scored = [id_ for id_ in record.mixtures if id_ in recorded and recorded[id_].score.status == "scored"]
    if not scored:
        raise UsageError(f"{run} has no scored mixtures: thresholds can be tuned only against references")
    return record, [load_table(run, recorded[id_]) for id_ in scored]


def tune_tables(
    tables: Sequence[PairTable],
    *,
    base: Decision,
    objective: Objective,
    folds: int = FOLDS,
    shrinkage: float = SHRINKAGE,
    seed: int = 0,
    context: Mapping[str, Any] | None = None,
    n_left_out: int = 0,
    workers: int | None = None,
) -> TuneResult:
    """Tune on pair tables; the work behind `tune`.

    Args:
        tables: pair tables with references.
        base: the decision to improve on; its maximum count, duplicate rule and prior factors stay.
        objective: see `tune`.
        folds: see `tune`.
        shrinkage: see `tune`.
        seed: see `tune`.
        context: facts that join the provenance.
        n_left_out: mixtures that could not be used.
        workers: see `tune`.

    Raises:
        UsageError: see `tune`.
    """
    factors, base, tables = base.prior_factors, replace(base, prior_factors=None), [adapted(t, base) for t in tables]
    if all(np.all(table.p_silence == 0) for table in tables):
        raise UsageError("no candidate of this run has a silence probability above 0: there is nothing to tune")
    if not 2 <= folds <= len(tables):
        raise UsageError(f"`folds` is {folds}, expected 2 to {len(tables)} (the number of scored mixtures)")
    table, slots = sweep_table(tables, base), observe_slots(tables)
    start = np.array([base.threshold(label) for label in CLASSES])

    everything = np.arange(len(tables))
    parts = np.array_split(np.random.default_rng(seed).permutation(everything), folds)
    kept = {"all": everything, **{f"but part {k + 1}": np.setdiff1d(everything, fold) for k, fold in enumerate(parts)}}
    fits = all_fits(FitJob(table, slots, start, objective, shrinkage, seed, kept), workers)
    found = fits["all"]
    held_out = np.empty((len(tables), 6))
    for k, fold in enumerate(parts):
        held_out[fold] = table.restrict(fold).scores(fits[f"but part {k + 1}"].thresholds)
    decision = _decision(base, table, found)
    scores = {
        "untuned": _values(table.scores(start), objective),
        "fitted": _values(table.scores(found.thresholds), objective),
        "cross_validated": _values(held_out, objective),
    }
    gain = _gain(table.scores(start), held_out)
    provenance = {
        **(context or {}),
        "objective": objective.name if objective.name != "mix" else f"capi_sdri + {objective.weight} mixture_accuracy",
        "mixtures": len(tables),
        "folds": folds,
        "seed": seed,
        "shrinkage": found.shrinkage,
        "scores": scores,
        "cross_validated_gain_db": gain,
    }
    decision = Decision(
        decision.silence_thresholds, base.max_sources, base.duplicate_correlation, provenance=provenance
    )
    classes = _classes(tables, table, base, decision)
    return TuneResult(replace(decision, prior_factors=factors), scores, gain, classes, len(tables), n_left_out)


def _decision(base: Decision, table: SweepTable, found: Fit) -> Decision:
    counts = table.counts()
    thresholds = {"default": float(found.default)}
    thresholds |= {label: float(found.thresholds[k]) for k, label in enumerate(CLASSES) if counts[k]}
    return Decision(thresholds, base.max_sources, base.duplicate_correlation)


def _values(scores: Array, objective: Objective) -> dict[str, float | None]:
    sums = scores.sum(axis=0)
    names: tuple[ObjectiveName, ...] = ("capi_sdri", "mixture_accuracy", "source_accuracy")
    values: dict[str, float] = {name: float(Objective(name)(sums)) for name in names}
    values["objective"] = float(objective(sums))
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def _gain(before: Array, after: Array) -> dict[str, float | None]:
    intervals = paired_bootstrap(
        (before[:, :1], before[:, 1:2]), (after[:, :1], after[:, 1:2]), resamples=GAIN_RESAMPLES
    )
    found = {"value": intervals.value[0], "ci_low": intervals.low[0], "ci_high": intervals.high[0]}
    return {name: float(value) if np.isfinite(value) else None for name, value in found.items()}


def _classes(
    tables: Sequence[PairTable], sweep: SweepTable, base: Decision, tuned: Decision
) -> dict[str, dict[str, float]]:
    counts = sweep.counts()
    rows = {
        label: {
            "candidates": int(counts[k]),
            "before": base.threshold(label),
            "after": tuned.threshold(label),
            "revived": 0,
            "revived_right": 0,
            "silenced": 0,
            "silenced_right": 0,
        }
        for k, label in enumerate(CLASSES)
        if counts[k]
    }
    for table in tables:
        was = {selection.index: selection.label for selection in select(table, base)}
        now = {selection.index: selection.label for selection in select(table, tuned)}
        for change, gone, come in (("revived", was, now), ("silenced", now, was)):
            for index in come.keys() - gone.keys():
                rows[come[index]][change] += 1
                rows[come[index]][f"{change}_right"] += come[index] in (table.reference_labels or ())
    return rows
