"""Tunes class-specific silence thresholds on a finished run's stored tables; no audio, no network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.fitted_mixtures import fitted_here, part_of_data
from s5eval.harness.record.lines import load_table
from s5eval.harness.record.reading import read_lines, read_run_record
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.record.same_system import refuse_other_systems
from s5eval.harness.record.tables import PairTable
from s5eval.harness.record.unpacked import refuse_in_place
from s5eval.harness.scoring.mixture import adapted
from s5eval.harness.tuning.closed_form_start import observe_slots
from s5eval.harness.tuning.coordinate_search import SHRINKAGE, Fit
from s5eval.harness.tuning.decision_file import made_on, refuse_forbidden, write_decision
from s5eval.harness.tuning.expected_tuning import tune_expected_score
from s5eval.harness.tuning.fold_job import FitJob, all_fits
from s5eval.harness.tuning.folds import FOLDS, Recordings, folds_of, told_of_folds
from s5eval.harness.tuning.joint_runs import recordings_in, refuse_repeated
from s5eval.harness.tuning.threshold_table import Objective, SweepTable, as_amount, sweep_table
from s5eval.harness.tuning.tune_result import TuneResult, tuning_result
from s5eval.systems.decision import Decision
from s5eval.systems.decision_reading import THRESHOLDS
from s5eval.systems.provenance import on_top_of

Rule = Literal["thresholds", "expected_score"]
"""What is tuned: a silence threshold for every class, or how many of the likeliest candidates are kept."""


def tune_runs(
    run: Path,
    *,
    others: Sequence[Path] = (),
    out: Path | None = None,
    rule: Rule = "thresholds",
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
        others: runs of the same weights and decision on other mixtures, which count as much as those of `run`.
        out: the decision file; default `thresholds.yaml` in the run folder.
        rule: what is tuned; `expected_score` takes the place of any thresholds, and has no use for `objective`,
            `shrinkage` and `workers`.
        objective: what to maximise; default CAPI-SDRi.
        folds: how many parts the cross-validated gain is computed with.
        shrinkage: see `fit`.
        seed: of the folds and the search.
        allow_test: tune although the split is marked `tune: forbidden`; the file, and every run that uses it, say so.
        workers: processes to share the fits of the folds among; 0: as many as cores are free; None: this one alone.

    Raises:
        UsageError: `rule` is unknown, or has no use for what was given; no finite `shrinkage`; no run there; the split
            is forbidden; the run has no references, no probabilities to tune, or fewer mixtures than folds; runs of
            different weights or decisions, or with mixtures in common.
        DataError: a table is missing or damaged.
    """
    shrinkage = as_amount("shrinkage", shrinkage)
    if rule not in get_args(Rule):
        raise UsageError(f"`rule` is {rule!r}, expected {' or '.join(get_args(Rule))}")
    of_thresholds = {"objective": objective not in (None, Objective()), "shrinkage": shrinkage != SHRINKAGE}
    if rule == "expected_score" and any(of_thresholds.values()):
        given = " and ".join(f"`{name}`" for name, there in of_thresholds.items() if there)
        raise UsageError(f"{given} are of thresholds and do not go with rule='expected_score'")
    file = out or run / THRESHOLDS
    refuse_in_place(file, "name the decision file with `out`")
    read = [_read_tables(path, allow_test=allow_test) for path in (run, *others)]
    runs, records = (run, *others), [record for record, _ in read]
    record = records[0]
    refuse_other_systems(runs, records, "they cannot be tuned together")
    for path, other in zip(others, records[1:], strict=True):
        if other.decision != record.decision:
            raise UsageError(f"{path} has another decision than {run}: they cannot be tuned together")
    tables = [table for _, of_run in read for table in of_run.values()]
    refuse_repeated(runs, records)
    context = made_on(runs, records, [of_run.keys() for _, of_run in read])
    heard = [names for other, of_run in read for names in recordings_in(other, of_run)]
    left_out = sum(other.n_expected for other in records) - len(tables)
    if rule == "expected_score":
        result = tune_expected_score(
            tables, base=record.decision, folds=folds, seed=seed, recordings=heard, context=context, n_left_out=left_out
        )
    else:
        result = tune_tables(
            tables,
            base=record.decision,
            objective=objective or Objective(),
            folds=folds,
            shrinkage=shrinkage,
            seed=seed,
            recordings=heard,
            context=context,
            n_left_out=left_out,
            workers=workers,
        )
    write_decision(file, result.decision)
    known = sum(fitted_here(other.decision.provenance, part_of_data(other, of_run)) for other, of_run in read)
    return replace(result, file=file, n_known=known)


def _read_tables(run: Path, *, allow_test: bool) -> tuple[RunRecord, dict[str, PairTable]]:
    """What a run says of itself, and the pair tables of its scored mixtures by id."""
    record = read_run_record(run)
    why = "scores on it would say nothing afterwards; tune on a validation split"
    refuse_forbidden(run, record, allow_test=allow_test, why=why)
    recorded = read_lines(run, record)
    scored = [id_ for id_ in record.mixtures if id_ in recorded and recorded[id_].score.status == "scored"]
    if not scored:
        raise UsageError(f"{run} has no scored mixtures: decisions can be tuned only against references")
    return record, {id_: load_table(run, recorded[id_]) for id_ in scored}


def tune_tables(
    tables: Sequence[PairTable],
    *,
    base: Decision,
    objective: Objective,
    folds: int = FOLDS,
    shrinkage: float = SHRINKAGE,
    seed: int = 0,
    recordings: Recordings | None = None,
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
        recordings: what sounds in the mixtures, which the folds keep apart; None: not told.
        context: facts that join the provenance.
        n_left_out: mixtures that could not be used.
        workers: see `tune`.

    Raises:
        UsageError: see `tune`.
    """
    factors, base, tables = base.prior_factors, replace(base, prior_factors=None), [adapted(t, base) for t in tables]
    if all(np.all(table.p_silence == 0) for table in tables):
        raise UsageError("no candidate of this run has a silence probability above 0: there is nothing to tune")
    parts = folds_of(len(tables), folds, seed, recordings)
    table, slots = sweep_table(tables, base), observe_slots(tables)
    start = np.array([base.threshold(label) for label in CLASSES])

    everything = np.arange(len(tables))
    kept = {"all": everything, **{f"but part {k + 1}": fold.fit for k, fold in enumerate(parts)}}
    fits = all_fits(FitJob(table, slots, start, objective, shrinkage, seed, kept), workers)
    found = fits["all"]
    held_out = np.empty((len(tables), 6))
    for k, fold in enumerate(parts):
        held_out[fold.out] = table.restrict(fold.out).scores(fits[f"but part {k + 1}"].thresholds)
    provenance = {
        **(context or {}),
        **on_top_of(base.provenance),
        "objective": objective.name if objective.name != "mix" else f"capi_sdri + {objective.weight} mixture_accuracy",
        "mixtures": len(tables),
        **told_of_folds(parts, recordings),
        "seed": seed,
        "shrinkage": found.shrinkage,
    }
    return tuning_result(
        replace(_decision(base, table, found), provenance=provenance),
        base=base,
        prior_factors=factors,
        tables=tables,
        untuned=table.scores(start),
        fitted=table.scores(found.thresholds),
        cross_validated=held_out,
        objective=objective,
        recordings=recordings,
        n_left_out=n_left_out,
    )


def _decision(base: Decision, table: SweepTable, found: Fit) -> Decision:
    counts, default = table.counts(), float(found.default)
    own = [k for k in range(len(CLASSES)) if counts[k] or found.thresholds[k] != default]
    thresholds = {"default": default, **{CLASSES[k]: float(found.thresholds[k]) for k in own}}
    return replace(base, silence_thresholds=thresholds, provenance=None)
