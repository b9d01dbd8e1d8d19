"""The hybrid block of DeFT-Mamba (arXiv 2409.12413, framework figure): gated convolution, attention and Mamba
feed-forward along one axis of the time-frequency map, every sequence for itself.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from s5eval.systems.multistage.sizes import SeparatorSizes
from s5eval.systems.networks.mamba2 import BiMamba2
from s5eval.systems.networks.mish import mish
from s5eval.systems.networks.sizes import Mamba2Sizes

_SLAB_STEPS = {"cpu": 1 << 14}
_SLAB_STEPS_ELSEWHERE = 1 << 21
"""Without gradients, sequences are taken so many steps at a time, which bounds the memory of the wide inner layers."""


class GatedConvolution(nn.Module):
    """Twin convolutions over unfolded steps, one gating the other: `a · Mish(g)`.

    A step of the unfolded sequence holds G neighbouring steps; the convolutions run over `kernel` of those. Both
    together are one convolution with G + kernel − 1 taps, and are computed as that: half the products at G = 4.
    """

    def __init__(self, width: int, unfold: int, kernel: int) -> None:
        """`width` channels in and out, G = `unfold`, an odd `kernel`."""
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel {kernel} is even, expected an odd number of taps")
        self.weight = nn.Parameter(torch.empty(kernel, unfold, width, 2 * width))
        self.bias = nn.Parameter(torch.empty(2 * width))
        bound = (kernel * unfold * width) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, width) → (B, L − G + 1, width)."""
        kernel, unfold, width, _ = self.weight.shape
        taps = self.weight.new_zeros(unfold + kernel - 1, width, 2 * width)
        for k in range(kernel):
            taps = taps + F.pad(self.weight[k], (0, 0, 0, 0, k, kernel - 1 - k))
        a, g = F.linear(windows(x, len(taps), kernel // 2), taps.flatten(0, 1).t(), self.bias).chunk(2, -1)
        return a * mish(g)


class Restore(nn.Module):
    """Transposed convolution with `taps` taps: gives back the steps that unfolding took."""

    def __init__(self, width: int, taps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(taps, width, width))
        self.bias = nn.Parameter(torch.empty(width))
        bound = (taps * width) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L − taps + 1, width) → (B, L, width)."""
        taps = len(self.weight)
        return F.linear(windows(x, taps, taps - 1), self.weight.flatten(0, 1).t(), self.bias)


def windows(x: Tensor, taps: int, padding: int) -> Tensor:
    """(B, L, D) → (B, L + 2·padding − taps + 1, taps·D): neighbouring steps side by side, zeros beyond the ends."""
    return F.pad(x, (0, 0, padding, padding)).unfold(1, taps, 1).transpose(2, 3).flatten(2)


class Attention(nn.Module):
    """Multi-head self-attention along the sequence."""

    def __init__(self, width: int, heads: int, head_dim: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * heads * head_dim)
        self.proj = nn.Linear(heads * head_dim, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, width) → (B, L, width)."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        heads = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        out: Tensor = self.proj(heads.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """`Linear(Mish(wide(x)))`, where `wide` is a two-way Mamba-2 layer or, without Mamba, a linear one."""

    def __init__(self, width: int, mamba: Mamba2Sizes, dropout: float, *, use_mamba: bool) -> None:
        super().__init__()
        wide = 2 * mamba.expand * width
        self.wide: nn.Module = (
            BiMamba2(width, mamba.d_state, mamba.d_conv, mamba.expand, mamba.headdim, chunk=mamba.chunk)
            if use_mamba
            else nn.Linear(width, wide)
        )
        self.dropout = nn.Dropout(dropout)
        self.narrow = nn.Linear(wide, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, width) → (B, L, width)."""
        out: Tensor = self.narrow(self.dropout(mish(self.wide(x))))
        return out


class Hybrid(nn.Module):
    """Gated convolution, attention and feed-forward, each on normalised input, around one outer residual.

    Without Mamba the block does not unfold, and restores by a linear map of each step (DeepASA's plain block, arXiv
    2509.17247).
    """

    def __init__(self, sizes: SeparatorSizes, mamba: Mamba2Sizes, *, use_mamba: bool) -> None:
        super().__init__()
        width = sizes.width
        self.unfold = sizes.unfold if use_mamba else 1
        self.checkpointing = False
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.convolution = GatedConvolution(width, self.unfold, sizes.kernel)
        self.attention = Attention(width, sizes.heads, sizes.head_dim, sizes.dropout)
        self.feed_forward = FeedForward(width, mamba, sizes.dropout, use_mamba=use_mamba)
        self.restore = Restore(width, self.unfold)

    def forward(self, x: Tensor) -> Tensor:
        """(N, L, width) → (N, L, width), any L from 1 on; with `checkpointing`, activations are recomputed."""
        if not torch.is_grad_enabled():
            step = max(1, _SLAB_STEPS.get(x.device.type, _SLAB_STEPS_ELSEWHERE) // x.shape[1])
            out = torch.empty_like(x)
            for first in range(0, len(x), step):
                out[first : first + step] = self._block(x[first : first + step])
            return out
        if self.checkpointing:
            return cast(Tensor, checkpoint(self._block, x, use_reentrant=False))
        return self._block(x)

    def _block(self, x: Tensor) -> Tensor:
        # A sequence shorter than the unfolding needs is extended by zeros, which are cut off again.
        short = max(0, self.unfold - x.shape[1])
        y = self.convolution(F.pad(self.norms[0](x), (0, 0, 0, short)))
        y = y + self.attention(self.norms[1](y))
        y = y + self.feed_forward(self.norms[2](y))
        restored = self.restore(y)
        out: Tensor = x + (restored[:, : x.shape[1]] if short else restored)
        return out
