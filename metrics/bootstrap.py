"""Percentile bootstrap over mixtures for metrics that are ratios of sums, many metrics at once.

Every metric of s5eval is Σ numerator / Σ denominator over mixtures: CAPI-SDRi divides by the number of *defined*
mixtures, source accuracy by TP + FP + FN, a slice by its members. So numerator and denominator are both
resampled, and all metrics of a run share the same resamples.
Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentile interval).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s5eval.metrics.arrays import Array

RESAMPLES = 10_000
LEVEL = 0.95
SEED = 2026

_CHUNK = 256  # resamples whose counts are held at once
_MOST_COUNTS = 1 << 16  # of which half a megabyte is held at once: twice as fast as what no processor's cache holds


@dataclass(frozen=True, slots=True)
class Intervals:
    """Values and percentile intervals of K metrics; NaN where a metric is undefined."""

    value: Array
    low: Array
    high: Array


def ratios(numerator: Array, denominator: Array) -> Array:
    """Sums of each column (N, K) divided; NaN where the denominators sum to 0."""
    return _divide(numerator.sum(axis=0), denominator.sum(axis=0))


def bootstrap(
    numerator: Array, denominator: Array, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = SEED
) -> Intervals:
    """Percentile intervals of K ratio metrics over N mixtures.

    Args:
        numerator: (N, K), 0 where a mixture does not count for a metric.
        denominator: (N, K), likewise.
        resamples: how many samples of N mixtures are drawn with replacement.
        level: coverage, in (0, 1).
        seed: of the resampling; the same seed and N give the same resamples.

    Returns:
        Three arrays (K,). Resamples in which a denominator vanishes are left out of that metric's interval.

    Raises:
        ValueError: the tables are not (N, K), both of them.
    """
    _check_tables(numerator=numerator, denominator=denominator)
    sums = _resampled_sums(np.hstack([numerator, denominator]), resamples, seed)
    k = numerator.shape[1]
    low, high = percentiles(_divide(sums[:, :k], sums[:, k:]), level)
    return Intervals(ratios(numerator, denominator), low, high)


def paired_bootstrap(
    first: tuple[Array, Array],
    second: tuple[Array, Array],
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = SEED,
) -> Intervals:
    """Intervals of the difference second − first of K ratio metrics over the same N mixtures.

    Args:
        first: numerators and denominators (N, K) of one system.
        second: those of the other; row i is the same mixture. The defined sets may differ: sum and count of
            both sides are recomputed in every resample.
        resamples: see `bootstrap`.
        level: see `bootstrap`.
        seed: see `bootstrap`.

    Raises:
        ValueError: the four tables are not (N, K), all of one shape.
    """
    (a, a_count), (b, b_count) = first, second
    _check_tables(**{"first[0]": a, "first[1]": a_count, "second[0]": b, "second[1]": b_count})
    k = first[0].shape[1]
    sums = _resampled_sums(np.hstack([*first, *second]), resamples, seed)
    a, a_count, b, b_count = (sums[:, part * k : (part + 1) * k] for part in range(4))
    low, high = percentiles(_divide(b, b_count) - _divide(a, a_count), level)
    return Intervals(ratios(*second) - ratios(*first), low, high)


def _check_tables(**tables: Array) -> None:
    shapes = {name: np.shape(table) for name, table in tables.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 2 for shape in shapes.values()):
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"expected tables (mixtures, metrics) of one shape; got {found}")


def _resampled_sums(columns: Array, resamples: int, seed: int) -> Array:
    """(resamples, K) sums of columns (N, K); of equal ones (what metrics of a slice divide by) one alone is summed."""
    if len(columns) == 0:
        return np.zeros((resamples, columns.shape[1]))
    first: dict[bytes, int] = {}
    place = [first.setdefault(column.tobytes(), len(first)) for column in columns.T]
    different = np.ascontiguousarray(columns[:, [place.index(k) for k in range(len(first))]])
    sums = np.vstack([counts.astype(np.float64) @ different for counts in _draw(len(columns), resamples, seed)])
    return sums[:, place]


def _draw(n: int, resamples: int, seed: int) -> Iterator[npt.NDArray[np.intp]]:
    """How often each of `n` mixtures is drawn in each resample, (at most `_CHUNK`, n) and `_MOST_COUNTS` at a time."""
    generator = np.random.default_rng(seed)
    chunk = min(_CHUNK, max(1, _MOST_COUNTS // n))
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = generator.integers(0, n, size=(size, n), dtype=np.int32)
        drawn += np.arange(size, dtype=np.int32)[:, None] * np.int32(n)
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)


class Resamples:
    """Resamples that are drawn once and asked often: what an interval costs then is one product of matrices.

    They are those of `bootstrap` and `paired_bootstrap`, to the last bits of a sum, and take `resamples` × N bytes.
    """

    def __init__(self, n: int, *, resamples: int = RESAMPLES, seed: int = SEED) -> None:
        """Draw for `n` mixtures."""
        self.n, self.resamples = n, resamples
        parts = [counts.astype(np.uint8) for counts in _draw(n, resamples, seed)] if n else []
        self._counts = np.vstack(parts) if parts else np.zeros((resamples, 0), np.uint8)

    def draw(self, numerator: Array, denominator: Array) -> Array:
        """K metrics (N, K) of every resample, (resamples, K): what `percentiles` makes an interval of."""
        columns, k = np.hstack([numerator, denominator]), numerator.shape[1]
        sums = np.empty((self.resamples, 2 * k))
        for start in range(0, self.resamples, _CHUNK):
            part = slice(start, start + _CHUNK)
            sums[part] = self._counts[part].astype(np.float64) @ columns
        return _divide(sums[:, :k], sums[:, k:])


def percentiles(values: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """The interval of each of K metrics, low and high, from their values in resamples (R, K); NaN is left out."""
    tail = (1.0 - level) / 2.0
    low = np.full(values.shape[1], np.nan)
    high = low.copy()
    for k, column in enumerate(values.T):
        defined = column[~np.isnan(column)]
        if len(defined):
            low[k], high[k] = np.quantile(defined, [tail, 1.0 - tail])
    return low, high


def _divide(numerator: Array, denominator: Array) -> Array:
    quotient = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient


def resampled_ratios(numerator: Array, denominator: Array, *, resamples: int = RESAMPLES, seed: int = SEED) -> Array:
    """Values (resamples, K) of K ratio metrics in samples of N mixtures drawn with replacement; NaN where undefined.

    All metrics share the samples, so that a column minus another is a paired difference.
    """
    sums = _resampled_sums(np.hstack([numerator, denominator]), resamples, seed)
    k = numerator.shape[1]
    return _divide(sums[:, :k], sums[:, k:])
