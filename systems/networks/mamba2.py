"""Mamba-2 (Dao & Gu, arXiv 2405.21060) with two back-ends behind one set of parameters, and its two-way form."""

import functools
import importlib
import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.systems.networks.gated_norm import GatedRMSNorm
from s5eval.systems.networks.precision import at_least_float32, full_precision
from s5eval.systems.networks.ssd_scan import CHUNK, ssd

_SLAB_STEPS = 1 << 13
"""Without gradients, a CPU takes sequences so many steps at a time: what they become in between stays in its cache."""

_SLAB_VALUES = 1 << 18
"""Likewise for the gradient of the convolution's taps."""


class Mamba2(nn.Module):
    """One Mamba-2 layer, causal along the sequence.

    Parameters carry the names and shapes of `mamba_ssm.Mamba2` (one group, no bias in the projections), so weights
    move both ways. On CUDA with an importable `mamba_ssm` the scan is that package's kernel, otherwise `ssd`.
    """

    def __init__(
        self, d_model: int, d_state: int, d_conv: int, expand: int, headdim: int, *, chunk: int = CHUNK
    ) -> None:
        """Sizes as in `mamba_ssm`; `chunk` is the plain-torch scan's and changes no result."""
        super().__init__()
        self.d_inner = expand * d_model
        if self.d_inner % headdim:
            raise ValueError(f"expand·d_model = {self.d_inner} is not a multiple of headdim = {headdim}")
        self.d_state, self.headdim, self.chunk = d_state, headdim, chunk
        heads = self.d_inner // headdim
        mixed = self.d_inner + 2 * d_state
        self.in_proj = nn.Linear(d_model, self.d_inner + mixed + heads, bias=False)
        self.conv1d = nn.Conv1d(mixed, mixed, d_conv, groups=mixed, padding=d_conv - 1)
        step = torch.exp(torch.empty(heads).uniform_(math.log(1e-3), math.log(1e-1)))
        self.dt_bias = nn.Parameter(step + torch.log(-torch.expm1(-step)))  # the inverse of softplus
        self.A_log = nn.Parameter(torch.empty(heads).uniform_(1, 16).log())
        self.D = nn.Parameter(torch.ones(heads))
        self.norm = GatedRMSNorm(self.d_inner)
        self.out_proj = nn.Linear(self.d_inner, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, d_model) → (B, L, width of `out_proj`)."""
        rows = max(1, _SLAB_STEPS // max(1, x.shape[1]))
        if x.is_cpu and len(x) > rows and not torch.is_grad_enabled():
            return torch.cat([self._run(part) for part in torch.split(x, rows)])
        return self._run(x)

    def _run(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        heads = len(self.D)
        z, mixed, dt = torch.split(self.in_proj(x), [self.d_inner, self.d_inner + 2 * self.d_state, heads], -1)
        u, B, C = torch.split(self._convolve(mixed), [self.d_inner, self.d_state, self.d_state], -1)
        dt = F.softplus(at_least_float32(dt) + self.dt_bias)
        A = -torch.exp(at_least_float32(self.A_log))
        u = u.reshape(batch, length, heads, self.headdim)
        kernel = _cuda_scan() if x.is_cuda and x.dtype != torch.float64 else None
        if kernel is None:
            y = ssd(u, dt, A, B, C, self.D, chunk=self.chunk)
        else:
            y = kernel(u, dt.to(u.dtype), A, B.unsqueeze(2).contiguous(), C.unsqueeze(2).contiguous(), 256, D=self.D)
        out: Tensor = self.out_proj(self.norm(y.reshape(batch, length, self.d_inner), z))
        return out

    def _convolve(self, mixed: Tensor) -> Tensor:
        taps, bias = self.conv1d.weight.squeeze(1), cast(Tensor, self.conv1d.bias)
        with full_precision(mixed):
            out = cast(Any, _CausalConvolution).apply(mixed, taps.to(mixed.dtype), bias.to(mixed.dtype))
        return F.silu(cast(Tensor, out))


class _CausalConvolution(torch.autograd.Function):
    """Depthwise convolution of (B, L, C) with taps (C, K), over the present and the K − 1 steps before.

    PyTorch's own backward pass of it takes longer on a CPU than the whole scan's; this one is a convolution again.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, taps)
        return _depthwise(x, taps, bias)[:, : x.shape[1]]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, taps = ctx.saved_tensors
        gradient = grads[0]
        reach, length = taps.shape[1] - 1, x.shape[1]
        dx = _depthwise(gradient, taps.flip(1), None)[:, reach:]
        dtaps, dbias = torch.zeros_like(taps), torch.zeros_like(taps[:, 0])
        rows = max(1, _SLAB_VALUES // max(1, x[0].numel())) if len(x) else 1
        for g, u in zip(torch.split(gradient, rows), torch.split(x, rows), strict=True):
            dbias += g.sum((0, 1))
            for k in range(min(reach + 1, length)):  # the tap k steps back
                dtaps[:, reach - k] += (g[:, k:] * u[:, : length - k]).sum((0, 1))
        return dx, dtaps, dbias


def _depthwise(x: Tensor, taps: Tensor, bias: Tensor | None) -> Tensor:
    # (B, L, C) → (B, L + K − 1, C); as a two-dimensional convolution with channels last nothing is transposed
    image = x.transpose(1, 2).unsqueeze(3).contiguous(memory_format=torch.channels_last)
    out = F.conv2d(image, taps[:, None, :, None], bias, padding=(taps.shape[1] - 1, 0), groups=len(taps))
    return out.squeeze(3).transpose(1, 2)


class BiMamba2(nn.Module):
    """Two Mamba-2 layers, one per direction; their outputs side by side.

    Each direction's `out_proj` keeps the inner width instead of returning to `d_model`, which gives the four-fold
    width after the two-way layer that DeFT-Mamba's figure shows (arXiv 2409.12413) at expand = 2.
    """

    def __init__(
        self, d_model: int, d_state: int, d_conv: int, expand: int, headdim: int, *, chunk: int = CHUNK
    ) -> None:
        """As `Mamba2`."""
        super().__init__()
        self.ahead = Mamba2(d_model, d_state, d_conv, expand, headdim, chunk=chunk)
        self.back = Mamba2(d_model, d_state, d_conv, expand, headdim, chunk=chunk)
        self.width = 2 * self.ahead.d_inner
        for layer in (self.ahead, self.back):
            layer.out_proj = nn.Linear(layer.d_inner, layer.d_inner, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, d_model) → (B, L, 2·expand·d_model); swapping the layers reverses time and swaps the halves."""
        return torch.cat([self.ahead(x), self.back(x.flip(1)).flip(1)], -1)


@functools.cache
def _cuda_scan() -> Callable[..., Tensor] | None:
    try:
        module = importlib.import_module("mamba_ssm.ops.triton.ssd_combined")
    except (ImportError, RuntimeError):  # its extensions may be built for another torch, or there is no Triton
        return None
    return cast(Callable[..., Tensor], module.mamba_chunk_scan_combined)
