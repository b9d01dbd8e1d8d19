"""Reading audio files strictly: right rate, right channels, finite, complete, or an error that says what is wrong."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from s5eval.data_manifests.errors import AudioError


def read_audio(
    source: Path | BinaryIO, *, channels: int, sample_rate: int, name: str | None = None
) -> npt.NDArray[np.float32]:
    """Read a whole WAV or FLAC file.

    Args:
        source: a path, or an open seekable binary file (a member of an archive).
        channels: how many channels the file must have.
        sample_rate: the rate it must have, in Hz.
        name: how to call the source in errors; default: its path.

    Returns:
        float32 (channels, T), full scale 1.0, C-contiguous for mono.

    Raises:
        AudioError: missing, empty, not audio, truncated, wrong rate or channels, or a sample is NaN or infinite.
    """
    name = str(source) if name is None else name
    if isinstance(source, Path):
        if not source.is_file():
            raise AudioError(f"{name}: no such file")
        if source.stat().st_size == 0:
            raise AudioError(f"{name}: the file is empty (0 bytes); write it again")
    try:
        with soundfile.SoundFile(source) as file:
            if file.samplerate != sample_rate:
                raise AudioError(f"{name}: the sample rate is {file.samplerate} Hz, expected {sample_rate} Hz")
            if file.channels != channels:
                raise AudioError(f"{name}: {_count(file.channels)}, expected {channels}")
            if _is_truncated(file):
                raise AudioError(f"{name}: truncated: the file ends before the length its header promises")
            integers = file.subtype.startswith("PCM_") or file.format == "FLAC"
            expected = file.frames
            samples = file.read(dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        reason = str(error).partition(": ")[2] or str(error)
        raise AudioError(f"{name}: cannot be read as audio: {reason}") from error
    if len(samples) != expected:
        raise AudioError(f"{name}: truncated: {len(samples)} of {expected} frames could be read")
    if not integers and not np.isfinite(samples).all():
        bad = int(np.argmin(np.isfinite(samples).all(axis=1)))
        raise AudioError(f"{name}: NaN or infinite samples, the first at sample {bad}")
    result: npt.NDArray[np.float32] = samples.T
    return result


def _is_truncated(file: soundfile.SoundFile) -> bool:
    # libsndfile shortens the data chunk of a cut WAV to what is there, and says so only in its log.
    log: str = file.extra_info
    return file.format == "WAV" and "data :" in log and "(should be" in log.partition("data :")[2].partition("\n")[0]


def _count(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"
