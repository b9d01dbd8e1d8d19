"""Ranks with intervals: which places of a table the mixtures at hand can tell apart.

A rank counts the systems that are better. So its interval follows from paired differences: a system has at best the
place behind all that are better for certain, and at worst the one before all that are worse for certain. *Certain* is
judged for all comparisons at once, by the bootstrap distribution of the largest studentised difference, stepwise.
Systems that no number of mixtures would tell apart (ties) are covered with all places that they share.

Percentiles of the ranks in resamples look the same and are not: near ties a resample shuffles what the sample has
shuffled before, and such intervals hold the true rank too seldom (`tests/bench/bench_ranks.py` measures both).

Sources: Mogstad, Romano, Shaikh & Wilhelm, Inference for Ranks with Applications to Mobility across Neighbourhoods
and Academic Achievement across Countries, Review of Economic Studies 91 (2024); Romano & Wolf, Exact and Approximate
Stepdown Methods for Multiple Hypothesis Testing, JASA 100 (2005). Of percentiles: Xie, Singh & Zhang, Confidence
Intervals for Population Ranks in the Presence of Ties and Near Ties, JASA 104 (2009).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s5eval.metrics.arrays import Array
from s5eval.metrics.bootstrap import LEVEL, RESAMPLES, SEED, ratios, resampled_ratios
from s5eval.metrics.tolerance import LAST_BITS

Ranks = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RankIntervals:
    """Ranks of K systems, 1 the highest, each (K,).

    Attributes:
        rank: 1 + the number of systems with a higher value; equal values share a rank.
        low: best rank of each system's own interval, which holds its true rank in `level` of all samples.
        high: worst rank, likewise.
        low_all: best rank of the intervals that hold the true ranks of all systems together in `level` of all samples.
        high_all: worst rank, likewise.
        first: share of the resamples in which no system is higher; sums to more than 1 where some tie for the first.
    """

    rank: Ranks
    low: Ranks
    high: Ranks
    low_all: Ranks
    high_all: Ranks
    first: Array


def rank_intervals(
    numerator: Array,
    denominator: Array,
    *,
    undecided: Mask | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = SEED,
) -> RankIntervals:
    """Rank K systems by a ratio metric over the same N mixtures.

    Args:
        numerator: (N, K), 0 where a mixture does not count for a system.
        denominator: (N, K), likewise; the systems may be defined on different mixtures.
        undecided: (K, K), symmetric: pairs of which neither is taken as better for certain, whatever the samples say;
            None: all are judged.
        resamples: how many samples of N mixtures are drawn; those in which a value is undefined are left out.
        level: coverage, in (0, 1).
        seed: of the resampling.

    Raises:
        ValueError: a system's value is undefined; it has no rank.

    >>> better = np.random.default_rng(0).normal(1.0, 0.1, (50, 1))
    >>> found = rank_intervals(np.hstack([better - 1, better]), np.ones((50, 2)), resamples=500)
    >>> found.rank.tolist(), found.low.tolist(), found.high.tolist()
    ([2, 1], [2, 1], [2, 1])
    """
    values = ratios(numerator, denominator)
    if np.isnan(values).any():
        raise ValueError(f"the values of systems {np.flatnonzero(np.isnan(values)).tolist()} are undefined")
    found = resampled_ratios(numerator, denominator, resamples=resamples, seed=seed)
    found = found[~np.isnan(found).any(axis=1)]
    ahead, weights = _studentised(values, numerator, denominator)
    deviations = found - values
    judged = np.ones(ahead.shape, bool) if undecided is None else ~undecided
    together = _certain(ahead, deviations, weights, level, judged)
    best, worst = 1 + together.sum(axis=0), len(values) - together.sum(axis=1)
    own_best, own_worst = np.empty_like(best), np.empty_like(worst)
    for k in range(len(values)):
        of_system = np.zeros(ahead.shape, bool)
        of_system[k] = of_system[:, k] = True
        certain = _certain(ahead, deviations, weights, level, of_system & judged)
        own_best[k], own_worst[k] = 1 + certain[:, k].sum(), len(values) - certain[k].sum()
    highest = found >= found.max(axis=1, keepdims=True) - LAST_BITS
    rank = 1 + (values[None, :] > values[:, None] + LAST_BITS).sum(axis=1)
    return RankIntervals(rank, own_best, own_worst, best, worst, highest.mean(axis=0) if len(found) else rank * np.nan)


def _studentised(values: Array, numerator: Array, denominator: Array) -> tuple[Array, Array]:
    """(K, K) how many standard errors each system is ahead of each other, and 1 / standard error; 0 where that is 0.

    The standard error of a ratio of sums is that of its influences; the one of a difference needs their covariance.
    """
    influences = (numerator - values * denominator) / denominator.mean(axis=0)
    products = influences.T @ influences / len(influences) ** 2
    own = np.diag(products)
    variance = np.clip(own[:, None] + own - 2.0 * products, 0.0, None)
    known = variance > 1e-12 * np.maximum(own[:, None], own) + LAST_BITS**2
    weights = np.zeros_like(variance)
    weights[known] = 1.0 / np.sqrt(variance[known])
    difference = values[:, None] - values
    ahead = difference * weights
    ahead[~known & (difference > LAST_BITS)] = np.inf  # the same difference in all mixtures
    ahead[~known & (difference < -LAST_BITS)] = -np.inf
    return ahead, weights


def _certain(ahead: Array, deviations: Array, weights: Array, level: float, family: Mask) -> Mask:
    """(K, K) which systems are better than which for certain, all comparisons of a family being judged at once."""
    certain = np.zeros(ahead.shape, bool)
    left = family & ~np.eye(len(ahead), dtype=bool)
    while left.any() and len(deviations):
        largest = np.zeros(len(deviations))
        for j in np.flatnonzero(left.any(axis=1)):
            of = np.flatnonzero(left[j])
            largest = np.maximum(largest, ((deviations[:, [j]] - deviations[:, of]) * weights[j, of]).max(axis=1))
        found = left & (ahead > np.quantile(largest, level, method="higher"))
        if not found.any():
            break
        certain |= found
        left &= ~found
    return certain
