"""What the stages before hand on in training, and what an extractor and its classifier learn from."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from s5eval.systems.multistage.training.extraction import EarlierStages, ExtractionTask
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


def test_a_classifier_learns_from_slots_alone_that_are_told_what_was_heard() -> None:
    """What is told its true class, 3 or 5, is not among them; what was heard is class 0, 1 or 2."""
    batch, extractor, dpc = scenes(300), Extractor(), Classifier()
    task_of(batch, extractor, dpc, undisturbed=0.4, true_class=1.0)(batch)
    ((features, labels),) = dpc.told
    assert {3, 5} <= set(extractor.told[0][1].tolist()) and set(features.tolist()) == {0.0, 1.0, 2.0}
    assert len(features) / len(extractor.told[0][1]) == pytest.approx(0.4, abs=0.05)
    assert labels is not None
    assert [{3: 0, 5: 1, 0: 2}[label] for label in labels.tolist()] == features.tolist(), "each beside its own label"
