"""Losses against brute force, and their gradients where nothing sounds."""

import itertools
import math

import pytest
import torch

from s5eval.systems.multistage.models.dpc import ArcFace
from s5eval.systems.training.losses import (
    CAP,
    SILENT_ENOUGH,
    best_permutation,
    classification_loss,
    sa_sdr_loss,
    scale_gradient,
    silence_loss,
    silent_slot_loss,
    source_snr_loss,
)


def scene(batch: int = 4, slots: int = 3, length: int = 50) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    references = torch.randn(batch, slots, length) * torch.rand(batch, slots, 1)
    references[1, 2] = 0
    references[2, 1:] = 0
    mixture = references.sum(1) + 0.1 * torch.randn(batch, length)
    return torch.randn(batch, slots, length), references, mixture


def test_the_assignment_is_the_best_of_all_permutations() -> None:
    estimates, references, mixture = scene(batch=20)
    matched = best_permutation(estimates, references).estimates(estimates)
    loss = sa_sdr_loss(matched, references, mixture)
    for b in range(20):
        every = [
            sa_sdr_loss(estimates[b : b + 1, list(order)], references[b : b + 1], mixture[b : b + 1]).item()
            for order in itertools.permutations(range(3))
        ]
        assert loss[b].item() == pytest.approx(min(every), abs=1e-5)


def test_sa_sdr_by_its_definition() -> None:
    estimates, references, mixture = scene()
    loss = sa_sdr_loss(estimates, references, mixture)
    for b in range(4):
        target = sum(v * v for v in references[b].flatten().tolist())
        error = sum(v * v for v in (references[b] - estimates[b]).flatten().tolist())
        assert loss[b].item() == pytest.approx(10 * math.log10((error + CAP * target) / target), abs=1e-3)


def test_a_perfect_estimate_reaches_the_cap_and_no_more() -> None:
    _, references, mixture = scene()
    assert sa_sdr_loss(references, references, mixture)[0].item() == pytest.approx(-30, abs=0.01)
    active = references.square().sum(-1) > 0
    snr = source_snr_loss(references, references, active)
    assert snr[active].tolist() == pytest.approx([-30] * int(active.sum()), abs=0.01)
    assert not snr[~active].any()


def test_a_mixture_without_source_is_judged_by_what_comes_out() -> None:
    mixture = torch.randn(2, 100)
    zero = torch.zeros(2, 3, 100)
    loud = torch.stack([mixture, 0 * mixture, 0 * mixture], 1)
    assert sa_sdr_loss(zero, zero, mixture).tolist() == pytest.approx([-20.0] * 2, abs=1e-4)
    assert sa_sdr_loss(loud, zero, mixture).tolist() == pytest.approx(
        [10 * math.log10(1 + SILENT_ENOUGH)] * 2, abs=1e-4
    )


def test_single_sources_by_their_definition() -> None:
    estimates, references, _ = scene()
    active = references.square().sum(-1) > 0
    loss = source_snr_loss(estimates, references, active)
    ratio = (references - estimates)[0, 0].square().sum() / references[0, 0].square().sum()
    assert loss[0, 0].item() == pytest.approx(10 * math.log10(ratio.item() + CAP), abs=1e-4)
    assert loss[2, 1].item() == 0


def test_silent_slots_cost_by_loudness() -> None:
    mixture = torch.randn(1, 100)
    estimates = torch.stack([mixture, 0 * mixture], 1)
    loss = silent_slot_loss(estimates, mixture, torch.tensor([[False, False]]))
    assert loss[0].tolist() == pytest.approx([10 * math.log10((1 + SILENT_ENOUGH) / SILENT_ENOUGH), 0], abs=1e-4)
    assert not silent_slot_loss(estimates, mixture, torch.tensor([[True, True]])).any()


@pytest.mark.parametrize("mixture_level", [0.0, 1.0])
@pytest.mark.parametrize("estimate_level", [0.0, 1.0])
def test_gradients_are_finite_where_nothing_sounds(mixture_level: float, estimate_level: float) -> None:
    estimates = (estimate_level * torch.randn(2, 3, 64)).requires_grad_()
    references, mixture = torch.zeros(2, 3, 64), mixture_level * torch.randn(2, 64)
    active = torch.zeros(2, 3, dtype=torch.bool)
    loss = sa_sdr_loss(estimates, references, mixture).mean()
    loss = loss + source_snr_loss(estimates, references, active).mean()
    loss = loss + silent_slot_loss(estimates, mixture, active).mean()
    loss.backward()
    assert torch.isfinite(loss)
    assert estimates.grad is not None
    assert torch.isfinite(estimates.grad).all()


def test_the_gradient_is_finite_for_a_perfect_estimate() -> None:
    _, references, mixture = scene()
    estimates = references.clone().requires_grad_()
    active = references.square().sum(-1) > 0
    (
        sa_sdr_loss(estimates, references, mixture).mean() + source_snr_loss(estimates, references, active).mean()
    ).backward()
    assert estimates.grad is not None
    assert torch.isfinite(estimates.grad).all()


def test_arcface_by_its_definition() -> None:
    head = ArcFace(6, 4, scale=32.0, margin=0.5)
    embeddings = torch.nn.functional.normalize(torch.randn(5, 6), dim=-1)
    labels = torch.tensor([0, 3, 1, 2, 2])
    total = 0.0
    for row, label in zip(embeddings, labels.tolist(), strict=True):
        cosines = [float(row @ w / w.norm()) for w in head.weight.detach()]
        angle = math.acos(max(-1.0, min(1.0, cosines[label])))
        turned = math.cos(angle + 0.5) if angle + 0.5 <= math.pi else math.cos(angle) - 0.5 * math.sin(0.5)
        logits = [32 * (turned if k == label else c) for k, c in enumerate(cosines)]
        total += math.log(sum(math.exp(v - max(logits)) for v in logits)) + max(logits) - logits[label]
    assert classification_loss(head(embeddings, labels), labels).item() == pytest.approx(total / 5, rel=1e-4)


def test_no_slot_with_a_source_is_a_loss_of_zero_with_a_gradient() -> None:
    logits = torch.randn(0, 18, requires_grad=True)
    loss = classification_loss(logits, torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0


def test_silence_is_the_positive_class() -> None:
    active = torch.tensor([True, False])
    assert silence_loss(torch.tensor([-9.0, 9.0]), active).item() < 0.001
    assert silence_loss(torch.tensor([9.0, -9.0]), active).item() > 5


@pytest.mark.parametrize("factor", [0.0, 0.25, 1.0])
def test_a_scaled_gradient_leaves_the_value(factor: float) -> None:
    x = torch.randn(3, requires_grad=True)
    y = scale_gradient(x, factor)
    torch.testing.assert_close(y, x)
    (y.sum() + 0 * x.sum()).backward()
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx([factor] * 3)


def test_mixed_sounds_share_the_weight_of_their_classes() -> None:
    logits = torch.randn(3, 5)
    labels, other, share = torch.tensor([0, 1, 4]), torch.tensor([2, -1, 4]), torch.tensor([0.7, 1.0, 0.6])
    logs = logits.log_softmax(1)
    expected = -(0.7 * logs[0, 0] + 0.3 * logs[0, 2] + logs[1, 1] + logs[2, 4]) / 3
    assert torch.allclose(classification_loss(logits, labels, (other, share)), expected)
    nothing = (torch.full_like(labels, -1), torch.ones(3))
    assert torch.allclose(classification_loss(logits, labels, nothing), classification_loss(logits, labels))


def test_smoothing_gives_all_classes_alike() -> None:
    logits, labels = torch.randn(3, 5), torch.tensor([0, 1, 4])
    logs = logits.log_softmax(1)
    expected = -(0.9 * logs[range(3), labels] + 0.1 * logs.mean(1)).mean()
    assert torch.allclose(classification_loss(logits, labels, smoothing=0.1), expected)
    mixed = (torch.full_like(labels, -1), torch.ones(3))
    assert torch.allclose(classification_loss(logits, labels, mixed, smoothing=0.1), expected)
