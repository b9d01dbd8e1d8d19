"""The loss against the metric it is, and its gradients against finite differences."""

from typing import Any

import numpy as np
import pytest
import torch

from s5eval.data_manifests.labels import NO_SOURCE
from s5eval.metrics.capi import capi_sdri
from s5eval.metrics.sdr import pairwise_sdr
from s5eval.systems.training.capi_loss import capi_sdri_loss

Scene = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def scene(batch: int = 12, slots: int = 3, length: int = 60, seed: int = 0, classes: int = 3) -> Scene:
    """Slots whose class is often that of a reference, repeated or absent on either side."""
    generator = torch.Generator().manual_seed(seed)
    references = 0.2 * torch.randn(batch, slots, length, generator=generator, dtype=torch.float64)
    estimates = references + 0.1 * torch.randn(batch, slots, length, generator=generator, dtype=torch.float64)
    mixture = references.sum(1) + 0.1 * torch.randn(batch, length, generator=generator, dtype=torch.float64)
    given, true = (torch.randint(NO_SOURCE, classes, (batch, slots), generator=generator) for _ in range(2))
    given[0], true[0] = NO_SOURCE, NO_SOURCE
    given[1] = NO_SOURCE
    true[2] = NO_SOURCE
    return estimates, references, mixture, given, true


def loss_of(made: Scene, reduction: str = "none", cap: float = 0.0) -> torch.Tensor:
    estimates, references, mixture, given, true = made
    return capi_sdri_loss(
        estimates, references, mixture, estimate_classes=given, reference_classes=true, cap=cap,
        reduction=reduction,  # type: ignore[arg-type]
    )  # fmt: skip


def metric_of(made: Scene) -> list[float | None]:
    found = []
    for estimates, references, mixture, given, true in zip(*made, strict=True):
        tables = pairwise_sdr(
            estimate=estimates[given >= 0].detach().numpy(), reference=references[true >= 0].numpy(),
            mixture=mixture.numpy(),
        )  # fmt: skip
        labels = [[str(int(c)) for c in side if c >= 0] for side in (given, true)]
        found.append(capi_sdri(tables, estimate_labels=labels[0], reference_labels=labels[1]).value)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_it_is_minus_the_metric_wherever_that_is_defined(seed: int) -> None:
    made = scene(batch=24, seed=seed)
    expected = metric_of(made)
    assert None in expected
    for value, loss in zip(expected, loss_of(made).tolist(), strict=True):
        assert np.isnan(loss) if value is None else loss == pytest.approx(-value, abs=1e-9)
    defined = [value for value in expected if value is not None]
    assert loss_of(made, "mean").item() == pytest.approx(-np.mean(defined), abs=1e-9)


def test_more_estimates_than_references_and_the_reverse_are_paired_as_the_metric_pairs_them() -> None:
    estimates, references, mixture, _, _ = scene(batch=6, slots=5)
    some = torch.zeros(6, 5, dtype=torch.long)
    few = some.clone()
    few[:, 2:] = NO_SOURCE
    for given, true in ((some, few), (few, some)):
        made = (estimates.flip(1), references, mixture, given, true)
        assert loss_of(made).tolist() == pytest.approx([-value for value in metric_of(made) if value is not None])


def test_gradients_are_those_of_finite_differences() -> None:
    estimates, *rest = scene(batch=6, slots=3, length=8)
    estimates.requires_grad_()

    def total(x: torch.Tensor) -> torch.Tensor:
        return loss_of((x, *rest), "mean")

    assert torch.autograd.gradcheck(total, (estimates,), eps=1e-7, atol=1e-5)
    (gradient,) = torch.autograd.grad(total(estimates), estimates)
    step = 1e-6
    flat = estimates.detach().flatten()
    for index in range(0, len(flat), 7):
        moved = [flat.clone(), flat.clone()]
        moved[0][index] -= step
        moved[1][index] += step
        low, high = (total(x.view_as(estimates)).item() for x in moved)
        assert gradient.flatten()[index].item() == pytest.approx((high - low) / (2 * step), abs=1e-4)


def test_slots_that_are_assigned_to_nothing_have_no_gradient() -> None:
    estimates, references, mixture, given, true = scene(batch=4)
    given[:], true[:] = torch.tensor([0, 1, NO_SOURCE]), torch.tensor([0, 2, NO_SOURCE])
    estimates.requires_grad_()
    loss_of((estimates, references, mixture, given, true), "mean").backward()
    assert estimates.grad is not None
    assert estimates.grad[:, 0].abs().sum(-1).gt(0).all()
    assert not estimates.grad[:, 1:].any()


def test_undefined_mixtures_carry_no_gradient_and_leave_the_mean_alone() -> None:
    estimates, references, mixture, given, true = scene(batch=3)
    estimates.requires_grad_()
    loss = loss_of((estimates, references, mixture, given, true))
    assert loss[0].isnan()
    loss[~loss.isnan()].sum().backward()
    assert estimates.grad is not None
    assert estimates.grad.isfinite().all()
    given[:], true[:] = NO_SOURCE, NO_SOURCE
    nothing = loss_of((estimates, references, mixture, given, true), "mean")
    assert (nothing.item(), nothing.requires_grad) == (0.0, True)
    empty = (estimates[:, :0], references[:, :0], mixture, given[:, :0], true[:, :0])
    assert loss_of(empty).isnan().all()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("where", range(3))
def test_audio_that_is_not_finite_gives_a_loss_that_a_training_refuses(where: int, value: float) -> None:
    made = scene(batch=4)
    made[3][3], made[4][3] = torch.tensor([0, 0, NO_SOURCE]), torch.tensor([0, NO_SOURCE, NO_SOURCE])
    made[0].requires_grad_()
    with torch.no_grad():
        made[where][3].view(-1, 60)[0, 5] = value
    mean = loss_of(made, "mean")
    assert mean.isnan()
    mean.backward()
    assert made[0].grad is not None
    assert not made[0].grad[3].isfinite().any()
    assert loss_of(made).isnan().tolist() == [True, False, False, True]


def test_what_stands_in_a_slot_without_a_class_is_nobodys_concern() -> None:
    estimates, *rest = scene(batch=3)
    rest[2][:, 2] = NO_SOURCE
    expected = loss_of((estimates, *rest), "mean")
    estimates[:, 2] = torch.nan
    assert loss_of((estimates, *rest), "mean").item() == expected.item()
    rest[2][:], rest[3][:] = NO_SOURCE, NO_SOURCE
    assert loss_of((estimates, *rest), "mean").item() == 0.0


def test_an_estimate_whose_energy_no_number_holds_is_as_bad_as_can_be() -> None:
    estimates, references, mixture, given, true = (part[:1] for part in scene(batch=3))
    given[:], true[:] = torch.tensor([0, 0, NO_SOURCE]), torch.tensor([0, 0, NO_SOURCE])
    estimates[0, 0] = 1e200
    assert loss_of((estimates, references, mixture, given, true), "mean").item() == torch.inf


@pytest.mark.parametrize(("given", "others"), [("bfloat16", "float32"), ("float16", "float16"), ("float32", "float32")])
def test_half_precision_is_computed_in_float32(given: str, others: str) -> None:
    estimates, references, mixture, *classes = scene(batch=6)
    signals = [
        signal.to(getattr(torch, kind))
        for signal, kind in zip((estimates, references, mixture), (given, others, others), strict=True)
    ]
    made, wide = (*signals, *classes), (*(signal.float() for signal in signals), *classes)
    for reduction in ("none", "mean"):
        loss = loss_of(made, reduction)  # type: ignore[arg-type]
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, loss_of(wide, reduction), rtol=0, atol=0, equal_nan=True)  # type: ignore[arg-type]
    classes[0][:], classes[1][:] = NO_SOURCE, NO_SOURCE
    assert loss_of((*signals, *classes), "mean").dtype == torch.float32  # type: ignore[arg-type]


def test_a_cap_bounds_what_a_perfect_estimate_earns_and_its_gradient_is_finite() -> None:
    _, references, mixture, given, _ = scene(batch=3)
    given[:] = torch.tensor([0, 1, 2])
    estimates = references.clone().requires_grad_()
    made = (estimates, references, mixture, given, given)
    uncapped, capped = loss_of(made), loss_of(made, cap=1e-3)
    assert (uncapped < capped - 20).all()
    (uncapped.sum() + capped.sum()).backward()
    assert estimates.grad is not None
    assert not estimates.grad.any()


def test_float32_is_kept_and_learns() -> None:
    estimates, references, mixture, given, true = scene(batch=8, slots=3)
    given[:] = true
    x = torch.zeros_like(estimates, dtype=torch.float32).requires_grad_()
    made = (x, references.float(), mixture.float(), given, true)
    assert loss_of(made).dtype == torch.float32
    before = loss_of((estimates.float(), *made[1:]), "mean").item()
    y = estimates.float().clone().requires_grad_()
    optimizer = torch.optim.SGD([y], lr=1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        loss_of((y, *made[1:]), "mean").backward()
        optimizer.step()
    assert loss_of((y.detach(), *made[1:]), "mean").item() < before - 1


def test_shapes_that_do_not_fit_are_refused() -> None:
    estimates, references, mixture, given, true = scene(batch=3)
    for wrong in (
        (estimates[0], references, mixture, given, true),
        (estimates, references, mixture[:, 1:], given, true),
        (estimates, references, mixture, given[:, 1:], true),
    ):
        with pytest.raises(ValueError, match=r"expected estimates \(B, N, T\)"):
            loss_of(wrong)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"reduction": "sum"}, "reduction is 'sum', expected 'none' or 'mean'"),
        ({"cap": -0.1}, "cap is -0.1"),
        ({"cap": float("nan")}, "cap is nan"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], problem: str) -> None:
    """Another reduction was the mean without a word, and a cap below 0 made every loss NaN."""
    estimates, references, mixture, given, true = scene(batch=3)
    with pytest.raises(ValueError, match=problem):
        capi_sdri_loss(estimates, references, mixture, estimate_classes=given, reference_classes=true, **options)


@pytest.mark.parametrize("kind", [torch.int16, torch.complex64])
@pytest.mark.parametrize(("place", "name"), list(enumerate(["estimates", "references", "mixture"])))
def test_samples_that_are_no_floating_numbers_are_refused_by_name(kind: torch.dtype, place: int, name: str) -> None:
    """Whole numbers were taken at a full scale of 1.0."""
    signals = list(scene(batch=3))
    signals[place] = signals[place].to(kind)
    with pytest.raises(ValueError, match=f"{name} are of {kind}"):
        loss_of(tuple(signals))
