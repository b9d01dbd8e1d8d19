"""Zip archives from outside: several parts read as one, hostile members refused before anything is written."""

import io
import re
import shutil
import stat
import struct
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.files import atomic_path

_RATIO = 200
"""No audio compresses this well; an archive that claims to is a bomb."""

_LONGEST_ENDING = 22 + 65_535 + 20
"""End record with the longest comment, and the 64-bit locator before it."""

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
        with _Joined(parts) as joined:
            try:
                source = _flatten(joined, parts)
                with zipfile.ZipFile(source) as archive:
                    size = sum(part.stat().st_size for part in parts)
                    members = _checked_members(archive, parts[-1], size, folder, roots)
                    written += [_extract_member(archive, member, folder, path) for path, member in members.items()]
            except (zipfile.BadZipFile, struct.error, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
                raise DataError(f"{parts[-1]}: cannot be unpacked: {error}") from error
            except OSError as error:
                raise DataError(f"{parts[-1]}: cannot be unpacked into {folder}: {error.strerror or error}") from error
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
        elif path.suffix == ".zip":
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


class _Joined(io.RawIOBase):
    """Files one after the other, read as one; `tail` replaces everything from `tail_start` on."""

    def __init__(self, parts: Sequence[Path]) -> None:
        self._files = [part.open("rb") for part in parts]
        self.starts = [0, *accumulate(part.stat().st_size for part in parts)]
        self.tail_start, self.tail = self.starts[-1], b""
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.tail_start + len(self.tail)}[whence]
        self._position = base + offset
        if self._position < 0:
            raise OSError("seek before the start")
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        if self._position >= self.tail_start:
            offset = self._position - self.tail_start
            data = self.tail[offset : offset + len(view)]
        else:
            part = bisect_right(self.starts, self._position) - 1
            self._files[part].seek(self._position - self.starts[part])
            data = self._files[part].read(min(len(view), self.tail_start - self._position))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        for opened in self._files:
            opened.close()
        super().close()


def _flatten(joined: _Joined, parts: Sequence[Path]) -> BinaryIO:
    """One ordinary archive out of a split one, whose directory counts offsets from each part's start.

    Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.12–4.3.16 and 8. The directory is rewritten in memory with
    absolute 64-bit offsets and one part; an archive that is not split is passed on as it is.
    """
    reader = io.BufferedReader(joined)
    size = reader.seek(0, io.SEEK_END)
    reader.seek(max(0, size - _LONGEST_ENDING))
    ending = reader.read()
    at = ending.rfind(b"PK\5\6")
    if at < 0:
        raise zipfile.BadZipFile("no directory at the end; it is not a zip archive, or a part is missing")
    disk, directory_disk, _, entries, length, offset = struct.unpack_from("<4H2L", ending, at + 4)
    if disk == 0:
        return cast(BinaryIO, reader)
    locator = at - 20
    if locator >= 0 and ending[locator : locator + 4] == b"PK\6\7":
        record_disk, record_offset, disks = struct.unpack_from("<LQL", ending, locator + 4)
        disk = disks - 1
        reader.seek(_absolute(joined, record_disk, record_offset))
        record = reader.read(56)
        directory_disk, _, entries, length, offset = struct.unpack_from("<L4Q", record, 20)
    if disk + 1 != len(parts):
        raise zipfile.BadZipFile(f"the archive has {disk + 1} parts, {len(parts)} are here")
    start = _absolute(joined, directory_disk, offset)
    reader.seek(start)
    directory = _absolute_directory(reader.read(length), entries, joined)
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, len(directory), start)
    locator_bytes = struct.pack("<4sLQL", b"PK\6\7", 0, start + len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    joined.tail_start, joined.tail = start, directory + record + locator_bytes + end
    reader.detach()  # what it has buffered is of the old directory, and collecting it would close the parts
    return cast(BinaryIO, io.BufferedReader(joined))


def _absolute(joined: _Joined, disk: int, offset: int) -> int:
    if disk >= len(joined.starts) - 1:
        raise zipfile.BadZipFile(f"part {disk + 1} is not here")
    return joined.starts[disk] + offset


def _absolute_directory(directory: bytes, entries: int, joined: _Joined) -> bytes:
    out = bytearray()
    at = 0
    for _ in range(entries):
        if directory[at : at + 4] != b"PK\1\2":
            raise zipfile.BadZipFile("the directory is damaged")
        header = bytearray(directory[at : at + 46])
        packed, unpacked, n_name, n_extra, n_comment, disk = struct.unpack_from("<2L4H", header, 20)
        (offset,) = struct.unpack_from("<L", header, 42)
        name = directory[at + 46 : at + 46 + n_name]
        extra = directory[at + 46 + n_name : at + 46 + n_name + n_extra]
        comment = directory[at + 46 + n_name + n_extra : at + 46 + n_name + n_extra + n_comment]
        at += 46 + n_name + n_extra + n_comment
        others, wide = _without_zip64(extra)
        values = iter([wide[i : i + 8] for i in range(0, len(wide) // 8 * 8, 8)])
        unpacked, packed, offset = (
            struct.unpack("<Q", next(values))[0] if value == 0xFFFFFFFF else value
            for value in (unpacked, packed, offset)
        )
        if disk == 0xFFFF:
            (disk,) = struct.unpack("<L", wide[-4:])
        extra = others + struct.pack("<2H3Q", 1, 24, unpacked, packed, _absolute(joined, disk, offset))
        struct.pack_into("<2L4H", header, 20, 0xFFFFFFFF, 0xFFFFFFFF, n_name, len(extra), n_comment, 0)
        struct.pack_into("<L", header, 42, 0xFFFFFFFF)
        out += header + name + extra + comment
    return bytes(out)


def _without_zip64(extra: bytes) -> tuple[bytes, bytes]:
    """The other fields of an extra block, and the content of its 64-bit field."""
    others, wide, at = b"", b"", 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        field = extra[at : at + 4 + length]
        if kind == 1:
            wide = field[4:]
        else:
            others += field
        at += 4 + length
    return others, wide
