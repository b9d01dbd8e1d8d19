"""What the frozen stages make of scenes, kept on disk: a classifier then hears each slot many times and pays once.

Making a scene and separating it takes some twenty times as long as a step of the classifier on what came out. So a
number of scenes are heard once; of each slot the object features and M2D's log-mel input stay, at half precision, and
training draws from them (`slot_draws`). Beside the slots stay the scenes' sources alone: what a class sounds like is
learned sooner from what is clear.
"""

import bisect
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.files import make_folder, write_atomically
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.labels import NO_SOURCE
from s5eval.systems.multistage.training.slot_folder import SHARD, OtherSlots, open_shard, shard_path, take_folder
from s5eval.systems.training.together import ALONE, alike, anyone, everywhere, first


class SlotBatch(NamedTuple):
    """N slots as a classifier hears them.

    Attributes:
        features: (N, D, T', F') of the separator.
        log_mel: (N, mels, frames), M2D's input for the estimate at its level.
        level: (N,) of `relative_level`.
        labels: (N,), −1 for a slot without a source.
        other: (N,), the class that was mixed in; −1: none.
        share: (N,), how much of it is of `labels`; 1 where nothing was mixed in.
    """

    features: Tensor
    log_mel: Tensor
    level: Tensor
    labels: Tensor
    other: Tensor
    share: Tensor

    @classmethod
    def unmixed(cls, features: Tensor, log_mel: Tensor, level: Tensor, labels: Tensor) -> "SlotBatch":
        """Slots with nothing mixed in."""
        return cls(features, log_mel, level, labels, torch.full_like(labels, NO_SOURCE), torch.ones_like(level))

    def to(self, device: torch.device) -> "SlotBatch":
        """The same on a device."""
        return SlotBatch(*(value.to(device) for value in self))


class Heard(NamedTuple):
    """What is kept of scenes.

    Attributes:
        slots: of all of them.
        alone: (M, mels, frames), M2D's input for their sources before they were mixed.
        alone_labels: (M,).
    """

    slots: SlotBatch
    alone: Tensor
    alone_labels: Tensor

    def to(self, device: torch.device) -> "Heard":
        """The same on a device."""
        return Heard(self.slots.to(device), self.alone.to(device), self.alone_labels.to(device))


_OF_SLOTS = ("features", "log_mel", "level", "labels")
_KEPT = (*_OF_SLOTS, "alone", "alone_labels")


class KeptSlots:
    """A folder of slots, made once, and perhaps those that other trainings have kept."""

    def __init__(self, folder: Path, made_by: Mapping[str, object]) -> None:
        """`made_by`: everything that the slots depend on, in plain types."""
        self.folder, self.made_by = folder, json.loads(json.dumps(made_by))
        self._shards: list[Mapping[str, Tensor]] = []
        self._ends: dict[str, list[int]] = {"labels": [], "alone_labels": []}

    def prepare(
        self,
        scenes: int,
        hear: Callable[[int, int], Heard],
        progress: CountProgress | None = None,
        *,
        material: Sequence[Mapping[str, Any]] = (),
        others: Sequence[OtherSlots] = (),
        fabric: Any = ALONE,
    ) -> None:
        """Make what is missing of the first `scenes` scenes, and open all of it.

        Several processes take turns: each makes a shard of its own while the others make theirs.

        Args:
            scenes: how many.
            hear: gives what is kept of scenes `first` to `last` − 1.
            progress: is told, whenever some were made, how many scenes there are, and of how many; in every process as
                often. It may raise.
            material: what the scenes are made of, for the card of whoever hears them later.
            others: come after the folder's own.
            fabric: of the processes that make them together; all must see the same folder.

        Raises:
            DataError: a file cannot be written, or one of the others not be read.
            UsageError: the others were made by other networks, or processes have found other numbers of their slots.
        """
        everywhere(fabric, lambda: make_folder(self.folder))
        first(fabric, lambda: take_folder(self.folder, self.made_by, material))
        shards = [(begin, min(scenes, begin + SHARD)) for begin in range(0, scenes, SHARD)]
        for number in range(0, len(shards), fabric.world_size):
            turn = shards[number : number + fabric.world_size]
            own = turn[fabric.global_rank : fabric.global_rank + 1]  # none in the last turn, perhaps
            made = everywhere(fabric, functools.partial(self._make, own, hear))
            everywhere(fabric, functools.partial(self._open, turn))
            if anyone(fabric, made) and progress is not None:
                progress(turn[-1][1], scenes)
        everywhere(fabric, functools.partial(self._take_others, others))
        alike(fabric, f"{len(self)} slots", "the folders of slots.also must lie still while a training begins")

    def _make(self, shards: Sequence[tuple[int, int]], hear: Callable[[int, int], Heard]) -> bool:
        """Whether one of them was missing."""
        made = False
        for begin, end in shards:
            path = shard_path(self.folder, begin, end)
            if open_shard(path, _KEPT) is None:
                write_atomically(path, save(_tensors(hear(begin, end))), sync=False)
                made = True
        return made

    def _open(self, shards: Sequence[tuple[int, int]]) -> None:
        for begin, end in shards:
            path = shard_path(self.folder, begin, end)
            shard = open_shard(path, _KEPT)
            if shard is None:
                raise DataError(
                    f"{path}: cannot be read after it was made; expected a disk in order, and a folder that all "
                    "processes of the training see"
                )
            self._take(shard)

    def _take_others(self, others: Sequence[OtherSlots]) -> None:
        for other in others:
            for shard in other.shards(self.made_by, _KEPT):
                self._take(shard)

    def _take(self, shard: Mapping[str, Tensor]) -> None:
        self._shards.append(shard)
        for name, ends in self._ends.items():
            ends.append((ends[-1] if ends else 0) + len(shard[name]))

    def __len__(self) -> int:
        """Number of slots."""
        return len(self.labels())

    def labels(self) -> Tensor:
        """Those of all slots, (N,)."""
        return torch.cat([shard["labels"] for shard in self._shards])

    def alone_labels(self) -> Tensor:
        """Those of all sources alone, (M,)."""
        return torch.cat([shard["alone_labels"] for shard in self._shards])

    def pick(self, rows: Tensor) -> SlotBatch:
        """Some of the slots, by their numbers."""
        features, log_mel, level, labels = self._rows(rows, _OF_SLOTS, "labels")
        return SlotBatch.unmixed(features.float(), log_mel.float(), level, labels)

    def pick_alone(self, rows: Tensor) -> SlotBatch:
        """Some of the sources alone, by their numbers; their features are zero, and so are their levels."""
        log_mel, labels = self._rows(rows, ("alone", "alone_labels"), "alone_labels")
        shape = self._shards[0]["features"].shape[1:]
        return SlotBatch.unmixed(torch.zeros(len(rows), *shape), log_mel.float(), torch.zeros(len(rows)), labels)

    def _rows(self, rows: Tensor, names: Sequence[str], counted: str) -> list[Tensor]:
        ends = self._ends[counted]
        parts: list[list[Tensor]] = []
        for row in rows.tolist():
            number = bisect.bisect_right(ends, row)
            place = row - (ends[number - 1] if number else 0)
            parts.append([self._shards[number][name][place] for name in names])
        return [torch.stack(column) for column in zip(*parts, strict=True)]


def join(batches: list[SlotBatch]) -> SlotBatch:
    """Slots of several scenes, one after the other."""
    return SlotBatch(*(torch.cat(column) for column in zip(*batches, strict=True)))


def joined(scenes: list[Heard]) -> Heard:
    """What is kept of several scenes, one after the other."""
    slots, alone, labels = zip(*scenes, strict=True)
    return Heard(join(list(slots)), torch.cat(alone), torch.cat(labels))


def _tensors(heard: Heard) -> dict[str, Tensor]:
    halved = {name: getattr(heard.slots, name).half() for name in ("features", "log_mel")}
    whole = {"level": heard.slots.level, "labels": heard.slots.labels, "alone_labels": heard.alone_labels}
    return {name: value.contiguous() for name, value in {**halved, **whole, "alone": heard.alone.half()}.items()}
