"""Folders of recordings: where their parts lie, what scenes can be made of them, and what can be said about them.

A folder is in the official layout (`sound_event/<split>/<Class>/…`, and possibly `interference/<split>/<Kind>/…`,
`noise/<split>/…` and `room_ir/<split>/*.sofa`), or holds the classes directly below the split: `<split>/<Class>/…`.
A table `manifest.csv` in it, with the columns `file`, `licence` and `source`, says where the recordings come from.
Its paths are those below the folder, or end with them: a name is enough where no other row has it.
"""

import csv
import hashlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.digests import UNREADABLE, content_digests, digest_start
from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.licences import licence_class
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.labels import label_problem
from s5eval.data_manifests.listing import find_audio
from s5eval.data_manifests.records import MIXTURE_CHANNELS, SAMPLE_RATE
from s5eval.data_manifests.synthesis.scene import Room
from s5eval.data_manifests.synthesis.sofa import SofaRoom, open_sofa
from s5eval.data_manifests.synthesis.sources import DurationAugmentation, FolderSources

NO_BACKGROUNDS = "no background recordings; measured rooms need them (four channels, .wav or .flac)"
"""What is wrong with a folder of backgrounds that is empty beside measured rooms."""

_UNKNOWN = "not stated"

_Origin = tuple[str, str]
"""Licence and source."""


@dataclass(frozen=True, slots=True)
class Recordings:
    """One split of a folder of recordings.

    Attributes:
        root: the folder.
        split: name of the split's sub-folders.
        targets: recordings of the classes.
        interference: sounds outside the classes; None where the folder has none.
        rooms: measured ones, opened; empty where the folder has none.
        backgrounds: four-channel files; empty where the folder has none.
    """

    root: Path
    split: str
    targets: FolderSources
    interference: FolderSources | None
    rooms: Sequence[SofaRoom]
    backgrounds: tuple[Path, ...]

    def files(self) -> list[Path]:
        """Everything that scenes can be made of, in order of the paths."""
        clips = [clip.path for sources in (self.targets, self.interference) if sources for clip in sources.all_clips()]
        return sorted({*clips, *self.backgrounds, *(room.path for room in self.rooms)})

    def digest(self) -> str:
        """`sha256:` of the names (below the folder) and contents of `files`, wherever the folder lies.

        What was read once is remembered (`content_digests`), as a set may have tens of gigabytes.

        Raises:
            DataError: a file cannot be read.
        """
        return _digest_of(self.contents())

    def contents(self) -> dict[str, str]:
        """The SHA-256 of all `files`, in their order, by their paths below the folder.

        Raises:
            DataError: a file cannot be read.
        """
        files = self.files()
        contents = content_digests(files)
        if lost := [path for path in files if contents[path] == UNREADABLE]:
            raise DataError(f"{lost[0]}: cannot be read")
        return {path.relative_to(self.root).as_posix(): contents[path] for path in files}

    def described(self) -> dict[str, Any]:
        """The folder's name, the number of its files, their digest and the starts of those of each, and how many have
        which class of licence, and which licence and source.

        Files that `manifest.csv` does not list, and all where there is none, count as `not stated`; so do those that
        could be several of the table, of which it says different things.
        """
        contents = self.contents()
        origins = Counter(_origins([Path(name) for name in contents], _stated(self.root)))
        return {
            "folder": self.root.resolve().name,
            "split": self.split,
            "files": len(contents),
            "digest": _digest_of(contents),
            "contents": {name: digest_start(content) for name, content in contents.items()},
            "licences": dict(sorted(Counter(licence_class(licence) for licence, _ in origins.elements()).items())),
            "origins": [
                {"licence": licence, "source": source, "files": count}
                for (licence, source), count in sorted(origins.items())
            ],
        }


def _digest_of(contents: Mapping[str, str]) -> str:
    listed = [f"{name} {content}\n" for name, content in contents.items()]
    return "sha256:" + hashlib.sha256("".join(listed).encode()).hexdigest()


def open_recordings(root: Path, split: str, augmentation: DurationAugmentation = "off") -> Recordings:
    """Look at a folder of recordings.

    Args:
        root: see the module.
        split: name of the sub-folders.
        augmentation: how short and long Percussion is drawn.

    Raises:
        DataError: no recordings, a class that is none of the 18, a measured room that no scene can be made in
            (`open_room`), or measured rooms without backgrounds.
    """
    targets = FolderSources(target_folder(root, split), augmentation)
    for label in targets.labels:
        if problem := label_problem(label):
            raise DataError(f"{targets.root / label}: {problem}")
    others = interference_folder(root, split)
    rooms = [open_room(path) for path in room_files(root, split)]
    noise = noise_folder(root, split)
    backgrounds = tuple(find_audio(noise))
    if rooms and not backgrounds:
        raise DataError(f"{noise}: {NO_BACKGROUNDS}")
    return Recordings(root, split, targets, FolderSources(others) if others.is_dir() else None, rooms, backgrounds)


def target_folder(root: Path, split: str) -> Path:
    """Where the classes of a split lie in either layout, see the module; the official one's place where neither is."""
    official, plain = root / "sound_event" / split, root / split
    return plain if plain.is_dir() and not official.is_dir() else official


def interference_folder(root: Path, split: str) -> Path:
    """Where sounds outside the classes lie, if there are any."""
    return root / "interference" / split


def noise_folder(root: Path, split: str) -> Path:
    """Where backgrounds of four channels lie, if there are any."""
    return root / "noise" / split


def room_files(root: Path, split: str) -> list[Path]:
    """The files of measured rooms in one split of a folder, in order."""
    return sorted((root / "room_ir" / split).glob("[!.]*.sofa"))


def open_room(path: Path) -> SofaRoom:
    """A measured room that scenes can be made in.

    Raises:
        DataError: it cannot be read, is at another rate than the scenes, or has not their four channels.
    """
    room = open_sofa(path)
    if room.sample_rate != SAMPLE_RATE:
        raise DataError(f"{path}: responses at {room.sample_rate} Hz; resample them to {SAMPLE_RATE} Hz")
    if room.n_channels != MIXTURE_CHANNELS:
        raise DataError(
            f"{path}: responses of {counted(room.n_channels, 'channel')}, expected {MIXTURE_CHANNELS} "
            "(first-order Ambisonics)"
        )
    return room


def rooms_of(folders: Sequence[Recordings]) -> tuple[list[Room], tuple[Path, ...]]:
    """Measured rooms of several folders, and their backgrounds, which simulated rooms are given as well."""
    measured: list[Room] = [room for folder in folders for room in folder.rooms]
    return measured, tuple(path for folder in folders for path in folder.backgrounds)


def _stated(root: Path) -> list[tuple[Path, _Origin]]:
    """The rows of a folder's table; none where there is no table."""
    table = root / "manifest.csv"
    if not table.is_file():
        return []
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            told = [(Path(row["file"]), _origin(row["licence"], row["source"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise DataError(f"{table}: expected a table with the columns file, licence and source: {error!r}") from error
    return [(path, origin) for path, origin in told if path.name]


def _origin(licence: str, source: str) -> _Origin:
    # "project@commit: path of one file": one project is one source
    return licence.strip() or _UNKNOWN, source.split(": ", 1)[0].strip() or _UNKNOWN


def _origins(files: Sequence[Path], stated: Sequence[tuple[Path, _Origin]]) -> list[_Origin]:
    """What a table states of files below a folder, by path; else by name, where it is of no other file that it lists
    and the names of the folders around it decide between several.
    """
    own = {path.with_suffix("") for path in files}
    by_path: dict[Path, set[_Origin]] = {}
    by_name: dict[str, list[tuple[Path, _Origin]]] = {}
    for path, origin in stated:
        if path.with_suffix("") in own:
            by_path.setdefault(path.with_suffix(""), set()).add(origin)
        else:
            by_name.setdefault(path.stem, []).append((path, origin))
    found = []
    for path in files:
        listed = by_path.get(path.with_suffix("")) or _nearest(path, by_name.get(path.stem, []))
        found.append(next(iter(listed)) if len(listed) == 1 else (_UNKNOWN, _UNKNOWN))
    return found


def _nearest(path: Path, rows: Sequence[tuple[Path, _Origin]]) -> set[_Origin]:
    """What the rows state whose folders agree with those around a file the furthest up."""
    alike = [_shared(other.parts[-2::-1], path.parts[-2::-1]) for other, _ in rows]
    return {origin for (_, origin), count in zip(rows, alike, strict=True) if count == max(alike)}


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many names two paths of folders begin with in common."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
