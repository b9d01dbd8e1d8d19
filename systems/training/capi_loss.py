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
        The loss, in the type of the estimates. Where the metric is undefined (neither an estimate nor a reference),
        `none` has NaN, which carries no gradient to the estimates, and `mean` leaves the mixture out; with none
        defined, `mean` is 0. Gradients of slots that are assigned to nothing are 0.

    Raises:
        ValueError: shapes do not fit.

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
    target = references.square().sum(-1)
    reference_sdr = _ratio_db(target, (references - mixture[:, None]).square().sum(-1))
    values = []
    for b in range(len(mixture)):
        pairs, entries = _assigned(estimates[b], references[b], estimate_classes[b], reference_classes[b])
        if entries == 0:
            values.append(estimates.new_full((), torch.nan))
            continue
        n, r = pairs
        error = (references[b, r] - estimates[b, n]).square().sum(-1)
        improvement = _ratio_db(target[b, r], error + cap * target[b, r]) - reference_sdr[b, r]
        values.append(-improvement.sum() / entries)
    loss = torch.stack(values) if values else estimates.new_zeros(0)
    if reduction == "none":
        return loss
    defined = loss[~loss.isnan()]
    return defined.mean() if len(defined) else estimates.sum() * 0.0


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
    return table


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
