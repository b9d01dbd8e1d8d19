"""What a classifier that hears kept slots is shown of scenes, and what it learns of what was mixed."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from s5eval.systems.multistage.models.dpc import normalise_level, relative_level
from s5eval.systems.multistage.training import classification
from s5eval.systems.multistage.training.classification import (
    ClassificationTask,
    SlotSource,
    extracted_slots,
    separated_slots,
    sources_alone,
)
from s5eval.systems.multistage.training.extraction import Slots
from s5eval.systems.multistage.training.kept_slots import SlotBatch
from s5eval.systems.training.batches import Batch
from s5eval.systems.training.training_plan import read_plan

SAMPLES = 400


class Ear(nn.Module):
    """An M2D whose input is the waveform, and whose tokens are ten times its input."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(1))

    def to_spec(self, audio: Tensor) -> Tensor:
        return audio.unsqueeze(1)

    def backbone(self, log_mel: Tensor) -> Tensor:
        return 10 * log_mel


def scene(seed: int = 0) -> Batch:
    """One scene with sources of classes 3 and 5, at levels of their own, and a slot without a source."""
    noise = torch.Generator().manual_seed(seed)
    targets = torch.tensor([0.1, 0.01, 0.0]).view(1, 3, 1) * torch.randn(1, 3, SAMPLES, generator=noise)
    mixture = 0.3 * torch.randn(1, 4, SAMPLES, generator=noise)
    return Batch(mixture, targets, torch.tensor([[3, 5, -1]]), targets[:, :2], targets[:, :1])


def test_slots_are_shown_in_the_order_of_the_sources_at_one_level_beside_their_own() -> None:
    batch, slots = scene(), [2, 0, 1]
    found = batch.targets[:, [1, 2, 0]] + 0.001 * torch.randn(1, 3, SAMPLES)  # slot 2 has the first source

    def uss(mixture: Tensor, foreground_only: bool) -> SimpleNamespace:
        return SimpleNamespace(foreground=found, features=torch.arange(3.0).view(1, 3, 1, 1, 1))

    heard = separated_slots(uss, Ear())(batch)  # type: ignore[arg-type]
    audio = found[0, slots]
    assert heard.features.flatten().tolist() == slots
    torch.testing.assert_close(heard.log_mel[:, 0], normalise_level(audio))
    torch.testing.assert_close(heard.level, relative_level(audio, batch.mixture.expand(3, -1, -1)))
    assert heard.level[0] - heard.level[1] == pytest.approx(2.0, abs=0.2), "20 dB, which the ear is not told"
    assert (heard.labels.tolist(), heard.other.tolist(), heard.share.tolist()) == ([3, 5, -1], [-1] * 3, [1.0] * 3)


@pytest.mark.parametrize(("dead", "left"), [([1], [0, 2]), ([0, 1, 2], [0])])
def test_slots_that_were_given_up_are_not_shown_save_where_nothing_else_is(dead: list[int], left: list[int]) -> None:
    batch, told = scene(), []

    class Earlier:
        m2d = Ear()

        def __call__(self, batch: Batch) -> Slots:
            slots = Slots.of(batch, torch.arange(1.0, 4.0).view(3, 1).expand(-1, SAMPLES), 18)
            slots.predicted = torch.tensor([7, 8, 9])
            slots.dead[dead] = True
            return slots

        def enroll(self, audio: Tensor, slots: Slots) -> Tensor:
            return -audio

        def embed(self, audio: Tensor, mixture: Tensor) -> Tensor:
            return 2 * audio

    def tse(mixture: Tensor, enrollment: Tensor, classes: Tensor, embeddings: Tensor) -> SimpleNamespace:
        told.append((enrollment[:, 0].tolist(), classes.argmax(1).tolist(), embeddings[:, 0].tolist()))
        return SimpleNamespace(estimate=0.01 * enrollment, features=5 * enrollment[:, :1])

    heard = extracted_slots(tse, Earlier())(batch)  # type: ignore[arg-type]
    assert told == [([-1.0 - k for k in left], [7 + k for k in left], [-2.0 - 2 * k for k in left])]
    assert heard.labels.tolist() == [batch.labels[0, k] for k in left]
    assert heard.features[:, 0].tolist() == [-5.0 - 5 * k for k in left]
    audio = torch.tensor([-0.01 - 0.01 * k for k in left]).view(-1, 1).expand(-1, SAMPLES)
    torch.testing.assert_close(heard.level, relative_level(audio, batch.mixture.expand(len(left), -1, -1)))


def test_beside_a_source_alone_the_rest_is_5_to_35_decibels_below_it() -> None:
    """Sources of one sample each: what the others leave beside a source's is the amplitude of the rest."""
    count = 1000
    targets = torch.zeros(count, 3, SAMPLES)
    targets[:, 0, 0], targets[:, 2, 1] = 0.2, 0.2
    mixture = torch.zeros(count, 4, SAMPLES)
    mixture[:, 0] = targets.sum(1)
    labels = torch.tensor([[3, -1, 5]]).expand(count, -1)
    heard, named = sources_alone(Batch(mixture, targets, labels, targets[:, :2], targets[:, :1]), Ear())  # type: ignore[arg-type]
    assert named.tolist() == count * [3, 5]
    of_first, of_second = heard[:, 0, :2].view(count, 2, 2).unbind(1)
    decibels = 20 * torch.log10(torch.cat([of_first[:, 0] / of_first[:, 1], of_second[:, 1] / of_second[:, 0]]))
    assert 5.0 <= decibels.min() < 5.5 and 34.5 < decibels.max() <= 35.0
    assert decibels.mean().item() == pytest.approx(20.0, abs=1.0)


def test_scenes_are_heard_the_same_in_whichever_shard_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    def scenes(data: object, seed: int, batch: int, *, first: int, last: int) -> Any:
        return (scene(number) for number in range(first, last))

    def hear(batch: Batch) -> SlotBatch:
        slots = torch.rand(3, 1, 1, 1)  # as where second guesses are drawn
        return SlotBatch.unmixed(slots, batch.targets.transpose(0, 1), torch.zeros(3), batch.labels[0])

    monkeypatch.setattr(classification, "batches", scenes)
    source = SlotSource(read_plan("mini/names"), {}, hear, Ear())  # type: ignore[arg-type]
    whole, parts = source._hear(0, 4), [source._hear(0, 1), source._hear(1, 4)]
    for name in ("alone", "alone_labels"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in parts]))
    for column, pair in zip(whole.slots, zip(*(part.slots for part in parts), strict=True), strict=True):
        assert torch.equal(column, torch.cat(pair))
    assert len(set(whole.slots.features.flatten().tolist())) == 12, "every scene has draws of its own"


def test_what_was_mixed_in_is_wanted_by_its_share() -> None:
    told: list[Tensor] = []

    class Classifier(nn.Module):
        def forward(self, features: Tensor, tokens: Tensor, level: Tensor, labels: Tensor) -> SimpleNamespace:
            told.extend([features, tokens, level, labels])
            logits = torch.linspace(-1, 1, 18).expand(3, -1)
            return SimpleNamespace(logits=logits, plain=logits, silence=level)

    batch = SlotBatch(
        torch.randn(3, 1, 2, 2), torch.randn(3, 1, 5), torch.tensor([0.5, -1.0, 2.0]), torch.tensor([0, -1, 17]),
        torch.tensor([9, -1, -1]), torch.tensor([0.75, 1.0, 1.0]),
    )  # fmt: skip
    loss = replace(read_plan("mini/names").recipe.loss, classes=0.5, smoothing=0.0)
    terms = ClassificationTask(Classifier(), Ear(), loss, train_m2d=False)(batch)  # type: ignore[arg-type]
    logs = torch.linspace(-1, 1, 18).log_softmax(0)
    torch.testing.assert_close(terms["classes"], -0.5 * (0.75 * logs[0] + 0.25 * logs[9] + logs[17]) / 2)
    for found, expected in zip(told[:3], (batch.features, 10 * batch.log_mel, batch.level), strict=True):
        assert torch.equal(found, expected)
