"""The loss of stage 1: what is matched to what, and that every term has the weight of the recipe."""

import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from s5eval.systems.multistage.models.deft_mamba import USSOutput
from s5eval.systems.multistage.models.directed_objects import Directed
from s5eval.systems.multistage.models.dpc import normalise_level, relative_level
from s5eval.systems.multistage.training import separation
from s5eval.systems.multistage.training.multistage_recipe import LossSettings
from s5eval.systems.multistage.training.separation import (
    SeparationTask,
    classifier_terms,
    cluster_loss,
    hear,
    separation_terms,
)
from s5eval.systems.training.batches import Batch
from s5eval.systems.training.losses import (
    classification_loss,
    sa_sdr_loss,
    silence_loss,
    silent_slot_loss,
    source_snr_loss,
)
from s5eval.systems.training.training_plan import read_plan

SAMPLES = 3000


def weights(**changes: Any) -> LossSettings:
    """Those of a recipe, with weights that no two terms share."""
    several = {"separation": 1.3, "interference": 0.2, "noise": 0.7, "silent_mixture": 0.3, "silent_slot": 0.4}
    loss: LossSettings = replace(read_plan("paper/uss").recipe.loss, **several)
    return replace(loss, **changes)


def scenes() -> Batch:
    """Two scenes: sources of classes 4 and 9, two interferences and a background; and none but a background."""
    targets, interference = 0.3 * torch.randn(2, 3, SAMPLES), 0.2 * torch.randn(2, 2, SAMPLES)
    targets[0, 2], targets[1], interference[1] = 0.0, 0.0, 0.0
    noise = 0.1 * torch.randn(2, 1, SAMPLES)
    mixture = 0.1 * torch.randn(2, 4, SAMPLES)
    mixture[:, 0] = targets.sum(1) + interference.sum(1) + noise[:, 0]
    return Batch(mixture, targets, torch.tensor([[4, 9, -1], [-1, -1, -1]]), interference, noise)


@pytest.mark.parametrize("source", [0.0, 0.25])
def test_terms_of_slots_are_weighed_as_the_recipe_says(source: float) -> None:
    b, w = scenes(), weights(source=source)
    estimates = b.targets + 0.1 * torch.randn(2, 3, SAMPLES)
    terms = separation_terms(estimates, b.targets, b.active, b.omni, w)
    both = sa_sdr_loss(estimates, b.targets, b.omni)
    single = source_snr_loss(estimates, b.targets, b.active)[0, :2].mean()
    expected = 1.3 * ((1 - source) * both[0] + source * single + 0.3 * both[1]) / 2
    torch.testing.assert_close(terms["separation"], expected)
    torch.testing.assert_close(terms["silent_slots"], 0.4 * silent_slot_loss(estimates, b.omni, b.active).mean())
    torch.testing.assert_close(terms["_sdr"].float(), -both[0])


class Given(nn.Module):
    """A separator that gives what it was made with; one feature tells the slots apart."""

    def __init__(self, foreground: Tensor, interference: Tensor, noise: Tensor) -> None:
        super().__init__()
        self.objects = (foreground, interference, noise)
        self.idle = nn.Parameter(torch.zeros(1))
        self.asked: list[bool] = []

    def forward(self, mixture: Tensor, *, foreground_only: bool, choose: object) -> USSOutput:
        self.asked.append(foreground_only)
        foreground, interference, noise = self.objects
        features = torch.arange(3.0).view(1, 3, 1, 1, 1).expand(len(mixture), 3, 1, 1, 1)
        others = (None, None) if foreground_only else (interference, noise)
        return USSOutput(foreground, *others, features, features, None)


def error(estimates: Tensor, references: Tensor) -> float:
    return float((estimates - references).square().sum())


def best(estimates: Tensor, references: Tensor) -> tuple[int, ...]:
    """Of all ways to give every reference an estimate, the one with the least error."""
    ways = itertools.permutations(range(len(references)))
    return min(ways, key=lambda way: error(estimates[list(way)], references))


class Classifier(nn.Module):
    """Keeps what it is told, and answers from it."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Tensor] = []
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, features: Tensor, tokens: Tensor, level: Tensor, labels: Tensor) -> SimpleNamespace:
        self.told = [features, tokens, level, labels]
        logits = self.scale * (features.flatten(1) + torch.linspace(-1, 1, 18))
        return SimpleNamespace(logits=logits, plain=logits, silence=self.scale * level)


def loudest(audio: Tensor) -> Tensor:
    return audio.abs().amax(1)


def test_objects_are_matched_within_their_kind_and_classified_as_they_were_matched() -> None:
    b, w = scenes(), weights()
    foreground = b.targets[:, [2, 0, 1]] + 0.1 * torch.randn(2, 3, SAMPLES)
    interference = b.interference[:, [1, 0]] + 0.05 * torch.randn(2, 2, SAMPLES)
    noise = b.noise + 0.05 * torch.randn(2, 1, SAMPLES)
    uss, dpc = Given(foreground, interference, noise), Classifier()
    terms = SeparationTask(uss, dpc, loudest, w, train_uss=True)(b)  # type: ignore[arg-type]
    order = [best(foreground[n], b.targets[n]) for n in range(2)]
    assert order[0] == (1, 2, 0)
    matched = torch.stack([foreground[n, list(order[n])] for n in range(2)])
    expected = separation_terms(matched, b.targets, b.active, b.omni, w)
    torch.testing.assert_close(terms["separation"], expected["separation"])
    torch.testing.assert_close(terms["silent_slots"], expected["silent_slots"])
    beside = torch.stack([interference[n, list(best(interference[n], b.interference[n]))] for n in range(2)])
    assert best(interference[0], b.interference[0]) == (1, 0)
    present, absent = sa_sdr_loss(beside, b.interference, b.omni)
    torch.testing.assert_close(terms["interference"], 0.2 * (present + 0.3 * absent) / 2)
    torch.testing.assert_close(terms["noise"], 0.7 * sa_sdr_loss(noise, b.noise, b.omni).mean())
    features, tokens, level, labels = dpc.told
    assert features.flatten()[:2].tolist() == [1.0, 2.0]  # of slots without a source either may be either
    assert sorted(features.flatten()[3:].tolist()) == [0.0, 1.0, 2.0]
    torch.testing.assert_close(tokens[:3], loudest(normalise_level(matched[0])))
    torch.testing.assert_close(level[:3], relative_level(matched[0], b.mixture[:1].expand(3, -1, -1)))
    assert labels.tolist() == [4, 9, 0, 0, 0, 0], "slots without a source are told any"
    assert uss.asked == [False]


def test_other_objects_are_separated_where_one_of_them_counts() -> None:
    b = scenes()
    uss = Given(b.targets, b.interference, b.noise)
    for noise, interference, train_uss in ((0.1, 0.0, True), (0.0, 0.1, True), (0.0, 0.0, True), (0.1, 0.1, False)):
        w = weights(noise=noise, interference=interference)
        task = SeparationTask(uss, Classifier(), loudest, w, train_uss=train_uss)  # type: ignore[arg-type]
        learned = {name for name in task(b) if not name.startswith("_")}
        assert ("separation" in learned) == train_uss and {"classes", "silence"} <= learned
    assert uss.asked == [False, False, True, True]


class GivenByDirections(Given):
    """One that was made of clusters of directions, of those that are likeliest unless it is told which."""

    def forward(self, mixture: Tensor, *, foreground_only: bool, choose: Any) -> USSOutput:
        out = super().forward(mixture, foreground_only=foreground_only, choose=choose)
        shares, logits = torch.rand(2, 4, 5, 6), torch.linspace(-1, 2, 5).expand(2, -1)
        chosen = torch.tensor([[4, 3, 2]] * 2) if choose is None else choose(shares, logits)
        return replace(out, directed=Directed(shares, shares, shares, shares, shares, logits, chosen))


TRUE_CLUSTERS = torch.tensor([[1, 4, 0], [2, 3, 0]])


@pytest.mark.parametrize("assignment", ["direction", "permutation"])
def test_it_is_learned_which_clusters_hold_a_source_however_slots_are_assigned(
    assignment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By direction every slot is made of its source's cluster, and stays that source's whatever it sounds like."""

    def choose(shares: Tensor, logits: Tensor, *, batch: Batch, uss: object) -> Tensor:
        assert logits.shape == (2, 5) and torch.equal(batch.labels, b.labels)
        return TRUE_CLUSTERS

    monkeypatch.setattr(separation, "choose_clusters", choose)
    b, w = scenes(), weights(assignment=assignment, directions=0.35, interference=0.0, noise=0.0)
    crossed = b.targets[:, [1, 0, 2]]
    terms = SeparationTask(GivenByDirections(crossed, b.targets, b.targets), None, None, w, train_uss=True)(b)  # type: ignore[arg-type]
    logits = torch.linspace(-1, 2, 5).expand(2, -1)
    torch.testing.assert_close(terms["directions"], 0.35 * cluster_loss(logits, TRUE_CLUSTERS, b.active))
    matched = crossed if assignment == "direction" else b.targets
    expected = separation_terms(matched, b.targets, b.active, b.omni, w)
    torch.testing.assert_close(terms["separation"], expected["separation"])


def test_in_the_order_of_classes_every_slot_is_that_of_its_rank() -> None:
    """Class 4 before class 9: the first slot is the first source's although it sounds like the second one."""
    b, w = scenes(), weights(assignment="class")
    crossed = b.targets[:, [1, 0, 2]]
    terms = SeparationTask(Given(crossed, b.interference, b.noise), None, None, w, train_uss=True)(b)  # type: ignore[arg-type]
    expected = separation_terms(crossed, b.targets, b.active, b.omni, w)
    torch.testing.assert_close(terms["separation"], expected["separation"])
    swapped = b._replace(labels=torch.tensor([[9, 4, -1], [-1, -1, -1]]))
    terms = SeparationTask(Given(crossed, b.interference, b.noise), None, None, w, train_uss=True)(swapped)  # type: ignore[arg-type]
    perfect = separation_terms(b.targets, b.targets, b.active, b.omni, w)
    torch.testing.assert_close(terms["separation"], perfect["separation"])


def test_what_the_map_tells_of_cells_has_the_weight_of_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    class Head(nn.Module):
        def __init__(self, uss: object) -> None:
            super().__init__()

        def forward(self, cells: Tensor, batch: Batch, uss: object) -> Tensor:
            return torch.tensor(3.0)

    monkeypatch.setattr(separation, "SegmentationHead", Head)
    b = scenes()
    task = SeparationTask(
        Given(b.targets, b.interference, b.noise), None, None, weights(segmentation=0.6), train_uss=True  # type: ignore[arg-type]
    )  # fmt: skip
    assert task(b)["segmentation"].item() == pytest.approx(1.8)


def test_classes_are_learned_of_slots_with_a_source_and_silence_of_all() -> None:
    w = weights(classes=0.6, silence=0.9, smoothing=0.2, object_gradient=0.25)
    features = torch.randn(5, 1, 1, 1, requires_grad=True)
    level, labels = torch.randn(5), torch.tensor([3, -1, 17, 0, -1])
    dpc = Classifier()
    told: dict[str, Any] = {"tokens": torch.zeros(5), "level": level, "labels": labels}
    terms = classifier_terms(dpc, features=features, weights=w, **told)
    active = [0, 2, 3]
    logits = 1.5 * (features.flatten(1) + torch.linspace(-1, 1, 18))
    expected = 0.6 * classification_loss(logits[active], labels[active], smoothing=0.2)
    torch.testing.assert_close(terms["classes"], expected)
    torch.testing.assert_close(terms["silence"], 0.9 * silence_loss(1.5 * level, labels >= 0))
    assert terms["_class_accuracy"].item() == pytest.approx(1 / 3), "all are called 17"
    right = [bool(quiet < 0) == (label >= 0) for quiet, label in zip(level, labels, strict=True)]
    assert terms["_silence_accuracy"].item() == pytest.approx(sum(right) / 5)


@pytest.mark.parametrize("factor", [0.0, 0.25, 1.0])
def test_so_much_of_the_classifier_s_gradient_reaches_the_separator(factor: float) -> None:
    features, labels = torch.randn(3, 1, 1, 1, requires_grad=True), torch.tensor([3, 5, 17])

    class Curved(Classifier):
        def forward(self, features: Tensor, tokens: Tensor, level: Tensor, labels: Tensor) -> SimpleNamespace:
            return super().forward(features * torch.linspace(0, 1, 18).view(1, 18, 1, 1), tokens, level, labels)

    def gradient(object_gradient: float) -> Tensor:
        told: dict[str, Any] = {"tokens": torch.zeros(3), "level": torch.zeros(3), "labels": labels}
        terms = classifier_terms(Curved(), features=features, weights=weights(object_gradient=object_gradient), **told)
        (found,) = torch.autograd.grad(terms["classes"] + 0 * features.sum(), features)
        return found

    assert gradient(1.0).abs().min() > 0
    torch.testing.assert_close(gradient(factor), factor * gradient(1.0))


def test_what_is_heard_of_an_estimate_sends_no_gradient_back_into_it() -> None:
    audio, m2d = torch.randn(2, SAMPLES, requires_grad=True), nn.Linear(SAMPLES, 3)
    tokens, level = hear(m2d, audio, torch.randn(2, 4, SAMPLES))  # type: ignore[arg-type]
    assert tokens.requires_grad, "an M2D that is trained learns"
    assert not level.requires_grad
    tokens.sum().backward()
    assert audio.grad is None and m2d.weight.grad is not None
