"""Batches of scenes made on the fly: scene i of a run is the same in every process, at every attempt, on any device."""

import functools
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from s5eval.data_manifests.common.digests import digest_text
from s5eval.data_manifests.common.errors import S5Error
from s5eval.data_manifests.common.memory import keep_freed_memory
from s5eval.data_manifests.labels import NO_SOURCE, absent_classes
from s5eval.data_manifests.records import SAMPLE_RATE
from s5eval.data_manifests.sets.mini import RECIPE
from s5eval.data_manifests.synthesis.recordings import open_recordings
from s5eval.data_manifests.training_scenes import (
    PROCEDURAL,
    TrainingItem,
    TrainingScenes,
    mixed_training,
    start_worker,
)
from s5eval.systems.training.together import told_as
from s5eval.systems.training.training_recipe import DataSettings

_T = TypeVar("_T")

_ENDLESS = 1 << 40


class Batch(NamedTuple):
    """Scenes of one length, T samples; a tuple, which Lightning's mixed precision can walk through.

    Attributes:
        mixture: (B, 4, T).
        targets: (B, K, T), dry; zero where a slot has no source.
        labels: (B, K), index of the class, −1 where there is none.
        interference: (B, J, T), dry.
        noise: (B, 1, T), the background in channel 0.
    """

    mixture: Tensor
    targets: Tensor
    labels: Tensor
    interference: Tensor
    noise: Tensor

    @property
    def active(self) -> Tensor:
        """(B, K): which slots have a source."""
        return self.labels != NO_SOURCE

    @property
    def omni(self) -> Tensor:
        """(B, T): channel 0 of the mixture, the reference of levels."""
        return self.mixture[:, 0]

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return Batch(*(value.to(device) for value in self))


Stack = Mapping[str, npt.NDArray[Any]]
"""Scenes of a batch, stacked, by the names of `TrainingItem`."""


def stack(items: list[TrainingItem]) -> Stack:
    """Stack scenes as arrays: a loader's process sends these through a pipe, where tensors need shared memory."""
    keys = ("mixture", "targets", "labels", "interference", "noise")
    return {key: np.stack([item[key] for item in items]) for key in keys}  # type: ignore[literal-required]


def as_batch(stacked: Stack) -> Batch:
    """The tensors of a batch."""
    tensors = {key: torch.from_numpy(array) for key, array in stacked.items()}
    return Batch(**{**tensors, "noise": tensors["noise"].unsqueeze(1)})


def collate(items: list[TrainingItem]) -> Batch:
    """Stack scenes as tensors."""
    return as_batch(stack(items))


def scenes(settings: DataSettings, seed: int) -> TrainingScenes:
    """The endless series of a recipe.

    Raises:
        DataError: the folder of recordings is missing or wrong.
    """
    total = sum(settings.target_counts)
    recipe = replace(RECIPE, target_counts=tuple(chance / total for chance in settings.target_counts))
    return mixed_training(
        settings.shares(),
        seed=seed,
        scenes_per_epoch=_ENDLESS,
        duration=settings.seconds,
        duration_augmentation=settings.duration_augmentation,
        augmentation=settings.augmentation,
        rooms=settings.rooms,
        recipe=recipe,
    )


def heard(settings: DataSettings) -> list[dict[str, Any]]:
    """What a card says of every kind of material: its share, and of folders what `Recordings.described` tells.

    Raises:
        DataError: a folder is missing or wrong.
    """
    shares = settings.shares()
    total = sum(shares.values())
    return [{"share": round(share / total, 4), **_material(name)} for name, share in shares.items()]


def never_heard(material: Sequence[Mapping[str, Any]]) -> list[str]:
    """Classes that none of the material has a sound of, in order; procedural sounds are of every class."""
    lacking = [set(told.get("absent", ())) for told in material]
    return sorted(set.intersection(*lacking))


def _material(name: str) -> dict[str, Any]:
    if name == PROCEDURAL:
        return {"folder": PROCEDURAL}
    recordings = open_recordings(Path(name), "train")
    known = recordings.described()
    contents = digest_text(known["contents"].values())  # names of files are none of a card's concern
    return {**known, "contents": contents, "absent": absent_classes(recordings.targets.labels)}


def heard_entry(material: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What an entry of the card says of what was heard: `data`, the digests of folders of recordings, and the classes
    that were not among it.
    """
    if not any("digest" in told for told in material):  # a folder of recordings may be called so, too
        return {"data": "procedural (mini/train)"}
    shares = ", ".join(f"{told['folder']} {told['share']:g}" for told in material)
    entry = {"data": shares, "recordings": [told["digest"] for told in material if "digest" in told]}
    lacking = never_heard(material)
    return {**entry, "never_heard": lacking} if lacking else entry


class _Failure(NamedTuple):
    """An expected error of a loader's process; torch would put the traceback into its text."""

    kind: type[S5Error]
    text: str


@dataclass(frozen=True)
class _Answering:
    """A series that answers with its expected errors rather than raise them."""

    series: TrainingScenes

    def __getitem__(self, index: int) -> Any:
        try:
            return self.series[index]
        except S5Error as error:
            return _Failure(told_as(error), str(error))


def _stacked(items: list[Any], how: Callable[[list[TrainingItem]], _T]) -> _T | _Failure:
    return next((item for item in items if isinstance(item, _Failure)), None) or how(items)


def _raised(loaded: Iterable[_T | _Failure]) -> Iterator[_T]:
    for batch in loaded:
        if isinstance(batch, _Failure):
            raise batch.kind(batch.text)
        yield batch


class _Rows:
    """Indices of the scenes of every batch from a given one on; what torch calls a batch sampler."""

    def __init__(self, first: int, last: int, batch: int, rank: int, ranks: int) -> None:
        self.first, self.last, self.batch, self.rank, self.ranks = first, last, batch, rank, ranks

    def __iter__(self) -> Iterator[list[int]]:
        each = self.batch // self.ranks
        for number in range(self.first, self.last):
            start = number * self.batch + self.rank * each
            yield list(range(start, start + each))

    def __len__(self) -> int:
        return self.last - self.first


def batches(
    settings: DataSettings, seed: int, batch: int, *, first: int, last: int, rank: int = 0, ranks: int = 1
) -> Iterator[Batch]:
    """One device's share of batches `first` to `last` − 1 of the series.

    Args:
        settings: what scenes are like.
        seed: of the series.
        batch: scenes per batch on all devices together, a multiple of `ranks`.
        first: number of the first batch; where a resumed run goes on.
        last: number after the last batch.
        rank: which of the devices this is.
        ranks: how many there are.

    Raises:
        DataError: a folder of recordings is missing or wrong; with the batch that wants it, a recording.
    """
    keep_freed_memory()
    series = scenes(settings, seed)
    shared = settings.workers > 0 and _shared_memory_takes(
        settings.workers * _PREFETCHED * _bytes(series, batch // ranks)
    )
    loader: DataLoader[Any] = DataLoader(
        cast(Any, _Answering(series)),
        batch_sampler=_Rows(first, last, batch, rank, ranks),
        num_workers=settings.workers,
        collate_fn=functools.partial(_stacked, how=collate if shared else stack),
        worker_init_fn=start_worker,
        multiprocessing_context="spawn" if settings.workers else None,
        prefetch_factor=_PREFETCHED if settings.workers else None,
    )
    return _raised(loader) if shared else map(as_batch, _raised(loader))


_PREFETCHED = 2  # batches that a loader's process makes ahead, torch's default
_SHARED_MEMORY = Path("/dev/shm")  # where Linux keeps it; a container's often has 64 MB


def _shared_memory_takes(size: int) -> bool:
    """Whether batches may travel in shared memory: a process that finds it full dies, and its batch never comes."""
    try:
        return shutil.disk_usage(_SHARED_MEMORY).free > 2 * size
    except OSError:
        return not sys.platform.startswith("linux")


def _bytes(series: TrainingScenes, count: int) -> int:
    channels = 5 + len(series.recipe.target_counts) + len(series.recipe.interference_counts)  # mixture, noise, sources
    return int(4 * channels * count * series.recipe.duration * SAMPLE_RATE)
