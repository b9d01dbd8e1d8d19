"""Zip archives from outside: several parts read as one, hostile members refused before anything is written."""

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.files import atomic_path
from s5eval.data_manifests.common.zips import ZIP_ERRORS
from s5eval.data_manifests.download.split_zip import as_one_file

_RATIO = 200
"""No audio compresses this well; an archive that claims to is a bomb."""

_SMALL = 64 << 20
"""Archives that unpack to less than this many bytes are not suspected."""


def extract(files: Sequence[Path], folder: Path, *, roots: Sequence[str] = ()) -> list[Path]:
    """Unpack the zip archives among `files` into `folder`; what is there unchanged is left as it is.

    Hidden members, and `__MACOSX`, are passed over.

    Args:
        files: whole archives (`x.zip`), and parts: `x.zip.001`, `x.zip.002`, … (cut anywhere), or `x.z01`, `x.z02`,
            …, `x.zip` (a split archive). Other files are passed over.
        folder: the members' paths are relative to it.
        roots: names of folders that belong directly into `folder`: what stands before them in a member's path is
            left out (official archives wrap `dev_set/` in folders of their makers).

    Returns:
        The members' files.

    Raises:
        DataError: a part is missing, an archive is too large for the disk, hostile (paths that lead out of `folder`,
            links, one member below another, members that unpack to far more than their size) or without a readable
            directory: nothing of it is unpacked then. Damage inside a member shows only when it is reached: that
            member is not written, those before it stand, and so do the archives before this one.
    """
    written: list[Path] = []
    for parts in _group(files):
        try:
            with as_one_file(parts) as whole, zipfile.ZipFile(whole) as archive:
                size = sum(part.stat().st_size for part in parts)
                members = _checked_members(archive, parts[-1], size, folder, roots)
                written += [_extract_member(archive, member, folder, path) for path, member in members.items()]
        except OSError as error:
            raise DataError(f"{parts[-1]}: cannot be unpacked into {folder}: {error.strerror or error}") from error
        except ZIP_ERRORS as error:
            raise DataError(f"{parts[-1]}: cannot be unpacked: {error}; get the archive again") from error
    return written


def _group(files: Sequence[Path]) -> Iterable[list[Path]]:
    """The parts of each archive, in order."""
    raw: dict[Path, dict[int, Path]] = {}
    split: dict[Path, dict[int, Path]] = {}
    whole: dict[Path, Path] = {}
    for path in files:
        if match := re.fullmatch(r"(.+\.zip)\.(\d{3})", path.name):
            raw.setdefault(path.with_name(match[1]), {})[int(match[2])] = path
        elif match := re.fullmatch(r"(.+)\.z(\d{2,3})", path.name):
            split.setdefault(path.with_name(match[1]), {})[int(match[2])] = path
        elif path.suffix.lower() == ".zip":
            whole[path.with_suffix("")] = path
    for stem, path in whole.items():
        yield [*_consecutive(split.pop(stem, {}), path), path]
    for stem, numbered in split.items():
        raise DataError(f"{stem}.zip: the last part of the archive {next(iter(numbered.values())).name}, … is missing")
    for name, numbered in raw.items():
        yield _consecutive(numbered, name)


def _consecutive(numbered: dict[int, Path], name: Path) -> list[Path]:
    for expected in range(1, len(numbered) + 1):
        if expected not in numbered:
            raise DataError(f"{name}: part {expected} of the archive is missing")
    return [numbered[number] for number in sorted(numbered)]


def _checked_members(
    archive: zipfile.ZipFile, path: Path, size: int, folder: Path, roots: Sequence[str]
) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The members that are files, by their place below `folder`."""
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name, mode = member.filename, member.external_attr >> 16
        place = PurePosixPath(name)
        if name.startswith(("/", "\\")) or ".." in place.parts or "\\" in name or ":" in name or not place.parts:
            raise DataError(f"{path}: hostile archive: the member {name!r} leads out of {folder}; nothing was unpacked")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DataError(f"{path}: hostile archive: {name!r} is a link or a device; nothing was unpacked")
        if member.is_dir() or _is_litter(place):
            continue
        first = next((i for i, part in enumerate(place.parts) if part in roots), 0)
        place = PurePosixPath(*place.parts[first:])
        if place in members:
            raise DataError(f"{path}: hostile archive: two members are called {str(place)!r}; nothing was unpacked")
        members[place] = member
    for place in members:
        if inside := next((parent for parent in place.parents if parent in members), None):
            raise DataError(
                f"{path}: hostile archive: {str(inside)!r} is a file and the folder of {str(place)!r}; "
                "nothing was unpacked"
            )
        _require_free(folder, place)
    total = sum(member.file_size for member in members.values())
    if total > max(_SMALL, _RATIO * size):
        raise DataError(f"{path}: hostile archive: {size} bytes would unpack to {total}; nothing was unpacked")
    new = sum(member.file_size for place, member in members.items() if not (folder / place).is_file())
    if new > (free := shutil.disk_usage(_nearest(folder)).free):
        raise DataError(f"{path}: unpacks to {new / 1e9:.2f} GB, {free / 1e9:.2f} GB are free; make room first")
    return members


def _is_litter(place: PurePosixPath) -> bool:
    """What file managers leave in archives: hidden files (`._a.wav` is no sound) and macOS's own folder."""
    return any(part.startswith(".") or part == "__MACOSX" for part in place.parts)


def _require_free(folder: Path, place: PurePosixPath) -> None:
    """Nothing of the wrong kind, from before, may stand where a member goes."""
    if (folder / place).is_dir():
        raise DataError(f"{folder / place}: a folder stands where a file is to be unpacked; move it away")
    for parent in place.parents:
        if (folder / parent).is_file():
            raise DataError(f"{folder / parent}: a file stands where a folder is to be unpacked; move it away")


def _nearest(folder: Path) -> Path:
    """The folder, or the closest one above it that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.is_dir())


def _extract_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, place: PurePosixPath) -> Path:
    target = folder / place
    if folder.resolve() not in target.resolve().parents:  # a link that was there before
        raise DataError(f"{target}: a link leads out of {folder}; remove it")
    if target.is_file() and target.stat().st_size == member.file_size and _crc(target) == member.CRC:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as unfinished, archive.open(member) as packed, unfinished.open("wb") as output:
        written = 0
        while chunk := packed.read(1 << 20):
            written += len(chunk)
            if written > member.file_size:
                raise DataError(f"{target}: hostile archive: longer than its directory says")
            output.write(chunk)
    return target


def _crc(path: Path) -> int:
    value = 0
    with path.open("rb") as opened:
        while chunk := opened.read(1 << 20):
            value = zlib.crc32(chunk, value)
    return value
