"""Signal-to-distortion ratios of every candidate against every reference: the only code here that reads waveforms.

Everything that is scored afterwards (any labels, any threshold, any subset of candidates) is arithmetic on the
small tables that `pairwise_sdr` returns.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

EPSILON = 1.1920929e-07
"""Float32 machine epsilon, which the official evaluator adds to both energies (torchmetrics, `snr.py`)."""

_BLOCK = 1 << 13  # samples; a block of ten float64 rows stays within a core's second-level cache
_CANCELLATION = 1e-5  # below this share of the energies the Gram form of an error loses digits that are printed

Waveforms = npt.NDArray[np.floating] | npt.NDArray[np.signedinteger]
Table = npt.NDArray[np.float64]

Rows = Sequence[Waveforms] | Waveforms
"""Signals of one length: an array (rows, T), or a sequence of arrays (T,)."""

Blocks = Callable[[], Iterable[tuple[Rows, Rows, Waveforms]]]
"""Gives N candidates, R references and channel 0 of the mixture, block by block, from the beginning with every call."""


@dataclass(frozen=True, slots=True)
class PairScores:
    """What the waveforms of one mixture say, for N candidates and R references. All float64; levels in dB.

    Attributes:
        sdr: (N, R), SNR of candidate n as an estimate of reference r; no scaling, no mean removal.
        sdr_mixture: (R,), the same for the mixture's channel 0: what `SDRi` subtracts.
        sdr_gain: (R,), the same for the mixture times its least-squares gain for reference r.
        correlation: (N, N), normalised correlation of the candidates at lag 0; 0 where one of them is silent.
        energy: (N,), sum of squares of each candidate.
        reference_energy: (R,), sum of squares of each reference.
    """

    sdr: Table
    sdr_mixture: Table
    sdr_gain: Table
    correlation: Table
    energy: Table
    reference_energy: Table

    @property
    def sdr_perfect(self) -> Table:
        """(R,), the SNR of the reference itself as the estimate: finite, since ε stands under the fraction."""
        return ratio_db(self.reference_energy, np.zeros_like(self.reference_energy))


def ratio_db(signal: npt.ArrayLike, error: npt.ArrayLike) -> Table:
    """10 log10((signal + ε) / (error + ε)) of two energies, in dB."""
    result: Table = 10.0 * np.log10((np.asarray(signal, float) + EPSILON) / (np.asarray(error, float) + EPSILON))
    return result


def snr(*, estimate: Waveforms, reference: Waveforms) -> float:
    """Signal-to-noise ratio of one estimate, in dB: 10 log10((Σ r² + ε) / (Σ (r − x)² + ε)).

    Args:
        estimate: (T,), floating, or integer PCM read as full scale 1.0.
        reference: (T,), likewise.

    Returns:
        The ratio; 0 dB for a silent estimate, about 98 dB for a perfect one at common levels (ε is the limit). NaN
        where a sample is NaN or infinite.

    Raises:
        ValueError: they are not of one length, or hold samples whose full scale is not known.

    >>> round(snr(estimate=np.array([0.9, 0.0]), reference=np.array([1.0, 0.0])), 3)
    20.0
    """
    target, heard = _as_float64(reference, "the reference"), _as_float64(estimate, "the estimate")
    if target.ndim != 1 or heard.shape != target.shape:
        raise ValueError(f"expected estimate (T,) and reference (T,) of one length, got {heard.shape}, {target.shape}")
    difference = target - heard
    return float(ratio_db(target @ target, difference @ difference))


def pairwise_sdr(*, estimate: Waveforms, reference: Waveforms, mixture: Waveforms) -> PairScores:
    """Compare every candidate with every reference in one pass over the audio, with sums in float64.

    Args:
        estimate: (N, T) candidates, floating, or integer PCM read as full scale 1.0; N may be 0.
        reference: (R, T); R may be 0.
        mixture: (T,), channel 0 of the mixture.

    Returns:
        The tables described at `PairScores`.

    Raises:
        ValueError: shapes do not fit, or samples are NaN, infinite, masked, or of a type whose full scale is not known,
            as unsigned integers are (says in which argument and row).
    """
    if mixture.ndim != 1 or estimate.ndim != 2 or reference.ndim != 2:
        raise ValueError(
            f"expected estimate (N, T), reference (R, T), mixture (T,); "
            f"got {estimate.shape}, {reference.shape}, {mixture.shape}"
        )
    if estimate.shape[1] != len(mixture) or reference.shape[1] != len(mixture):
        raise ValueError(
            f"lengths differ: estimate {estimate.shape[1]}, reference {reference.shape[1]}, "
            f"mixture {len(mixture)} samples"
        )
    return pairwise_sdr_in_blocks(lambda: [(estimate, reference, mixture)])


def pairwise_sdr_in_blocks(blocks: Blocks) -> PairScores:
    """`pairwise_sdr` of signals that are read block by block, so that not all of them are in memory at once.

    All tables come from sums over samples. They are added up in float64 in pieces of the same size whatever the
    blocks are, so that blocks of a multiple of 8192 samples give the very values of the whole. (The official
    evaluator adds up float32, pairwise: of an hour of noise its SNR is within 1e-6 dB of this one.)

    Args:
        blocks: at least one; they are asked for again where near-perfect estimates need a second pass.

    Raises:
        ValueError: samples are NaN, infinite, masked, or of another type than `Waveforms` (says in which argument and
            row).
    """
    n, m, gram = _gram(blocks)
    energy = gram.diagonal()
    if not np.isfinite(energy).all():
        row = int(np.flatnonzero(~np.isfinite(energy))[0])
        raise ValueError(f"NaN or infinite samples in {_place(row, n, m)}")

    target = energy[n:m]
    # (N + 1, R): energies of reference − estimate; the last row is that of the mixture.
    both = np.append(energy[:n], energy[m])[:, None] + target[None, :]
    error = both - 2.0 * np.vstack([gram[:n, n:m], gram[m:, n:m]])
    small = error < _CANCELLATION * both
    small[n] = error[n] < _CANCELLATION * target
    if small.any():
        error[small] = _difference_energies(blocks, np.argwhere(small))
    gain = gram[n:m, m] / energy[m] if energy[m] > 0 else np.zeros_like(target)
    gain_error = np.maximum(target - gain * gram[n:m, m], 0.0)
    norm = np.sqrt(np.outer(energy[:n], energy[:n]))
    correlation = np.divide(gram[:n, :n], norm, out=np.zeros_like(norm), where=norm > 0)
    return PairScores(
        sdr=ratio_db(target[None, :], error[:n]),
        sdr_mixture=ratio_db(target, error[n]),
        sdr_gain=ratio_db(target, gain_error),
        correlation=np.clip(correlation, -1.0, 1.0),
        energy=energy[:n].copy(),
        reference_energy=target.copy(),
    )


def _gram(blocks: Blocks) -> tuple[int, int, Table]:
    """N, N + R, and the inner products of all rows (candidates, references, mixture), piece by piece: each sample is
    converted to float64 once.
    """
    # Below the diagonal lies everything but two corners. A product of one array with its own transpose would take
    # a BLAS path that is several times slower at this shape; two shifted views of it do not.
    n, m = 0, 0
    below, corners, scale = np.zeros((0, 0)), np.zeros(2), np.zeros(0)
    converted = np.empty((0, 0))
    for number, (estimate, reference, mixture) in enumerate(blocks()):
        rows = [*estimate, *reference, mixture]
        if number == 0:
            n, m = len(estimate), len(rows) - 1
            below = np.zeros((m, m))
            scale = np.array([_full_scale(row, _place(k, n, m)) for k, row in enumerate(rows)])
            converted = np.empty((len(rows), _BLOCK))
        for start in range(0, len(mixture), _BLOCK):
            part = converted[:, : min(_BLOCK, len(mixture) - start)]
            for row, out in zip(rows, part, strict=True):
                out[:] = row[start : start + _BLOCK]
            # infinite samples are refused by name later, without a warning of numpy's before
            with np.errstate(invalid="ignore", over="ignore"):
                below += part[1:] @ part[:-1].T
                corners += part[0] @ part[0], part[-1] @ part[-1]
    total = np.zeros((m + 1, m + 1))
    total[1:, :-1] = below
    total = np.tril(total, -1) + np.tril(total).T
    total[0, 0], total[-1, -1] = corners
    result: Table = total / np.outer(scale, scale)
    return n, m, result


def _difference_energies(blocks: Blocks, pairs: npt.NDArray[np.intp]) -> Table:
    """(P,), energies of the differences themselves of pairs (candidate, or N for the mixture; reference)."""
    sums = np.zeros(len(pairs))
    for estimate, reference, mixture in blocks():
        others = [*estimate, mixture]
        for k, (i, r) in enumerate(pairs):
            for start in range(0, len(mixture), _BLOCK):
                piece = slice(start, start + _BLOCK)
                difference = _as_float64(reference[r][piece]) - _as_float64(others[i][piece])
                sums[k] += difference @ difference
    return sums


def _place(row: int, n: int, m: int) -> str:
    """What a row is of N candidates, then references up to row `m`, then the mixture."""
    return f"estimate {row}" if row < n else f"reference {row - n}" if row < m else "the mixture"


def _as_float64(signal: Waveforms, name: str = "the signal") -> Table:
    scale = _full_scale(signal, name)
    return np.asarray(signal, dtype=np.float64) / scale


def _full_scale(signal: Waveforms, name: str) -> float:
    """What full scale 1.0 is in a signal; refuses what would have to be guessed."""
    if not isinstance(signal, np.ndarray):
        raise ValueError(f"{name} is a {type(signal).__name__}, expected a numpy array")
    if signal.dtype.kind not in "fi":  # unsigned PCM has its zero in the middle, a complex number two parts
        raise ValueError(f"{name} holds {signal.dtype}, expected floating samples, or signed integers (PCM)")
    if isinstance(signal, np.ma.MaskedArray) and np.ma.is_masked(signal):
        raise ValueError(f"{name} has masked samples; fill them, with array.filled(0.0), or cut them out")
    return 2.0 ** (8 * signal.dtype.itemsize - 1) if signal.dtype.kind == "i" else 1.0
