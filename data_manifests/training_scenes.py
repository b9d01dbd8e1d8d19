"""Endless training material: scenes drawn and made on the fly, for any loader that takes a map-style data set.

`torch.utils.data.DataLoader` takes it as it is, with any number of workers: item i of epoch e is the same scene in
every process, because a scene is a function of its index alone. Nothing here imports torch.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.workers import begin_worker
from s5eval.data_manifests.labels import CLASS_INDEX, NO_SOURCE
from s5eval.data_manifests.records import Audio
from s5eval.data_manifests.sets.mini import RECIPE, mini_material
from s5eval.data_manifests.synthesis.augmentation import UNCHANGED, Augmentation, augmented
from s5eval.data_manifests.synthesis.mixing import MixedSources, PooledSources
from s5eval.data_manifests.synthesis.recordings import open_recordings, rooms_of
from s5eval.data_manifests.synthesis.render import SynthesizedScene
from s5eval.data_manifests.synthesis.scene import Material, Recipe, draw_scene
from s5eval.data_manifests.synthesis.scene_audio import render_scene
from s5eval.data_manifests.synthesis.sources import DurationAugmentation, Sources

PROCEDURAL = "foley"
"""Name of the procedural sounds among the material of a mixed training."""


class TrainingItem(TypedDict):
    """One scene, T samples, padded to fixed shapes with zeros and `NO_SOURCE`; a default collate stacks it.

    Attributes:
        mixture: float32 (4, T).
        targets: float32 (K, T), dry; K is the largest number of targets of the recipe.
        labels: int64 (K,), index in `CLASSES`; that of a slot whose target is all zero is `NO_SOURCE` as well.
        interference: float32 (J, T), dry.
        noise: float32 (T,), the background in channel 0.
    """

    mixture: Audio
    targets: Audio
    labels: npt.NDArray[np.int64]
    interference: Audio
    noise: Audio


@dataclass
class TrainingScenes:
    """A map-style data set over synthesis.

    It has `__len__` and `__getitem__`, all that `torch.utils.data.DataLoader` asks of one, and does not inherit from
    `torch.utils.data.Dataset`: making scenes needs no torch.

    Attributes:
        material: recordings and rooms.
        recipe: what scenes are like; a shorter `duration` makes crops, at less cost.
        seed: of the whole series.
        scenes_per_epoch: the length.
        epoch: counts up from 0 (`loader.dataset.epoch += 1` between epochs); each has scenes of its own. Workers take
            it when they start, so with `persistent_workers` make one long epoch instead.
    """

    material: Material
    recipe: Recipe = RECIPE
    seed: int = 0
    scenes_per_epoch: int = 10_112
    epoch: int = 0

    def __len__(self) -> int:
        return self.scenes_per_epoch

    def __getitem__(self, index: int) -> TrainingItem:
        if not 0 <= index < self.scenes_per_epoch:
            raise IndexError(f"scene {index} of {self.scenes_per_epoch}")
        number = self.epoch * self.scenes_per_epoch + index
        drawn = draw_scene(seed=self.seed, index=number, material=self.material, recipe=self.recipe)
        return _item(render_scene(drawn), self.recipe)


def _item(scene: SynthesizedScene, recipe: Recipe) -> TrainingItem:
    def padded(rows: npt.NDArray[np.float64], slots: int) -> Audio:
        filled = np.zeros((slots, scene.mixture.shape[1]), dtype=np.float32)
        filled[: len(rows)] = rows
        return filled

    slots = len(recipe.target_counts) - 1
    labels = np.full(slots, NO_SOURCE, dtype=np.int64)
    labels[: len(scene.labels)] = [
        CLASS_INDEX[label] if dry.any() else NO_SOURCE  # of digital silence in a recording nothing is to be learned
        for label, dry in zip(scene.labels, scene.dry, strict=True)
    ]
    return TrainingItem(
        mixture=scene.mixture,
        targets=padded(scene.dry, slots),
        labels=labels,
        interference=padded(scene.interference, len(recipe.interference_counts) - 1),
        noise=scene.noise[0],
    )


def mixed_training(
    shares: Mapping[str, float],
    *,
    seed: int = 0,
    scenes_per_epoch: int = 10_112,
    duration: float = 10.0,
    duration_augmentation: DurationAugmentation = "off",
    augmentation: Augmentation = UNCHANGED,
    rooms: int | None = None,
    recipe: Recipe = RECIPE,
) -> TrainingScenes:
    """Scenes from procedural sounds and folders of recordings, event by event by their shares.

    A class that not all of them have comes from those that have it, by their shares among these.

    Args:
        shares: `foley`, or a folder (see `open_recordings`), and its share; they need not add up to one.
        seed: of the series.
        scenes_per_epoch: the length of the data set.
        duration: of a scene, seconds.
        duration_augmentation: how short and long Percussion is drawn.
        augmentation: how recordings are changed; procedural sounds, each another one, are not.
        rooms: number of simulated rooms; None: as many as mini/train has. Unused where folders bring measured rooms,
            which then take the place of all simulated ones.
        recipe: everything else.

    Raises:
        UsageError: no share is positive, or one is negative or not finite.
        DataError: see `open_recordings`.
    """
    used = {name: share for name, share in shares.items() if share > 0}
    if not used or not all(0 <= share < math.inf for share in shares.values()):
        raise UsageError(
            f"`shares` is {dict(shares)}, expected foley or folders, each with a finite share of 0 or more, one above 0"
        )
    procedural = mini_material("train", duration_augmentation, rooms)
    opened = {name: open_recordings(Path(name), "train", duration_augmentation) for name in used if name != PROCEDURAL}
    targets: list[tuple[float, Sources]] = []
    interference: list[tuple[float, Sources]] = []
    for name, share in used.items():
        if name == PROCEDURAL:
            targets.append((share, procedural.targets))
            interference.append((share, procedural.interference))
            continue
        targets.append((share, augmented(opened[name].targets, augmentation)))
        if (others := opened[name].interference) is not None:
            interference.append((share, augmented(others, augmentation)))
    measured, backgrounds = rooms_of(list(opened.values()))
    heard = interference or [(1.0, procedural.interference)]
    material = Material(
        MixedSources(tuple(targets)) if len(targets) > 1 else targets[0][1],
        PooledSources(tuple(heard)) if len(heard) > 1 else heard[0][1],
        measured or procedural.rooms,
        backgrounds,
    )
    return TrainingScenes(material, replace(recipe, duration=duration), seed, scenes_per_epoch)


def start_worker(worker: int) -> None:
    """For `DataLoader(worker_init_fn=…)`: ends with its parent, and makes scenes a third faster with glibc.

    No seeding is needed: a scene's chance comes from its index.
    """
    begin_worker()
