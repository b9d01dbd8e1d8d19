"""What the stages before hand on in training, and what an extractor and its classifier learn from."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from s5eval.systems.multistage.training import extraction
from s5eval.systems.multistage.training.extraction import EarlierStages, ExtractionTask
from s5eval.systems.multistage.training.segmentation import cell_loss
from s5eval.systems.multistage.training.separation import separation_terms
from s5eval.systems.spatial_filter import SpatialFilterSettings
from s5eval.systems.training.batches import Batch
from s5eval.systems.training.training_plan import read_plan

SAMPLES = 400


def scenes(count: int) -> Batch:
    """Scenes with sources of classes 3, 5 and none."""
    targets, labels = torch.randn(count, 3, SAMPLES), torch.tensor([[3, 5, -1]]).expand(count, -1)
    targets[:, 2] = 0.0
    others = torch.zeros(count, 2, SAMPLES)
    return Batch(torch.randn(count, 4, SAMPLES), targets, labels, others, others[:, :1])


def loudest(audio: Tensor) -> Tensor:
    return audio.abs().amax(1)


class Classifier(nn.Module):
    """Says class k and a silence of slots with feature k, and keeps what it is told."""

    def __init__(self, *silence: float) -> None:
        super().__init__()
        self.silence = torch.tensor(silence).logit() if silence else torch.full((18,), -9.0)
        self.scale = nn.Parameter(torch.ones(1))
        self.told: list[tuple[Tensor, Tensor | None]] = []

    def forward(self, features: Tensor, tokens: Tensor, level: Tensor, labels: Tensor | None = None) -> SimpleNamespace:
        self.told.append((features.flatten(), labels))
        found = features.flatten().long()
        plain = self.scale * torch.eye(18)[found]
        return SimpleNamespace(plain=plain, logits=plain, silence=self.silence[found] * self.scale)


class Extractor(nn.Module):
    """Twice what it is told, and the class that it is told for its feature; keeps both and who is told no frames."""

    width = 1

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.told: list[tuple[Tensor, Tensor]] = []
        self.absent: list[Tensor] = []
        self.frame_clue = SimpleNamespace(replace=self.replace)

    def replace(self, embeddings: Tensor, absent: Tensor) -> Tensor:
        self.absent.append(absent)
        return embeddings

    def forward(self, mixture: Tensor, enrollment: Tensor, classes: Tensor, embeddings: object) -> SimpleNamespace:
        self.told.append((enrollment, classes.argmax(1)))
        features = classes.argmax(1).view(-1, 1, 1, 1).float()
        return SimpleNamespace(estimate=self.scale * enrollment, features=features)


class Encoder:
    """One embedding: the waveform's first sample."""

    def embed(self, audio: Tensor) -> Tensor:
        return audio[:, :1, None]


def stages(
    found: Tensor,
    dpc1: Classifier,
    *refinements: Any,
    encoder: Encoder | None = None,
    source: Literal["estimate", "mixture"] = "estimate",
) -> EarlierStages:
    """Stage 1 finds the waveforms `found`; the feature of its slot k is k."""

    def uss(mixture: Tensor, foreground_only: bool) -> SimpleNamespace:
        features = torch.arange(3.0).view(1, 3, 1, 1, 1).expand(len(mixture), -1, -1, -1, -1)
        return SimpleNamespace(foreground=found, features=features)

    parts: Any = (uss, dpc1, refinements, loudest, encoder)
    return EarlierStages(*parts, source, 0.97, 18, None)


def test_slots_stand_with_their_classes_in_the_order_of_the_sources_that_they_were_matched_to() -> None:
    batch = scenes(2)
    found = batch.targets[:, [1, 2, 0]] + 0.1 * torch.randn(2, 3, SAMPLES)  # slot 2 has the first source
    dpc1 = Classifier(0.1, 0.1, 0.1)
    slots = stages(found, dpc1)(batch)
    torch.testing.assert_close(slots.audio, found[:, [2, 0, 1]].flatten(0, 1))
    assert slots.predicted.tolist() == 2 * [2, 0, 1]
    assert slots.labels.tolist() == 2 * [3, 5, -1]
    torch.testing.assert_close(slots.target, batch.targets.flatten(0, 1))
    torch.testing.assert_close(slots.mixture, batch.mixture.repeat_interleave(3, 0))


def test_what_a_stage_gives_up_stays_given_up_and_as_it_was() -> None:
    batch = scenes(2)
    found = batch.targets + 0.1 * torch.randn(2, 3, SAMPLES)
    extractor = Extractor()
    slots = stages(found, Classifier(0.96, 0.1, 0.98), (extractor, Classifier(0.1, 0.98, 0.1)))(batch)
    ((told, classes),) = extractor.told
    torch.testing.assert_close(told, found.flatten(0, 1))
    assert classes.tolist() == 2 * [0, 1, 2]
    expected = found * torch.tensor([2.0, 2.0, 1.0]).view(1, 3, 1)
    torch.testing.assert_close(slots.audio, expected.flatten(0, 1))
    assert slots.dead.tolist() == 2 * [False, True, True], "the last by the first stage, the second by the next"


def test_the_class_of_a_slot_that_was_given_up_stays_the_one_it_was_given_up_with() -> None:
    batch = scenes(2)
    found = batch.targets + 0.1 * torch.randn(2, 3, SAMPLES)

    class Renaming(Classifier):
        def forward(self, features: Tensor, *told: Any) -> SimpleNamespace:
            return super().forward(features + 7, *told)

    slots = stages(found, Classifier(0.1, 0.1, 0.98), (Extractor(), Renaming(*[0.1] * 10)))(batch)
    assert slots.predicted.tolist() == 2 * [7, 8, 2], "no later stage classifies what is given up"


@pytest.mark.parametrize("source", ["mixture", "estimate"])
def test_frames_are_those_of_the_estimate_or_of_the_mixture_s_first_channel(source: Any) -> None:
    audio, mixture = torch.randn(5, SAMPLES), torch.randn(5, 4, SAMPLES)
    heard = stages(audio, Classifier(), encoder=Encoder(), source=source).embed(audio, mixture)
    assert heard is not None
    assert torch.equal(heard[:, 0, 0], mixture[:, 0, 0] if source == "mixture" else audio[:, 0])
    assert stages(audio, Classifier(), source=source).embed(audio, mixture) is None


def task_of(batch: Batch, extractor: Extractor, dpc: Classifier | None, **clues: float) -> ExtractionTask:
    recipe = read_plan("mini/tse2", {"loss": {"segmentation": 0.0, "filtered": 0.0}}).recipe
    none = dict.fromkeys(("undisturbed", "leak", "true_enrollment", "random_class", "second_pass", "no_embedding"), 0.0)
    told = replace(recipe.clues, **{**none, "silent_share": 1.0, **clues})
    earlier = stages(batch.targets + 0.1, Classifier(), encoder=Encoder())
    return ExtractionTask(extractor, dpc, earlier, recipe.loss, told, train_tse=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("second_pass", [0.0, 1.0])
def test_so_many_slots_are_told_no_frames_in_both_passes_the_same(second_pass: float) -> None:
    batch, extractor = scenes(300), Extractor()
    task_of(batch, extractor, None, no_embedding=0.3, second_pass=second_pass)(batch)
    assert len(extractor.absent) == 1 + int(second_pass)
    assert extractor.absent[0].double().mean().item() == pytest.approx(0.3, abs=0.05)
    assert all(torch.equal(absent, extractor.absent[0]) for absent in extractor.absent)
    assert not any(enrollment.requires_grad for enrollment, _ in extractor.told), "one pass alone learns"


def test_a_classifier_learns_from_slots_alone_that_are_told_what_was_heard() -> None:
    """What is told its true class, 3 or 5, is not among them; what was heard is class 0, 1 or 2."""
    batch, extractor, dpc = scenes(300), Extractor(), Classifier()
    task_of(batch, extractor, dpc, undisturbed=0.4, true_class=1.0)(batch)
    ((features, labels),) = dpc.told
    assert {3, 5} <= set(extractor.told[0][1].tolist()) and set(features.tolist()) == {0.0, 1.0, 2.0}
    assert len(features) / len(extractor.told[0][1]) == pytest.approx(0.4, abs=0.05)
    assert labels is not None
    assert [{3: 0, 5: 1, 0: 2}[label] for label in labels.tolist()] == features.tolist(), "each beside its own label"


@pytest.mark.parametrize(("share", "slots"), [(0.0, 200), (0.25, 250), (1.0, 300)])
def test_so_many_silent_slots_are_trained_on_as_the_recipe_says(share: float, slots: int) -> None:
    batch, extractor = scenes(100), Extractor()
    task_of(batch, extractor, None, silent_share=share)(batch)
    assert len(extractor.told[0][0]) == slots, "of 200 with a source and 100 without"


FILTER = SpatialFilterSettings(share=1.0, enrollment=1.0, window=64, noise=0.5, loading=0.1)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_an_extractor_learns_from_its_estimates_and_through_the_filter_by_the_share_that_is_asked_for(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def a_quarter(mixture: Tensor, scene: Tensor, audio: Tensor, settings: object) -> Tensor:
        return 0.25 * audio

    monkeypatch.setattr(extraction, "filtered_by_scene", a_quarter)
    batch, extractor = scenes(4), Extractor()
    extractor.scale.data.fill_(8.0)  # of a quarter, for what it is told is filtered, too
    task = task_of(batch, extractor, None)
    task.weights = replace(task.weights, filtered=share)
    task._earlier = (replace(task._earlier[0], enrollments=FILTER),)
    terms = task(batch)
    told = extractor.told[0][0].view_as(batch.targets)
    plain, filtered = (
        separation_terms(gain * extractor.scale * told, batch.targets, batch.active, batch.omni, task.weights)
        for gain in (1.0, 0.25)
    )
    for name, value in terms.items():
        torch.testing.assert_close(value, (1 - share) * plain[name] + share * filtered[name])
    (found,) = torch.autograd.grad(terms["separation"], extractor.scale, retain_graph=True)
    slopes = [torch.autograd.grad(of["separation"], extractor.scale, retain_graph=True)[0] for of in (plain, filtered)]
    assert slopes[0] * slopes[1] < 0, "more than the source, and less of it"
    torch.testing.assert_close(found, (1 - share) * slopes[0] + share * slopes[1])


def test_cells_are_told_what_share_of_the_mixture_is_the_target_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that says the same of every cell, so that nothing but the shares counts."""

    class Mapped(Extractor):
        def forward(self, mixture: Tensor, enrollment: Tensor, classes: Tensor, embeddings: object) -> SimpleNamespace:
            out = super().forward(mixture, enrollment, classes, embeddings)
            return SimpleNamespace(estimate=out.estimate, features=torch.randn(len(enrollment), 1, 20, 20))

    def cells(network: object, audio: Tensor) -> Tensor:
        return audio.square().view(-1, 20, 20)

    monkeypatch.setattr(extraction, "cell_power", cells)
    batch, extractor = scenes(5), Mapped()
    loss = replace(read_plan("mini/tse2").recipe.loss, segmentation=0.7, filtered=0.0)
    earlier = task_of(batch, extractor, None)._earlier[0]
    clues = replace(read_plan("mini/tse2").recipe.clues, silent_share=1.0, second_pass=0.0)
    task = ExtractionTask(extractor, None, earlier, loss, clues, train_tse=True)  # type: ignore[arg-type]
    assert task.segmentation is not None
    with torch.no_grad():
        task.segmentation.weight.zero_()
        task.segmentation.bias.fill_(-1.5)
    mixture = cells(None, batch.omni).repeat_interleave(3, 0)
    share = cells(None, batch.targets.flatten(0, 1)) / mixture
    expected = 0.7 * cell_loss(torch.full((15, 20, 20, 1), -1.5), share.unsqueeze(-1), mixture)
    torch.testing.assert_close(task(batch)["segmentation"], expected, rtol=1e-4, atol=1e-5)
