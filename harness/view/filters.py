"""Which mixtures of a run are meant, and in which order: from an address, to an address."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report.charted import Cell, cells_of, pairs_of
from s5eval.harness.scoring.columns import repeats_a_class
from s5eval.metrics.tolerance import settled

SORTS: Mapping[str, tuple[str, Callable[[MixtureScore], float | str | None]]] = {
    "order": ("in order of the data", lambda score: None),
    "id": ("by name", lambda score: score.mixture_id),
    "capi_sdri": ("by CAPI-SDRi", lambda score: score.capi_sdri),
    "gain": ("by CAPI-SDRi above the zero floor", lambda score: above_floor(score)),
    "loss": ("by dB lost to labels and decisions", lambda score: lost(score)),
    "snr": ("by SNR of the quietest target that was answered", lambda score: lowest_snr(score)),
    "targets": ("by number of targets", lambda score: _count(score.reference_labels)),
    "estimates": ("by number of estimates", lambda score: float(len(score.estimates))),
    "seconds": ("by time", lambda score: score.outcome.seconds),
}
"""What a table can be sorted by: its name, and the value; what has none comes last."""

LOSSES = ("miss", "false_alarm", "confusion", "repeated_class")
RESULTS = ("exact", "wrong", "failed", "silent")


def above_floor(score: MixtureScore) -> float | None:
    """What the waveforms are worth: CAPI-SDRi minus what silence with the same labels would have earned, dB."""
    if score.capi is None or score.capi.value is None or score.capi.zero_floor is None:
        return None
    return score.capi.value - score.capi.zero_floor


def lost(score: MixtureScore) -> float | None:
    """The gap to the bound of the same waveforms with right labels, dB."""
    if score.decomposition is None or score.decomposition.bound is None:
        return None
    return sum(loss.value for loss in score.decomposition.losses)


def lowest_snr(score: MixtureScore) -> float | None:
    """SNR of the mixture with respect to the quietest reference that was answered, dB."""
    return min(snrs(score), default=None)


@dataclass(frozen=True, slots=True)
class Filter:
    """What a mixture has to be. Empty words ask nothing; numbers that cannot be read ask nothing either.

    Attributes:
        text: a part of the id, of a label, a flag or an error, in any case.
        label: a class of a reference or an estimate.
        reference: row of the confusion matrix, with `estimate`: a class, or `false alarm`.
        estimate: column of it: a class, or `missed`.
        loss: a kind of error, of `LOSSES`.
        result: of `RESULTS`: labels exactly right, or wrong; failed; a scene without a target.
        flag: the name of a flag.
        targets: number of references.
        repeated_class: `yes` or `no`.
        low: CAPI-SDRi from here.
        high: up to, but not with, this.
        snr_low: some answered source has an SNR from here.
        snr_high: and below this.
        sort: a key of `SORTS`.
        down: `1`: largest first.
    """

    text: str = ""
    label: str = ""
    reference: str = ""
    estimate: str = ""
    loss: str = ""
    result: str = ""
    flag: str = ""
    targets: str = ""
    repeated_class: str = ""
    low: str = ""
    high: str = ""
    snr_low: str = ""
    snr_high: str = ""
    sort: str = ""
    down: str = ""

    @staticmethod
    def read(query: Mapping[str, str]) -> "Filter":
        """From an address; what it does not know is passed over."""
        return Filter(**{entry.name: query[entry.name][:200] for entry in fields(Filter) if entry.name in query})

    def query(self, **changes: str) -> str:
        """As a part of an address, with some things changed."""
        changed = replace(self, **changes)
        return urlencode({e.name: getattr(changed, e.name) for e in fields(Filter) if getattr(changed, e.name)})

    @property
    def asked(self) -> dict[str, str]:
        """What is asked for, without the order."""
        names = (entry.name for entry in fields(self) if entry.name not in ("sort", "down"))
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    def apply(self, index: "Index") -> list[MixtureScore]:
        """The mixtures that are meant, in the order that is."""
        kept = index.order(self.sort, down=bool(self.down))
        for test in self._tests(index):
            kept = [at for at in kept if test(at)]
        return [index.scores[at] for at in kept]

    def _tests(self, index: "Index") -> list[Callable[[int], bool]]:
        """What is asked for, cheap questions first."""
        scores = index.scores
        tests: list[Callable[[int], bool]] = []
        if self.result in RESULTS:
            tests.append(lambda at: _is(scores[at], self.result))
        if (targets := whole_number(self.targets)) is not None:
            tests.append(lambda at: _count(scores[at].reference_labels) == targets)
        low, high = _number(self.low), _number(self.high)
        if low is not None or high is not None:
            tests.append(lambda at: _within(scores[at].capi_sdri, low, high))
        if self.flag:
            tests.append(lambda at: self.flag in index.flags[at])
        if self.label:
            tests.append(lambda at: self.label in index.labels[at])
        if self.loss in LOSSES:
            tests.append(lambda at: self.loss in index.losses[at])
        if self.repeated_class in ("yes", "no"):
            tests.append(lambda at: repeats_a_class(scores[at]) == (self.repeated_class == "yes"))
        snr_low, snr_high = _number(self.snr_low), _number(self.snr_high)
        if snr_low is not None or snr_high is not None:
            tests.append(lambda at: any(_within(snr, snr_low, snr_high) for snr in snrs(scores[at])))
        if self.reference or self.estimate:
            named = {self.reference, self.estimate} & set(CLASSES)
            tests.append(lambda at: named <= index.labels[at] and self._has_cell(index.cells(at)))
        if self.text:
            wanted = self.text.casefold()
            tests.append(lambda at: wanted in index.words[at])
        return tests

    def _has_cell(self, cells: Iterable[Cell]) -> bool:
        """The mixture is in this cell of the confusion matrix, or, with one of the two alone, in its row or column."""
        return any(
            (not self.reference or row == self.reference) and (not self.estimate or column == self.estimate)
            for row, column in cells
        )


class Index:
    """What filters ask of the mixtures of a run, found once, when it is first asked for; lists are in their order."""

    def __init__(self, scores: Sequence[MixtureScore]) -> None:
        """Of these scores."""
        self.scores = scores
        self._orders: dict[tuple[str, bool], Sequence[int]] = {}
        self._cells: dict[int, tuple[Cell, ...]] = {}

    def order(self, sort: str, *, down: bool) -> Sequence[int]:
        """Places of all mixtures in an order of `SORTS` (any other: that of the data); what has no value comes last."""
        if sort not in SORTS or sort == "order":
            return range(len(self.scores))[:: -1 if down and sort == "order" else 1]
        if (sort, down) not in self._orders:
            value = SORTS[sort][1]
            values = [_settled(value(score)) for score in self.scores]
            known = [at for at, found in enumerate(values) if found is not None]
            known.sort(key=values.__getitem__, reverse=down)
            self._orders[sort, down] = [*known, *(at for at, found in enumerate(values) if found is None)]
        return self._orders[sort, down]

    def cells(self, at: int) -> tuple[Cell, ...]:
        """Cells of the confusion matrix in which a mixture counts; found when they are first asked for."""
        if at not in self._cells:
            self._cells[at] = tuple(cells_of(self.scores[at]))
        return self._cells[at]

    @cached_property
    def words(self) -> list[str]:
        """All that a text is looked for in."""
        return [
            " ".join([s.mixture_id, *_labels(s), *map(str, s.flags), s.outcome.error or ""]).casefold()
            for s in self.scores
        ]

    @cached_property
    def labels(self) -> list[frozenset[str]]:
        """Classes of references and estimates."""
        return _shared(_labels(score) for score in self.scores)

    @cached_property
    def losses(self) -> list[frozenset[str]]:
        """Kinds of errors."""
        return _shared(loss_kinds(score) for score in self.scores)

    @cached_property
    def flags(self) -> list[frozenset[str]]:
        """Names of flags."""
        return _shared([flag.kind for flag in score.flags] for score in self.scores)

    @cached_property
    def choices(self) -> dict[str, list[str]]:
        """What there is to choose from: classes in their own order, flags, and numbers of targets."""
        there = frozenset[str]().union(*self.labels)
        counts = {len(score.reference_labels) for score in self.scores if score.reference_labels is not None}
        return {
            "labels": [label for label in CLASSES if label in there],
            "flags": sorted(frozenset[str]().union(*self.flags)),
            "targets": list(map(str, sorted(counts))),
        }


def _shared(words: Iterable[Iterable[str]]) -> list[frozenset[str]]:
    """As sets; equal ones are one, since thousands of mixtures have the same few."""
    known: dict[frozenset[str], frozenset[str]] = {}
    return [known.setdefault(found, found) for found in map(frozenset, words)]


def _settled(value: float | str | None) -> Any:
    """What a row is sorted by: a name, or a number that does not hang on its last bits."""
    return settled(value) if isinstance(value, int | float) else value


def _labels(score: MixtureScore) -> list[str]:
    return [*(score.reference_labels or ()), *(estimate.label for estimate in score.estimates)]


def loss_kinds(score: MixtureScore) -> set[str]:
    """Kinds of errors of a mixture."""
    return set() if score.decomposition is None else {loss.kind for loss in score.decomposition.losses}


def snrs(score: MixtureScore) -> list[float]:
    """SNR of the mixture with respect to each reference that was answered, dB."""
    return [pair.sdr_mixture for pair in pairs_of(score)]


def _count(labels: Sequence[str] | None) -> float | None:
    return None if labels is None else float(len(labels))


def _is(score: MixtureScore, result: str) -> bool:
    if result == "failed":
        return score.status == "failed"
    if result == "silent":
        return score.reference_labels == ()
    return score.labels is not None and score.exact is (result == "exact")


def whole_number(text: str) -> int | None:
    """What an address gives as a count or size; None: no number, or one that is none of ours."""
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    return value is not None and (low is None or settled(value) >= low) and (high is None or settled(value) < high)
