"""What stages 2 and 3 are told in training, and what the taggers hear."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from s5eval.systems.multistage.training.classification import SlotSource
from s5eval.systems.multistage.training.extraction import EarlierStages, Slots, choose_slots, disturb
from s5eval.systems.multistage.training.multistage_recipe import ClueSettings
from s5eval.systems.training.batches import Batch
from s5eval.systems.training.training_plan import TrainingPlan

ToyPlan = Callable[..., TrainingPlan]


def slots(n: int = 400) -> Slots:
    labels = torch.full((n,), 3)
    labels[n // 2 :] = -1
    target = torch.randn(n, 64) * (labels >= 0).unsqueeze(1)
    dead = torch.zeros(n, dtype=torch.bool)
    places = torch.arange(n)
    scenes = places % (n // 2)  # of two slots each, one with a source
    predicted = torch.full((n,), 7)
    return Slots(torch.randn(n, 4, 64), torch.randn(n, 64), target, labels, predicted, dead, places, scenes, 18)


def settings(**changes: float) -> ClueSettings:
    none: dict[str, Any] = {
        "undisturbed": 0.0, "true_class": 0.0, "random_class": 0.0, "true_enrollment": 0.0, "leak": 0.0,
        "mixture_enrollment": 0.0, "no_embedding": 0.0, "runner_up": 0.0, "second_pass": 0.0, "silent_share": 0.5,
    }  # fmt: skip
    return ClueSettings(**{**none, **changes})


def test_without_disturbance_the_earlier_stage_is_believed() -> None:
    s = slots()
    enrollment, told, _ = disturb(s, settings())
    assert torch.equal(enrollment, s.audio)
    assert torch.equal(told, s.predicted)


def test_undisturbed_slots_are_told_what_they_are_at_inference() -> None:
    s = slots(4000)
    all_of_it = {"true_class": 1.0, "true_enrollment": 1.0, "leak": 1.0}
    enrollment, told, undisturbed = disturb(s, settings(undisturbed=0.3, **all_of_it))
    assert len(undisturbed) == pytest.approx(1200, abs=120)
    assert torch.equal(enrollment[undisturbed], s.audio[undisturbed])
    assert torch.equal(told[undisturbed], s.predicted[undisturbed])
    others = torch.ones(4000, dtype=torch.bool)
    others[undisturbed] = False
    others[2000:] = False
    assert (told[others] == 3).all()
    assert not (enrollment[others] == s.audio[others]).all(1).any()
    assert len(disturb(s, settings(**all_of_it))[2]) == 1  # a classifier has something to learn from


def test_the_second_guess_stands_for_the_first_as_often_as_is_asked() -> None:
    """What a classifier scores 2, 9, 5 for classes 4, 7, 11: mostly 7, else 11; without it nothing is drawn."""
    many = 4000

    def classifier(features: Tensor, tokens: object, level: object) -> SimpleNamespace:
        plain = torch.full((len(features), 18), -3.0)
        plain[:, [4, 7, 11]] = torch.tensor([2.0, 9.0, 5.0])
        return SimpleNamespace(plain=plain, silence=torch.zeros(len(features)))

    def predicted(runner_up: float) -> Tensor:
        def m2d(audio: Tensor) -> Tensor:
            return audio

        earlier = EarlierStages(None, None, (), m2d, None, "estimate", 0.97, 18, None, runner_up)  # type: ignore[arg-type]
        s = slots(many)
        earlier._classify(classifier, torch.zeros(many, 1), s)  # type: ignore[arg-type]
        return s.predicted

    torch.manual_seed(0)
    told = predicted(0.2)
    assert set(told.tolist()) == {7, 11}
    assert (told == 11).double().mean().item() == pytest.approx(0.2, abs=0.03)
    torch.manual_seed(0)
    slots(many)
    before = torch.random.get_rng_state()
    torch.manual_seed(0)
    assert (predicted(0.0) == 7).all()
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("runner_up", [0.0, 0.25])
def test_kept_slots_say_by_which_guesses_they_were_made(toy_plan: ToyPlan, runner_up: float) -> None:
    plan = toy_plan("names2", slots={"scenes": 4}, clues={"runner_up": runner_up})
    source = SlotSource(plan, {}, None, None)  # type: ignore[arg-type]
    assert source.made_by.get("runner_up", 0.0) == runner_up
    assert ("runner_up" in source.made_by) == (runner_up > 0), "slots of before it was there are still the same"


def test_an_enrollment_that_is_the_mixture_leaves_the_class_alone_to_tell() -> None:
    s = slots(4000)
    enrollment, told, undisturbed = disturb(s, settings(leak=0.5, mixture_enrollment=0.4))
    whole = ((enrollment - s.mixture[:, 0]).abs() < 1e-5).all(1)
    assert whole.double().mean().item() == pytest.approx(0.2, abs=0.03)
    assert not whole[undisturbed].any()
    assert (told[:2000][whole[:2000]] == 3).all() and (told[2000:][whole[2000:]] != 3).all()


def test_the_rest_of_the_mixture_leaks_into_slots_whose_class_tells_what_is_meant() -> None:
    s = slots(4000)
    enrollment, told, undisturbed = disturb(s, settings(leak=0.5))
    rest = s.mixture[:, 0] - s.audio
    leak = ((enrollment - s.audio) * rest).sum(1) / rest.square().sum(1)
    torch.testing.assert_close(enrollment, s.audio + leak.unsqueeze(1) * rest, atol=1e-4, rtol=1e-4)
    leaking = leak > 1e-6
    assert leaking.double().mean().item() == pytest.approx(0.5, abs=0.05)
    assert leak[leaking].mean().item() == pytest.approx(0.5, abs=0.05)
    assert not leaking[undisturbed].any()
    assert (told[:2000][leaking[:2000]] == 3).all()
    drawn = told[2000:][leaking[2000:]]
    assert set(drawn.tolist()) == set(range(18)) - {3}  # every class but the scene's
    assert (told[~leaking] == 7).all()


def test_true_classes_go_to_slots_with_a_source_only() -> None:
    s = slots()
    _, told, undisturbed = disturb(s, settings(true_class=1.0))
    told[undisturbed] = torch.where(undisturbed < 200, 3, 7)
    assert (told[:200] == 3).all()
    assert (told[200:] == 7).all()


def test_shares_are_as_asked_for() -> None:
    s = slots(4000)
    _, told, _ = disturb(s, settings(true_class=0.5, random_class=0.1))
    active = told[:2000]
    assert (active == 3).double().mean().item() == pytest.approx(0.5, abs=0.05)
    assert ((active != 3) & (active != 7)).double().mean().item() == pytest.approx(0.1 * 16 / 18, abs=0.03)


def test_true_enrollments_are_noisy_references() -> None:
    s = slots()
    enrollment, _, undisturbed = disturb(s, settings(true_enrollment=1.0))
    assert torch.equal(enrollment[200:], s.audio[200:])
    error = (enrollment - s.target)[:200].square().sum(1) / s.target[:200].square().sum(1)
    error = error[[row for row in range(200) if row not in undisturbed]]
    decibels = -10 * torch.log10(error)
    assert decibels.min() > -4
    assert decibels.max() < 24
    assert decibels.std() > 3


@pytest.mark.parametrize(
    ("active", "silent", "dead", "chosen"),
    [(4, 8, 0, 6), (4, 8, 7, 5), (4, 1, 0, 5), (0, 6, 0, 1), (0, 6, 6, 1), (3, 0, 0, 3)],
)
def test_some_silent_slots_are_trained_on(active: int, silent: int, dead: int, chosen: int) -> None:
    mask = torch.cat([torch.ones(active), torch.zeros(silent)]).bool()
    left = torch.zeros(active + silent, dtype=torch.bool)
    left[active : active + dead] = True
    rows = choose_slots(mask, left, 0.5)
    assert len(rows) == chosen
    assert set(range(active)) <= set(rows.tolist())
    assert rows.tolist() == sorted(set(rows.tolist()))
    if active or silent > dead:
        assert not left[rows].any()


@pytest.mark.parametrize(("active", "share", "expected"), [(1, 0.4, 0.4), (2, 0.4, 0.8), (3, 0.5, 1.5)])
def test_scenes_one_by_one_have_as_many_silent_slots_as_batches(active: int, share: float, expected: float) -> None:
    mask = torch.cat([torch.ones(active), torch.zeros(4)]).bool()
    counts = [len(choose_slots(mask, torch.zeros_like(mask), share)) - active for _ in range(2000)]
    assert sum(counts) / 2000 == pytest.approx(expected, abs=0.06)


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
