"""Where the decibels went: what wrong labels and wrong silence decisions cost, from the pair matrix alone.

The candidates of a mixture are paired with its references by their waveforms, whatever their labels. Answered
with these pairs and the true labels, a mixture earns its *bound*: what the same waveforms are worth to a
faultless classifier. Every decibel between the bound and CAPI-SDRi is booked on one reference or one estimate:

- miss: the waveform was there and no estimate was made of it;
- confusion: it was kept, and labelled as another class;
- repeated class: it was kept with the right label, and another estimate of that class took its place;
- false alarm: an estimate that belongs to no reference.

What lies between the bound and the references themselves is separation, and references that no candidate is there for.

A negative loss is a gain: the waveform that was dropped, or answered for by another, is worse than the mixture.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from s5eval.metrics.capi import CapiScore, assign, capi_sdri
from s5eval.metrics.sdr import PairScores
from s5eval.metrics.tolerance import LAST_BITS, PLACES

LossKind = Literal["miss", "confusion", "repeated_class", "false_alarm"]


@dataclass(frozen=True, slots=True)
class Loss:
    """Part of a mixture's gap to its bound.

    Attributes:
        kind: what went wrong.
        label: class of the reference; of the estimate for a false alarm.
        other: for a confusion, the class it was given; else None.
        value: dB of the mixture's mean; 0 for false alarms in a scene without a target, which cost the corpus
            (the scene becomes defined, at 0 dB) and not the mixture.
    """

    kind: LossKind
    label: str
    other: str | None
    value: float


@dataclass(frozen=True, slots=True)
class Unanswered:
    """References without a candidate, since there are fewer candidates than references.

    Attributes:
        references: how many.
        value: what the references themselves would bring in their place, dB of the mean.
    """

    references: int
    value: float


@dataclass(frozen=True, slots=True)
class Decomposition:
    """CAPI-SDRi of one mixture, what-if values and losses; dB.

    Attributes:
        value: as scored; None when undefined.
        bound: right labels for the best-matching candidates; None for a scene without a target.
        oracle_labels: the estimates as they were kept, each that matches a reference with its true label.
        oracle_count: the true number of candidates, the least silent ones, with the labels they were given; None where
            all candidates are as sure to be there, as wavs are: nothing says which of them would go.
        oracle_silence: exactly the candidates that match a reference, with the labels they were given; None likewise.
        losses: sum to bound − value wherever there is a target.
        unanswered: references without a candidate; None: of before this was recorded.
    """

    value: float | None
    bound: float | None
    oracle_labels: float | None
    oracle_count: float | None
    oracle_silence: float | None
    losses: tuple[Loss, ...]
    unanswered: Unanswered | None = None


def subset(pair_scores: PairScores, rows: Sequence[int]) -> PairScores:
    """The tables of some of the candidates, in the order of `rows`."""
    index = np.asarray(rows, np.intp)
    return PairScores(
        sdr=pair_scores.sdr[index],
        sdr_mixture=pair_scores.sdr_mixture,
        sdr_gain=pair_scores.sdr_gain,
        correlation=pair_scores.correlation[index][:, index],
        energy=pair_scores.energy[index],
        reference_energy=pair_scores.reference_energy,
    )


def decompose(
    pair_scores: PairScores,
    *,
    candidate_labels: Sequence[str],
    p_silence: npt.NDArray[np.float64],
    selected: Sequence[int],
    reference_labels: Sequence[str],
    scored: CapiScore | None = None,
) -> Decomposition:
    """Book the gap between a mixture's bound and its CAPI-SDRi.

    Args:
        pair_scores: tables of all N candidates and R references.
        candidate_labels: N labels, as the system gave them.
        p_silence: (N,), how likely each candidate is to be silent; 0 for all where nobody has said.
        selected: the candidates that became estimates.
        reference_labels: R labels.
        scored: the score of the selected candidates, in that order, where it is known already.

    Raises:
        ValueError: the labels do not fit the tables.
    """
    known: dict[tuple[tuple[int, ...], tuple[str, ...]], CapiScore] = {}

    if scored is not None:
        known[tuple(selected), tuple(candidate_labels[k] for k in selected)] = scored

    def score(rows: Sequence[int], labels: Sequence[str]) -> CapiScore:
        key = tuple(rows), tuple(labels)
        if key not in known:
            known[key] = capi_sdri(subset(pair_scores, rows), estimate_labels=labels, reference_labels=reference_labels)
        return known[key]

    def as_given(rows: Sequence[int]) -> CapiScore:
        return score(rows, [candidate_labels[k] for k in rows])

    owner = match_waveforms(pair_scores, range(len(candidate_labels)))
    true_labels = {k: reference_labels[r] for k, r in match_waveforms(pair_scores, selected).items()}
    least_silent = np.lexsort((np.arange(len(p_silence)), p_silence.round(PLACES)))[: len(reference_labels)]
    may_be_silent = bool(p_silence.any())  # else nobody has decided on silence, and nothing can be put right
    improvements = [float(pair_scores.sdr[k, r] - pair_scores.sdr_mixture[r]) for k, r in owner.items()]
    return Decomposition(
        value=as_given(selected).value,
        bound=sum(improvements) / len(reference_labels) if len(reference_labels) else None,
        oracle_labels=score(selected, [true_labels.get(k, candidate_labels[k]) for k in selected]).value,
        oracle_count=as_given(sorted(int(k) for k in least_silent)).value if may_be_silent else None,
        oracle_silence=as_given(sorted(owner)).value if may_be_silent else None,
        losses=_losses(pair_scores, candidate_labels, selected, reference_labels, owner, as_given(selected)),
        unanswered=_unanswered(pair_scores, owner),
    )


def match_waveforms(pair_scores: PairScores, rows: Sequence[int]) -> dict[int, int]:
    """Candidate → reference, paired so that the sum of SDRi is highest; labels do not matter."""
    chosen = np.asarray(list(rows), np.intp)
    found = assign(pair_scores.sdr[chosen] - pair_scores.sdr_mixture)
    return {int(chosen[i]): int(r) for i, r in zip(*found, strict=True)}


def _unanswered(pair_scores: PairScores, owner: dict[int, int]) -> Unanswered:
    count = len(pair_scores.sdr_mixture)
    absent = sorted(set(range(count)) - set(owner.values()))
    if not absent:
        return Unanswered(0, 0.0)
    would_be = (pair_scores.sdr_perfect - pair_scores.sdr_mixture)[absent]
    return Unanswered(len(absent), float(would_be.sum()) / count)


def _losses(
    pair_scores: PairScores,
    labels: Sequence[str],
    selected: Sequence[int],
    references: Sequence[str],
    owner: dict[int, int],
    scored: CapiScore,
) -> tuple[Loss, ...]:
    """All losses of a mixture, those of one kind and class added up."""
    used = {pair.reference: selected[pair.estimate] for pair in scored.pairs}
    credit = {pair.reference: pair.sdri for pair in scored.pairs}
    candidate = {r: k for k, r in owner.items()}
    sums: defaultdict[tuple[LossKind, str, str | None], float] = defaultdict(float)
    for r, label in enumerate(references):
        k = candidate.get(r)
        if used.get(r) == k:
            continue
        best = 0.0 if k is None else float(pair_scores.sdr[k, r] - pair_scores.sdr_mixture[r])
        if k is None:  # fewer candidates than references, and one of them was scored here instead of at its own
            cause = _mislabelled(used[r], labels, references, owner)
        elif k not in selected:
            cause = ("miss", label, None)
        else:
            cause = _mislabelled(k, labels, references, owner)
        sums[cause] += (best - credit.get(r, 0.0)) / len(references)
    # An estimate beyond the references of its class is one more entry of 0 dB, which thins all the others.
    thinning = scored.value / len(references) if scored.value is not None and references else 0.0
    for k in sorted(set(selected) - set(used.values())):
        sums[_mislabelled(k, labels, references, owner)] += thinning
    return tuple(Loss(*cause, value if abs(value) > LAST_BITS else 0.0) for cause, value in sums.items())


def _mislabelled(
    k: int, labels: Sequence[str], references: Sequence[str], owner: dict[int, int]
) -> tuple[LossKind, str, str | None]:
    """Why a candidate that was kept is not scored at the reference that its waveform belongs to."""
    if k not in owner:
        return "false_alarm", labels[k], None
    label = references[owner[k]]
    return ("repeated_class", label, None) if labels[k] == label else ("confusion", label, labels[k])
