"""Is an audio file whole? What its own header promises, against the bytes that are there.

libsndfile shortens the samples of a cut file to what is left, and says so in its log at best. Of the containers whose
headers tell a length it is read here; FLAC tells its decoder. Every other container is refused: a cut one would pass.
Sources: RIFF (IBM and Microsoft, 1991), EBU Tech 3306 (RF64), Sony Wave64, Apple AIFF 1.3, the AU format of Sun.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

KNOWN_FORMATS = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "FLAC"})
"""libsndfile's names of the containers that are read."""

FLAC_MARK = b"fLaC"
"""How a FLAC file begins."""

_OTHERS = {b"OggS": "Ogg", b"ID3": "MP3", b"\xff\xfb": "MP3", b"caff": "CAF", b"Creative Voice": "VOC", b"NIST": "NIST"}

_ENDLESS = 0x7FFFF000
"""From this size on a header means "unknown": programs that write to a pipe put the largest number that they have."""

_W64_RIFF, _W64_HEADER_BYTES, _W64_CHUNK_BYTES = b"riff", 40, 24


def why_unknown(head: bytes) -> str:
    """Why a file that begins like this, and in which no samples were found, is not read."""
    kind = next((kind for mark, kind in _OTHERS.items() if head.startswith(mark)), None)
    if kind is None:
        return "no samples are found in it; expected WAV or FLAC"
    return f"of type {kind}, which does not tell whether it is whole; write it as WAV or FLAC"


@dataclass(frozen=True, slots=True)
class SampleBytes:
    """Where the samples of a file are.

    Attributes:
        start: offset of the first.
        declared: how many bytes the header promises; None: it does not know, the file was written to a pipe.
        present: how many bytes there are from `start` to the end of the file.
        size_at: where the header tells `declared`, four bytes; None: elsewhere.
        big_endian: byte order of the header.
    """

    start: int
    declared: int | None
    present: int
    size_at: int | None = None
    big_endian: bool = False

    @property
    def missing(self) -> int:
        """Bytes that were promised and are not there."""
        return 0 if self.declared is None else max(0, self.declared - self.present)


def find_samples(file: BinaryIO) -> SampleBytes | None:
    """Find the samples of a WAV, RF64, Wave64, AIFF or AU file; None for other files, and where there are none.

    Args:
        file: open and seekable; it is left anywhere.
    """
    end = file.seek(0, 2)
    file.seek(0)
    head = file.read(16)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _riff(file, end, ">" if head[:4] == b"RIFX" else "<")
    if head[:4] == _W64_RIFF:
        return _wave64(file, end)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(file, end)
    if head[:4] in (b".snd", b"dns.") and len(head) >= 12:
        order = ">" if head[:4] == b".snd" else "<"
        start, size = struct.unpack(f"{order}2L", head[4:12])
        return SampleBytes(start, None if size >= _ENDLESS else size, max(0, end - start))
    return None


def _chunks(file: BinaryIO, end: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, size and first offset of each chunk of a RIFF or AIFF file."""
    at = 12
    while at + 8 <= end:
        file.seek(at)
        name, size = struct.unpack(f"{order}4sL", file.read(8))
        yield name, size, at + 8
        at += 8 + size + size % 2


def _riff(file: BinaryIO, end: int, order: str) -> SampleBytes | None:
    long_size = None
    for name, size, at in _chunks(file, end, order):
        if name == b"ds64" and at + 16 <= end:
            file.seek(at + 8)
            (long_size,) = struct.unpack(f"{order}Q", file.read(8))
        if name != b"data":
            continue
        present = end - at
        if size == 0xFFFFFFFF and long_size is not None:
            return SampleBytes(at, long_size or None, present)
        if size == 0 and present and not _begins_chunk(file, at):
            return SampleBytes(at, None, present, at - 4, order == ">")
        return SampleBytes(at, None if size >= _ENDLESS > present else size, present)
    return None


def _begins_chunk(file: BinaryIO, at: int) -> bool:
    """Whether the name of a chunk stands here: four printable characters."""
    file.seek(at)
    name = file.read(4)
    return len(name) == 4 and all(32 <= character < 127 for character in name)


def _wave64(file: BinaryIO, end: int) -> SampleBytes | None:
    at = _W64_HEADER_BYTES
    while at + _W64_CHUNK_BYTES <= end:
        file.seek(at)
        name, size = struct.unpack("<16sQ", file.read(_W64_CHUNK_BYTES))
        if name[:4] == b"data":
            start = at + _W64_CHUNK_BYTES
            return SampleBytes(start, max(0, size - _W64_CHUNK_BYTES), end - start)
        at += max(_W64_CHUNK_BYTES, size + -size % 8)
    return None


def _aiff(file: BinaryIO, end: int) -> SampleBytes | None:
    for name, size, at in _chunks(file, end, ">"):
        if name == b"SSND":
            present = max(0, end - at - 8)
            return SampleBytes(at + 8, None if size >= _ENDLESS > present else max(0, size - 8), present)
    return None


def with_length(content: bytes, samples: SampleBytes) -> bytes:
    """A file whose header says 0 bytes of samples, with a header that says how many there are."""
    if samples.size_at is None:
        return content
    size = struct.pack(">L" if samples.big_endian else "<L", samples.present)
    return content[: samples.size_at] + size + content[samples.size_at + 4 :]
