"""Batches of scenes made on the fly: scene i of a run is the same in every process, at every attempt, on any device."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from s5eval.data_manifests.mini import RECIPE
from s5eval.data_manifests.recordings import open_recordings
from s5eval.data_manifests.training import (
    NO_SOURCE,
    PROCEDURAL,
    TrainingItem,
    TrainingScenes,
    mixed_training,
    start_worker,
)
from s5eval.systems.training.recipe import DataSettings

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


def collate(items: list[TrainingItem]) -> Batch:
    """Stack scenes."""

    def stacked(key: str) -> Tensor:
        return torch.from_numpy(np.stack([item[key] for item in items]))  # type: ignore[literal-required]

    return Batch(
        stacked("mixture"),
        stacked("targets"),
        stacked("labels"),
        stacked("interference"),
        stacked("noise").unsqueeze(1),
    )


def scenes(settings: DataSettings, seed: int) -> TrainingScenes:
    """The endless series of a recipe.

    Raises:
        DataError: the folder of recordings is missing or wrong.
    """
    total = sum(settings.target_counts)
    recipe = replace(RECIPE, target_counts=tuple(chance / total for chance in settings.target_counts))
    return mixed_training(
        material_shares(settings),
        seed=seed,
        scenes_per_epoch=_ENDLESS,
        duration=settings.seconds,
        duration_augmentation=settings.duration_augmentation,
        augmentation=settings.augmentation,
        rooms=settings.rooms,
        recipe=recipe,
    )


def material_shares(settings: DataSettings) -> Mapping[str, float]:
    """What scenes are made of and by which shares: `foley`, and folders of recordings."""
    return settings.material or {settings.folder or PROCEDURAL: 1.0}


def heard(settings: DataSettings) -> list[dict[str, Any]]:
    """What a card says of every kind of material: its share, and of folders what `Recordings.described` tells.

    Raises:
        DataError: a folder is missing or wrong.
    """
    shares = {name: share for name, share in material_shares(settings).items() if share > 0}
    total = sum(shares.values())
    told: list[dict[str, Any]] = []
    for name, share in shares.items():
        known = {"folder": PROCEDURAL} if name == PROCEDURAL else open_recordings(Path(name), "train").described()
        told.append({"share": round(share / total, 4), **known})
    return told


def heard_entry(material: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What an entry of the card says of what was heard: `data`, and the digests of folders of recordings."""
    if [told["folder"] for told in material] == [PROCEDURAL]:
        return {"data": "procedural (mini/train)"}
    shares = ", ".join(f"{told['folder']} {told['share']:g}" for told in material)
    return {"data": shares, "recordings": [told["digest"] for told in material if "digest" in told]}


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
    """
    start_worker(0)
    loader: DataLoader[Batch] = DataLoader(
        cast(Any, scenes(settings, seed)),
        batch_sampler=_Rows(first, last, batch, rank, ranks),
        num_workers=settings.workers,
        collate_fn=collate,
        worker_init_fn=start_worker,
        multiprocessing_context="spawn" if settings.workers else None,
    )
    return iter(loader)
