"""Gated root-mean-square normalisation, a few rows at a time both ways: what is in between never leaves the cache."""

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_EPS = 1e-5

_ROWS = 512
"""So many rows are taken at a time on a CPU."""


class GatedRMSNorm(nn.Module):
    """Root-mean-square normalisation of `x · SiLU(z)`, with a learned scale."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(..., width), (..., width) → (..., width)."""
        weight = self.weight.to(x.dtype)
        if not x.is_cpu or x.dtype not in (torch.float32, torch.float64) or z.dtype != x.dtype:
            return F.rms_norm(x * F.silu(z), (x.shape[-1],), weight, _EPS)
        return cast(Tensor, cast(Any, _GatedNorm).apply(x, z, weight))


class _GatedNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, z: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, z, weight)
        out = torch.empty(x.shape, dtype=x.dtype)
        for into, part, gates in _slabs(out, x, z):
            product = torch.sigmoid(gates).mul_(gates).mul_(part)
            torch.mul(product.mul_(_inverse_rms(product)), weight, out=into)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, z, weight = ctx.saved_tensors
        dx, dz = torch.empty(x.shape, dtype=x.dtype), torch.empty(z.shape, dtype=z.dtype)
        dweight = torch.zeros_like(weight)
        for dout, part, gates, dpart, dgates in _slabs(grads[0], x, z, dx, dz):
            sigmoid = torch.sigmoid(gates)
            silu = sigmoid * gates
            product = torch.mul(part, silu)
            scale = _inverse_rms(product)
            normal = product.mul_(scale)
            along = dout * normal
            dweight += along.sum(0)
            mean = along.mul_(weight).mean(-1, keepdim=True)
            dproduct = torch.addcmul(dout * weight, normal, mean, value=-1).mul_(scale)
            # the derivative of SiLU is sigmoid + SiLU · (1 − sigmoid)
            slope = torch.addcmul(sigmoid, silu, sigmoid, value=-1).add_(silu)
            torch.mul(slope.mul_(part), dproduct, out=dgates)
            torch.mul(dproduct, silu, out=dpart)
        return dx, dz, dweight


def _inverse_rms(rows: Tensor) -> Tensor:
    squares = torch.linalg.vector_norm(rows, dim=-1, keepdim=True).square_()
    inverse: Tensor = squares.div_(rows.shape[-1]).add_(_EPS).rsqrt_()
    return inverse


def _slabs(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The same few rows of all tensors (..., width)."""
    return zip(*(torch.split(tensor.reshape(-1, tensor.shape[-1]), _ROWS) for tensor in tensors), strict=True)
