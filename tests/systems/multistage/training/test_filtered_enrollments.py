"""Extractors and classifiers are trained on filtered enrollments wherever they are told some, and the card says so."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.multistage.system import build
from s5eval.systems.multistage.training import extraction, trainer
from s5eval.systems.multistage.training.classification import extracted_slots
from s5eval.systems.multistage.training.extraction import EarlierStages, ExtractionTask
from s5eval.systems.spatial_filter import SpatialFilterSettings, spatially_filtered
from s5eval.systems.training.batches import Batch
from s5eval.systems.training.loop import TrainingResult
from s5eval.systems.training.training_plan import TrainingPlan, read_plan

pytest.importorskip("lightning.fabric")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

FILTER: dict[str, Any] = {"share": 0.0, "enrollment": 0.6, "window": 512}
SETTINGS = SpatialFilterSettings(share=0.6, enrollment=0.6, window=512, noise=0.5, loading=0.1)


def test_the_card_says_by_what_and_what_is_trained_on_top_must_agree(
    toy_train: Callable[..., TrainingResult], toy_plan: Callable[..., TrainingPlan], tmp_path: Path
) -> None:
    for part in ("m2d", "uss", "dpc"):
        toy_train(part, steps=1)
    named = {"system": {"frame_encoder": "none", "spatial_filter": FILTER}}
    toy_train("tse2", steps=1, loss={"filtered": 0.5}, **named)
    card = json.loads((tmp_path / "weights" / "card.json").read_text())
    entry = card["history"][-1]
    assert entry["enrollment"] == {"share": 0.6, "window": 512, "noise": 0.5, "loading": 0.1}
    assert entry["loss_filtered"] == 0.5
    plain = {"system": {"frame_encoder": "none", "spatial_filter": {**FILTER, "enrollment": 0.0}}}
    with pytest.raises(DataError, match=r"not trained on the enrollments .*filter\.enrollment=0\.6"):
        toy_train("names2", steps=1, slots={"scenes": 2, "batch": 4}, **plain)
    other = {"system": {"frame_encoder": "none", "spatial_filter": {**FILTER, "window": 1024}}}
    with pytest.raises(DataError, match=r"system\.spatial_filter\.window=512"):
        toy_train("names2", steps=1, slots={"scenes": 2, "batch": 4}, **other)
    toy_train("names2", steps=1, slots={"scenes": 2, "batch": 4}, **named)
    system = {**toy_plan("names2", **named).as_dict()["system"], "weights": str(tmp_path / "weights")}
    assert "missing_parts" not in build(system, "cpu").fingerprint(), "stage 3 is stage 2 once more"
    for part in ("tse2", "names2"):
        shutil.rmtree(tmp_path / "training" / part)
    toy_train("tse2", steps=1, loss={"filtered": 0.0}, **plain)
    with pytest.raises(DataError, match=r"or set system\.spatial_filter\.enrollment=0$"):
        toy_train("names2", steps=1, slots={"scenes": 2, "batch": 4}, **named)


def test_a_recipe_s_second_guesses_are_told_and_the_card_says_so(
    toy_train: Callable[..., TrainingResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[float] = []

    class Watched(EarlierStages):
        def __call__(self, batch: Batch) -> Any:
            made.append(self.runner_up)
            return super().__call__(batch)

    monkeypatch.setattr(trainer, "EarlierStages", Watched)
    for part in ("m2d", "uss", "dpc"):
        toy_train(part, steps=1)
    none = {"system": {"frame_encoder": "none"}}
    toy_train("tse2", steps=1, **none)
    assert made == [0.0]
    toy_train("names2", steps=1, slots={"scenes": 1, "batch": 4}, clues={"runner_up": 0.25}, **none)
    assert made[1:] == [0.25]
    history = json.loads((tmp_path / "weights" / "card.json").read_text())["history"]
    assert [entry.get("runner_up") for entry in history[-2:]] == [None, 0.25]


def test_plans_of_before_there_were_second_guesses_keep_their_digests(toy_plan: Callable[..., TrainingPlan]) -> None:
    assert "runner_up" not in toy_plan("names2").recipe.recorded()["clues"]
    assert toy_plan("names2", clues={"runner_up": 0.1}).recipe.recorded()["clues"]["runner_up"] == 0.1


class Listening(nn.Module):
    """An extractor that keeps what it was told, and gives half of it."""

    width = 4

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Tensor] = []
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, mixture: Tensor, enrollment: Tensor, classes: Tensor, frames: object) -> SimpleNamespace:
        self.told.append(enrollment.detach().clone())
        return SimpleNamespace(estimate=self.scale * enrollment, features=torch.zeros(len(enrollment), 4, 2, 2))


class Deaf(nn.Module):
    """A classifier that names everything alike and gives up nothing."""

    def forward(self, features: Tensor, tokens: object, level: Tensor) -> SimpleNamespace:
        plain = torch.eye(18)[torch.zeros(len(features)).long()]
        return SimpleNamespace(plain=plain, silence=-torch.ones(len(features)))


def scenes() -> tuple[Batch, Tensor]:
    """Two scenes, and what a separator makes of them, (2, 3, T)."""
    torch.manual_seed(3)
    targets = torch.randn(2, 3, 3000)
    mixture = torch.randn(2, 4, 3000)
    labels = torch.tensor([[1, 2, 3], [4, 5, -1]])
    batch = Batch(mixture, targets * (labels >= 0).unsqueeze(-1), labels, targets[:, :2], targets[:, :1])
    return batch, batch.targets + 0.3 * torch.randn(2, 3, 3000)


def stages(separated: Tensor, refinements: tuple[Any, ...], filter_: SpatialFilterSettings | None) -> EarlierStages:
    def uss(mixture: Tensor, foreground_only: bool) -> SimpleNamespace:
        return SimpleNamespace(foreground=separated, features=torch.zeros(2, 3, 4, 2, 2))

    def m2d(audio: Tensor) -> Tensor:
        return audio[:, :1]

    return EarlierStages(uss, Deaf(), refinements, m2d, None, "estimate", 0.97, 18, filter_)  # type: ignore[arg-type]


def slowly_filtered(batch: Batch, audio: Tensor) -> Tensor:
    """(6, T) from (6, T), a scene and a slot at a time."""
    rows = [spatially_filtered(batch.mixture[n // 3], audio[n : n + 1], SETTINGS)[0] for n in range(6)]
    return torch.stack(rows)


def test_every_extractor_on_the_way_to_kept_slots_is_told_the_filtered_enrollment() -> None:
    batch, separated = scenes()
    first, second = Listening(), Listening()
    earlier = stages(separated, ((first, Deaf()),), SETTINGS)

    def m2d(audio: Tensor) -> Tensor:
        return audio[:, :1]

    m2d.to_spec = lambda audio: audio.unsqueeze(1)  # type: ignore[attr-defined]
    with torch.no_grad():
        extracted_slots(second, replace(earlier, m2d=m2d))(batch)  # type: ignore[arg-type]
    expected = slowly_filtered(batch, separated.flatten(0, 1))
    torch.testing.assert_close(first.told[0], expected)
    torch.testing.assert_close(second.told[0], slowly_filtered(batch, 0.5 * expected))
    plain = stages(separated, ((first, Deaf()),), None)
    plain(batch)
    torch.testing.assert_close(first.told[-1], separated.flatten(0, 1))


@pytest.mark.parametrize("second_pass", [0.0, 1.0])
def test_an_extractor_is_trained_on_it_in_both_passes(second_pass: float, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, separated = scenes()
    extractor = Listening()
    clues = replace(read_plan("mini/tse2").recipe.clues, undisturbed=1.0, second_pass=second_pass, silent_share=0.0)
    loss = replace(read_plan("mini/tse2").recipe.loss, segmentation=0.0)
    monkeypatch.setattr(extraction, "choose_slots", lambda active, dead, share: torch.arange(6))

    def extract(task: ExtractionTask, slots: Any, told: Tensor, classes: Tensor, absent: Tensor) -> Any:
        return task.tse(slots.mixture, told, classes, None)

    monkeypatch.setattr(ExtractionTask, "_extract", extract)
    task = ExtractionTask(extractor, None, stages(separated, (), SETTINGS), loss, clues, train_tse=True)  # type: ignore[arg-type]
    task(batch)
    expected = slowly_filtered(batch, separated.flatten(0, 1))
    torch.testing.assert_close(extractor.told[0], expected)
    assert len(extractor.told) == 1 + int(second_pass)
    if second_pass:
        torch.testing.assert_close(extractor.told[1], slowly_filtered(batch, 0.5 * expected))
