"""Training of the separator's map before and beside separation: which class every cell belongs to.

It teaches early what a target is, without any assignment of slots, and several times faster than the separation loss.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.data_manifests.labels import CLASSES
from s5eval.systems.multistage.models.deft_mamba import DeFTMambaUSS, cell_power
from s5eval.systems.training.batches import Batch

_LOUDNESS = 0.25
"""A cell's weight in the loss is its power to this power."""


class SegmentationTask(nn.Module):
    """The loss of a batch for `uss` alone, of which nothing is decoded."""

    def __init__(self, uss: DeFTMambaUSS, weight: float) -> None:
        """`weight` of the loss."""
        super().__init__()
        self.uss, self.weight = uss, weight
        self.segmentation = SegmentationHead(uss)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """As `SeparationTask.forward`."""
        loss = self.segmentation(self.uss.map(batch.mixture), batch, self.uss)
        return {"segmentation": self.weight * loss + idle(self.uss)}


def idle(module: nn.Module) -> Tensor:
    """Zero, with a gradient of zero for every parameter: several devices would wait in vain for one that has none."""
    return torch.stack([parameter.sum() for parameter in module.parameters()]).sum() * 0.0


class SegmentationHead(nn.Module):
    """Tells from the separator's map what share of a cell is every class's; thrown away afterwards."""

    def __init__(self, uss: DeFTMambaUSS) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.LayerNorm(uss.width), nn.Linear(uss.width, len(CLASSES)))

    def forward(self, cells: Tensor, batch: Batch, uss: DeFTMambaUSS) -> Tensor:
        """The loss of the map (B, T', F', D) of `uss` for a batch."""
        return segmentation_loss(self.head(cells), batch, uss)


def segmentation_loss(logits: Tensor, batch: Batch, network: DeFTMambaUSS) -> Tensor:
    """Which class every cell of the map belongs to: cross-entropy, summed over classes.

    A cell is told what share of its power is every class's.

    Args:
        logits: (B, T', F', classes).
        batch: the scenes.
        network: has the map.
    """
    slots = batch.labels.shape[1]
    mixture = cell_power(network, batch.omni)
    targets = cell_power(network, batch.targets.flatten(0, 1)).view(-1, slots, *mixture.shape[1:])
    share = targets / (mixture.unsqueeze(1) + 1e-12)
    classes = F.one_hot(batch.labels.clamp_min(0), logits.shape[-1]).to(logits.dtype) * batch.active.unsqueeze(-1)
    return cell_loss(logits, torch.einsum("bktf,bkc->btfc", share, classes), mixture)


def cell_loss(logits: Tensor, share: Tensor, mixture: Tensor) -> Tensor:
    """Binary cross-entropy of shares of the cells' power, summed over classes; loud cells count for more.

    Args:
        logits: (N, T', F', classes).
        share: of the same shape; above one counts as one.
        mixture: (N, T', F'), power of the mixture.
    """
    weight = mixture.pow(_LOUDNESS) + 1e-12
    weight = weight / weight.mean((1, 2), keepdim=True)
    loss = F.binary_cross_entropy_with_logits(logits, share.clamp_max(1.0), reduction="none").sum(-1)
    return (weight * loss).mean()
