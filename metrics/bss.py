"""SDR, SIR and SAR of BSS Eval, through mir_eval: a filter of 512 taps is allowed between reference and estimate.

About a second per ten-second source, so computed on request only.
Source: Vincent, Gribonval, Févotte, Performance measurement in blind audio source separation (IEEE TASLP 14-4, 2006).
"""

import inspect
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Signals = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class BssScores:
    """BSS Eval of P pairs, each (P,), dB; +inf SIR when no source can interfere.

    NaN where a pair has a silent side, and in all pairs where the references are filtered copies of each other, to the
    last bit: no projection on them is the one.
    """

    sdr: npt.NDArray[np.float64]
    sir: npt.NDArray[np.float64]
    sar: npt.NDArray[np.float64]


def bss_eval(*, estimate: Signals, reference: Signals, pairs: list[tuple[int, int]]) -> BssScores:
    """Score estimates against the references they are assigned to; all references count as possible interference.

    Args:
        estimate: (N, T), floating.
        reference: (R, T), floating.
        pairs: (estimate, reference) indices; a reference occurs at most once.

    Raises:
        ValueError: shapes do not fit, a sample is NaN or infinite, or a reference occurs twice.
    """
    if estimate.ndim != 2 or reference.ndim != 2 or estimate.shape[1] != reference.shape[1]:
        raise ValueError(f"expected estimate (N, T) and reference (R, T), got {estimate.shape} and {reference.shape}")
    for name, signals in (("estimate", estimate), ("reference", reference)):
        if len(bad := np.flatnonzero(~np.isfinite(signals).all(axis=1))):
            raise ValueError(f"NaN or infinite samples in {name} {bad[0]}")
    wanted = [r for _, r in pairs]
    if twice := sorted({r for r in wanted if wanted.count(r) > 1}):
        raise ValueError(f"reference {twice[0]} stands in {wanted.count(twice[0])} pairs, expected one at most")
    heard = [r for r in range(len(reference)) if np.any(reference[r])]
    scored = [(i, heard.index(r)) for i, r in pairs if r in heard and np.any(estimate[i])]
    result = {(i, heard[row]): values for (i, row), values in _evaluate(estimate, reference[heard], scored).items()}
    table = np.array([result.get(pair, (np.nan,) * 3) for pair in pairs], np.float64).reshape(len(pairs), 3)
    return BssScores(table[:, 0], table[:, 1], table[:, 2])


def _evaluate(
    estimate: Signals, reference: Signals, pairs: list[tuple[int, int]]
) -> dict[tuple[int, int], tuple[float, float, float]]:
    if not pairs:
        return {}
    from mir_eval.separation import bss_eval_sources

    # mir_eval wants an estimate for every reference; where there is none the reference stands in, and its row
    # is not read. `unwrap` takes off the notice that 0.9 will drop the function (the range in pyproject knows).
    stand_in = np.array(reference, np.float64)
    for i, row in pairs:
        stand_in[row] = estimate[i]
    try:
        with np.errstate(divide="ignore"):
            sdr, sir, sar, _ = inspect.unwrap(bss_eval_sources)(
                reference.astype(np.float64), stand_in, compute_permutation=False
            )
    except (np.linalg.LinAlgError, AttributeError) as error:
        # 0.8 looks for a singular matrix by a name that numpy 2 has not, and raises an AttributeError instead
        if not isinstance(error.__context__ or error, np.linalg.LinAlgError):
            raise
        return {}
    return {(i, row): (float(sdr[row]), float(sir[row]), float(sar[row])) for i, row in pairs}
