"""The chunked scan against the recurrence it stands for, step by step in float64."""

import pytest
import torch
from torch import Tensor

from s5eval.systems.networks import ssd_scan as module
from s5eval.systems.networks.ssd_scan import ssd


def recurrence(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    state = x.new_zeros(x.shape[0], x.shape[2], B.shape[-1], x.shape[-1])
    outputs = []
    for x_t, dt_t, B_t, C_t in zip(x.unbind(1), dt.unbind(1), B.unbind(1), C.unbind(1), strict=True):
        state = torch.exp(dt_t * A)[..., None, None] * state + torch.einsum("ns,nhp->nhsp", B_t, dt_t[..., None] * x_t)
        outputs.append(torch.einsum("nhsp,ns->nhp", state, C_t) + D[:, None] * x_t)
    return torch.stack(outputs, 1)


def inputs(length: int, scale: float = 0.1, n: int = 3, heads: int = 2) -> list[Tensor]:
    return [
        torch.randn(n, length, heads, 8),
        scale * torch.rand(n, length, heads) + 1e-4,
        -16 * torch.rand(heads) - 1e-3,
        torch.randn(n, length, 16),
        torch.randn(n, length, 16),
        torch.randn(heads),
    ]


def relative(a: Tensor, b: Tensor) -> float:
    a, b = a.detach().double(), b.detach().double()
    return float((a - b).abs().max() / b.abs().max())


def compare(values: list[Tensor], dtype: torch.dtype, chunk: int) -> tuple[float, list[float]]:
    exact = [t.double().requires_grad_() for t in values]
    ours = [t.to(dtype).clone().requires_grad_() for t in values]
    expected, found = recurrence(*exact), ssd(*ours, chunk=chunk)
    gradient = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, exact, gradient)
    got = torch.autograd.grad(found, ours, gradient.to(dtype))
    return relative(found, expected), [relative(a, b) for a, b in zip(got, wanted, strict=True)]


@pytest.mark.parametrize("length", [1, 2, 7, 31, 32, 33, 100])
def test_equals_the_recurrence_in_float64(length: int) -> None:
    error, gradients = compare(inputs(length), torch.float64, 32)
    assert error < 1e-12
    # one step has no decay to differentiate by: the gradient of A is zero on both sides
    assert max(g for k, g in enumerate(gradients) if not (length == 1 and k == 2)) < 1e-10


@pytest.mark.parametrize("chunk", [1, 16, 64])
@pytest.mark.parametrize("scale", [1e-3, 0.1, 1.0])
def test_equals_the_recurrence_in_float32(chunk: int, scale: float) -> None:
    error, gradients = compare(inputs(150, scale), torch.float32, chunk)
    assert error < 1e-5
    assert max(gradients) < 1e-5


def test_safe_for_steps_that_forget_everything_next_to_steps_that_keep_everything() -> None:
    values = inputs(128)
    values[1] = torch.where(torch.arange(128)[:, None] % 64 < 32, torch.tensor(50.0), torch.tensor(1e-5)).expand(
        3, 128, 2
    )
    values[2] = torch.tensor([-20.0, -1.0])
    error, gradients = compare(values, torch.float32, 64)
    assert error < 1e-5
    assert max(gradients) < 1e-5


@pytest.mark.parametrize("bias", [-4.0, 0.0, 4.0, 8.0])
@pytest.mark.parametrize("spread", [1.0, 100.0])
@pytest.mark.parametrize("chunk", [16, 64])
def test_gradients_are_exact_however_fast_states_decay(bias: float, spread: float, chunk: int) -> None:
    values = inputs(200, heads=4)
    # as a layer makes them: next to nothing beside hundreds
    values[1] = torch.nn.functional.softplus(spread * torch.randn(3, 200, 4) + bias)
    values[2] = -torch.tensor([1.0, 4.0, 9.0, 16.0])
    error, gradients = compare(values, torch.float32, chunk)
    assert error < 1e-5
    assert max(gradients) < 1e-5
    assert error_of_rates(values, chunk) < 1e-4


def error_of_rates(values: list[Tensor], chunk: int) -> float:
    """Largest error of the gradient of A, of every head by its own size: that of a fast one may be a millionth."""
    exact = [t.double().requires_grad_() for t in values]
    ours = [t.clone().requires_grad_() for t in values]
    expected = recurrence(*exact)
    gradient = torch.randn_like(expected)
    (wanted,) = torch.autograd.grad(expected, [exact[2]], gradient)
    (got,) = torch.autograd.grad(ssd(*ours, chunk=chunk), [ours[2]], gradient.float())
    return float(((got.double() - wanted).abs() / wanted.abs()).max())


def test_taking_few_sequences_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = inputs(50, n=7)
    whole = compare(values, torch.float64, 16)
    monkeypatch.setattr(module, "_CACHE_BYTES", 1)
    assert max(whole[1]) < 1e-10
    assert max(compare(values, torch.float64, 16)[1]) < 1e-10


def test_autocast_keeps_the_scan_in_float32() -> None:
    values = inputs(40)
    expected = ssd(*values)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ssd(*values), expected)
    half = ssd(values[0].bfloat16(), *values[1:])
    assert half.dtype == torch.bfloat16
    assert relative(half, expected) < 2e-2


def test_gradients_need_not_be_asked_for() -> None:
    values = inputs(20)
    values[0].requires_grad_()
    ssd(*values).sum().backward()
    assert values[0].grad is not None


def test_shapes_that_do_not_fit_are_refused() -> None:
    x, dt, A, B, C, D = inputs(10)
    with pytest.raises(ValueError, match="shapes do not fit"):
        ssd(x, dt[:, :5], A, B, C, D)
    with pytest.raises(ValueError, match="one value for each of 2 heads"):
        ssd(x, dt, A[:1], B, C, D)
    with pytest.raises(ValueError, match="chunk is 0"):
        ssd(x, dt, A, B, C, D, chunk=0)
