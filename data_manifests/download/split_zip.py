"""Zip archives in several parts, read as one: cut anywhere (`.zip.001`), or split by a zip program (`.z01`, `.zip`)."""

import io
import struct
import zipfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, cast

_LONGEST_ENDING = 22 + 65_535 + 20
"""End record with the longest comment, and the 64-bit locator before it."""


@contextmanager
def as_one_file(parts: Sequence[Path]) -> Iterator[BinaryIO]:
    """The parts of one archive as a single file that `zipfile` reads.

    Raises:
        zipfile.BadZipFile, struct.error: the parts do not belong together, or one is missing.
        OSError: a part cannot be read.
    """
    with _Joined(parts) as joined:
        yield _flatten(joined, parts)


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
        for file in self._files:
            file.close()
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
