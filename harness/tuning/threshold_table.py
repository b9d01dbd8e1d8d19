"""Scores of a run under any silence thresholds, looked up instead of computed.

Thresholds drop candidates class by class, the likeliest silent ones first. So of the candidates of one class in
one mixture some leading part is alive, and a mixture has few states: the product over its classes of (number of
candidates + 1). Each is scored once, by the code that scores runs; a set of thresholds is then a choice of states.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.labels import CLASS_INDEX, CLASSES
from s5eval.harness.record.tables import PairTable
from s5eval.harness.scoring.mixture import select
from s5eval.metrics.arrays import Array, Indices
from s5eval.metrics.capi import capi_sdri
from s5eval.metrics.decompose import subset
from s5eval.systems.decision import NO_THRESHOLDS, PLACES, Decision, candidate_labels, decide

ObjectiveName = Literal["capi_sdri", "mixture_accuracy", "source_accuracy", "mix"]

_WEIGHT = 0.1  # of mixture accuracy in `mix`, where nobody has said another one

MAX_STATES = 4096
"""Per mixture; twelve candidates of twelve classes. Systems of the challenge have three candidates."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What tuning maximises.

    Attributes:
        name: `capi_sdri` (dB), `mixture_accuracy` or `source_accuracy` (percent), or `mix`.
        weight: for `mix`: how many dB of CAPI-SDRi one percentage point of mixture accuracy is worth.
    """

    name: ObjectiveName = "capi_sdri"
    weight: float = _WEIGHT

    def __post_init__(self) -> None:
        """Raises `UsageError` for another name, for a weight that is no finite number from 0 on, and for one that has
        no use.
        """
        if self.name not in (names := get_args(ObjectiveName)):
            raise UsageError(f"`objective` is {self.name!r}, expected one of {', '.join(names)}")
        object.__setattr__(self, "weight", as_amount("weight", self.weight))
        if self.name != "mix" and self.weight != _WEIGHT:
            raise UsageError(f"`weight` is of the objective mix, and {self.name} has no use for it")

    def __call__(self, sums: Array) -> Array:
        """The objective (…,) from sums (…, 6) of `SweepTable.values`; −inf where it is undefined."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = self.of_ratios(sums[..., 0::2] / sums[..., 1::2])
        return np.where(np.isnan(value), -np.inf, value)

    @property
    def columns(self) -> tuple[int, ...]:
        """Which of CAPI-SDRi, mixture and source accuracy it is made of."""
        every: dict[ObjectiveName, tuple[int, ...]] = {
            "capi_sdri": (0,),
            "mixture_accuracy": (1,),
            "source_accuracy": (2,),
            "mix": (0, 1),
        }
        return every[self.name]

    def of_ratios(self, ratios: Array) -> Array:
        """The objective (…,) from CAPI-SDRi, mixture and source accuracy (…, 3), these as shares; NaN stays."""
        capi, mixture, source = (ratios[..., k] for k in range(3))
        values: dict[ObjectiveName, Array] = {
            "capi_sdri": capi,
            "mixture_accuracy": 100.0 * mixture,
            "source_accuracy": 100.0 * source,
            "mix": capi + self.weight * 100.0 * mixture,
        }
        return values[self.name]


def as_amount(name: str, value: Any) -> float:
    """The value called `name` as a decision file can hold it: numpy's numbers, of a loop in a notebook, YAML cannot.

    Raises:
        UsageError: it is no finite number from 0 on.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < np.inf:
        raise UsageError(f"`{name}` is {value!r}, expected a finite number, 0 or larger")
    return float(value)


@dataclass(frozen=True, slots=True)
class SweepTable:
    """Scores of all states of N mixtures, and E candidates sorted by class, then silence probability.

    Attributes:
        values: (S, 6), numerator and denominator of CAPI-SDRi, mixture accuracy and source accuracy per state.
        offset: (N,), where the states of each mixture begin.
        mixture: (E,), mixture of each candidate.
        label: (E,), its class.
        p_silence: (E,).
        stride: (E,), how many states further its mixture is when it is alive.
        rank: (E,), how many candidates of its class and mixture are alive before it.
    """

    values: Array
    offset: Indices
    mixture: Indices
    label: Indices
    p_silence: Array
    stride: Indices
    rank: Indices

    def states(self, thresholds: Array) -> Indices:
        """(N,), the state of every mixture under thresholds (18,)."""
        alive = self.p_silence <= thresholds[self.label]
        steps = np.bincount(self.mixture[alive], weights=self.stride[alive], minlength=len(self.offset))
        return self.offset + steps.astype(np.intp)

    def scores(self, thresholds: Array) -> Array:
        """(N, 6), what each mixture adds to the metrics under thresholds (18,)."""
        return self.values[self.states(thresholds)]

    def sums(self, thresholds: Array) -> Array:
        """(6,), numerators and denominators of the corpus under thresholds (18,)."""
        total: Array = self.scores(thresholds).sum(axis=0)
        return total

    def restrict(self, kept: Indices) -> "SweepTable":
        """The same of some of the mixtures."""
        position = np.full(len(self.offset), -1, np.intp)
        position[kept] = np.arange(len(kept))
        inside = position[self.mixture] >= 0
        return SweepTable(
            self.values,
            self.offset[kept],
            position[self.mixture[inside]],
            self.label[inside],
            self.p_silence[inside],
            self.stride[inside],
            self.rank[inside],
        )

    def counts(self) -> Indices:
        """(18,), candidates per class."""
        return np.bincount(self.label, minlength=len(CLASSES)).astype(np.intp)

    def sweep(self, thresholds: Array, label: int) -> tuple[Array, Array]:
        """The corpus sums for every threshold of one class that makes a difference, the others as given.

        Returns:
            P + 1 edges, ascending, the first −inf: with a threshold in [edges[k], edges[k + 1]) the sums are
            those of row k of the (P + 1, 6) second array; edges are the observed silence probabilities.
        """
        silenced = thresholds.copy()
        silenced[label] = -1.0
        base = self.states(silenced)
        first, last = np.searchsorted(self.label, [label, label + 1])
        part = slice(first, last)
        before = base[self.mixture[part]] + self.rank[part] * self.stride[part]
        steps = self.values[before + self.stride[part]] - self.values[before]
        sums = self.values[base].sum(axis=0) + np.vstack([np.zeros(6), np.cumsum(steps, axis=0)])
        edges = np.concatenate([[-np.inf], self.p_silence[part]])
        distinct = np.append(edges[1:] != edges[:-1], True)
        return edges[distinct], sums[distinct]


def sweep_table(tables: Sequence[PairTable], decision: Decision) -> SweepTable:
    """Score every state of every mixture.

    Args:
        tables: N pair tables with references.
        decision: all but its thresholds holds in every state.

    Raises:
        DataError: a mixture has so many candidates that its states cannot be listed.
    """
    keep = replace(decision, silence_thresholds=NO_THRESHOLDS)
    values: list[tuple[float, ...]] = []
    offset = np.empty(len(tables), np.intp)
    events: list[tuple[int, float, int, int, int]] = []
    for i, table in enumerate(tables):
        offset[i] = len(values)
        groups = _groups(table)
        stride = 1
        for label, rows in groups:
            events += [
                (label, round(float(table.p_silence[k]), PLACES), i, stride, rank) for rank, k in enumerate(rows)
            ]
            stride *= len(rows) + 1
        if stride > MAX_STATES:
            raise DataError(
                f"a mixture has {len(table.p_silence)} candidates and {stride} combinations of them; "
                f"thresholds can be tuned for up to {MAX_STATES}"
            )
        values += _state_values(table, groups, keep)
    columns = np.array(sorted(events), np.float64).reshape(-1, 5)
    labels, mixtures, strides, ranks = (columns[:, c].astype(np.intp) for c in (0, 2, 3, 4))
    return SweepTable(
        np.array(values, np.float64).reshape(-1, 6), offset, mixtures, labels, columns[:, 1], strides, ranks
    )


def _groups(table: PairTable) -> list[tuple[int, list[int]]]:
    """Class → candidates of that class, the least silent first."""
    groups: dict[int, list[int]] = {}
    names = candidate_labels(table.class_scores, table.labels)
    for k in np.argsort(table.p_silence.round(PLACES), kind="stable"):
        groups.setdefault(CLASS_INDEX[names[k]], []).append(int(k))
    return sorted(groups.items())


def _state_values(
    table: PairTable, groups: list[tuple[int, list[int]]], decision: Decision
) -> Iterator[tuple[float, ...]]:
    """The row of `SweepTable.values` for every state; the first group counts fastest.

    CAPI-SDRi pairs within classes, so a state is put together from classes that were each scored once per
    choice of candidates. The entries are added in the order of the classes, as `capi_sdri` does it.
    """
    references = table.reference_labels or ()
    absent = {CLASS_INDEX[label]: () for label in references}
    # A rule that drops none of all candidates drops none of a part of them, save the one that looks at all together.
    inert = decision.expected_score is None and len(select(table, decision)) == len(table.p_silence)
    known: dict[tuple[int, tuple[int, ...]], tuple[list[float], int]] = {}
    for counts in itertools.product(*(range(len(rows) + 1) for _, rows in reversed(groups))):
        alive = {label: tuple(sorted(rows[:n])) for n, (label, rows) in zip(reversed(counts), groups, strict=True)}
        kept = absent | (alive if inert else _decided(table, alive, decision))
        improvements: list[float] = []
        entries = 0
        for label in sorted(kept):
            key = label, kept[label]
            if key not in known:
                known[key] = _class_entries(table, *key)
            of_class, count = known[key]
            improvements += of_class
            entries += count
        pairs = len(improvements)
        defined = (sum(improvements) / entries, 1.0) if entries else (0.0, 0.0)
        yield *defined, float(pairs == entries), 1.0, float(pairs), float(entries)


def _class_entries(table: PairTable, label: int, rows: tuple[int, ...]) -> tuple[list[float], int]:
    """SDRi of the pairs, and the number of entries, of one class: its references, and the candidates kept."""
    name = CLASSES[label]
    columns = np.array([r for r, other in enumerate(table.reference_labels or ()) if other == name], np.intp)
    if not rows or not len(columns):
        return [], max(len(rows), len(columns))
    chosen = subset(table.pair_scores, rows)
    of_class = replace(
        chosen,
        sdr=chosen.sdr[:, columns],
        sdr_mixture=chosen.sdr_mixture[columns],
        sdr_gain=chosen.sdr_gain[columns],
        reference_energy=chosen.reference_energy[columns],
    )
    score = capi_sdri(of_class, estimate_labels=[name] * len(rows), reference_labels=[name] * len(columns))
    return [pair.sdri for pair in score.pairs], score.n_entries


def _decided(table: PairTable, alive: dict[int, tuple[int, ...]], decision: Decision) -> dict[int, tuple[int, ...]]:
    """What the duplicate rule and the maximum count leave of the candidates that are alive."""
    rows = sorted(k for part in alive.values() for k in part)
    kept: dict[int, tuple[int, ...]] = {}
    selections = decide(
        class_scores=table.class_scores[rows],
        p_silence=table.p_silence[rows],
        correlation=table.pair_scores.correlation[rows][:, rows],
        labels=None if table.labels is None else [table.labels[k] for k in rows],
        decision=decision,
    )
    for selection in selections:
        label = CLASS_INDEX[selection.label]
        kept[label] = (*kept.get(label, ()), rows[selection.index])
    return kept
