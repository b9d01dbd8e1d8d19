"""CAPI-SDRi as something to minimise: the official metric of labelled slots, with gradients.

The value is the metric's (`s5eval.metrics.capi`); pairs are assigned without a gradient, which is exact wherever the
assignment does not change. Labels are given, not learnt: a wrong label costs entries of 0 dB that no waveform can
win back, so a classifier is trained beside it (`classification_loss`, `silence_loss`). And the metric rewards
silence: the zero waveform is worth −SNR of the mixture, more than 0 dB wherever a target is weaker than the rest.
Source: `nttcslab/dcase2026_task4_baseline`, commit 20e6992, `src/evaluation/metrics`.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from s5eval.data_manifests.labels import NO_SOURCE

EPSILON = torch.finfo(torch.float32).eps
"""What the official evaluator adds to both energies."""

_WORST = 1e6
"""dB: below minus this is no signal; for energies that are not finite."""


def capi_sdri_loss(
    estimates: Tensor,
    references: Tensor,
    mixture: Tensor,
    *,
    estimate_classes: Tensor,
    reference_classes: Tensor,
    cap: float = 0.0,
    reduction: Literal["none", "mean"] = "mean",
) -> Tensor:
    """Negative CAPI-SDRi, dB.

    Args:
        estimates: (B, N, T), floating; N may be 0.
        references: (B, R, T); R may be 0.
        mixture: (B, T), channel 0.
        estimate_classes: (B, N), whole numbers: the class of each slot, `NO_SOURCE` for one that is no estimate.
        reference_classes: (B, R), likewise.
        cap: error energy relative to the target's below which nothing more is gained (0.001: 30 dB); 0: the metric
            itself, where one near-perfect pair, of up to 98 dB, outweighs a batch.
        reduction: `mean`: over the mixtures for which the metric is defined, as the corpus value; `none`: (B,).

    Returns:
        The loss, in float32, or in float64 where a signal is; half precision is computed in float32. Where the metric
        is undefined (neither an estimate nor a reference), `none` has NaN, which carries no gradient to the estimates,
        and `mean` leaves the mixture out; with none defined, `mean` is 0. Where NaN or an infinite value stands in the
        mixture or in a slot that has a class, both are NaN: a training refuses such a loss, and names it. Gradients of
        slots that are assigned to nothing are 0.

    Raises:
        ValueError: shapes do not fit, signals are no floats, `cap` is below 0, or `reduction` is another word.

    >>> cough, pour = 0.1 * torch.randn(2, 3200, generator=torch.Generator().manual_seed(0))
    >>> estimate = (cough + 0.1 * pour).requires_grad_()
    >>> loss = capi_sdri_loss(
    ...     estimate[None, None], torch.stack([cough, pour])[None], (cough + pour)[None],
    ...     estimate_classes=torch.tensor([[5]]), reference_classes=torch.tensor([[5, 14]]),
    ... )
    >>> loss.backward()
    >>> round(loss.item(), 1), bool(estimate.grad.any())
    (-10.0, True)
    """
    _check_shapes(estimates, references, mixture, estimate_classes, reference_classes)
    for name, signals in (("estimates", estimates), ("references", references), ("mixture", mixture)):
        if not signals.is_floating_point():
            raise ValueError(f"{name} are of {signals.dtype}, expected floating samples at full scale 1.0")
    if not cap >= 0:
        raise ValueError(f"cap is {cap}, expected a share of 0 or more")
    if reduction not in ("none", "mean"):
        raise ValueError(f"reduction is {reduction!r}, expected 'none' or 'mean'")
    # energies of long signals do not fit into half precision
    kind = torch.promote_types(torch.promote_types(estimates.dtype, references.dtype), torch.float32)
    kind = torch.promote_types(kind, mixture.dtype)
    estimates, references, mixture = (signals.to(kind) for signals in (estimates, references, mixture))
    sound = _finite(estimates, estimate_classes) & _finite(references, reference_classes) & mixture.isfinite().all(-1)
    target = references.square().sum(-1)
    reference_sdr = _ratio_db(target, (references - mixture[:, None]).square().sum(-1))
    values, defined = [], []
    for b, finite in enumerate(sound.tolist()):
        (n, r), entries = _assigned(estimates[b], references[b], estimate_classes[b], reference_classes[b])
        if entries == 0:
            values.append(estimates.new_full((), torch.nan))
            continue
        defined.append(b)
        if not finite:
            values.append(estimates[b].sum() * torch.nan)
            continue
        error = (references[b, r] - estimates[b, n]).square().sum(-1)
        improvement = _ratio_db(target[b, r], error + cap * target[b, r]) - reference_sdr[b, r]
        values.append(-improvement.sum() / entries)
    loss = torch.stack(values) if values else estimates.new_zeros(0)
    if reduction == "none":
        return loss
    return loss[defined].mean() if defined else estimates[:, :0].sum()  # 0, and there is a gradient


def _finite(signals: Tensor, classes: Tensor) -> Tensor:
    """(B,): whether all samples of slots that have a class are finite."""
    return (signals.isfinite().all(-1) | (classes == NO_SOURCE)).all(-1)


def _assigned(
    estimates: Tensor, references: Tensor, estimate_classes: Tensor, reference_classes: Tensor
) -> tuple[tuple[list[int], list[int]], int]:
    """Numbers of the assigned estimates and references of one mixture, and how many entries its mean has."""
    chosen: tuple[list[int], list[int]] = ([], [])
    given, true = estimate_classes.tolist(), reference_classes.tolist()
    entries = 0
    for label in sorted({*given, *true} - {NO_SOURCE}):
        rows = [n for n, name in enumerate(given) if name == label]
        columns = [r for r, name in enumerate(true) if name == label]
        entries += max(len(rows), len(columns))
        if rows and columns:
            snr = _snr(estimates[rows], references[columns])
            for i, j in zip(*linear_sum_assignment(snr, maximize=True), strict=True):
                chosen[0].append(rows[i])
                chosen[1].append(columns[j])
    return chosen, entries


@torch.no_grad()
def _snr(estimates: Tensor, references: Tensor) -> npt.NDArray[np.float64]:
    """(N, R), dB, for the assignment alone."""
    target = references.double().square().sum(-1)
    error = torch.stack([(references.double() - row).square().sum(-1) for row in estimates.double()])
    table: npt.NDArray[np.float64] = _ratio_db(target, error).cpu().numpy()
    return np.nan_to_num(table, nan=-_WORST, posinf=_WORST, neginf=-_WORST)  # scipy takes finite numbers alone


def _ratio_db(signal: Tensor, error: Tensor) -> Tensor:
    return 10 * torch.log10((signal + EPSILON) / (error + EPSILON))


def _check_shapes(
    estimates: Tensor, references: Tensor, mixture: Tensor, estimate_classes: Tensor, reference_classes: Tensor
) -> None:
    fits = (
        estimates.dim() == references.dim() == 3
        and mixture.dim() == 2
        and estimates.shape[0] == references.shape[0] == mixture.shape[0]
        and estimates.shape[2] == references.shape[2] == mixture.shape[1]
        and estimate_classes.shape == estimates.shape[:2]
        and reference_classes.shape == references.shape[:2]
    )
    if not fits:
        shapes = (estimates, references, mixture, estimate_classes, reference_classes)
        raise ValueError(
            "expected estimates (B, N, T), references (B, R, T), mixture (B, T), classes (B, N) and (B, R); got "
            + ", ".join(str(tuple(part.shape)) for part in shapes)
        )
