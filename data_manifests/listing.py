"""Every name in a folder, accounted for: what may be audio is listed, and whatever else there is, is a finding.

A name that cannot be read as a file (a link whose content has not been fetched, a pipe, a folder called `x.wav`) is
listed as well: it stands for something, and whoever reads it says why it cannot be read.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.unfinished import is_unfinished
from s5eval.data_manifests.naming import AUDIO_SUFFIXES

JUNK = ("__MACOSX", "Thumbs.db", "desktop.ini")
"""What operating systems leave in folders and archives, beside names that begin with a dot."""

_POINTER_BYTES = 1024
_POINTERS = {
    b"/annex/objects/": "`git annex get {path}` or `datalad get {path}` fetches it",
    b"version https://git-lfs": "`git lfs pull --include {path}` fetches it",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """The names in a folder, relative to it, with `/` between folders, in order.

    Attributes:
        names: what may be a file of audio, whatever its suffix.
        findings: a warning for everything else (`hidden`, `folder`).
    """

    names: tuple[str, ...]
    findings: tuple[Finding, ...]


def is_hidden(name: str) -> bool:
    """Whether a name, or a folder on its way, is nobody's business: a dot file, or left by an operating system."""
    return any((part.startswith(".") and part.strip(".")) or part in JUNK for part in name.split("/"))


def has_name(path: Path) -> bool:
    """Whether something of this name is there, be it a link to a folder that has not been fetched."""
    return path.exists() or path.is_symlink()


def hidden(name: str) -> Finding:
    """The finding for such a name."""
    return Finding("hidden", "warning", name, "not read: hidden, or left by an operating system")


def list_folder(folder: Path) -> Listing:
    """The names in a folder, without those in the folders in it and what another process is still writing there.

    Raises:
        DataError: the folder cannot be read.
    """
    names, findings = [], []
    for entry in _scanned(folder):
        name = entry.name
        if is_unfinished(name):
            continue
        if is_hidden(name):
            findings.append(hidden(name))
        elif _is_folder(entry) and PurePosixPath(name).suffix not in AUDIO_SUFFIXES:
            findings.append(Finding("folder", "warning", name, "not read: a folder; files must not lie in folders"))
        else:
            names.append(name)
    return Listing(tuple(names), tuple(findings))


def walk_folder(folder: Path) -> Listing:
    """The names in a folder and in the folders below it; links to folders are followed, no folder is read twice.

    Raises:
        DataError: a folder cannot be read.
    """
    names: list[str] = []
    findings: list[Finding] = []
    seen: dict[tuple[int, int], str] = {}

    def visit(path: Path, prefix: str) -> None:
        entries = list(_entries(path))
        if prefix and not entries:
            findings.append(Finding("folder", "warning", prefix[:-1], "an empty folder"))
        for entry in entries:
            name = prefix + entry.name
            if is_hidden(entry.name):
                findings.append(hidden(name))
            elif not entry.is_dir() or entry.suffix in AUDIO_SUFFIXES:
                names.append(name)
            elif other := seen.get(_identity(entry)):
                findings.append(Finding("folder", "warning", name, f"not read: the same folder as {other}"))
            else:
                seen[_identity(entry)] = name
                visit(entry, f"{name}/")

    seen[_identity(folder)] = "the one above it"
    visit(folder, "")
    return Listing(tuple(names), tuple(findings))


def _entries(folder: Path) -> Iterator[Path]:
    return (folder / entry.name for entry in _scanned(folder))


def _scanned(folder: Path) -> list["os.DirEntry[str]"]:
    """What a folder holds, by name; what kind an entry is, is known without another look at the disk."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror or error}") from error


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle, say: no folder, and whoever reads it says why
        return False


def _identity(folder: Path) -> tuple[int, int]:
    state = folder.stat()
    return state.st_dev, state.st_ino


def find_audio(folder: Path, *, absent: bool = False) -> list[Path]:
    """All recordings below a folder, in order; hidden files are none.

    Args:
        folder: where to look.
        absent: list those as well whose content has not been fetched.

    Raises:
        DataError: a folder cannot be read, or the content of a recording has not been fetched.
    """
    if not folder.is_dir():
        return []
    found = [folder / name for name in walk_folder(folder).names if PurePosixPath(name).suffix in AUDIO_SUFFIXES]
    if not absent:
        refuse_absent(found)
    return sorted(found)


def refuse_absent(paths: Sequence[Path]) -> None:
    """Refuse files whose content is not here.

    Raises:
        DataError: names the first, says how many there are, and how they are fetched.
    """
    absent = [path for path in paths if absence(path) is not None]
    if absent:
        count = "" if len(absent) == 1 else f" ({len(absent)} of {len(paths)} files are like this)"
        raise DataError(f"{absent[0]}: {absence(absent[0])}{count}")


def absence(path: Path) -> str | None:
    """Why the content of a file that has a name here is not here: a link to nowhere, or a pointer of git; or None."""
    try:
        state = path.stat()
    except OSError:
        if not path.is_symlink():
            return None
        how = _POINTERS[b"/annex/objects/"].format(path=path)
        return f"its content is not here: a link to {path.readlink()}, which is not there; with git-annex {how}"
    if not stat.S_ISREG(state.st_mode) or not 0 < state.st_size < _POINTER_BYTES:
        return None
    try:
        with path.open("rb") as file:
            start = file.read(32)
    except OSError:
        return None
    for sign, how in _POINTERS.items():
        if start.startswith(sign):
            return f"its content is not here, only a pointer to it; {how.format(path=path)}"
    return None


def not_a_file(path: Path) -> str | None:
    """Why there is no file to be read at a path, or None."""
    if problem := absence(path):
        return problem
    if path.is_file():
        return None
    if path.is_dir():
        return "a folder, expected a file"
    return "neither a file nor a folder" if path.exists() else "no such file"
