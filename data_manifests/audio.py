"""Reading audio files strictly: right rate, right channels, finite, complete, or an error that says what is wrong."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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

StoredSamples = npt.NDArray[np.float32] | npt.NDArray[np.int16]
"""(channels, T): full scale is 1.0 of the one and 32768 of the other."""

BLOCK_FRAMES = 1 << 19
"""Samples of a block: 16 s, so that a recording of the challenge is one, and an hour takes no more memory."""

_ENDLESS_FRAMES = 1 << 40

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
    wanted = _Wanted(channels, sample_rate, only, downmix, advice)
    with _opened(source, name) as file:
        expected = None if _is_endless(file) else int(file.frames)
        rows = channels if only is None else 1
        whole = out if out is not None or expected is None else np.empty((rows, expected), np.float32)
        kept = []
        done = 0
        for block in _checked_blocks(file, name, wanted, into=whole):
            done += block.shape[1]
            kept += [block] if whole is None else []
    if whole is None:
        return np.concatenate([np.empty((rows, 0), np.float32), *kept], axis=1)
    if done != whole.shape[1]:
        raise AudioError(f"{name}: {done} samples, the mixture has {whole.shape[1]}")
    return whole


def read_blocks(
    source: Path | BinaryIO,
    *,
    channels: int,
    sample_rate: int,
    only: int | None = None,
    downmix: bool = False,
    advice: str = "",
    name: str | None = None,
) -> Iterator[npt.NDArray[np.float32]]:
    """What `read_audio` returns, in blocks of `BLOCK_FRAMES` samples, the last one shorter; none of an empty file.

    The errors are those of `read_audio`; what is wrong beyond a block comes after it.
    """
    name = str(source) if name is None else name
    with _opened(source, name) as file:
        yield from _checked_blocks(file, name, _Wanted(channels, sample_rate, only, downmix, advice))


def read_stored_blocks(
    path: Path, *, channels: int, sample_rate: int, only: int | None = None
) -> Iterator[StoredSamples]:
    """What `read_blocks` returns, but 16-bit samples as they are stored: int16, of full scale 32768.

    For sums in float64, which both kinds give to the last bit, int16 a pass over the samples sooner.
    """
    with _opened(path, str(path)) as file:
        yield from _checked_blocks(file, str(path), _Wanted(channels, sample_rate, only), stored=True)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a file has to be, and what of it is read; see `read_audio`."""

    channels: int
    sample_rate: int
    only: int | None = None
    downmix: bool = False
    advice: str = ""


def _checked_blocks(
    file: soundfile.SoundFile | PlainWav,
    name: str,
    wanted: _Wanted,
    *,
    into: npt.NDArray[np.float32] | None = None,
    stored: bool = False,
) -> Iterator[Any]:
    """The blocks of an open file, float32, written into `into`, where it is given, of which they are views then; with
    `stored` those of 16 bits are int16.
    """
    if file.samplerate != wanted.sample_rate:
        raise AudioError(f"{name}: the sample rate is {file.samplerate} Hz, expected {wanted.sample_rate} Hz")
    if file.channels != wanted.channels and not wanted.downmix:
        raise AudioError(f"{name}: {_count(file.channels)}, expected {wanted.channels}{wanted.advice}")
    expected = None if _is_endless(file) else int(file.frames)
    # After the rate: of another one, the length says nothing.
    if into is not None and expected not in (None, into.shape[1]):
        raise AudioError(f"{name}: {expected} samples, the mixture has {into.shape[1]}")
    done = 0
    # Integers as integers: libsndfile's own conversion to float takes five times as long as numpy's.
    for samples in _raw_blocks(file, _INTEGER_TYPES.get(file.subtype, "float32")):
        if samples.dtype.kind == "f" and not np.isfinite(samples).all():
            bad = done + int(np.argmin(np.isfinite(samples).all(axis=1)))
            raise AudioError(f"{name}: NaN or infinite samples, the first at sample {bad}", rule="non-finite")
        if wanted.downmix and samples.shape[1] > 1:
            samples = as_float32(samples).mean(axis=1, keepdims=True)
        kept = samples.T if wanted.only is None else samples.T[wanted.only : wanted.only + 1]
        end = done + len(samples)
        if stored and kept.dtype == np.int16:
            done = end
            yield kept
            continue
        if into is None:
            out = np.empty(kept.shape, np.float32)
        elif end > into.shape[1]:
            raise AudioError(f"{name}: more than {into.shape[1]} samples, which is what the mixture has")
        else:
            out = into[:, done:end]
        # One pass over the samples, from the file's integers to where they are wanted.
        np.multiply(kept, _scale(samples), out=out, dtype=np.float32)
        done = end
        yield out
    if expected not in (None, done):
        raise AudioError(f"{name}: truncated: {done} of {expected} frames could be read", rule="truncated")


def as_float32(samples: StoredSamples) -> npt.NDArray[np.float32]:
    """Samples with full scale 1.0, of integers or floats as files and `read_stored_blocks` give them."""
    return np.multiply(samples, _scale(samples), dtype=np.float32)


def _scale(samples: npt.NDArray[Any]) -> np.float32:
    """What makes full scale 1.0."""
    return np.float32(2.0 ** (1 - 8 * samples.dtype.itemsize) if samples.dtype.kind == "i" else 1.0)


def audio_length(path: Path) -> int:
    """How many samples a file holds, from its header. Raises `AudioError` when it cannot be read or is truncated."""
    with _opened(path, str(path)) as file:
        return _frames(file)


def audio_seconds(path: Path) -> float:
    """How long a file of any rate and any channels plays. Raises `AudioError` as `audio_length` does."""
    with _opened(path, str(path)) as file:
        return float(_frames(file) / file.samplerate)


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


def _frames(file: soundfile.SoundFile | PlainWav) -> int:
    return sum(map(len, _raw_blocks(file, "int16"))) if _is_endless(file) else int(file.frames)


def _raw_blocks(file: soundfile.SoundFile | PlainWav, dtype: str) -> Iterator[npt.NDArray[Any]]:
    """All samples, (T, channels) a block, whether the file tells how many there are or not."""
    left = math.inf if _is_endless(file) else file.frames
    while left > 0:
        block: npt.NDArray[Any] = file.read(int(min(left, BLOCK_FRAMES)), dtype=dtype, always_2d=True)
        if not len(block):
            return
        yield block
        left -= len(block)


def _count(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"
