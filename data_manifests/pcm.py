"""The samples of a plain WAV file, as they lie there: faster than libsndfile hands them out, and the same to the bit.

Plain is what nearly every file of the field is: RIFF, little-endian, one `fmt ` chunk of PCM with 16, 24 or 32 bits or
of IEEE floats with 32, one `data` chunk that is wholly there, and beside them chunks that say nothing about samples.
Of any other file nothing is said here, and libsndfile reads it. Sources: RIFF (IBM and Microsoft, 1991), Multiple
Channel Audio Data and WAVE Files (Microsoft, 2007).
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
import numpy.typing as npt

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
"""What follows the format's number in an extensible header."""

_BESIDE = frozenset({b"LIST", b"JUNK", b"junk", b"PAD ", b"FLLR", b"bext", b"iXML", b"id3 ", b"ID3 "})
"""Chunks that libsndfile passes over, or keeps for those who ask: none of them changes a sample."""

_LEAST_BYTES = {b"LIST": 4, b"bext": 602}
_SUBTYPES = {(_PCM, 16): "PCM_16", (_PCM, 24): "PCM_24", (_PCM, 32): "PCM_32", (_FLOAT, 32): "FLOAT"}
_TYPES = {"PCM_16": "int16", "PCM_24": "int32", "PCM_32": "int32", "FLOAT": "float32"}

_HEADER_BYTES = 4096
_CHUNKS = 16


class PlainWav:
    """An open plain file, with as much of `soundfile.SoundFile` as reading from the beginning to the end needs.

    Attributes:
        channels: how many.
        samplerate: in Hz.
        subtype: `PCM_16`, `PCM_24`, `PCM_32` or `FLOAT`.
        frames: how many samples of each channel.
    """

    def __init__(self, file: BinaryIO, form: "_Form", start: int, frames: int) -> None:
        """Take an open unbuffered file, what its header says, the offset of the first sample, and their number."""
        self.channels, self.samplerate, self.subtype = form.channels, form.rate, form.subtype
        self.frames = frames
        self._file, self._width = file, form.width
        self._at, self._left = start, frames

    def read(self, frames: int, dtype: str, *, always_2d: bool = True) -> npt.NDArray[Any]:
        """The next samples, (T, channels): fewer than `frames` at the end of the file, and where it became shorter.

        Args:
            frames: at most so many.
            dtype: in which the samples lie there: `int16`, `int32` or `float32`; 24 bits are the upper ones of int32.
            always_2d: True; soundfile's, which has another default.

        Raises:
            ValueError: of another type they would have to be converted.
        """
        if dtype != _TYPES[self.subtype] or not always_2d:
            raise ValueError(f"{self.subtype} is handed out as {_TYPES[self.subtype]} (T, channels), not as {dtype}")
        count = min(frames, self._left)
        size = count * self.channels * self._width
        spare = 1 if self._width == 3 else 0  # three bytes are the upper ones of four: one lies before
        content = np.empty(size + spare, np.uint8)
        self._file.seek(self._at)
        got = _fill(self._file, content.data[spare:]) // (self.channels * self._width)
        self._at += size
        self._left -= count
        if self._width == 3:
            wide: npt.NDArray[Any] = np.ndarray((got, self.channels), "<i4", content.data, 0, (3 * self.channels, 3))
            return wide & np.int32(-256)
        return content.view(f"<{np.dtype(dtype).str[1:]}").reshape(count, self.channels)[:got]


@contextmanager
def open_plain(path: Path) -> Iterator[PlainWav | None]:
    """Open a WAV file, if it is plain; None: it is not.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        yield _examined(cast(BinaryIO, file), os.fstat(file.fileno()).st_size)


class _Form(NamedTuple):
    channels: int
    rate: int
    subtype: str
    width: int


def _examined(file: BinaryIO, end: int) -> PlainWav | None:
    head = file.read(_HEADER_BYTES)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    form: _Form | None = None
    found: tuple[int, int] | None = None
    at = 12
    for _ in range(_CHUNKS):
        if at == end:
            break
        chunk = head[at : at + 8]
        if len(chunk) < 8:
            file.seek(at)
            chunk = file.read(8)
        if len(chunk) < 8:
            return None
        name, size = struct.unpack("<4sL", chunk)
        if at + 8 + size > end:
            return None
        if name == b"fmt " and form is None and found is None:
            form = _form(head[at + 8 : at + 8 + size], size)
            if form is None:
                return None
        elif name == b"data" and form is not None and found is None:
            found = at + 8, size
        elif not _is_beside(name, size, form):
            return None
        at += 8 + size + size % 2
        at = min(at, end) if at == end + 1 else at  # the last chunk's padding may be missing
    if at != end or form is None or found is None:
        return None
    start, size = found
    frame = form.channels * form.width
    if size == 0 or size % frame:
        return None
    return PlainWav(file, form, start, size // frame)


def _is_beside(name: bytes, size: int, form: _Form | None) -> bool:
    """Whether it is a chunk that says nothing about samples, of a size at which libsndfile does not stumble."""
    if name == b"PEAK":
        return form is not None and size == 8 + 8 * form.channels
    return size == 4 if name == b"fact" else size >= _LEAST_BYTES.get(name, 0) and name in _BESIDE


def _form(body: bytes, size: int) -> _Form | None:
    """What a `fmt ` chunk says, where it is plain."""
    if size not in (16, 18, 40) or len(body) < size:
        return None
    tag, channels, rate, rate_of_bytes, block, bits = struct.unpack_from("<HHLLHH", body)
    if tag == _EXTENSIBLE:
        if size != 40 or struct.unpack_from("<H", body, 18) != (bits,) or body[26:40] != _GUID_TAIL:
            return None
        (tag,) = struct.unpack_from("<H", body, 24)
    elif size == 40:
        return None
    subtype, width = _SUBTYPES.get((tag, bits)), bits // 8
    if subtype is None or not channels or not rate or block != channels * width or rate_of_bytes != rate * block:
        return None
    return _Form(channels, rate, subtype, width)


def _fill(file: BinaryIO, view: memoryview) -> int:
    """Read as many bytes as the view has; returns how many there were."""
    done = 0
    while done < len(view) and (got := cast(Any, file).readinto(view[done:])):
        done += got
    return done
