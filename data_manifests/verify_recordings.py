"""Whether folders of recordings are sound, before a training has heard them for an hour or a set is made of them.

A training reads what it draws, so a broken file ends it where that file is drawn first; and a take that lies in two
splits makes every number on the second one too good without a word. Both are found here, in one pass over all files.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from s5eval.data_manifests.common.digests import UNREADABLE, content_digests
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.labels import CLASSES, label_problem
from s5eval.data_manifests.listing import find_audio, is_hidden, walk_folder
from s5eval.data_manifests.naming import AUDIO_SUFFIXES
from s5eval.data_manifests.records import MIXTURE_CHANNELS
from s5eval.data_manifests.synthesis.recordings import (
    NO_BACKGROUNDS,
    interference_folder,
    noise_folder,
    open_room,
    room_files,
    target_folder,
)
from s5eval.data_manifests.synthesis.sources import channels_problem
from s5eval.data_manifests.verify import read_whole

INTERFERENCE = "interference"
"""Stands for the class of what is no target."""

_NOISE = "noise"

_OTHER_SUFFIXES = {*AUDIO_SUFFIXES, ".aac", ".aif", ".aiff", ".caf", ".m4a", ".mp3", ".ogg", ".opus", ".w64", ".wma"}
"""In lower case, of files that somebody takes for recordings and nobody reads."""

_OTHER_FOLDERS = ("sound_event", INTERFERENCE, "noise", "room_ir", "metadata", "soundscape", "oracle_target")


@dataclass(frozen=True, slots=True)
class ClassRow:
    """The recordings of one class in one split of all folders together.

    Attributes:
        split: name of the folders' sub-folders.
        label: the class, or `interference`.
        files: how many can be read.
        seconds: their length together.
    """

    split: str
    label: str
    files: int
    seconds: float


@dataclass(frozen=True, slots=True)
class VerifiedRecordings:
    """What was found.

    Attributes:
        rows: by split and class, in their order, `interference` last; every split has all 18 classes.
        findings: see `verify_recordings`.
    """

    rows: tuple[ClassRow, ...]
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        findings = [finding.as_dict() for finding in self.findings]
        return {"ok": not findings, "classes": [asdict(row) for row in self.rows], "findings": findings}


@dataclass(frozen=True, slots=True)
class _Take:
    path: Path
    split: str
    label: str


def verify_recordings(
    folders: Sequence[Path], *, split: str | None = None, progress: CountProgress | None = None
) -> VerifiedRecordings:
    """Read every recording of folders, as a training or `make_recorded` would, and look for takes in two places.

    Backgrounds and measured responses are read, too.

    Args:
        folders: of recordings, see `s5eval.data_manifests.synthesis.recordings`.
        split: read and count this one alone; takes that it shares with another one are found all the same. None: all.
        progress: is told (files read, files in all).

    Returns:
        Counts by class, and findings, all errors: rules `missing`, `empty`, `truncated`, `unreadable`, `non-finite`,
        `scale`, `channels` (more than two; of a background other than four), `silent` (nothing but zeros), `suffix`
        (audio that is not read, such as `.WAV` or `.mp3`), `label` (a folder that is no class), `room` (measured
        responses that cannot be used, or no background for them), `leak` (one content in two splits), `copy` (twice
        in one split).

    Raises:
        UsageError: no folder has this split.
        DataError: a folder has no recordings at all.

    Example:
        `[str(finding) for finding in verify_recordings([Path("MY_SOUNDS")]).findings]`
    """
    splits = {folder: _splits(folder) for folder in folders}
    found = sorted({name for names in splits.values() for name in names})
    if split is not None and split not in found:
        raise UsageError(f"no split {split!r} in {', '.join(map(str, folders))}; found: {', '.join(found)}")
    wanted = found if split is None else [split]
    findings: list[Finding] = []
    takes: list[_Take] = []
    for folder, names in splits.items():
        for name in names:
            takes += _takes(folder, name, findings if name in wanted else [])
    read = [take for take in takes if take.split in wanted]
    seconds: dict[tuple[str, str], list[float]] = {}
    for done, take in enumerate(read, 1):
        whole = read_whole(take.path, channels=MIXTURE_CHANNELS if take.label == _NOISE else None)
        findings += whole.findings
        if not whole.findings and not whole.peak:
            findings.append(
                Finding("silent", "error", str(take.path), "nothing but zeros: no source can be made of it")
            )
        if take.label != _NOISE and not whole.findings and (problem := channels_problem(whole.channels)):
            findings.append(Finding("channels", "error", str(take.path), problem))
        if whole.samples:
            seconds.setdefault((take.split, take.label), []).append(whole.samples / whole.rate)
        if progress is not None:
            progress(done, len(read))
    findings += _copies(takes, wanted)
    for folder in folders:
        findings += _rooms(folder, wanted)
    rows = [
        ClassRow(name, label, len(lengths), round(sum(lengths), 3))
        for name in wanted
        for label in (*CLASSES, INTERFERENCE)
        for lengths in [seconds.get((name, label), [])]
    ]
    return VerifiedRecordings(tuple(rows), tuple(findings))


def _splits(folder: Path) -> list[str]:
    """The splits of a folder: those of the official layout, else every folder that holds folders with recordings."""
    official = folder / "sound_event"
    root = official if official.is_dir() else folder
    names = [path.name for path in sorted(root.iterdir()) if path.is_dir()] if root.is_dir() else []
    splits = [
        name
        for name in names
        if not is_hidden(name)
        and (root == official or name not in _OTHER_FOLDERS)
        and any(path.is_dir() for path in (root / name).iterdir())
    ]
    if not splits:
        raise DataError(f"{folder}: no recordings; expected sound_event/SPLIT/CLASS/… or SPLIT/CLASS/… below it")
    return splits


def _takes(folder: Path, split: str, findings: list[Finding]) -> Iterator[_Take]:
    """Every recording of a split; what is wrong with folders joins the findings."""
    for place, of_targets in ((target_folder(folder, split), True), (interference_folder(folder, split), False)):
        for kind in sorted(place.iterdir()) if place.is_dir() else ():
            if is_hidden(kind.name) or not kind.is_dir():
                continue
            if of_targets and (problem := label_problem(kind.name)):
                findings.append(Finding("label", "error", str(kind), problem))
                continue
            for path in _audio(kind, findings):
                yield _Take(path, split, kind.name if of_targets else INTERFERENCE)
    for path in _audio(noise_folder(folder, split), findings):
        yield _Take(path, split, _NOISE)


def _audio(folder: Path, findings: list[Finding]) -> list[Path]:
    """The recordings below a folder; those whose suffix nobody reads join the findings."""
    if not folder.is_dir():
        return []
    try:
        names = walk_folder(folder).names
        paths = find_audio(folder, absent=True)
    except DataError as error:
        findings.append(Finding("missing", "error", str(folder), str(error).removeprefix(f"{folder}: ")))
        return []
    for name in names:
        suffix = PurePosixPath(name).suffix
        if suffix not in AUDIO_SUFFIXES and suffix.lower() in _OTHER_SUFFIXES:
            hint = "; rename it to lower case" if suffix.lower() in AUDIO_SUFFIXES else ""
            message = f"not read: the suffix is not .wav or .flac{hint}"
            findings.append(Finding("suffix", "error", str(folder / name), message))
    return paths


def _copies(takes: Sequence[_Take], wanted: Collection[str]) -> Iterator[Finding]:
    """Recordings of one content, each with the first of them; in another split it is a leak."""
    contents = content_digests([take.path for take in takes])
    first: dict[str, _Take] = {}
    for take in takes:
        content = contents[take.path]
        if content == UNREADABLE:
            continue
        other = first.setdefault(content, take)
        if other is take or not {take.split, other.split} & {*wanted}:
            continue
        if other.split != take.split:
            message = f"the same recording as {other.path}: what {other.split} has heard, {take.split} cannot judge"
            yield Finding("leak", "error", str(take.path), message)
        else:
            how = "" if take.label == _NOISE else ", as two sources of a scene"
            message = f"the same recording as {other.path}: it would be drawn twice as often{how}"
            yield Finding("copy", "error", str(take.path), message)


def _rooms(folder: Path, splits: Sequence[str]) -> Iterator[Finding]:
    for split in splits:
        files, noise = room_files(folder, split), noise_folder(folder, split)
        if files and not _audio(noise, []):
            yield Finding("room", "error", str(noise), NO_BACKGROUNDS)
        for path in files:
            try:
                room = open_room(path)
                for index in range(len(room.positions)):
                    room.response(index)
            except DataError as error:
                yield Finding("room", "error", str(path), str(error).removeprefix(f"{path}: "))
