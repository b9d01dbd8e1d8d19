"""Adapts a system's class and silence priors to a data set without labels, on a finished run's stored scores.

A system learned how often every class, and silence, occurs; where it is used they may occur otherwise. The new
frequencies are estimated from its own probabilities by expectation-maximisation (Saerens, Latinne and Decaestecker,
Neural Computation 14, 2002), and its probabilities follow them by Bayes' rule. What sounds like given its class must
be the same on both sides; references are not looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.synthesis.scene import VALIDATION_COUNTS
from s5eval.harness.record.lines import load_table
from s5eval.harness.record.reading import read_lines, read_run_record
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.record.same_system import refuse_other_systems
from s5eval.harness.record.tables import PairTable
from s5eval.harness.record.unpacked import refuse_in_place
from s5eval.harness.report.table import data_name
from s5eval.harness.scoring.mixture import select
from s5eval.harness.scoring.probabilities import no_probabilities
from s5eval.harness.tuning.decision_file import inherited_marks, refuse_forbidden, scored_by, write_decision
from s5eval.harness.tuning.threshold_table import as_amount
from s5eval.metrics.arrays import Array
from s5eval.systems.decision import SILENCE, Decision
from s5eval.systems.provenance import on_top_of

OUTCOMES = (*CLASSES, SILENCE)
"""What a candidate can be: one of the classes, or silent."""

STRENGTH = 300.0
"""So many candidates' worth of the old priors join the new ones: few mixtures move them little."""

_LEAST = 1e-6
"""A factor of a class that seems never to occur: almost, but not surely."""

_ITERATIONS = 2000
_SETTLED = 1e-7


@dataclass(frozen=True, slots=True)
class PriorResult:
    """What adaptation has found.

    Attributes:
        decision: the run's decision with `prior_factors`, with provenance.
        before, after: shares of candidates by class and `silence`, where the system comes from and here.
        changed: mixtures of the run whose labels are others than before.
        n_mixtures: looked at.
        n_candidates: of all of them.
        iterations: of expectation-maximisation.
        settled: the last of them moved no prior by 1e-7; otherwise the priors are those after 2,000.
    """

    decision: Decision
    before: Mapping[str, float]
    after: Mapping[str, float]
    changed: int
    n_mixtures: int
    n_candidates: int
    iterations: int
    settled: bool

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "decision": self.decision.as_dict()}


def adapt_priors(
    run: Path,
    *,
    source: Path | None = None,
    out: Path | None = None,
    strength: float = STRENGTH,
    allow_test: bool = False,
) -> PriorResult:
    """Adapt the priors of a run's system to the run's mixtures, and write the decision file.

    Args:
        run: the run folder; its thresholds, maximum count and duplicate rule stay.
        source: a run of the same system on data like those it was trained and tuned on, whose mean probabilities are
            the old priors; None: all classes alike, and targets as many as in the official recipe.
        out: the decision file; default `priors.yaml` in the run folder.
        strength: see `expectation_maximisation`.
        allow_test: adapt to a split that is marked `tune: forbidden`; the file, and every run that uses it, say so.

    Raises:
        UsageError: no finite `strength`, no run there, another system, a forbidden split, priors that were adapted
            already, or scores that are no probabilities.
        DataError: a table is missing or damaged.
    """
    strength = as_amount("strength", strength)
    file = out or run / "priors.yaml"
    refuse_in_place(file, "name the decision file with `out`")
    record, tables = _read(run)
    why = "adapting priors to its mixtures, even without labels, is tuning"
    refuse_forbidden(run, record, allow_test=allow_test, why=why)
    about, base = record.about, record.decision
    if base.prior_factors is not None:
        raise UsageError(f"{run}: its priors are adapted already; run or rescore it with a decision without factors")
    old, marks, of_source = None, inherited_marks([record], [len(tables)]), {}
    if source is not None:
        other, source_tables = _read(source)
        refuse_forbidden(source, other, allow_test=allow_test, why="its frequencies would tell of the split")
        refuse_other_systems((run, source), (record, other), "its scores say nothing of the priors of this one")
        old = outcome_probabilities(source_tables, source).mean(axis=0)
        of_source = inherited_marks([other], [len(source_tables)])
        marks["tuned_on_forbidden"] |= of_source["tuned_on_forbidden"]  # whichever it was, it is one decision now
    probabilities = outcome_probabilities(tables, run)
    if old is None:
        old = _official(len(probabilities) / len(tables))
    new, iterations, settled = expectation_maximisation(probabilities, old, strength=strength)
    provenance = {
        "run": run.resolve().name,
        "source": None if source is None else source.resolve().name,
        **scored_by(record),
        "dataset": about.dataset,
        "split": about.split,
        "data": data_name(about),
        **marks,
        **({"source_marks": of_source} if of_source else {}),
        "unlabelled": True,
        "manifest_sha256": record.manifest_sha256,
        "strength": strength,
        "mixtures": len(tables),
        **({} if settled else {"unsettled_after": iterations}),
        **on_top_of(base.provenance),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    factors = {name: max(round(float(value), 6), _LEAST) for name, value in zip(OUTCOMES, new / old, strict=True)}
    decision = replace(base, provenance=provenance, prior_factors=factors)
    write_decision(file, decision)
    return PriorResult(
        decision,
        dict(zip(OUTCOMES, old.tolist(), strict=True)),
        dict(zip(OUTCOMES, new.tolist(), strict=True)),
        sum(_labels(table, base) != _labels(table, decision) for table in tables),
        len(tables),
        len(probabilities),
        iterations,
        settled,
    )


def expectation_maximisation(
    probabilities: Array, old: Array, *, strength: float = STRENGTH
) -> tuple[Array, int, bool]:
    """Priors under which the probabilities, adapted to them, have the priors as their mean.

    Args:
        probabilities: (N, C), of C outcomes under the old priors; rows add up to one.
        old: (C,), all positive.
        strength: candidates' worth of the old priors that join the mean: the maximum a posteriori under a Dirichlet
            prior around them; 0: the maximum of the likelihood.

    Returns:
        The new priors (C,), how many iterations it took, and whether they have settled: without the old priors it can
        take longer than the iterations that are allowed.
    """
    new = old.copy()
    iteration, moved = 0, np.inf
    while moved >= _SETTLED and iteration < _ITERATIONS:
        weighted = probabilities * (new / old)
        posterior = weighted / weighted.sum(axis=1, keepdims=True)
        step = (posterior.sum(axis=0) + strength * old) / (len(probabilities) + strength)
        moved, new = float(np.abs(step - new).max()), step
        iteration += 1
    return new, iteration, moved < _SETTLED


def outcome_probabilities(tables: Sequence[PairTable], run: Path) -> Array:
    """(N, 19): for every candidate, the probabilities of the classes and of silence; rows add up to one.

    Raises:
        UsageError: candidates with fixed classes, scores that are no probabilities, or none at all.
    """
    rows = []
    for table in tables:
        sums = table.class_scores.sum(axis=1)
        if (problem := no_probabilities(table)) is not None:
            raise UsageError(
                f"{run}: priors can be adapted only where the class scores of every candidate are probabilities that "
                f"add up to 1, and {problem}. `s5eval tune` without --unlabelled needs no probabilities, but references"
            )
        alive = (1.0 - table.p_silence)[:, None] * table.class_scores / np.maximum(sums, 1e-12)[:, None]
        rows.append(np.column_stack([alive, table.p_silence]))
    everything = np.concatenate(rows) if rows else np.zeros((0, len(OUTCOMES)))
    if not len(everything):
        raise UsageError(f"{run} has no candidates: there is nothing to adapt to")
    return np.clip(everything, 1e-9, None)


def _official(candidates: float) -> Array:
    """Priors of the official recipe for a system with so many candidates per mixture."""
    targets = float(np.dot(np.arange(len(VALIDATION_COUNTS)), VALIDATION_COUNTS))
    alive = min(1.0 - 1e-3, targets / candidates)
    return np.append(np.full(len(CLASSES), alive / len(CLASSES)), 1.0 - alive)


def _read(run: Path) -> tuple[RunRecord, list[PairTable]]:
    record = read_run_record(run)
    recorded = read_lines(run, record)
    lines = [recorded[id_] for id_ in record.mixtures if id_ in recorded]
    return record, [load_table(run, line) for line in lines if line.score.status in ("scored", "predicted")]


def _labels(table: PairTable, decision: Decision) -> list[str]:
    return sorted(selection.label for selection in select(table, decision))
