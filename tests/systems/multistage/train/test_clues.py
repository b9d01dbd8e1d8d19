"""What stages 2 and 3 are told in training, and what the taggers hear."""

from typing import Any

import pytest
import torch

from s5eval.systems.multistage.train.extraction import Slots, choose_slots, disturb
from s5eval.systems.multistage.train.recipe import ClueSettings
from s5eval.systems.training.data import Batch


def slots(n: int = 400) -> Slots:
    labels = torch.full((n,), 3)
    labels[n // 2 :] = -1
    target = torch.randn(n, 64) * (labels >= 0).unsqueeze(1)
    return Slots(torch.randn(n, 4, 64), torch.randn(n, 64), target, labels, torch.full((n,), 7), torch.arange(n), 18)


def settings(**changes: float) -> ClueSettings:
    none: dict[str, Any] = {
        "true_class": 0.0, "random_class": 0.0, "true_enrollment": 0.0, "no_embedding": 0.0, "silent_share": 0.5,
    }  # fmt: skip
    return ClueSettings(**{**none, **changes})


def test_without_disturbance_the_earlier_stage_is_believed() -> None:
    s = slots()
    enrollment, told = disturb(s, settings())
    assert torch.equal(enrollment, s.audio)
    assert torch.equal(told, s.predicted)


def test_true_classes_go_to_slots_with_a_source_only() -> None:
    s = slots()
    _, told = disturb(s, settings(true_class=1.0))
    assert (told[:200] == 3).all()
    assert (told[200:] == 7).all()


def test_shares_are_as_asked_for() -> None:
    s = slots(4000)
    _, told = disturb(s, settings(true_class=0.5, random_class=0.1))
    active = told[:2000]
    assert (active == 3).double().mean().item() == pytest.approx(0.5, abs=0.05)
    assert ((active != 3) & (active != 7)).double().mean().item() == pytest.approx(0.1 * 16 / 18, abs=0.03)


def test_true_enrollments_are_noisy_references() -> None:
    s = slots()
    enrollment, _ = disturb(s, settings(true_enrollment=1.0))
    assert torch.equal(enrollment[200:], s.audio[200:])
    error = (enrollment - s.target)[:200].square().sum(1) / s.target[:200].square().sum(1)
    decibels = -10 * torch.log10(error)
    assert decibels.min() > -4
    assert decibels.max() < 24
    assert decibels.std() > 3


@pytest.mark.parametrize(("active", "silent", "chosen"), [(4, 8, 6), (3, 8, 4), (4, 1, 5), (0, 6, 1), (3, 0, 3)])
def test_few_silent_slots_are_trained_on(active: int, silent: int, chosen: int) -> None:
    mask = torch.cat([torch.ones(active), torch.zeros(silent)]).bool()
    rows = choose_slots(mask, 0.5)
    assert len(rows) == chosen
    assert set(range(active)) <= set(rows.tolist())
    assert rows.tolist() == sorted(set(rows.tolist()))


def test_estimates_are_put_back_among_all_slots(batch: Batch) -> None:
    b = batch
    every = Slots.of(b, torch.zeros(6, 6400), 18)
    some = every.pick(torch.tensor([1, 5]))
    audio = torch.randn(2, 6400)
    whole = some.spread(audio, b)
    assert whole.shape == b.targets.shape
    assert torch.equal(whole[0, 1], audio[0])
    assert torch.equal(whole[1, 2], audio[1])
    assert not whole[0, 0].any()
