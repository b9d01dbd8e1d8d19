"""Fits silence thresholds on a sweep table: coordinate search over the classes, then shrinkage."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from s5eval.harness.tuning.threshold_table import Objective, SweepTable
from s5eval.metrics.arrays import Array, Indices
from s5eval.metrics.tolerance import LAST_BITS, settled

ROUNDS = 3
SHRINKAGE = 50.0

_GRID = 100  # values of a threshold common to all classes
_DIGITS = 6  # of the thresholds in a file


@dataclass(frozen=True, slots=True)
class Fit:
    """Thresholds (18,), the one of classes that are told nothing of, and the strength of the shrinkage.

    A class that the data do not show has the common threshold, to which it is pulled; without shrinkage its own stays.
    """

    thresholds: Array
    default: float
    shrinkage: float


def fit(
    table: SweepTable,
    *,
    base: Array,
    starts: Sequence[Array] = (),
    objective: Objective,
    shrinkage: float = SHRINKAGE,
    seed: int = 0,
) -> Fit:
    """Thresholds that maximise the objective on the table; those of `base` where nothing is gained over them.

    Args:
        table: the tuning mixtures.
        base: thresholds (18,) to improve on; ties go to the value nearest to these.
        starts: other thresholds to start from.
        objective: what to maximise.
        shrinkage: as many candidates' worth of the best common threshold joins every class; less where that
            would lower the objective below that of `base`.
        seed: of the order of the classes.
    """

    def score(thresholds: Array) -> float:
        return float(objective(table.sums(thresholds)))

    untuned = score(base)
    common = _best_common(table, base, objective)
    rng = np.random.default_rng(seed)
    everywhere = np.full_like(base, common)
    found = [_climb(table, start, base, objective, rng) for start in (base, everywhere, *starts)]
    best = max(found, key=lambda thresholds: settled(score(thresholds)))
    counts = table.counts()
    best = np.where(counts > 0, best, base)  # of a class that is not there nothing can be gained
    for strength in (shrinkage, shrinkage / 2, shrinkage / 4, 0.0):
        shrunk = best if strength == 0 else (counts * best + strength * common) / (counts + strength)
        shrunk = np.where(np.abs(shrunk - base) <= LAST_BITS, base, np.round(shrunk, _DIGITS))
        gain = score(shrunk) - untuned
        if abs(gain) <= LAST_BITS:  # what earns nothing stays put, wherever it was pulled
            return Fit(base, float(np.median(base)), strength)
        if gain > 0:
            return Fit(shrunk, common if strength else float(np.median(base)), strength)
    return Fit(base, float(np.median(base)), 0.0)  # rounding alone has cost the gain


def _climb(table: SweepTable, start: Array, base: Array, objective: Objective, rng: np.random.Generator) -> Array:
    thresholds = start.copy()
    seen: Indices = np.flatnonzero(table.counts())
    current = float(objective(table.sums(thresholds)))
    for _ in range(ROUNDS):
        before = current
        for label in rng.permutation(seen):
            edges, sums = table.sweep(thresholds, int(label))
            values = objective(sums)
            # A threshold below 0 cannot be written: the first row is out of reach where a candidate has p = 0.
            if len(edges) > 1 and edges[1] <= 0:
                edges, values = edges[1:], values[1:]
            best = float(values.max())
            if best <= current + LAST_BITS:
                continue
            centres = _centres(edges, float(base[label]))
            ties = np.flatnonzero(values >= best - LAST_BITS)
            thresholds[label] = centres[ties[np.abs(centres[ties] - base[label]).round(_DIGITS).argmin()]]
            current = best
        if current <= before + LAST_BITS:
            break
    return thresholds


def _centres(edges: Array, base: float) -> Array:
    """One threshold per interval [edges[k], edges[k + 1]): the base value where it lies inside, else the middle."""
    low = np.maximum(edges, 0.0)
    high = np.append(edges[1:], 1.0)
    inside = (edges <= base) & (base < np.append(edges[1:], np.inf))
    return np.where(inside, base, (low + high) / 2)


def _best_common(table: SweepTable, base: Array, objective: Objective) -> float:
    """The best threshold common to all classes, among quantiles of the observed probabilities and the base's median."""
    if len(table.p_silence) == 0:
        return float(np.median(base))
    quantiles = np.quantile(table.p_silence, np.linspace(0, 1, _GRID + 1))
    values = np.concatenate([[np.median(base)], (quantiles[1:] + quantiles[:-1]) / 2])
    scores = [float(objective(table.sums(np.full_like(base, value)))) for value in values]
    best = max(scores) - LAST_BITS
    return float(np.round(values[next(k for k, score in enumerate(scores) if score >= best)], _DIGITS))
