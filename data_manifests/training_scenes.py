"""Endless training material: scenes drawn and made on the fly, for any loader that takes a map-style data set.

`torch.utils.data.DataLoader` takes it as it is, with any number of workers: item i of epoch e is the same scene in
every process, because a scene is a function of its index alone. Nothing here imports torch.
"""

import functools
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.workers import begin_worker
from s5eval.data_manifests.labels import CLASS_INDEX, label_problem
from s5eval.data_manifests.listing import find_audio
from s5eval.data_manifests.records import SAMPLE_RATE, Audio
from s5eval.data_manifests.sets.mini import RECIPE, mini_material
from s5eval.data_manifests.synthesis.render import SynthesizedScene
from s5eval.data_manifests.synthesis.scene import Material, Recipe, Rooms, draw_scene, render_scene
from s5eval.data_manifests.synthesis.sofa import open_sofa
from s5eval.data_manifests.synthesis.sources import DurationAugmentation, FolderSources, Sources

_SAMPLED = 4096  # bytes of a place of a file that its digest covers

NO_SOURCE = -1
"""Label index of a slot without a source."""


class TrainingItem(TypedDict):
    """One scene, T samples, padded to fixed shapes with zeros and `NO_SOURCE`; a default collate stacks it.

    Attributes:
        mixture: float32 (4, T).
        targets: float32 (K, T), dry; K is the largest number of targets of the recipe.
        labels: int64 (K,), index in `CLASSES`.
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
    labels[: len(scene.labels)] = [CLASS_INDEX[label] for label in scene.labels]
    return TrainingItem(
        mixture=scene.mixture,
        targets=padded(scene.dry, slots),
        labels=labels,
        interference=padded(scene.interference, len(recipe.interference_counts) - 1),
        noise=scene.noise[0],
    )


def foley_training(
    *,
    seed: int = 0,
    scenes_per_epoch: int = 10_112,
    duration: float = 10.0,
    augmentation: DurationAugmentation = "off",
    recipe: Recipe = RECIPE,
) -> TrainingScenes:
    """Scenes like those of mini/train: procedural sounds in simulated rooms.

    Args:
        seed: of the series; mini's own splits use other seeds.
        scenes_per_epoch: the length of the data set.
        duration: of a scene, seconds.
        augmentation: how short and long Percussion is drawn.
        recipe: everything else.
    """
    return TrainingScenes(
        mini_material("train", augmentation), replace(recipe, duration=duration), seed, scenes_per_epoch
    )


def recorded_training(
    dev_set: Path,
    *,
    split: str = "train",
    seed: int = 0,
    scenes_per_epoch: int = 10_112,
    duration: float = 10.0,
    augmentation: DurationAugmentation = "off",
    recipe: Recipe = RECIPE,
) -> TrainingScenes:
    """Scenes from recordings in the official layout.

    Args:
        dev_set: holds `sound_event/<split>/<Class>/…`, and possibly `interference/<split>/<Kind>/…`,
            `noise/<split>/…` (four channels) and `room_ir/<split>/*.sofa`. Where one of the last three is missing,
            its procedural or simulated counterpart takes its place; measured rooms need `noise`.
        split: name of the sub-folders.
        seed: of the series.
        scenes_per_epoch: the length of the data set.
        duration: of a scene, seconds.
        augmentation: how short and long Percussion is drawn.
        recipe: everything else.

    Raises:
        DataError: no recordings, a class that is none of the 18, or measured rooms without backgrounds.
    """
    targets = FolderSources(dev_set / "sound_event" / split, augmentation)
    for label in targets.labels:
        if problem := label_problem(label):
            raise DataError(f"{targets.root / label}: {problem}")
    substitute = mini_material("train")
    interference_folder = dev_set / "interference" / split
    interference: Sources = (
        FolderSources(interference_folder) if interference_folder.is_dir() else substitute.interference
    )
    measured = [open_sofa(path) for path in sorted((dev_set / "room_ir" / split).glob("[!.]*.sofa"))]
    rooms: Rooms = measured or substitute.rooms
    for room in measured:
        if room.sample_rate != SAMPLE_RATE:
            raise DataError(f"{room.path}: responses at {room.sample_rate} Hz; resample them to {SAMPLE_RATE} Hz")
    noise = dev_set / "noise" / split
    backgrounds = tuple(find_audio(noise))
    if measured and not backgrounds:
        raise DataError(f"{noise}: no background recordings; measured rooms need them (four channels, .wav or .flac)")
    material = Material(targets, interference, rooms, backgrounds)
    return TrainingScenes(material, replace(recipe, duration=duration), seed, scenes_per_epoch)


@functools.cache
def recordings_digest(dev_set: Path, split: str = "train") -> str:
    """Digest of the recordings that `recorded_training` takes, wherever they lie; computed once per process.

    It covers names, sizes, and of each file its beginning, middle and end (a set has tens of gigabytes).

    Raises:
        DataError: a file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for kind in ("sound_event", "interference", "noise", "room_ir"):
            root = dev_set / kind / split
            for path in sorted(path for path in root.rglob("[!.]*") if path.is_file()):
                size = path.stat().st_size
                digest.update(f"{kind}/{path.relative_to(root).as_posix()}\0{size}\0".encode())
                with path.open("rb") as file:
                    for start in (0, size // 2, max(0, size - _SAMPLED)):
                        file.seek(start)
                        digest.update(file.read(_SAMPLED))
    except OSError as error:
        raise DataError(f"{error.filename or dev_set}: cannot be read: {error.strerror or error}") from error
    return f"recordings:{digest.hexdigest()}"


def start_worker(worker: int) -> None:
    """For `DataLoader(worker_init_fn=…)`: ends with its parent, and makes scenes a third faster with glibc.

    No seeding is needed: a scene's chance comes from its index.
    """
    begin_worker()
