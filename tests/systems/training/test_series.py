"""The endless series that a recipe hears: which scenes they are, and which device hears which of them, when."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s5eval.data_manifests.labels import NO_SOURCE
from s5eval.data_manifests.synthesis.augmentation import AugmentedSources
from s5eval.data_manifests.training_scenes import TrainingItem
from s5eval.systems.training import batches as module
from s5eval.systems.training.batches import batches, collate, scenes
from s5eval.systems.training.training_plan import read_plan
from s5eval.systems.training.training_recipe import DataSettings


def settings(**data: Any) -> DataSettings:
    found: DataSettings = read_plan("mini/uss", {"data": {"workers": 0, **data}}).recipe.data
    return found


def item(number: int) -> TrainingItem:
    """Scene `number`, which stands in every sample of it; every channel and slot has a fraction of its own."""

    def rows(count: int) -> Any:
        return np.full((count, 8), number, np.float32) + np.arange(count, dtype=np.float32)[:, None] / 10

    labels = np.array([0, NO_SOURCE, 7])
    return TrainingItem(
        mixture=rows(4), targets=rows(3), labels=labels, interference=rows(2), noise=np.full(8, number, np.float32)
    )


class Numbered:
    """A series whose scenes are told apart by their numbers."""

    def __getitem__(self, index: int) -> TrainingItem:
        return item(index)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_the_devices_share_every_batch_and_hear_each_scene_once(monkeypatch: pytest.MonkeyPatch, ranks: int) -> None:
    monkeypatch.setattr(module, "scenes", lambda settings, seed: Numbered())
    shares = [list(batches(settings(), 1, 6, first=2, last=5, rank=rank, ranks=ranks)) for rank in range(ranks)]
    heard = [[found.mixture[:, 0, 0].int().tolist() for found in share] for share in shares]
    assert [list(itertools.chain(*of_batch)) for of_batch in zip(*heard, strict=True)] == [
        list(range(6 * number, 6 * number + 6)) for number in (2, 3, 4)
    ], "batch 2 begins with scene 12, whatever was heard in this sitting"


def test_a_batch_holds_its_scenes_row_by_row() -> None:
    found = collate([item(3), item(5)])
    assert found.mixture.shape == (2, 4, 8) and found.noise.shape == (2, 1, 8)
    assert found.omni[:, 0].tolist() == [3.0, 5.0], "channel 0 is the reference of levels"
    assert found.active.tolist() == [[True, False, True]] * 2, "class 0 is a class"
    assert found.interference[1, :, 0].tolist() == pytest.approx([5.0, 5.1])
    assert found.noise[:, 0, 0].tolist() == [3.0, 5.0]


def test_the_series_is_the_one_that_the_recipe_asks_for(tmp_path: Path) -> None:
    counts = [0.1005, 0.2, 0.3, 0.4]
    series = scenes(settings(seconds=1.25, rooms=5, target_counts=counts, duration_augmentation="pool"), 77)
    assert (series.seed, series.recipe.duration, len(series.material.rooms)) == (77, 1.25, 5)
    assert series.recipe.target_counts == pytest.approx([chance / 1.0005 for chance in counts])
    assert sum(series.recipe.target_counts) == pytest.approx(1.0, abs=1e-12)
    assert series.material.targets.augmentation == "pool"  # type: ignore[attr-defined]
    (tmp_path / "train" / "Speech").mkdir(parents=True)
    (tmp_path / "train" / "Speech" / "a.wav").touch()
    given = settings(folder=str(tmp_path))
    recorded = scenes(given, 77).material.targets
    assert isinstance(recorded, AugmentedSources) and recorded.augmentation == given.augmentation
