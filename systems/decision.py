"""From candidates to a prediction: class-specific silence thresholds, duplicate rule, expected score, maximum count.

Pure arithmetic on small tables, no audio: a new threshold re-runs no network. Source of the class-specific
thresholds: Kwon et al., arXiv 2606.24512.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.labels import CLASS_INDEX, CLASSES
from s5eval.systems.expected_score import ExpectedScore, expected_scores, tempered

PLACES = 9
"""Decimals of probabilities and correlations that count: no choice hangs on the last bit of a sum."""

SILENCE = "silence"
"""Name of silence among the prior factors."""

NO_THRESHOLDS: Mapping[str, float] = {"default": 1.0}
"""Thresholds that drop nothing, and leave the choice to an expected score."""

EXPECTED_SCORE = "expected score"
"""The `objective` in the provenance of a decision whose expected score was fitted."""


@dataclass(frozen=True, slots=True)
class Decision:
    """When a candidate becomes an estimate.

    Attributes:
        silence_thresholds: per class, and `default` for the rest: a candidate whose `p_silence` exceeds the
            value of its class is dropped.
        max_sources: keep at most so many, the likeliest not to be silent (with `expected_score`: to be right); None:
            all.
        duplicate_correlation: of two candidates of one class whose waveforms correlate above this, the one
            likelier to be silent is dropped; None: both stay.
        provenance: where tuned values come from; None for values set by hand.
        prior_factors: how much likelier each class, and `silence`, is where the system is used than where it was
            trained; scores are adapted to it before anything else (see `adapt_scores`). None: they stay as they are.
        expected_score: of what thresholds and duplicates leave, as many are kept as are expected to earn most; a
            threshold of 1 leaves the choice to it. None: all of them are kept.
    """

    silence_thresholds: Mapping[str, float] = field(default_factory=lambda: {"default": 0.5})
    max_sources: int | None = 3
    duplicate_correlation: float | None = 0.9
    provenance: Mapping[str, Any] | None = None
    prior_factors: Mapping[str, float] | None = None
    expected_score: ExpectedScore | None = None

    def threshold(self, label: str) -> float:
        """The silence threshold of a class."""
        return self.silence_thresholds.get(label, self.silence_thresholds.get("default", 0.5))

    @property
    def shown_threshold(self) -> Callable[[str], float] | None:
        """The silence threshold of a class, for tables and charts; None where thresholds decide nothing."""
        return self.threshold if self.by_thresholds else None

    @property
    def one_threshold(self) -> float | None:
        """The silence threshold of all classes, with those that are not named; None where they differ."""
        values = {self.threshold(label) for label in CLASSES}
        return values.pop() if len(values) == 1 else None

    @property
    def by_thresholds(self) -> bool:
        """Whether thresholds decide anything: not where an expected score does, and they are 1."""
        return self.expected_score is None or self.one_threshold != 1.0

    @property
    def needs_probabilities(self) -> bool:
        """Whether class scores are taken for probabilities: by an expected score, and by prior factors."""
        return self.expected_score is not None or self.prior_factors is not None

    def as_dict(self) -> dict[str, Any]:
        """The content of a decision file."""
        content: dict[str, Any] = {
            "silence_thresholds": dict(self.silence_thresholds),
            "max_sources": self.max_sources,
            "duplicate_correlation": self.duplicate_correlation,
        }
        if self.prior_factors is not None:
            content["prior_factors"] = dict(self.prior_factors)
        if self.expected_score is not None:
            content["expected_score"] = asdict(self.expected_score)
        return content if self.provenance is None else {**content, "provenance": dict(self.provenance)}


KEEP_ALL = Decision(NO_THRESHOLDS, max_sources=None, duplicate_correlation=None)
"""The decision of systems that have decided already: every candidate is an estimate."""


def adapt_scores(
    class_scores: npt.NDArray[np.float64], p_silence: npt.NDArray[np.float64], factors: Mapping[str, float]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Probabilities under other priors, by Bayes' rule: every probability times its class's factor, made to add up to
    one again (Saerens, Latinne and Decaestecker 2002).

    Args:
        class_scores: (N, 18), probabilities of the classes of what is not silent.
        p_silence: (N,).
        factors: by class, and `silence`; 1 where nothing is said.

    Returns:
        Class scores and silence probabilities, as given.
    """
    weights = np.array([factors.get(label, 1.0) for label in CLASSES])
    weighted = class_scores * weights
    total = weighted.sum(axis=1)
    silent = factors.get(SILENCE, 1.0) * p_silence
    alive = (1.0 - p_silence) * np.divide(
        total, class_scores.sum(axis=1), out=np.ones(len(total)), where=class_scores.sum(axis=1) > 0
    )
    both = silent + alive
    adapted = np.divide(weighted, total[:, None], out=class_scores.astype(float), where=total[:, None] > 0)
    return adapted, np.divide(silent, both, out=p_silence.astype(float), where=both > 0)


@dataclass(frozen=True, slots=True)
class Selection:
    """A candidate that became an estimate: its index, class, and confidence in [0, 1]."""

    index: int
    label: str
    confidence: float


def candidate_labels(class_scores: npt.NDArray[np.float64], labels: Sequence[str] | None) -> tuple[str, ...]:
    """The class of every candidate: as given, else the arg-max of its scores."""
    if labels is not None:
        return tuple(labels)
    return tuple(CLASSES[index] for index in class_scores.argmax(axis=1))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a decision says of one candidate: its class, and the rule that dropped it.

    Attributes:
        label: its class.
        rule: the rule that dropped it; None: it became an estimate.
        other: for `duplicate`, the candidate that took its place.
    """

    label: str
    rule: Literal["threshold", "duplicate", "unlikely", "maximum"] | None = None
    other: int | None = None


def judge(
    *,
    class_scores: npt.NDArray[np.float64],
    p_silence: npt.NDArray[np.float64],
    correlation: npt.NDArray[np.float64],
    labels: Sequence[str] | None,
    decision: Decision,
) -> tuple[Verdict, ...]:
    """What becomes of every candidate, in their order; arguments and rules as `decide`, which is made of this."""
    names = candidate_labels(class_scores, labels)
    silence, alike = _settled(p_silence), _settled(correlation)
    alive = [k for k, name in enumerate(names) if silence[k] <= decision.threshold(name)]
    alive.sort(key=lambda k: (silence[k], k))
    verdicts = [Verdict(name, "threshold") for name in names]
    kept: list[int] = []
    for k in alive:
        twin = None
        if decision.duplicate_correlation is not None:
            close = (j for j in kept if names[k] == names[j] and alike[k, j] > decision.duplicate_correlation)
            twin = next(close, None)
        if twin is None:
            kept.append(k)
        else:
            verdicts[k] = Verdict(names[k], "duplicate", twin)
    if decision.expected_score is not None:
        kept, dropped, rule = _worth_keeping(
            kept, names, class_scores, silence, decision.expected_score, decision.max_sources
        )
        for k in dropped:
            verdicts[k] = Verdict(names[k], rule)
    for rank, k in enumerate(kept):
        fits = decision.max_sources is None or rank < decision.max_sources
        verdicts[k] = Verdict(names[k], None if fits else "maximum")
    return tuple(verdicts)


def decide(
    *,
    class_scores: npt.NDArray[np.float64],
    p_silence: npt.NDArray[np.float64],
    correlation: npt.NDArray[np.float64],
    labels: Sequence[str] | None,
    decision: Decision,
) -> tuple[Selection, ...]:
    """Choose the candidates that become estimates.

    Args:
        class_scores: (N, 18), larger is likelier.
        p_silence: (N,) in [0, 1].
        correlation: (N, N), normalised correlation of the candidate waveforms.
        labels: fixed classes, or None for the arg-max.
        decision: the rules.

    Returns:
        The selections in candidate order. Rules act in this order: threshold, duplicates, expected score, maximum
        count; between equals (to `PLACES` decimals) the lower index stays.
    """
    verdicts = judge(
        class_scores=class_scores, p_silence=p_silence, correlation=correlation, labels=labels, decision=decision
    )
    return tuple(
        Selection(k, verdict.label, _confidence(class_scores[k], verdict.label, p_silence[k]))
        for k, verdict in enumerate(verdicts)
        if verdict.rule is None
    )


def right_probabilities(
    names: Sequence[str],
    class_scores: npt.NDArray[np.float64],
    p_silence: npt.NDArray[np.float64],
    expected: ExpectedScore,
) -> npt.NDArray[np.float64]:
    """How likely every candidate holds a source and has its class, (N,); classes `names`, scores (N, 18)."""
    shares = tempered(class_scores, expected.temperature)
    of_names = shares[np.arange(len(names)), [CLASS_INDEX[name] for name in names]]
    return _settled((1.0 - p_silence) * of_names)


def _worth_keeping(
    left: list[int],
    names: Sequence[str],
    class_scores: npt.NDArray[np.float64],
    p_silence: npt.NDArray[np.float64],
    expected: ExpectedScore,
    max_sources: int | None,
) -> tuple[list[int], list[int], Literal["unlikely", "maximum"]]:
    """Those of the candidates `left` that are worth keeping, the likeliest to be right first; the others, and why."""
    right = right_probabilities(names, class_scores, p_silence, expected)
    order = sorted(left, key=lambda k: (-right[k], k))
    most = len(order) if max_sources is None else min(max_sources, len(order))
    earned = expected_scores(1.0 - p_silence[order], right[order], expected.usual_share, most=most + 1)
    count = _first_best(earned[: most + 1])
    wanted_more = count == most and _first_best(earned) > most
    return order[:count], order[count:], "maximum" if wanted_more else "unlikely"


def _first_best(values: npt.NDArray[np.float64]) -> int:
    """Where the largest value is; of equals, to `PLACES` decimals, the first."""
    return int(np.flatnonzero(values >= values.max() - 10.0**-PLACES)[0])


def _settled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(values, np.float64).round(PLACES)


def _confidence(scores: npt.NDArray[np.float64], label: str, p_silence: float) -> float:
    confidence = float(scores[CLASSES.index(label)]) * (1.0 - float(p_silence))
    return min(1.0, max(0.0, confidence))
