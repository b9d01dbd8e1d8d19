"""Foreground objects made of clusters of directions: every source has a place, whatever it sounds like."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from s5eval.systems.multistage.models.direction_clusters import direction_shares
from s5eval.systems.networks.precision import at_least_float32, full_precision

_LITTLE = 1e-4
"""Part of a scene below which it does not matter how little a cluster is."""

_NEVER = -20.0
"""Logit of a cluster that the scene does not need."""

ChooseClusters = Callable[[Tensor, Tensor], Tensor]
"""From shares (B, T', F', K + 1) and logits (B, K) to the clusters (B, slots) that foreground objects are made of."""


@dataclass(frozen=True, slots=True)
class Directed:
    """A map seen by directions.

    Attributes:
        shared: (B, T', F', D), features that all objects have in common.
        marked: (B, T', F', D), features in as far as a cell is the object's.
        pooled: (B, slots, D), what is heard in the object's cluster as a whole.
        shares: (B, T', F', K + 1), of all clusters.
        own: (B, T', F', slots), of the chosen ones.
        logits: (B, K), of every cluster to hold a target.
        chosen: (B, slots), which clusters the objects are made of.
    """

    shared: Tensor
    marked: Tensor
    pooled: Tensor
    shares: Tensor
    own: Tensor
    logits: Tensor
    chosen: Tensor

    def features(self, k: int) -> Tensor:
        """Features (B, T', F', D) of foreground object k."""
        return self.shared + self.own[..., k : k + 1] * self.marked + self.pooled[:, k, None, None]


class DirectedObjects(nn.Module):
    """Foreground objects made of the clusters of directions that are the likeliest to hold a target.

    All objects have the same weights, so that what is learned of one is learned of all, and no two begin alike.
    """

    def __init__(self, width: int, clusters: int, slots: int) -> None:
        """D channels of the map, K clusters, foreground objects."""
        super().__init__()
        if slots > clusters:
            raise ValueError(f"{clusters} clusters are too few for {slots} objects")
        self.clusters, self.slots = clusters, slots
        self.norm = nn.LayerNorm(width)
        self.shared = nn.Linear(width, width)
        self.marked = nn.Linear(width, width)
        told = width + clusters + 2
        self.pooled = nn.Sequential(nn.LayerNorm(told), nn.Linear(told, width), nn.SiLU())
        self.context = nn.Linear(width, width)
        self.target = nn.Linear(width, 1)

    def forward(
        self, x: Tensor, spectrum: Tensor, pool: Callable[[Tensor], Tensor], choose: ChooseClusters | None
    ) -> Directed:
        """See the map (B, T', F', D) of spectra (B, channels, frames, bins) by directions.

        A cluster is judged by the mean of the map over its cells, of the other clusters' shares there, and by how
        much of the scene it is. `pool` is that of `direction_shares`; `choose` None: the likeliest clusters.
        """
        shares, weight = direction_shares(spectrum, pool, self.clusters)
        x = self.norm(x)
        with full_precision(x):  # rounding must not choose
            inside = shares[..., :-1] * weight.unsqueeze(-1)
            amount = inside.sum((1, 2)).clamp_min(1e-12)
            beside = torch.cat([at_least_float32(x), shares], -1)
            mean = torch.einsum("btfk,btfd->bkd", inside, beside) / amount.unsqueeze(-1)
            loudness = torch.log((amount / amount.sum(1, keepdim=True)).clamp_min(_LITTLE)).unsqueeze(-1)
            heard = self.pooled(torch.cat([mean, loudness], -1))
            logits = self.target(heard).squeeze(-1).masked_fill(inside.amax((1, 2)) == 0, _NEVER)
        chosen = logits.topk(self.slots, 1).indices if choose is None else choose(shares, logits)
        own = shares.gather(-1, chosen[:, None, None].expand(*shares.shape[:3], -1))
        context = self.context(heard).gather(1, chosen.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
        return Directed(self.shared(x), self.marked(x), context, shares, own, logits, chosen)
