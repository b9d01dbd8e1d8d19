"""What training minimises: separation in dB with assigned slots, and a classifier's two heads.

Signals are (B, K, T) with a mask of slots (B, K) that hold a source. All losses are in dB per mixture, or in nats for
the classifier. SA-SDR: von Neumann et al., arXiv 2110.00820; loss of silent mixtures: Wisdom et al., FUSS,
arXiv 2011.00803; unified loss per stage: Kwon et al., arXiv 2606.24512.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

CAP = 1e-3
"""Error energy relative to the target's below which nothing more is gained: 30 dB."""

SILENT_ENOUGH = 1e-2
"""Output energy relative to the mixture's below which a slot that should be silent is silent enough: −20 dB."""

_TINY = 1e-8


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which estimate was matched to which reference: `order` (B, K), `order[b, k]` the estimate of reference k."""

    order: Tensor

    def estimates(self, values: Tensor) -> Tensor:
        """(B, K, …) of the estimates → the same in the order of the references."""
        index = self.order.view(*self.order.shape, *[1] * (values.dim() - 2)).expand(-1, -1, *values.shape[2:])
        return values.gather(1, index)


def best_permutation(estimates: Tensor, references: Tensor) -> Assignment:
    """The permutation of least total error energy, which is that of the best SA-SDR; slots without source are zero.

    Args:
        estimates: (B, K, T).
        references: (B, K, T).
    """
    with torch.no_grad():
        # |s − y|² = |s|² − 2 s·y + |y|²; the outer terms are the same for every permutation
        return Assignment(best_choice(torch.bmm(references.double(), estimates.double().transpose(1, 2))))


def best_choice(gain: Tensor) -> Tensor:
    """Which of N numbers each of K slots is given, no two the same, so that gains (B, K, N) add up to most: (B, K)."""
    slots, among = gain.shape[1:]
    orders = permutations(slots, gain.device, among=among)
    total = gain[:, torch.arange(slots, device=gain.device), orders].sum(-1)
    return orders[total.argmax(1)]


def permutations(slots: int, device: torch.device, among: int | None = None) -> Tensor:
    """All ways to give each of `slots` slots another of `among` numbers (by default as many), (ways, slots)."""
    return torch.tensor(list(itertools.permutations(range(among or slots), slots)), device=device)


def sa_sdr_loss(estimates: Tensor, references: Tensor, mixture: Tensor) -> Tensor:
    """Negative source-aggregated SDR of assigned slots, dB; for a mixture without source, how loud the slots are.

    Args:
        estimates: (B, K, T), in the order of the references.
        references: (B, K, T), zero where a slot has no source.
        mixture: (B, T), the reference of levels.

    Returns:
        (B,): −10 log10(Σ|s|² / (Σ|s − y|² + CAP·Σ|s|²)), and where all s are zero,
        10 log10(Σ|y|² / |x|² + SILENT_ENOUGH).
    """
    level = mixture.square().sum(-1) + _TINY
    target = references.square().sum((1, 2)) / level
    error = (references - estimates).square().sum((1, 2)) / level
    silent = target <= _TINY
    safe = torch.where(silent, torch.ones_like(target), target)
    sdr = 10 * torch.log10(safe / (error + CAP * safe + _TINY))
    loudness = 10 * torch.log10(error + SILENT_ENOUGH)  # without references the error is the output
    return torch.where(silent, loudness, -sdr)


def source_snr_loss(estimates: Tensor, references: Tensor, active: Tensor) -> Tensor:
    """Negative SNR of every slot that has a source, dB, capped at 30: (B, K), zero elsewhere."""
    target = references.square().sum(-1)
    error = (references - estimates).square().sum(-1)
    safe = torch.where(active, target, torch.ones_like(target)).clamp_min(1e-12)
    ratio = torch.where(active, error / safe, torch.ones_like(error))
    return torch.where(active, 10 * torch.log10(ratio + CAP), torch.zeros_like(error))


def silent_slot_loss(estimates: Tensor, mixture: Tensor, active: Tensor) -> Tensor:
    """How loud slots without a source are, dB over −20 dB of the mixture: (B, K), zero elsewhere and at best."""
    level = mixture.square().sum(-1, keepdim=True) + _TINY
    loudness = 10 * torch.log10(estimates.square().sum(-1) / level + SILENT_ENOUGH) - 10 * torch.log10(
        torch.full_like(level, SILENT_ENOUGH)
    )
    return torch.where(active, torch.zeros_like(loudness), loudness)


def classification_loss(
    logits: Tensor, labels: Tensor, mixed: tuple[Tensor, Tensor] | None = None, *, smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy, nats, of logits (N, classes) with ArcFace's margin; zero, with a gradient, for N = 0.

    Args:
        logits: (N, classes).
        labels: (N,).
        mixed: (N,) labels of what was mixed in, −1 for nothing, and (N,) the share of `labels`: they share the weight.
        smoothing: share of the weight that all classes are given alike.
    """
    if len(labels) == 0:
        return logits.sum() * 0.0
    if mixed is None:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)
    other, share = mixed
    first, second = (F.one_hot(which.clamp_min(0), logits.shape[1]).to(logits.dtype) for which in (labels, other))
    wanted = share.unsqueeze(1) * first + (1.0 - share).unsqueeze(1) * second
    return F.cross_entropy(logits, wanted, label_smoothing=smoothing)


def silence_loss(logits: Tensor, active: Tensor) -> Tensor:
    """Mean binary cross-entropy, nats, of the silence logits (N,) against slots without a source."""
    return F.binary_cross_entropy_with_logits(logits, 1.0 - active.to(logits.dtype))


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """`x` itself, with its gradient multiplied by `factor`; at 0 it is cut off."""
    if factor == 0:
        return x.detach()
    return x if factor == 1 else x * factor + x.detach() * (1 - factor)
