"""Pictures of sounds: a small PNG of the spectrogram on a logarithmic axis of frequency, and the envelope of a wave.

Every picture has the same scale, so that two can be compared by eye: frequency from `LOW_HZ` to half the rate, levels
from `FLOOR_DB` to `CEILING_DB`, 0 dB being a sine of full scale. The PNG is written here, since an image of few colours
is a header and a deflated array: no plotting library has to load for it.
"""

import struct
import zlib
from base64 import b64encode

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.records import SAMPLE_RATE

LOW_HZ = 60.0
"""The lowest frequency of a picture; the highest is half the sample rate."""

FLOOR_DB = -100.0
"""What is black: this level and all below, dB of a sine of full scale."""

CEILING_DB = -20.0
"""What is brightest: this level and all above."""

_WINDOW = 1024  # 32 ms: half a period of LOW_HZ would be too short, more would smear onsets
_FRAMES = 4  # per column at least, so that no column misses what is between
_FRAMES_AT_ONCE = 64  # few enough for the processor's cache

_STOPS = (
    (0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122),
    (229, 80, 100), (251, 135, 97), (254, 194, 135), (252, 253, 191),
)  # fmt: skip
"""From quiet to loud; ever lighter, so that it reads in grey."""

Samples = npt.NDArray[np.floating]


def spectrogram(
    audio: Samples, *, width: int, height: int, colours: int = 256, sample_rate: int = SAMPLE_RATE
) -> npt.NDArray[np.uint8]:
    """Levels as steps of colour, (height, width): the highest frequency in the first row, 0 quiet, `colours` - 1 loud.

    Args:
        audio: (T,), full scale 1.0; shorter than a window is padded with silence.
        width: columns of time, over the whole length.
        height: rows of frequency, each as wide as the next by ratio; a row shows its loudest bin.
        colours: steps from `FLOOR_DB` to `CEILING_DB`.
        sample_rate: Hz.
    """
    samples = np.asarray(audio, np.float32)
    if len(samples) < _WINDOW:
        samples = np.pad(samples, (0, _WINDOW - len(samples)))
    per_column = max(_FRAMES, -(-len(samples) // (width * _WINDOW)))
    window = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    starts = np.linspace(0, len(samples) - _WINDOW, width * per_column).astype(np.intp)
    power = np.empty((width, _WINDOW // 2 + 1), np.float32)
    views = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)
    columns = max(1, _FRAMES_AT_ONCE // per_column)
    for first in range(0, width, columns):
        frames = views[starts[first * per_column : (first + columns) * per_column]]
        frames *= window
        spectra = np.fft.rfft(frames).reshape(-1, per_column, _WINDOW // 2 + 1)
        np.square(np.abs(spectra)).mean(axis=1, out=power[first : first + columns])
    power *= (2.0 / float(window.sum())) ** 2
    edges = _edges(height, sample_rate)
    rows = np.maximum.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    level = np.round(10 * np.log10(np.maximum(rows, 1e-12)), 3)
    share = (level - FLOOR_DB) / (CEILING_DB - FLOOR_DB)
    steps: npt.NDArray[np.uint8] = np.clip(np.floor(share * colours), 0, colours - 1).astype(np.uint8).T[::-1]
    return steps


def _edges(height: int, sample_rate: int) -> npt.NDArray[np.intp]:
    """First bins of the rows, from low to high, and one more; where rows are narrower than bins, they repeat one."""
    hertz = np.geomspace(LOW_HZ, sample_rate / 2, height + 1)
    bins = np.round(hertz / sample_rate * _WINDOW).astype(np.intp)
    return np.minimum(bins, _WINDOW // 2)


def row_of(hertz: float, height: int, sample_rate: int = SAMPLE_RATE) -> int:
    """The row of a picture in which a frequency lies.

    >>> row_of(16_000, 32), row_of(60, 32)
    (0, 31)
    """
    share = np.log(max(hertz, LOW_HZ) / LOW_HZ) / np.log(sample_rate / 2 / LOW_HZ)
    return int(min(height - 1, max(0, np.floor((1 - share) * height))))


def png(steps: npt.NDArray[np.uint8], colours: int = 256) -> bytes:
    """A picture of `spectrogram` as a PNG with a palette: 4 bits a pixel up to 16 colours, else 8.

    Raises:
        ValueError: a step is not below `colours`, or there are more than 256.

    Source: Portable Network Graphics (PNG) Specification, second edition, W3C (2003).
    """
    if colours > 256 or (steps.size and int(steps.max()) >= colours):
        raise ValueError(f"steps up to {steps.max(initial=0)}, expected below {min(colours, 256)}")
    height, width = steps.shape
    bits = 4 if colours <= 16 else 8
    packed = steps
    if bits == 4:
        even = np.pad(steps, ((0, 0), (0, width % 2)))
        packed = (even[:, ::2] * 16 + even[:, 1::2]).astype(np.uint8)
    lines = np.pad(packed, ((0, 0), (1, 0))).tobytes()  # 0 before every line: not filtered
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 3, 0, 0, 0)),
            _chunk(b"PLTE", _palette(colours)),
            _chunk(b"IDAT", zlib.compress(lines, 9)),
            _chunk(b"IEND", b""),
        ]
    )


def picture(audio: Samples, *, width: int = 80, height: int = 28, colours: int = 16) -> bytes:
    """The spectrogram of a wave as a PNG; by default as small as a line of a table can show it (under a kilobyte)."""
    return png(spectrogram(audio, width=width, height=height, colours=colours), colours)


def inline(content: bytes, kind: str = "image/png") -> str:
    """A file as an address that holds it.

    >>> inline(b"ab")
    'data:image/png;base64,YWI='
    """
    return f"data:{kind};base64,{b64encode(content).decode()}"


def envelope(audio: Samples, columns: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Lowest and highest sample of each of `columns` equal parts of a wave (T,); (columns,) twice.

    Parts are at least a sample long: a wave of fewer samples repeats them. Without a sample, all are 0.
    """
    samples = np.asarray(audio, np.float32)
    if not len(samples):
        return np.zeros(columns, np.float32), np.zeros(columns, np.float32)
    starts = np.linspace(0, len(samples), columns + 1)[:-1].astype(np.intp)
    return np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)


def _palette(colours: int) -> bytes:
    """Colours between the stops, straight from one to the next."""
    places = np.linspace(0, len(_STOPS) - 1, colours)
    table = np.stack([np.interp(places, range(len(_STOPS)), channel) for channel in zip(*_STOPS, strict=True)], axis=1)
    return np.round(table).astype(np.uint8).tobytes()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
