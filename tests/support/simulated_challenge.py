"""A made-up challenge whose true values, and so true ranks, are known."""

import numpy as np
from scipy.stats import norm

from s5eval.metrics.bootstrap import resampled_ratios

FIELDS = ("spread", "close", "tied")
SILENT = 1 / 6  # share of scenes without a target, as in the official validation set

Pair = tuple[np.ndarray, np.ndarray]


def draw(field: str, systems: int, mixtures: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numerators and denominators (N, K) of CAPI-SDRi of one challenge, and the true values (K,)."""
    truth = _levels(field, systems)
    right = np.linspace(0.8, 0.55, systems)[np.random.default_rng(1).permutation(systems)]  # chance of right labels
    alarms = np.linspace(0.05, 0.3, systems)[np.random.default_rng(2).permutation(systems)]
    rng = np.random.default_rng([seed, mixtures])
    silent = rng.random(mixtures) < SILENT
    difficulty, loudness = rng.normal(size=(2, mixtures, 1))
    own = rng.normal(size=(mixtures, systems))
    labelled = 0.7 * difficulty + np.sqrt(1 - 0.7**2) * own < norm.ppf(right)
    # CAPI-SDRi is (1 − SILENT) · right · level / (1 − SILENT + SILENT · alarms): the level follows from the true value.
    level = truth * (1 - SILENT + SILENT * alarms) / ((1 - SILENT) * right)
    values = level + 3.0 * loudness + 3.0 * rng.normal(size=(mixtures, systems))
    heard = rng.random((mixtures, systems)) < alarms
    numerator = np.where(silent[:, None] | ~labelled, 0.0, values)
    denominator = np.where(silent[:, None], heard, True).astype(float)
    return numerator, denominator, truth


def _levels(field: str, systems: int) -> np.ndarray:
    if field == "close":
        return np.linspace(7.5, 7.0, systems)
    if field == "tied":
        return 12.0 - 1.2 * (np.arange(systems) // 5)
    return np.interp(np.linspace(0, 1, systems), [0, 0.13, 0.2, 0.5, 0.8, 1], [14.9, 14.2, 13.0, 10.1, 6.9, 1.2])


def true_places(truth: np.ndarray) -> Pair:
    """First and last of the places that each system shares with those of the same true value."""
    better = (truth[None, :] > truth[:, None] + 1e-9).sum(axis=1)
    worse = (truth[None, :] < truth[:, None] - 1e-9).sum(axis=1)
    return 1 + better, len(truth) - worse


def percentile_ranks(numerator: np.ndarray, denominator: np.ndarray, resamples: int, seed: int) -> Pair:
    """Percentiles of the ranks in resamples: not what s5eval does, and why is measured."""
    found = resampled_ratios(numerator, denominator, resamples=resamples, seed=seed)
    ranks = 1 + np.argsort(np.argsort(-found, axis=1), axis=1)
    low, high = np.quantile(ranks, [0.025, 0.975], axis=0)
    return np.floor(low), np.ceil(high)
