"""How a clue steers the extraction network: a class through Res-FiLM, frame embeddings through Temporal-FiLM."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResFiLM(nn.Module):
    """Residual pair of convolutions whose first output is shifted and scaled by the class clue.

    `h = (h + β) · (1 + γ)`, shift first. What is added to the input starts at zero: the whole begins as the identity,
    and a network that has learned to separate is not disturbed. β and γ start at random, so that classes differ from
    the first step on. It is added at the level of the input, which no norm holds down: at a level of its own the clue
    of a trained network came to a hundredth of it, and was not heard. Group instead of batch normalisation: batches
    are a few slots.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.clue = nn.Linear(classes, 2 * width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.norm1 = nn.GroupNorm(1, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.norm2 = nn.GroupNorm(1, width)
        nn.init.normal_(self.clue.weight, std=0.5)
        nn.init.zeros_(self.clue.bias)
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        """Map (B, T, F, width) and class vectors (B, classes) → (B, T, F, width)."""
        h = self.norm1(self.conv1(x.permute(0, 3, 1, 2)))
        shift, scale = self.clue(classes)[:, :, None, None].chunk(2, 1)
        h = F.leaky_relu((h + shift) * (1 + scale), 0.01)
        h = self.norm2(self.conv2(h))
        level = x.square().mean((1, 2, 3), keepdim=True).sqrt()
        out: Tensor = x + level * h.permute(0, 2, 3, 1)
        return out


class FrameClue(nn.Module):
    """Projects frame embeddings and places them at the frames of the map; shared by all Temporal-FiLM layers."""

    def __init__(self, dimension: int, width: int) -> None:
        super().__init__()
        self.null = nn.Parameter(torch.zeros(dimension))
        self.norm = nn.LayerNorm(dimension)
        self.projection = nn.Linear(dimension, width)
        nn.init.normal_(self.null, std=1.0)

    def forward(self, embeddings: Tensor | None, positions: Tensor, batch: int) -> Tensor:
        """Embeddings at the map's frames.

        Args:
            embeddings: (B, N, dimension), N frames at a constant rate; None: the learned null embedding.
            positions: (T,) centres of the map's frames, counted in embedding frames; clamped to what there is.
            batch: B, for the null embedding.

        Returns:
            (B, T, width), linearly interpolated.
        """
        if embeddings is None:
            embeddings = self.null.expand(batch, 1, -1)
        projected = F.silu(self.projection(self.norm(embeddings)))
        place = positions.clamp(0, projected.shape[1] - 1)
        before = place.floor().long()
        after = (before + 1).clamp_max(projected.shape[1] - 1)
        weight = (place - before).to(projected.dtype).unsqueeze(-1)
        return projected[:, before] * (1 - weight) + projected[:, after] * weight

    def replace(self, embeddings: Tensor, absent: Tensor) -> Tensor:
        """For clue dropout in training: (B, N, dimension) with the null embedding where `absent` (B,) is true."""
        return torch.where(absent[:, None, None], self.null.to(embeddings.dtype), embeddings)


class TemporalFiLM(nn.Module):
    """Scale and shift per channel and frame, `x · (1 + γ(t)) + β(t)`; zero-initialised, hence the identity."""

    def __init__(self, clue_width: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(clue_width, 2 * width)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, clue: Tensor) -> Tensor:
        """Map (B, T, F, width) and clue (B, T, clue width) → (B, T, F, width)."""
        scale, shift = self.linear(clue).unsqueeze(2).chunk(2, -1)
        return torch.addcmul(shift, x, 1 + scale)
