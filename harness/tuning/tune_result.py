"""What tuning has found: the decision, what it earns where it was fitted and elsewhere, and what changes by class."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.tables import PairTable
from s5eval.harness.report.text import number_and_interval
from s5eval.harness.scoring.mixture import select
from s5eval.harness.scoring.paired import changed, too_few
from s5eval.harness.tuning.folds import Recordings
from s5eval.harness.tuning.threshold_table import Objective, ObjectiveName
from s5eval.metrics.arrays import Array, Indices
from s5eval.metrics.bootstrap import percentiles, ratios, resampled_ratios
from s5eval.systems.decision import EXPECTED_SCORE, Decision, candidate_labels

_GAIN_RESAMPLES = 2_000  # of the interval of the cross-validated gain, a by-product here


@dataclass(frozen=True, slots=True)
class TuneResult:
    """What tuning has found: the decision, and the report that goes into its provenance.

    Attributes:
        decision: the tuned decision, with provenance.
        scores: `untuned`, `fitted` and `cross_validated` values of the objective and of the three metrics.
        gain: cross-validated gain in CAPI-SDRi, dB: `value`, `ci_low`, `ci_high` (paired bootstrap); how many mixtures
            `changed`, how many `recordings` sound in these (None: not told), and how many of them are `empty`.
        objective_gain: the same of the objective, in its own unit: what says whether tuning was worth it.
        classes: per class the number of candidates, thresholds before and after, and the candidates `revived` and
            `silenced`, with how many of them have a class that is in the scene.
        n_mixtures: tuned on.
        n_left_out: mixtures of the run that failed.
        n_known: mixtures of the runs that the decision of before was fitted to: what it earns there is no measure.
        file: the decision file that was written, for `run(…, decision=FILE)`.
    """

    decision: Decision
    scores: Mapping[str, Mapping[str, float | None]]
    gain: Mapping[str, float | None]
    objective_gain: Mapping[str, float | None]
    classes: Mapping[str, Mapping[str, float]]
    n_mixtures: int
    n_left_out: int
    n_known: int = 0
    file: Path | None = None

    def __repr__(self) -> str:
        found = "expected score" if self.by_expected_score else "thresholds"
        gain = number_and_interval(self.gain["value"], self.gain["ci_low"], self.gain["ci_high"], 3, signed=True)
        mixtures = counted(self.n_mixtures, "mixture")
        few = f" ({self.too_few})" if self.too_few else ""
        return (
            f"<TuneResult, {found} of {mixtures}: CAPI-SDRi {gain} dB in cross-validation{few}; see .decision, .file>"
        )

    @property
    def too_few(self) -> str:
        """Why the interval of the objective's gain tells nothing, such as `only 3 mixtures changed`; empty: it does."""
        return too_few(self.objective_gain)

    @property
    def by_expected_score(self) -> bool:
        """Whether an expected score was fitted, and no thresholds."""
        return (self.decision.provenance or {}).get("objective") == EXPECTED_SCORE

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        content = {**asdict(self), "decision": self.decision.as_dict(), "too_few": self.too_few or None}
        del content["file"]  # stands beside the decision where that is shown
        return content


def tuning_result(
    decision: Decision,
    *,
    base: Decision,
    prior_factors: Mapping[str, float] | None,
    tables: Sequence[PairTable],
    untuned: Array,
    fitted: Array,
    cross_validated: Array,
    objective: Objective,
    recordings: Recordings | None,
    n_left_out: int,
) -> TuneResult:
    """What a decision that was found earns, told in its provenance too.

    Args:
        decision: with a provenance of how it was found.
        base: the decision it improves on, without prior factors.
        prior_factors: those that both of them have.
        tables: pair tables, adapted by these.
        untuned: (N, 6), rows as of `SweepTable.values`, under `base`.
        fitted: the same under the decision.
        cross_validated: the same under those that were found on the other mixtures.
        objective: what was maximised.
        recordings: what sounds in the mixtures; None: not told.
        n_left_out: mixtures that could not be used.
    """
    rows = {"untuned": untuned, "fitted": fitted, "cross_validated": cross_validated}
    scores = {name: _metric_values(values, objective) for name, values in rows.items()}
    gain = _paired_gain(untuned, cross_validated, Objective(), recordings)
    provenance = {**(decision.provenance or {}), "scores": scores, "cross_validated_gain_db": gain}
    return TuneResult(
        replace(decision, prior_factors=prior_factors, provenance=provenance),
        scores,
        gain,
        _paired_gain(untuned, cross_validated, objective, recordings),
        _changes_by_class(tables, base, decision),
        len(tables),
        n_left_out,
    )


def _metric_values(scores: Array, objective: Objective) -> dict[str, float | None]:
    """The three metrics and the objective of rows (N, 6) as of `SweepTable.values`; None where undefined."""
    sums = scores.sum(axis=0)
    names: tuple[ObjectiveName, ...] = ("capi_sdri", "mixture_accuracy", "source_accuracy")
    values: dict[str, float] = {name: float(Objective(name)(sums)) for name in names}
    values["objective"] = float(objective(sums))
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def _paired_gain(
    before: Array, after: Array, objective: Objective, recordings: Recordings | None
) -> dict[str, float | None]:
    """Gain in the objective, with its interval and what it rests on, of rows (N, 6) over others of as many mixtures."""
    rows = np.hstack([before, after])
    drawn = resampled_ratios(rows[:, 0::2], rows[:, 1::2], resamples=_GAIN_RESAMPLES)
    differences = objective.of_ratios(drawn[:, 3:]) - objective.of_ratios(drawn[:, :3])
    low, high = percentiles(differences[:, None])
    whole = ratios(rows[:, 0::2], rows[:, 1::2])
    value = objective.of_ratios(whole[3:]) - objective.of_ratios(whole[:3])
    found = {"value": value, "ci_low": low[0], "ci_high": high[0]}
    told = {name: float(number) if np.isfinite(number) else None for name, number in found.items()}
    pairs = [side.reshape(-1, 3, 2)[:, objective.columns] for side in (before, after)]
    return {**told, **_rests_on(np.flatnonzero(changed(*pairs).any(axis=1)), recordings)}


def _rests_on(moved: Indices, recordings: Recordings | None) -> dict[str, int | None]:
    """How many mixtures changed, and, where that is told of all of them, what sounds in these."""
    heard = [None if recordings is None else recordings[k] for k in moved]
    names = [own for own in heard if own is not None]
    if len(names) < len(heard):
        return {"changed": len(moved), "recordings": None, "empty": None}
    return {"changed": len(moved), "recordings": len(set().union(*names)), "empty": names.count(frozenset())}


def _changes_by_class(tables: Sequence[PairTable], base: Decision, tuned: Decision) -> dict[str, dict[str, float]]:
    """What becomes of the candidates of every class that has some; see `TuneResult.classes`."""
    counts = Counter(name for table in tables for name in candidate_labels(table.class_scores, table.labels))
    rows = {
        label: {
            "candidates": counts[label],
            "before": base.threshold(label),
            "after": tuned.threshold(label),
            "revived": 0,
            "revived_right": 0,
            "silenced": 0,
            "silenced_right": 0,
        }
        for label in CLASSES
        if counts[label]
    }
    for table in tables:
        was = {selection.index: selection.label for selection in select(table, base)}
        now = {selection.index: selection.label for selection in select(table, tuned)}
        for change, gone, come in (("revived", was, now), ("silenced", now, was)):
            for index in come.keys() - gone.keys():
                rows[come[index]][change] += 1
                rows[come[index]][f"{change}_right"] += come[index] in (table.reference_labels or ())
    return rows
