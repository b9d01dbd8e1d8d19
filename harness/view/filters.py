"""Which mixtures of a run are meant, and in which order: from an address, to an address."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from urllib.parse import urlencode

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report.charted import cells_of
from s5eval.metrics.tolerance import settled

SORTS: Mapping[str, tuple[str, Callable[[MixtureScore], float | str | None]]] = {
    "order": ("in order of the data", lambda score: None),
    "id": ("by name", lambda score: score.mixture_id),
    "capi_sdri": ("by CAPI-SDRi", lambda score: score.capi_sdri),
    "gain": ("by CAPI-SDRi above the zero floor", lambda score: above_floor(score)),
    "loss": ("by dB lost to labels and decisions", lambda score: lost(score)),
    "snr": ("by SNR of the quietest target", lambda score: lowest_snr(score)),
    "targets": ("by number of targets", lambda score: _count(score.reference_labels)),
    "estimates": ("by number of estimates", lambda score: float(len(score.estimates))),
    "seconds": ("by time", lambda score: score.seconds),
}
"""What a table can be sorted by: its name, and the value; what has none comes last."""

LOSSES = ("miss", "false_alarm", "confusion", "repeated_class")
RESULTS = ("exact", "wrong", "failed", "silent")


def above_floor(score: MixtureScore) -> float | None:
    """What the waveforms are worth: CAPI-SDRi minus what silence with the same labels would have earned, dB."""
    if score.capi_sdri is None or score.zero_floor is None:
        return None
    return score.capi_sdri - score.zero_floor


def lost(score: MixtureScore) -> float | None:
    """The gap to the bound of the same waveforms with right labels, dB."""
    if not score.decomposition or score.decomposition["bound"] is None:
        return None
    return sum(float(loss[3]) for loss in score.decomposition["losses"])


def lowest_snr(score: MixtureScore) -> float | None:
    """SNR of the mixture with respect to the quietest reference that was answered, dB."""
    return min((float(pair["sdr_mixture"]) for pair in score.pairs), default=None)


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

    def apply(self, scores: Sequence[MixtureScore]) -> list[MixtureScore]:
        """The mixtures that are meant, in the order that is."""
        tests = list(self._tests())
        return self._sorted([score for score in scores if all(test(score) for test in tests)])

    def _sorted(self, scores: list[MixtureScore]) -> list[MixtureScore]:
        if self.sort not in SORTS or self.sort == "order":
            return scores[::-1] if self.down and self.sort == "order" else scores
        value = SORTS[self.sort][1]
        known = [(v, score) for score in scores if (v := value(score)) is not None]
        absent = [score for score in scores if value(score) is None]
        key = (lambda item: item[0]) if self.sort == "id" else (lambda item: settled(item[0]))  # type: ignore[arg-type]
        known.sort(key=key, reverse=bool(self.down))
        return [*(score for _, score in known), *absent]

    def _tests(self) -> "Sequence[Callable[[MixtureScore], bool]]":
        tests: list[Callable[[MixtureScore], bool]] = []
        if self.text:
            wanted = self.text.casefold()
            tests.append(lambda score: wanted in _words(score))
        if self.label:
            tests.append(lambda score: self.label in _labels(score))
        if self.reference or self.estimate:
            tests.append(self._has_cell)
        if self.loss in LOSSES:
            tests.append(lambda score: self.loss in _losses(score))
        if self.result in RESULTS:
            tests.append(lambda score: _is(score, self.result))
        if self.flag:
            tests.append(lambda score: any(flag.partition(":")[0] == self.flag for flag in score.flags))
        if self.targets.isdecimal():
            tests.append(lambda score: _count(score.reference_labels) == int(self.targets))
        if self.repeated_class in ("yes", "no"):
            tests.append(lambda score: _repeats(score) == (self.repeated_class == "yes"))
        low, high = _number(self.low), _number(self.high)
        if low is not None or high is not None:
            tests.append(lambda score: _within(score.capi_sdri, low, high))
        snr_low, snr_high = _number(self.snr_low), _number(self.snr_high)
        if snr_low is not None or snr_high is not None:
            tests.append(lambda score: any(_within(pair["sdr_mixture"], snr_low, snr_high) for pair in score.pairs))
        return tests

    def _has_cell(self, score: MixtureScore) -> bool:
        """The mixture is in this cell of the confusion matrix, or, with one of the two alone, in its row or column."""
        return any(
            (not self.reference or row == self.reference) and (not self.estimate or column == self.estimate)
            for row, column in cells_of(score)
        )


def known_labels(scores: Sequence[MixtureScore]) -> list[str]:
    """The classes that occur, in their own order."""
    there = {label for score in scores for label in _labels(score)}
    return [label for label in CLASSES if label in there]


def known_flags(scores: Sequence[MixtureScore]) -> list[str]:
    """The flags that occur."""
    return sorted({flag.partition(":")[0] for score in scores for flag in score.flags})


def _words(score: MixtureScore) -> str:
    return " ".join([score.mixture_id, *_labels(score), *score.flags, score.error or ""]).casefold()


def _labels(score: MixtureScore) -> list[str]:
    return [*(score.reference_labels or ()), *(str(estimate["label"]) for estimate in score.estimates)]


def _losses(score: MixtureScore) -> set[str]:
    return {str(loss[0]) for loss in (score.decomposition or {}).get("losses", ())}


def _count(labels: Sequence[str] | None) -> float | None:
    return None if labels is None else float(len(labels))


def _repeats(score: MixtureScore) -> bool:
    labels = score.reference_labels or ()
    return len(set(labels)) < len(labels)


def _is(score: MixtureScore, result: str) -> bool:
    if result == "failed":
        return score.status == "failed"
    if result == "silent":
        return score.reference_labels == ()
    return score.exact is (result == "exact")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    return value is not None and (low is None or settled(value) >= low) and (high is None or settled(value) < high)
