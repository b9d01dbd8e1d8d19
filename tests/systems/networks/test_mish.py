"""Mish against PyTorch's own."""

import pytest
import torch
from torch.nn import functional as F

from s5eval.systems.networks.mish import mish


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 3e-6), (torch.float64, 1e-14)])
def test_values_and_gradients_equal_pytorchs_at_both_ends(dtype: torch.dtype, tolerance: float) -> None:
    x = torch.cat([torch.linspace(-100, 100, 4001), torch.linspace(-3, 3, 1001), torch.tensor([0.0])]).to(dtype)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    weight = torch.linspace(0.5, 2.0, len(x), dtype=dtype)
    values, expected = mish(ours), F.mish(theirs)
    (values * weight).sum().backward()
    (expected * weight).sum().backward()
    assert ours.grad is not None and theirs.grad is not None
    torch.testing.assert_close(values, expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_pytorchs_within_its_last_digit(dtype: torch.dtype) -> None:
    x = torch.linspace(-40, 40, 4001).to(dtype)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    values, expected = mish(ours), F.mish(theirs)
    values.sum().backward()
    expected.sum().backward()
    assert values.dtype == dtype and ours.grad is not None and theirs.grad is not None and ours.grad.dtype == dtype
    digit = 2 * torch.finfo(dtype).eps
    torch.testing.assert_close(values, expected, rtol=digit, atol=digit)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=digit, atol=digit)


def test_what_is_not_a_number_stays_so() -> None:
    assert mish(torch.tensor([float("nan")])).isnan().all()
