"""The gated norm by rows against what it stands for."""

import pytest
import torch
from torch.nn import functional as F

from s5eval.systems.networks import gated_norm as module
from s5eval.systems.networks.gated_norm import GatedRMSNorm


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (2, 5, 8), (3, 700, 4)])
def test_equals_rms_norm_and_its_gradients(shape: tuple[int, ...]) -> None:
    norm = GatedRMSNorm(shape[-1])
    torch.nn.init.uniform_(norm.weight, -1, 1)
    x, wide = 3 * torch.randn(shape), torch.randn(*shape[:-1], 2 * shape[-1])
    z = wide[..., shape[-1] :]  # as the layer gives it: a part of something wider
    inputs = [t.detach().requires_grad_() for t in (x, z)] + [norm.weight]
    gradient = torch.randn(shape)
    expected = F.rms_norm(inputs[0] * F.silu(inputs[1]), shape[-1:], norm.weight, 1e-5)
    found = norm(*inputs[:2])
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6)
    wanted, got = (torch.autograd.grad(out, inputs, gradient) for out in (expected, found))
    for a, b in zip(got, wanted, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-4 * float(b.abs().max()))


def test_gradients_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 3)
    norm = GatedRMSNorm(5).double()
    x, z = (torch.randn(2, 4, 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x, z, _: norm(x, z), (x, z, norm.weight))


def test_silence_and_large_values() -> None:
    norm = GatedRMSNorm(4)
    x = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1e15, -1e15, 0.0, 1e15]], requires_grad=True)
    z = torch.tensor([[0.0, 1.0, -1.0, 2.0], [50.0, -50.0, 0.0, 200.0]], requires_grad=True)
    out = norm(x, z)
    out.sum().backward()
    assert torch.isfinite(out).all()
    assert x.grad is not None
    assert z.grad is not None
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(z.grad).all()


def test_half_precision_takes_the_plain_way() -> None:
    norm, x, z = GatedRMSNorm(8), torch.randn(3, 8).bfloat16(), torch.randn(3, 8).bfloat16()
    assert norm(x, z).dtype == torch.bfloat16
    assert torch.allclose(norm(x, z).float(), norm(x.float(), z.float()), atol=0.05)
