"""The files in a folder of kept slots: which scenes they are of, what they were made by, and what was heard for them.

Shards of `SHARD` scenes lie in files of their own. Beside them, `slots.json` says what they were made by: where that is
another thing, they are made anew; and `material.json` what the scenes were made of, for cards.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from safetensors import SafetensorError, safe_open
from torch import Tensor

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import write_atomically
from s5eval.systems.training.training_plan import content_digest

SHARD = 50
"""Scenes per file: what a kill costs at most."""

FOLDER = "slots"
"""The folder of kept slots, within that of a training."""

_MAY_DIFFER = {"scenes", "runner_up"}
"""Keys in which slots that are heard beside may differ."""

_INDEX, _MATERIAL = "slots.json", "material.json"


def shard_path(folder: Path, first: int, last: int) -> Path:
    """Where scenes `first` to `last` − 1 lie."""
    return folder / f"{first:06d}-{last:06d}.safetensors"


def open_shard(path: Path, names: Sequence[str]) -> Mapping[str, Tensor] | None:
    """The tensors of a shard, mapped from the file; None where it is not there or not whole."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: cast(Tensor, file.get_tensor(name)) for name in names}
    except (OSError, SafetensorError):
        return None


def take_folder(folder: Path, made_by: Mapping[str, Any], material: Sequence[Mapping[str, Any]]) -> None:
    """Say what a folder's slots are made by and of; those that were made by something else go."""
    if _read(folder / _INDEX) != made_by:
        for path in folder.glob("*.safetensors"):
            path.unlink()
        write_atomically(folder / _INDEX, json.dumps(made_by, indent=1) + "\n")
    write_atomically(folder / _MATERIAL, json.dumps(list(material), indent=1) + "\n", sync=False)


@dataclass(frozen=True, slots=True)
class OtherSlots:
    """What another training has kept: `slots.also` names its folder.

    Attributes:
        folder: of the slots.
        scenes: how many, from the first on, lie in whole shards.
        made_by: as `slots.json` says.
        material: what the scenes were made of, as cards tell it; see `batches.heard`.
    """

    folder: Path
    scenes: int
    made_by: Mapping[str, Any]
    material: Sequence[Mapping[str, Any]]

    @classmethod
    def of_training(cls, out: Path) -> Self:
        """Those of the training in the folder `out`.

        Raises:
            DataError: it has kept none.
        """
        folder = out / FOLDER
        made_by, material = _read(folder / _INDEX), _read(folder / _MATERIAL)
        scenes = 0
        while shard_path(folder, scenes, scenes + SHARD).is_file():
            scenes += SHARD
        if not scenes or not isinstance(made_by, Mapping) or not isinstance(material, list):
            raise DataError(
                f"slots.also: {out} holds no kept slots (no {FOLDER}/{_INDEX}, {_MATERIAL} and whole shards of "
                f"{SHARD} scenes); expected the `out` folder of a training with slots.scenes of {SHARD} or more"
            )
        return cls(folder, scenes, made_by, material)

    def digest(self) -> str:
        """`sha256:` of what the slots were made by, and how many scenes they are of; not of where they lie."""
        return content_digest([self.made_by, self.scenes])

    def shards(self, made_by: Mapping[str, Any], names: Sequence[str]) -> Iterator[Mapping[str, Tensor]]:
        """Their tensors, for a training whose own slots are made by `made_by`.

        Raises:
            UsageError: they were made by other networks, or in another way; see `_MAY_DIFFER`.
            DataError: a shard is damaged.
        """
        keys = {*made_by, *self.made_by} - _MAY_DIFFER
        if other := sorted(key for key in keys if made_by.get(key) != self.made_by.get(key)):
            raise UsageError(
                f"slots.also: {self.folder} was made with another {', '.join(other)} than this training's; expected "
                "slots of the same frozen networks, stage and sizes; only scenes and clues.runner_up may differ"
            )
        for first in range(0, self.scenes, SHARD):
            path = shard_path(self.folder, first, first + SHARD)
            shard = open_shard(path, names)
            if shard is None:
                raise DataError(f"slots.also: {path} is damaged; give the command of its training again to mend it")
            yield shard


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
