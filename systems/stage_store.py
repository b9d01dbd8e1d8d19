"""The stage store: results of stages on disk, under the hash of what they were made from.

An entry is one .npz of plain arrays with its key parts in clear and the digest of its content. Entries are
written atomically, so that several processes share a store without locks; an entry that is torn, damaged or
of another key is as good as none.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.files import atomic_path
from s5eval.data_manifests.common.unfinished import sweep
from s5eval.data_manifests.common.zips import DAMAGE
from s5eval.systems.interface import Candidates, Json

LOGGER = "s5eval.store"
"""Name of the logger that tells of what could not be kept or read."""

log = logging.getLogger(LOGGER)

_LONGEST_NAME = 60  # characters: those of UTF-8 take up to four bytes, of which a name may have 255
_RESERVE = 1 << 30  # bytes that stay free: a cache must never be what fills the disk


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored result: its file, stage name, size in bytes and time of last use (POSIX seconds)."""

    path: Path
    stage: str
    size: int
    used: float


class DiskStore:
    """Stage results below one folder; implements `StageStore`."""

    def __init__(self, root: Path) -> None:
        """Keep entries below `root`, which is made when first needed."""
        self.root = root
        self._warned = False
        self._swept: set[Path] = set()

    def get(self, key: Mapping[str, Json]) -> Candidates | None:
        """The stored result; None when it is missing, damaged, or belongs to another key."""
        path = self._path(key)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as entries:
                arrays = dict(entries)
            labels = tuple(str(label) for label in arrays["labels"]) if "labels" in arrays else None
            candidates = Candidates(arrays["audio"], arrays["class_scores"], arrays["p_silence"], labels)
            if str(arrays["key"]) != canonical(key) or str(arrays["content"]) != candidates.sha256():
                raise ValueError("the content does not match its digest")
            with suppress(OSError):  # a store of somebody else can be read, and its times not be set
                os.utime(path)  # not touch(): it would make an empty file of one that was pruned a moment ago
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, EOFError, NotImplementedError, *DAMAGE) as error:
            log.warning("stage store: %s is damaged and will be made again (%s)", path, error)
            return None
        return candidates

    def put(self, key: Mapping[str, Json], candidates: Candidates) -> None:
        """Store a result. A full or unwritable disk costs the cache, never the run: it is logged once."""
        path = self._path(key)
        arrays: dict[str, npt.NDArray[Any]] = {
            "audio": candidates.audio,
            "class_scores": candidates.class_scores,
            "p_silence": candidates.p_silence,
            "key": np.array(canonical(key)),
            "content": np.array(candidates.sha256()),
        }
        if candidates.labels is not None:
            arrays["labels"] = np.array(candidates.labels, dtype=np.str_)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(path.parent).free < _RESERVE:
                raise OSError(f"less than {_RESERVE >> 30} GiB is free; `s5eval cache prune` makes room")
            if path.parent not in self._swept:
                sweep(path.parent)
                self._swept.add(path.parent)
            # not synced: `get` tells what a power loss has left of an entry by its digest
            with atomic_path(path, sync=False) as temporary, temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
        except OSError as error:
            if not self._warned:
                log.warning(
                    "stage store: results are not kept below %s, and later runs have to make them again: %s",
                    self.root,
                    error.strerror or error,
                )
                self._warned = True

    def entries(self) -> Iterator[Entry]:
        """All entries, in no order."""
        for path in self.root.glob("*/*/*.npz"):
            if not path.name.startswith("."):
                try:
                    stat = path.stat()
                except FileNotFoundError:  # another process has pruned it
                    continue
                yield Entry(path, path.parent.parent.name, stat.st_size, stat.st_mtime)

    def prune(self, *, keep_bytes: int) -> tuple[int, int]:
        """Remove the entries that were used longest ago until the rest fits; returns how many and how many bytes.

        What processes have begun that were killed goes as well, and is not counted.

        Raises:
            DataError: an entry cannot be removed; those before it are gone.
        """
        removed = freed = kept = 0
        for folder, _, _ in os.walk(self.root):
            sweep(Path(folder))
        for entry in sorted(self.entries(), key=lambda entry: entry.used, reverse=True):
            kept += entry.size
            if kept > keep_bytes:
                try:
                    entry.path.unlink(missing_ok=True)
                except OSError as error:
                    raise DataError(
                        f"{entry.path}: cannot be removed: {error.strerror or error}; whoever made it can, or name "
                        "another cache by S5EVAL_CACHE"
                    ) from error
                removed += 1
                freed += entry.size
        return removed, freed

    def _path(self, key: Mapping[str, Json]) -> Path:
        digest = hashlib.sha256(canonical(key).encode()).hexdigest()
        return self.root / _folder_name(str(key["stage"])) / digest[:2] / f"{digest}.npz"


def _folder_name(stage: str) -> str:
    """The folder of a stage: its name, where that is one of a folder. Entries elsewhere would not be pruned."""
    name = re.sub(r"[^\w .:+-]", "_", stage)[:_LONGEST_NAME]
    return name if name.strip(". ") else f"{name}_"


def canonical(value: Mapping[str, Json]) -> str:
    """The one JSON text of a key: sorted keys, no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
