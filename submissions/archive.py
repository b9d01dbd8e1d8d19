"""Anybody's zip or folder as a list of files with bounded reads; nothing is ever unpacked to disk.

A hostile archive is met by looking before reading: the directory's size before the directory, names, modes, sizes
and overlaps before the content, and of the content never more than was declared.
"""

import math
import os
import re
import stat
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.zips import ZIP_ERRORS
from s5eval.data_manifests.listing import is_hidden
from s5eval.submissions.rules import (
    AUDIO_FOLDER,
    DEV_RESULTS,
    EVAL_RESULTS,
    FACTS_SUFFIX,
    MAX_DIRECTORY_BYTES,
    MAX_ENTRIES,
    MAX_TOTAL_BYTES,
    finding,
)
from s5eval.submissions.zip_directory import stated_size

_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LOCAL_HEADER_BYTES = 30
_DRIVE = re.compile(r"[A-Za-z]:")
_LIKE_OUTPUT = "the official checks take it for an output, of no mixture and in no list: leave it out"


class Unreadable(Exception):  # noqa: N818 - a state of one file, turned into a finding by whoever reads it
    """A file of the container cannot be read; the message says why."""


class Reader(Protocol):
    """Reads one file, at most `limit` bytes; raises `Unreadable`."""

    def __call__(self, name: str, limit: int, /) -> bytes: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Container:
    """A zip or folder that has been looked at.

    Attributes:
        label: its name as a submission: the archive's or folder's stem.
        sizes: declared size in bytes of every file that can be read, by name with `/` between folders.
        findings: what is wrong with it as an archive.
        read: reads one file.
    """

    label: str
    sizes: Mapping[str, int]
    findings: Sequence[Finding]
    read: Reader


@dataclass(slots=True)
class _Listing:
    sizes: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    _folded: dict[str, str] = field(default_factory=dict)
    _total: int = 0

    def note(self, rule: str, file: str, message: str) -> None:
        self.findings.append(finding(rule, file, message))

    def add(self, name: str, size: int) -> bool:
        """Take a file in, unless its name is taken or it is nobody's business; whether it was."""
        if is_hidden(name):
            rule, what = ("hidden-output", _LIKE_OUTPUT) if _is_like_output(name) else ("junk-file", "leave it out")
            self.note(rule, name, f"left by an operating system or editor; {what}")
            return False
        if name in self.sizes:
            self.note("duplicate-entry", name, "the name occurs twice, and tools disagree on which one counts")
            return False
        if other := self._folded.get(name.casefold()):
            self.note("case-collision", name, f"differs from {other} in case only; one of them is lost on many systems")
        self._total += size
        if self._total > MAX_TOTAL_BYTES >= self._total - size:
            self.note("too-large", name, f"with this file all unpack to more than {MAX_TOTAL_BYTES >> 30} GiB")
        self._folded[name.casefold()] = name
        self.sizes[name] = size
        return True


@contextmanager
def open_container(path: Path, *, label: str | None = None) -> Iterator[Container]:
    """Look at a zip archive or folder; the context keeps an archive open.

    Args:
        path: what there is; anything that is neither gives a container without files and with a finding.
        label: the name to take it for; default: its own.
    """
    with ExitStack() as stack:
        yield _look_at_folder(path, label) if path.is_dir() else _look_at_file(path, label, stack)


def _look_at_file(path: Path, label: str | None, stack: ExitStack) -> Container:
    label = path.stem if label is None else label
    listing = _Listing()
    try:
        file = stack.enter_context(path.open("rb"))
        entries, size = stated_size(file)
        if entries > MAX_ENTRIES or size > MAX_DIRECTORY_BYTES:
            problem = f"{entries} entries in a directory of {size} bytes; a submission has at most {MAX_ENTRIES}"
            listing.note("too-many-entries", path.name, f"{problem}, and nothing further was looked at")
        else:
            archive = stack.enter_context(zipfile.ZipFile(file))
            return Container(label, listing.sizes, listing.findings, _zip_reader(archive, _look_at(archive, listing)))
    except ZIP_ERRORS as error:
        listing.note("not-an-archive", path.name, f"cannot be read as a zip archive: {error}")
    return Container(label, {}, listing.findings, _zip_reader(None, {}))


def _look_at(archive: zipfile.ZipFile, listing: _Listing) -> dict[str, zipfile.ZipInfo]:
    """Check every entry of the directory; those that can be read go into `listing.sizes`."""
    infos: dict[str, zipfile.ZipInfo] = {}
    entries = archive.infolist()
    for info in entries:
        name = info.orig_filename
        problem = member_problem(name)
        if problem is not None and problem[0] == "backslash":  # a fault, but what it means is plain
            listing.note(problem[0], name, problem[1])
            name = name.replace("\\", "/")
            problem = member_problem(name)
        if problem:
            listing.note(problem[0], name, problem[1])
        elif name.endswith("/"):
            continue
        elif problem := _entry_problem(info):
            listing.note(problem[0], name, problem[1])
        elif listing.add(name, info.file_size):
            infos[name] = info
    _find_overlaps(entries, listing)
    return infos


def member_problem(name: str) -> tuple[str, str] | None:
    """Rule and message for a name that no careful program would unpack, or None."""
    parts = name.removesuffix("/").split("/")
    if not all(character.isprintable() for character in name):
        return "control-character", "the name holds control characters or bytes that are no text"
    if "\\" in name:
        return "backslash", "the name holds a backslash; folders are separated by /"
    if name.startswith("/") or _DRIVE.match(name):
        return "absolute-path", "the name is an absolute path; expected a path relative to the archive"
    if any(part in ("", ".", "..") for part in parts):
        return "path-traversal", "the name holds an empty part, . or .., and may lead out of the archive"
    if not name.isascii():
        return "non-ascii-name", "the name holds characters other than ASCII, which tools unpack differently"
    return None


def _entry_problem(info: zipfile.ZipInfo) -> tuple[str, str] | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "link", "a symbolic link; put the file itself into the archive"
    if kind not in (0, stat.S_IFREG):
        return "special-file", f"neither a file nor a folder (mode {info.external_attr >> 16:o})"
    if info.flag_bits & 0x41:
        return "encrypted", "encrypted; a submission must be readable without a password"
    if info.compress_type not in _COMPRESSIONS:
        return "compression", f"compression method {info.compress_type}; expected stored (0) or deflated (8)"
    return None


def _find_overlaps(entries: Sequence[zipfile.ZipInfo], listing: _Listing) -> None:
    end, last = -math.inf, ""  # an offset may be negative where bytes before the first entry are lost
    for info in sorted(entries, key=lambda info: info.header_offset):
        if info.header_offset < end:
            listing.note("overlapping-entries", info.orig_filename, f"shares its bytes with {last}: an archive bomb")
        stop = info.header_offset + _LOCAL_HEADER_BYTES + len(info.orig_filename) + info.compress_size
        if stop > end:
            end, last = stop, info.orig_filename


def _zip_reader(archive: zipfile.ZipFile | None, infos: Mapping[str, zipfile.ZipInfo]) -> Reader:
    def read(name: str, limit: int, /) -> bytes:
        info = infos[name]
        if info.file_size > limit or archive is None:
            raise Unreadable(f"unpacks to {info.file_size} bytes, expected at most {limit}")
        try:
            with archive.open(info) as member:
                content = member.read(limit + 1)
        except ZIP_ERRORS as error:
            raise Unreadable(f"cannot be unpacked: {error}") from error
        if len(content) != info.file_size:
            raise Unreadable(f"unpacks to {len(content)} bytes, the archive's directory says {info.file_size}")
        return content

    return read


def _look_at_folder(path: Path, label: str | None) -> Container:
    path = path.resolve()
    listing = _Listing()
    inner = [
        entry for entry in path.iterdir() if entry.is_dir() and not entry.is_symlink() and not is_hidden(entry.name)
    ]
    unpacked = not _holds_submission(path) and len(inner) == 1 and _holds_submission(inner[0])
    root = path if unpacked else path.parent
    label = (inner[0].name if unpacked else path.name) if label is None else label

    def note_unlisted(error: OSError) -> None:
        listing.note("unreadable", str(error.filename), f"the folder cannot be listed: {error.strerror or error}")

    for folder, folders, files in os.walk(path, onerror=note_unlisted):
        for name in sorted([*files, *(entry for entry in folders if (Path(folder) / entry).is_symlink())]):
            entry = Path(folder) / name
            relative = entry.relative_to(root).as_posix()
            if unpacked and name.endswith(FACTS_SUFFIX) and entry.parent == path:
                continue  # lies beside a submission, and is no part of it
            if entry.is_symlink():
                listing.note("link", relative, "a symbolic link; put the file itself here")
            elif problem := member_problem(entry.relative_to(path).as_posix()):
                listing.note(problem[0], relative, problem[1])
            elif not entry.is_file():
                listing.note("special-file", relative, "neither a file nor a folder")
            else:
                listing.add(relative, entry.stat().st_size)
        if len(listing.sizes) > MAX_ENTRIES:
            listing.note(
                "too-many-entries", path.name, f"more than {MAX_ENTRIES} files; no further ones were looked at"
            )
            break

    def read(name: str, limit: int, /) -> bytes:
        try:
            with (root / name).open("rb") as file:
                content = file.read(limit + 1)
        except OSError as error:
            raise Unreadable(f"cannot be read: {error.strerror or error}") from error
        if len(content) > limit:
            raise Unreadable(f"larger than {limit} bytes")
        return content

    return Container(label, listing.sizes, listing.findings, read)


def check_is_one(path: Path) -> None:
    """Refuse a path where nothing is, a run, or a folder that holds several submissions. Raises `UsageError`."""
    if not path.exists():
        raise UsageError(f"no zip or folder at {path}")
    if (path / "run.json").is_file() and not _holds_submission(path):
        raise UsageError(f"{path} is a run, and no submission; `s5eval submit build` makes one of it")
    if inside := submissions_in(path):
        raise UsageError(f"{path} is no submission, but holds {', '.join(inside)}; name one of them")


def submissions_in(path: Path) -> list[str]:
    """Names of what lies in a folder that is no submission itself, as `submit build` leaves it.

    Empty for an archive, for a submission's folder, and where just one such folder is inside: an unpacked archive.
    """
    if not path.is_dir() or _holds_submission(path):
        return []
    archives = sorted(entry.name for entry in path.glob("*.zip"))
    folders = sorted(f"{entry.name}/" for entry in path.iterdir() if entry.is_dir() and _holds_submission(entry))
    return [*archives, *folders] if archives or len(folders) > 1 else []


def _holds_submission(folder: Path) -> bool:
    """Whether a folder has the files or the audio of a submission directly inside."""
    return any((folder / name).exists() for name in (AUDIO_FOLDER, EVAL_RESULTS, DEV_RESULTS))


def _is_like_output(name: str) -> bool:
    """Whether a hidden name is that of a wav among the outputs, which the official checks list, the hidden ones too."""
    folder, _, file = name.rpartition("/")
    return file.endswith(".wav") and folder.rpartition("/")[2] == AUDIO_FOLDER and not is_hidden(folder)
