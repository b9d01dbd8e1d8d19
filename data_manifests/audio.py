"""Reading audio files strictly: right rate, right channels, finite, complete, or an error that says what is wrong."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from s5eval.data_manifests.common.errors import AudioError
from s5eval.data_manifests.containers import (
    FLAC_MARK,
    KNOWN_FORMATS,
    SampleBytes,
    find_samples,
    why_unknown,
    with_length,
)
from s5eval.data_manifests.listing import not_a_file
from s5eval.data_manifests.pcm import PlainWav, open_plain

_ENDLESS_FRAMES = 1 << 40
_BLOCK_FRAMES = 1 << 18

_SAMPLE_BYTES = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}

_INTEGER_TYPES = {"PCM_S8": "int16", "PCM_16": "int16", "PCM_24": "int32", "PCM_32": "int32"}
"""In which type libsndfile hands out the samples of a subtype as they are; what is not listed is read as float."""


def read_audio(
    source: Path | BinaryIO,
    *,
    channels: int,
    sample_rate: int,
    only: int | None = None,
    downmix: bool = False,
    advice: str = "",
    out: npt.NDArray[np.float32] | None = None,
    name: str | None = None,
) -> npt.NDArray[np.float32]:
    """Read a whole WAV or FLAC file.

    Args:
        source: a path, or an open seekable binary file (a member of an archive).
        channels: how many channels the file must have.
        sample_rate: the rate it must have, in Hz.
        only: return this channel alone; the others are checked and dropped. None: all.
        downmix: `channels` is 1, and a file of more channels is averaged to it, as the official evaluator does.
        advice: what to do about a wrong number of channels, added to that error.
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
        if file.channels != channels and not downmix:
            raise AudioError(f"{name}: {_count(file.channels)}, expected {channels}{advice}")
        expected = None if _is_endless(file) else file.frames
        # Integers as integers: libsndfile's own conversion to float takes five times as long as numpy's.
        samples = _read(file, _INTEGER_TYPES.get(file.subtype, "float32"))
    if expected not in (None, len(samples)):
        raise AudioError(f"{name}: truncated: {len(samples)} of {expected} frames could be read", rule="truncated")
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        bad = int(np.argmin(np.isfinite(samples).all(axis=1)))
        raise AudioError(f"{name}: NaN or infinite samples, the first at sample {bad}", rule="non-finite")
    if downmix and samples.shape[1] > 1:
        samples = np.multiply(samples, _scale(samples), dtype=np.float32).mean(axis=1, keepdims=True)
    kept = samples.T if only is None else samples.T[only : only + 1]
    if out is None:
        out = np.empty(kept.shape, np.float32)
    elif kept.shape[1] != out.shape[1]:
        raise AudioError(f"{name}: {kept.shape[1]} samples, the mixture has {out.shape[1]}")
    # One pass over the samples, from the file's integers to where they are wanted.
    np.multiply(kept, _scale(samples), out=out, dtype=np.float32)
    return out


def _scale(samples: npt.NDArray[Any]) -> np.float32:
    """What makes full scale 1.0."""
    return np.float32(2.0 ** (1 - 8 * samples.dtype.itemsize) if samples.dtype.kind == "i" else 1.0)


def audio_length(path: Path) -> int:
    """How many samples a file holds, from its header. Raises `AudioError` when it cannot be read or is truncated."""
    with _opened(path, str(path)) as file:
        return len(_read(file, "int16")) if _is_endless(file) else int(file.frames)


def audio_seconds(path: Path) -> float:
    """How long a file of any rate and any channels plays. Raises `AudioError` as `audio_length` does."""
    with _opened(path, str(path)) as file:
        frames = len(_read(file, "int16")) if _is_endless(file) else file.frames
        return float(frames / file.samplerate)


def check_whole(path: Path) -> None:
    """Check that a file is there and whole, without reading its samples; any rate, any channels.

    Raises:
        AudioError: missing, empty, not audio, of a container that does not tell its length, or truncated.
    """
    with _opened(path, str(path)):
        pass


class _SoundFile(soundfile.SoundFile):  # type: ignore[misc] # soundfile has no types
    """A file that is read from its beginning to its end: libsndfile cannot seek where no length is told."""

    def seekable(self) -> bool:
        return False


def wav_bytes(samples: npt.NDArray[np.float32] | npt.NDArray[np.int16], *, sample_rate: int, **form: str) -> bytes:
    """The whole file, in memory, that `write_atomically` puts in its place.

    libsndfile is never given a path to write to: on a full disk it ends without an error and leaves a header that says
    zero frames.

    Args:
        samples: (T,) or (T, channels).
        sample_rate: in Hz.
        form: `subtype`, and `format` where it is not WAV, as soundfile names them.
    """
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, **{"format": "WAV", **form})
    return file.getvalue()


@contextmanager
def _opened(source: Path | BinaryIO, name: str) -> Iterator[soundfile.SoundFile | PlainWav]:
    if isinstance(source, Path):
        if problem := not_a_file(source):
            raise AudioError(f"{name}: {problem}")
        if source.stat().st_size == 0:
            raise AudioError(f"{name}: the file is empty (0 bytes); write it again", rule="empty")
    try:
        if isinstance(source, Path):
            with open_plain(source) as plain:
                if plain is not None:
                    yield plain
                    return
        samples, content, head = _examined(source)
        # Bytes that are none of these reach no decoder: of a cut one it would make a shorter one.
        if samples is None and not head.startswith(FLAC_MARK):
            raise AudioError(f"{name}: cannot be read as audio: {why_unknown(head)}")
        with _SoundFile(content) as file:
            if file.format not in KNOWN_FORMATS:
                raise AudioError(f"{name}: cannot be read as audio: of type {file.format}; expected WAV or FLAC")
            if samples is not None and _is_truncated(samples, file):
                raise AudioError(
                    f"{name}: truncated: the file ends before the length its header promises", rule="truncated"
                )
            yield file
    except soundfile.SoundFileError as error:
        reason = str(error).partition(": ")[2] or str(error)
        raise AudioError(f"{name}: cannot be read as audio: {reason}") from error
    except (OSError, ValueError, MemoryError) as error:
        raise AudioError(f"{name}: cannot be read as audio: {error or type(error).__name__}") from error


def _examined(source: Path | BinaryIO) -> tuple[SampleBytes | None, Path | BinaryIO, bytes]:
    """Where the samples are; what to read, which is a copy with its length where that says 0 of many; how it begins."""
    with _binary(source) as file:
        samples = find_samples(file)
        file.seek(0)
        if samples is None or samples.size_at is None:
            return samples, source, file.read(16)
        content = file.read()
        return samples, BytesIO(with_length(content, samples)), content[:16]


def _is_truncated(samples: SampleBytes, file: soundfile.SoundFile) -> bool:
    if samples.declared is None:
        frame = file.channels * _SAMPLE_BYTES.get(file.subtype, 0)
        return frame > 1 and samples.present % frame not in (0, 1)  # 1: chunks are padded to an even length
    return samples.missing > 0


@contextmanager
def _binary(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    """The bytes of a source; an open file is at its beginning again when the block ends."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            yield file
        return
    try:
        yield source
    finally:
        source.seek(0)


def _is_endless(file: soundfile.SoundFile | PlainWav) -> bool:
    """Whether a FLAC file does not tell its length (it was written to a pipe); libsndfile says 2^63 − 1 then."""
    return bool(file.frames >= _ENDLESS_FRAMES)


def _read(file: soundfile.SoundFile | PlainWav, dtype: str) -> npt.NDArray[Any]:
    """All samples, (T, channels), whether the file tells how many there are or not."""
    if not _is_endless(file):
        whole: npt.NDArray[Any] = file.read(file.frames, dtype=dtype, always_2d=True)
        return whole
    blocks = [np.empty((0, file.channels), dtype)]
    while len(block := file.read(_BLOCK_FRAMES, dtype=dtype, always_2d=True)):
        blocks.append(block)
    return np.concatenate(blocks)


def _count(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"
