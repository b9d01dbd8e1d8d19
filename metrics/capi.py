"""CAPI-SDRi, the ranking metric of DCASE 2026 Task 4, as combinatorics on a pair matrix.

Class-aware and permutation-invariant: within each class the estimates are paired with the references so that
their mean SNR is highest; every estimate or reference left over enters as 0 dB.
Source: `nttcslab/dcase2026_task4_baseline`, commit 20e6992, `src/evaluation/metrics`; CA-SDRi: Nguyen et al.,
arXiv 2503.22088.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from math import perm

import numpy as np
import numpy.typing as npt

from s5eval.metrics.label_counts import refuse_no_source
from s5eval.metrics.sdr import PairScores
from s5eval.metrics.tolerance import LAST_BITS, PLACES, settled

_ENUMERABLE = 720  # pairings tried one by one; beyond, the Hungarian method, whose import costs half a second


@dataclass(frozen=True, slots=True)
class Pair:
    """An estimate and the reference of the same class that it was assigned to; levels in dB."""

    label: str
    estimate: int
    reference: int
    sdr: float
    sdr_mixture: float

    @property
    def sdri(self) -> float:
        """What the estimate improves on the mixture, dB."""
        return self.sdr - self.sdr_mixture


@dataclass(frozen=True, slots=True)
class CapiScore:
    """CAPI-SDRi of one mixture and its floors, in dB.

    Attributes:
        value: the official value; None when the scene is silent and was answered with silence.
        optimal: the same with the pairing that maximises SDRi instead of SNR; differs from `value` only when
            a class has more references than estimates.
        zero_floor: the value with silent waveforms in place of the assigned estimates: SDRi = −SNR(mixture).
        gain_floor: the value with the mixture times its least-squares gain in their place.
        pairs: the assigned pairs, by class and estimate.
        n_entries: how many entries `value` is the mean of.
        ca_sdri: CA-SDRi, the ranking metric of 2025, which knows no repeated class: per class the assigned pair with
            the highest SNR, mean over the classes of either side. Equal to `value` where no class repeats.
    """

    value: float | None
    optimal: float | None
    zero_floor: float | None
    gain_floor: float | None
    pairs: tuple[Pair, ...]
    n_entries: int
    ca_sdri: float | None


def capi_sdri(pair_scores: PairScores, *, estimate_labels: Sequence[str], reference_labels: Sequence[str]) -> CapiScore:
    """Score one mixture from its pair matrix.

    Args:
        pair_scores: tables with N candidates and R references.
        estimate_labels: N labels, of sources alone: rows of padding are left out of tables and labels.
        reference_labels: R labels, likewise.

    Raises:
        ValueError: the labels do not fit the tables, or one is `None` or `silence`.
    """
    refuse_no_source(estimate=estimate_labels, reference=reference_labels)
    if pair_scores.sdr.shape != (len(estimate_labels), len(reference_labels)):
        raise ValueError(
            f"pair matrix {pair_scores.sdr.shape} does not fit {len(estimate_labels)} estimates "
            f"and {len(reference_labels)} references"
        )
    sdr, mixture = pair_scores.sdr, pair_scores.sdr_mixture
    pairs: list[Pair] = []
    n_entries = 0
    best_sum = 0.0
    classes = sorted({*estimate_labels, *reference_labels})
    for label in classes:
        estimates = [i for i, name in enumerate(estimate_labels) if name == label]
        references = [i for i, name in enumerate(reference_labels) if name == label]
        n_entries += max(len(estimates), len(references))
        block = sdr[np.ix_(estimates, references)]
        rows, columns = assign(block)
        for i, j in zip(rows, columns, strict=True):
            n, r = estimates[i], references[j]
            pairs.append(Pair(label, n, r, float(sdr[n, r]), float(mixture[r])))
        improvement = block - mixture[references]
        # With no reference left over, the subtracted sum is the same for every pairing.
        best = assign(improvement) if len(references) > len(estimates) > 0 else (rows, columns)
        best_sum += float(improvement[best].sum())
    if n_entries == 0:
        return CapiScore(None, None, None, None, (), 0, None)
    return CapiScore(
        value=sum(pair.sdri for pair in pairs) / n_entries,
        optimal=best_sum / n_entries,
        zero_floor=sum(-pair.sdr_mixture for pair in pairs) / n_entries,
        gain_floor=sum(float(pair_scores.sdr_gain[p.reference]) - p.sdr_mixture for p in pairs) / n_entries,
        pairs=tuple(pairs),
        n_entries=n_entries,
        ca_sdri=sum(pair.sdri for pair in _best_of_each_class(pairs)) / len(classes),
    )


def _best_of_each_class(pairs: Sequence[Pair]) -> list[Pair]:
    ordered = sorted(pairs, key=lambda pair: settled(pair.sdr))
    return list({pair.label: pair for pair in ordered}.values())


def assign(scores: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The one-to-one pairing of rows and columns with the highest sum (hence mean); min(rows, columns) pairs.

    Returns:
        Row and column indices, rows ascending. Sums that differ in their last bits alone are equal, and between
        equals the choice is deterministic: the first in lexicographic order, where pairings are listed.
    """
    n, m = scores.shape
    if n > m:
        columns, rows = assign(scores.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    if n == 0:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    if perm(m, n) > _ENUMERABLE:
        from scipy.optimize import linear_sum_assignment

        return linear_sum_assignment(scores.round(PLACES), maximize=True)
    choices = _pairings(n, m)
    rows = np.arange(n)
    sums = scores[rows, choices].sum(axis=1)
    return rows, choices[(sums >= sums.max() - LAST_BITS).argmax()]


@cache
def _pairings(n: int, m: int) -> npt.NDArray[np.intp]:
    """All ways to give each of n rows a column of its own, (m! / (m − n)!, n)."""
    return np.array(list(permutations(range(m), n)), dtype=np.intp)
