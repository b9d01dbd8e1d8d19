"""Reading audio files strictly: right rate, right channels, finite, complete, or an error that says what is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from s5eval.data_manifests.common.errors import AudioError

_INTEGER_TYPES = {"PCM_S8": "int16", "PCM_16": "int16", "PCM_24": "int32", "PCM_32": "int32"}
"""In which type libsndfile hands out the samples of a subtype as they are; what is not listed is read as float."""


def read_audio(
    source: Path | BinaryIO,
    *,
    channels: int,
    sample_rate: int,
    only: int | None = None,
    out: npt.NDArray[np.float32] | None = None,
    name: str | None = None,
) -> npt.NDArray[np.float32]:
    """Read a whole WAV or FLAC file.

    Args:
        source: a path, or an open seekable binary file (a member of an archive).
        channels: how many channels the file must have.
        sample_rate: the rate it must have, in Hz.
        only: return this channel alone; the others are checked and dropped. None: all.
        out: float32 (channels, T) or (1, T) to read into: the file must be as long as that. None: a new array.
        name: how to call the source in errors; default: its path.

    Returns:
        float32 (channels, T), or (1, T) with `only`; full scale 1.0.

    Raises:
        AudioError: missing, empty, not audio, truncated, wrong rate, channels or length, or a sample is NaN or
            infinite.
    """
    name = str(source) if name is None else name
    with _opened(source, name) as file:
        if file.samplerate != sample_rate:
            raise AudioError(f"{name}: the sample rate is {file.samplerate} Hz, expected {sample_rate} Hz")
        if file.channels != channels:
            raise AudioError(f"{name}: {_count(file.channels)}, expected {channels}")
        expected = file.frames
        # Integers as integers: libsndfile's own conversion to float takes five times as long as numpy's.
        samples = file.read(dtype=_INTEGER_TYPES.get(file.subtype, "float32"), always_2d=True)
    if len(samples) != expected:
        raise AudioError(f"{name}: truncated: {len(samples)} of {expected} frames could be read")
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        bad = int(np.argmin(np.isfinite(samples).all(axis=1)))
        raise AudioError(f"{name}: NaN or infinite samples, the first at sample {bad}")
    kept = samples.T if only is None else samples.T[only : only + 1]
    if out is None:
        out = np.empty(kept.shape, np.float32)
    elif kept.shape[1] != out.shape[1]:
        raise AudioError(f"{name}: {kept.shape[1]} samples, the mixture has {out.shape[1]}")
    # One pass over the samples, from the file's integers to where they are wanted.
    scale = np.float32(2.0 ** (1 - 8 * samples.dtype.itemsize) if samples.dtype.kind == "i" else 1.0)
    np.multiply(kept, scale, out=out, dtype=np.float32)
    return out


def audio_length(path: Path) -> int:
    """How many samples a file holds, from its header. Raises `AudioError` when it cannot be read or is truncated."""
    with _opened(path, str(path)) as file:
        return int(file.frames)


@contextmanager
def _opened(source: Path | BinaryIO, name: str) -> Iterator[soundfile.SoundFile]:
    if isinstance(source, Path):
        if not source.is_file():
            raise AudioError(f"{name}: no such file")
        if source.stat().st_size == 0:
            raise AudioError(f"{name}: the file is empty (0 bytes); write it again")
    try:
        with soundfile.SoundFile(source) as file:
            if _is_truncated(file):
                raise AudioError(f"{name}: truncated: the file ends before the length its header promises")
            yield file
    except soundfile.SoundFileError as error:
        reason = str(error).partition(": ")[2] or str(error)
        raise AudioError(f"{name}: cannot be read as audio: {reason}") from error


def _is_truncated(file: soundfile.SoundFile) -> bool:
    # libsndfile shortens the data chunk of a cut WAV to what is there, and says so only in its log.
    log: str = file.extra_info
    riff = file.format in ("WAV", "WAVEX")
    return riff and "data :" in log and "(should be" in log.partition("data :")[2].partition("\n")[0]


def _count(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"
