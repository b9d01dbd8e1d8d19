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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
"""What follows the format's number in an extensible header."""

_BESIDE = frozenset({b"fact", b"LIST", b"JUNK", b"junk", b"bext", b"iXML", b"id3 ", b"ID3 ", b"PAD ", b"FLLR"})
"""Chunks that libsndfile passes over, or keeps for those who ask: none of them changes a sample."""

_FORMS = {(_PCM, 16): 2, (_PCM, 24): 3, (_PCM, 32): 4, (_FLOAT, 32): 4}
"""Bytes of a sample by format and bits."""

_HEADER_BYTES = 4096
_CHUNKS = 16


@dataclass(frozen=True, slots=True)
class PlainWav:
    """An open plain file.

    Attributes:
        channels: how many.
        sample_rate: in Hz.
        floating: IEEE floats; False: integers.
        width: bytes of a sample: 2, 3 or 4.
        start: offset of the first sample.
        frames: how many samples of each channel.
        file: open, unbuffered.
    """

    channels: int
    sample_rate: int
    floating: bool
    width: int
    start: int
    frames: int
    file: BinaryIO

    def read(self) -> npt.NDArray[Any] | None:
        """All samples, (T, channels): int16, int32 or float32 as they are, 24 bits in the upper three bytes of int32.

        None: the file has become shorter.
        """
        spare = 1 if self.width == 3 else 0  # three bytes are read as the upper ones of four: one lies before them
        content = np.empty(self.frames * self.channels * self.width + spare, np.uint8)
        self.file.seek(self.start)
        if not _fill(self.file, memoryview(content)[spare:]):
            return None
        shape = (self.frames, self.channels)
        if self.width == 3:
            wide: npt.NDArray[Any] = np.ndarray(shape, "<i4", content.data, 0, (3 * self.channels, 3))
            return wide & np.int32(-256)
        return content.view("<f4" if self.floating else f"<i{self.width}").reshape(shape)


@contextmanager
def open_plain(path: Path) -> Iterator[PlainWav | None]:
    """Open a WAV file, if it is plain; None: it is not.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        yield _examined(cast(BinaryIO, file), os.fstat(file.fileno()).st_size)


def _examined(file: BinaryIO, end: int) -> PlainWav | None:
    head = file.read(_HEADER_BYTES)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    form: tuple[int, int, int, int] | None = None
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
        elif name not in _BESIDE and not (name == b"PEAK" and form is not None and size == 8 + 8 * form[1]):
            return None
        at += 8 + size + size % 2
        at = min(at, end) if at == end + 1 else at  # the last chunk's padding may be missing
    if at != end or form is None or found is None:
        return None
    tag, channels, rate, bits = form
    width = _FORMS[tag, bits]
    start, size = found
    if size == 0 or size % (channels * width):
        return None
    return PlainWav(channels, rate, tag == _FLOAT, width, start, size // (channels * width), file)


def _form(body: bytes, size: int) -> tuple[int, int, int, int] | None:
    """Format, channels, rate and bits of a `fmt ` chunk, where they are plain."""
    if size not in (16, 18, 40) or len(body) < size:
        return None
    tag, channels, rate, rate_of_bytes, block, bits = struct.unpack_from("<HHLLHH", body)
    if tag == _EXTENSIBLE:
        if size != 40 or struct.unpack_from("<H", body, 18) != (bits,) or body[26:40] != _GUID_TAIL:
            return None
        (tag,) = struct.unpack_from("<H", body, 24)
    elif size == 40:
        return None
    width = _FORMS.get((tag, bits))
    if width is None or not channels or not rate or block != channels * width or rate_of_bytes != rate * block:
        return None
    return tag, channels, rate, bits


def _fill(file: BinaryIO, view: memoryview) -> bool:
    """Read as many bytes as the view has; False: there are fewer."""
    done = 0
    while done < len(view):
        got = cast(Any, file).readinto(view[done:])
        if not got:
            return False
        done += got
    return True
