"""The columns of a run's table: what every metric, bound and slice is, as two numbers a mixture.

Every metric is a ratio of sums over mixtures (see `s5eval.metrics.bootstrap`). A column names where its value
stands in the summary, what one mixture adds to numerator and denominator, and which mixtures belong to it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.run_summary import CorpusBoundName
from s5eval.harness.record.tables import MixtureScore, SecondaryName
from s5eval.harness.scoring.by_condition import Membership, condition_members

Fraction = tuple[float, float]
"""What one mixture adds to numerator and denominator; (0, 0) where the metric is undefined for it."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A corpus value: its key in the summary, and what one scored mixture adds to it. `scale` 100 makes percent."""

    name: str
    fraction: Callable[[MixtureScore], Fraction]
    scale: float = 1.0


def _mean(value: float | None) -> Fraction:
    return (0.0, 0.0) if value is None else (value, 1.0)


def _source_counts(score: MixtureScore) -> Fraction:
    counts = score.labels
    return (0.0, 0.0) if counts is None else (float(counts.tp), float(counts.tp + counts.fp + counts.fn))


def _of_capi(name: Literal["zero_floor", "gain_floor", "ca_sdri"], score: MixtureScore) -> Fraction:
    return _mean(None if score.capi is None else getattr(score.capi, name))


def _secondary(name: SecondaryName, score: MixtureScore) -> Fraction:
    return _mean((score.secondary or {}).get(name))


SLICE_METRICS: tuple[Metric, ...] = (
    Metric("capi_sdri", lambda score: _mean(score.capi_sdri)),
    Metric("mixture_accuracy", lambda score: (float(score.exact), 1.0), scale=100.0),
    Metric("source_accuracy", _source_counts, scale=100.0),
    Metric("capi_sdri_zero_floor", partial(_of_capi, "zero_floor")),
    Metric("capi_sdri_gain_floor", partial(_of_capi, "gain_floor")),
)
"""The metrics of every slice. Floors: the same labels with silent waveforms, or with the scaled mixture."""

METRICS: tuple[Metric, ...] = (*SLICE_METRICS, Metric("ca_sdri", partial(_of_capi, "ca_sdri")))
"""The metrics of every run: those of slices, and CA-SDRi, the ranking metric of the 2025 challenge."""

SECONDARY: tuple[Metric, ...] = tuple(Metric(name, partial(_secondary, name)) for name in get_args(SecondaryName))
"""Metrics of `--metrics all`: they rank nothing, and stand apart."""


@dataclass(frozen=True, slots=True)
class Column:
    """One value of the summary: its path there, the metric, and which mixtures belong to the slice."""

    path: tuple[str, ...]
    metric: Metric
    member: Membership


def all_columns(scored: Sequence[MixtureScore]) -> list[Column]:
    """Metrics, bounds and slices that the scored mixtures give rise to; secondary metrics where all have them."""
    columns = [Column(("metrics", metric.name), metric, every_mixture) for metric in METRICS]
    for bound in get_args(CorpusBoundName):
        columns += bound_columns(bound)
    if scored and all(score.secondary is not None for score in scored):
        columns += [Column(("secondary", metric.name), metric, every_mixture) for metric in SECONDARY]
    counts = sorted({len(score.reference_labels or ()) for score in scored})
    conditions: list[tuple[str, str, Membership]] = [
        ("targets", str(count), partial(_has_targets, count)) for count in counts
    ]
    if scored:
        conditions += [
            ("repeated_class", "yes", repeats_a_class),
            ("repeated_class", "no", _repeats_none),
        ]
    for group, name, member in conditions:
        columns += [Column(("slices", group, name, metric.name), metric, member) for metric in SLICE_METRICS]
    for group, name, member in condition_members(scored):
        columns += [Column(("conditions", group, name, metric.name), metric, member) for metric in SLICE_METRICS]
    for label in CLASSES:
        if any(_concerns(label, score) for score in scored):
            member = partial(_concerns, label)
            columns += [
                Column(("slices", "class", label, metric.name), metric, member) for metric in _class_metrics(label)
            ]
    return columns


def bound_columns(bound: CorpusBoundName) -> list[Column]:
    """The columns of one bound."""
    return [Column(("bounds", bound, metric.name), metric, every_mixture) for metric in _bound_metrics(bound)]


def fractions(scored: Sequence[MixtureScore], columns: Sequence[Column]) -> npt.NDArray[np.float64]:
    """(N, K, 2): what each mixture adds to numerator and denominator of each column; 0 where it is no member."""
    table = np.zeros((len(scored), len(columns), 2))
    members = _memberships(scored, columns)
    shared = {metric for metric, count in Counter(column.metric for column in columns).items() if count > 1}
    of_all = {metric: np.array([metric.fraction(score) for score in scored]).reshape(-1, 2) for metric in shared}
    for k, column in enumerate(columns):
        rows = np.flatnonzero(members[:, k])
        known = of_all.get(column.metric)
        if known is not None:
            table[rows, k] = known[rows]
        elif len(rows):
            table[rows, k] = [column.metric.fraction(scored[row]) for row in rows.tolist()]
    return table


def member_counts(scored: Sequence[MixtureScore], columns: Sequence[Column]) -> list[int]:
    """How many of the mixtures belong to each column."""
    counts: list[int] = _memberships(scored, columns).sum(axis=0).tolist()
    return counts


def _memberships(scored: Sequence[MixtureScore], columns: Sequence[Column]) -> npt.NDArray[np.bool_]:
    """(N, K); the metrics of a slice share its condition, which is asked once a mixture."""
    known: dict[Membership, npt.NDArray[np.bool_]] = {}
    for column in columns:
        if column.member not in known:
            known[column.member] = np.fromiter(map(column.member, scored), np.bool_, len(scored))
    return np.array([known[column.member] for column in columns], np.bool_).reshape(len(columns), len(scored)).T


def _bound_metrics(bound: CorpusBoundName) -> list[Metric]:
    if bound == "silence":
        return [
            Metric("capi_sdri", lambda score: (0.0, float(bool(score.reference_labels)))),
            Metric("mixture_accuracy", lambda score: (float(not score.reference_labels), 1.0), scale=100.0),
            Metric("source_accuracy", lambda score: (0.0, float(len(score.reference_labels or ()))), scale=100.0),
        ]
    return [
        Metric("capi_sdri", lambda score: _mean(score.bounds.get(bound))),
        Metric("mixture_accuracy", lambda score: (1.0, 1.0), scale=100.0),
        Metric("source_accuracy", lambda score: (n := float(len(score.reference_labels or ())), n), scale=100.0),
    ]


def _class_metrics(label: str) -> list[Metric]:
    """Per class: mean SDRi of its entries (unmatched ones are 0 dB), precision and recall of its labels."""

    def counts(score: MixtureScore) -> tuple[int, int]:
        return sum(e.label == label for e in score.estimates), (score.reference_labels or ()).count(label)

    def entries(score: MixtureScore) -> Fraction:
        pairs = score.capi.pairs if score.capi is not None else ()
        return sum(pair.sdri for pair in pairs if pair.label == label), float(max(counts(score)))

    return [
        Metric("sdri", entries),
        Metric("precision", lambda score: (float(min(counts(score))), float(counts(score)[0])), scale=100.0),
        Metric("recall", lambda score: (float(min(counts(score))), float(counts(score)[1])), scale=100.0),
    ]


def every_mixture(score: MixtureScore) -> bool:
    """The membership of a column of the whole."""
    return True


def _has_targets(count: int, score: MixtureScore) -> bool:
    return len(score.reference_labels or ()) == count


def repeats_a_class(score: MixtureScore) -> bool:
    """Whether two targets of the mixture are of one class."""
    labels = score.reference_labels or ()
    return len(set(labels)) < len(labels)


def _repeats_none(score: MixtureScore) -> bool:
    return not repeats_a_class(score)


def _concerns(label: str, score: MixtureScore) -> bool:
    return label in (score.reference_labels or ()) or any(e.label == label for e in score.estimates)
