"""The slow literal twin of the metric core: every step as the rule is written, for tests to compare with.

Loops over waveforms and over all permutations; nothing here is shared with the fast code but ε.
"""

from collections.abc import Sequence
from itertools import permutations
from math import log10

import numpy as np
import numpy.typing as npt

from s5eval.metrics.sdr import EPSILON

Signal = npt.NDArray[np.floating]


def literal_snr(estimate: Signal, reference: Signal) -> float:
    """10 log10((Σ r² + ε) / (Σ (r − x)² + ε)), in dB, summed sample by sample in float64."""
    r = np.asarray(reference, np.float64)
    x = np.asarray(estimate, np.float64)
    return 10.0 * log10((float(np.sum(r * r)) + EPSILON) / (float(np.sum((r - x) ** 2)) + EPSILON))


def literal_capi_sdri(
    *,
    estimates: Sequence[tuple[str, Signal]],
    references: Sequence[tuple[str, Signal]],
    mixture: Signal,
) -> float | None:
    """CAPI-SDRi of one mixture, dB, straight from labelled waveforms; None when there is no entry at all."""
    entries: list[float] = []
    for label in sorted({name for name, _ in [*estimates, *references]}):
        xs = [signal for name, signal in estimates if name == label]
        rs = [signal for name, signal in references if name == label]
        count = min(len(xs), len(rs))
        best_mean = -float("inf")
        best: list[float] = []
        for chosen_x in permutations(range(len(xs)), count):
            for chosen_r in permutations(range(len(rs)), count):
                snrs = [literal_snr(xs[i], rs[j]) for i, j in zip(chosen_x, chosen_r, strict=True)]
                mean = sum(snrs) / count if count else 0.0
                if mean > best_mean:
                    best_mean = mean
                    best = [s - literal_snr(mixture, rs[j]) for s, j in zip(snrs, chosen_r, strict=True)]
        entries += best + [0.0] * abs(len(xs) - len(rs))
    return sum(entries) / len(entries) if entries else None
