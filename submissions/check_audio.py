"""What every wav of a submission must be: mono, 32 kHz, PCM_16, complete, of the mixture's length, and some sound.

The RIFF chunks are read here rather than by an audio library: all faults of a file are named at once, and bytes
that a stranger has prepared reach no decoder.
Source of the format: Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991).
"""

import struct
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.records import SAMPLE_RATE
from s5eval.submissions.check_json import Note

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_FORMAT = struct.Struct("<HHLLHH")
_UNKNOWN = 0xFFFFFFFF
_PCM_MIN, _PCM_MAX = -32768, 32767


@dataclass(frozen=True, slots=True)
class _Wav:
    """What the chunks of a wav say: format tag, channels, rate in Hz, bits a sample; declared and present bytes."""

    tag: int
    channels: int
    rate: int
    bits: int
    declared: int
    data: memoryview


def check_audio(content: bytes, note: Note, *, frames: int | None) -> int:
    """Check one wav.

    Args:
        content: the file.
        note: takes findings.
        frames: samples it must have; None: any number but zero.

    Returns:
        How many samples are clipped (see `clipped_samples`); 0 as well where they cannot be read.
    """
    if not content:
        note("audio-empty", "the file is empty (0 bytes)")
        return 0
    wav = _parse(content, note)
    if wav is None:
        return 0
    if wav.rate != SAMPLE_RATE:
        note("audio-rate", f"the sample rate is {wav.rate} Hz, expected {SAMPLE_RATE} Hz")
    if wav.channels != 1:
        note("audio-channels", f"{wav.channels} channels, expected 1")
    if wav.tag != _PCM or wav.bits != 16:
        kind = {_PCM: "PCM", _FLOAT: "floating point"}.get(wav.tag, f"format {wav.tag}")
        note("audio-subtype", f"the samples are {wav.bits}-bit {kind}, expected 16-bit PCM")
    frame_bytes = wav.channels * ((wav.bits + 7) // 8)
    if wav.declared == _UNKNOWN and frame_bytes:
        note("audio-header", "the header does not say how many samples follow (written to a pipe); write it to a file")
        wav = replace(wav, declared=len(wav.data))
    if len(wav.data) < wav.declared or (frame_bytes and len(wav.data) % frame_bytes):
        note("audio-truncated", f"the header promises {wav.declared} bytes of samples, {len(wav.data)} are there")
    elif frame_bytes:
        found = len(wav.data) // frame_bytes
        if found == 0 or frames not in (None, found):
            expected = f"{frames}, as the mixture has" if frames is not None else "some"
            note("audio-length", f"{found} samples, expected {expected}")
    return _check_samples(wav, note)


def _parse(content: bytes, note: Note) -> _Wav | None:
    if len(content) < 12 or content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        known = {b"fLaC": "a FLAC file", b"OggS": "an Ogg file", b"ID3\x03": "an MP3 file", b"RF64": "an RF64 file"}
        note("audio-format", f"not a wav file (it has no RIFF header){_hint(known.get(content[:4]))}")
        return None
    chunks: dict[bytes, tuple[int, memoryview]] = {}
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sL", content, at)
        chunks.setdefault(name, (size, memoryview(content)[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    if b"fmt " not in chunks or len(chunks[b"fmt "][1]) < _FORMAT.size or b"data" not in chunks:
        note("audio-unreadable", "the wav has no format chunk or no data chunk")
        return None
    header = chunks[b"fmt "][1]
    tag, channels, rate, _, _, bits = _FORMAT.unpack_from(header)
    if tag == _EXTENSIBLE and len(header) >= 26:
        (tag,) = struct.unpack_from("<H", header, 24)
    declared, data = chunks[b"data"]
    return _Wav(tag, channels, rate, bits, declared, data)


def _check_samples(wav: _Wav, note: Note) -> int:
    if wav.tag == _FLOAT and wav.bits in (32, 64):
        floats = np.frombuffer(wav.data[: len(wav.data) // 8 * 8], np.float32 if wav.bits == 32 else np.float64)
        if not np.isfinite(floats).all():
            note("audio-not-finite", f"NaN or infinite samples, the first at {int(np.argmin(np.isfinite(floats)))}")
    elif wav.tag == _PCM and wav.bits == 16:
        samples = np.frombuffer(wav.data[: len(wav.data) // 2 * 2], "<i2")
        if len(samples) and not samples.any():
            note("audio-silent", "all samples are zero; leave out a source that is absent, its wav costs a false alarm")
        if clipped := clipped_samples(samples):
            note("audio-clipped", f"{counted(clipped, 'sample')} at full scale: the output was clipped")
        return clipped
    return 0


def clipped_samples(samples: npt.NDArray[np.int16]) -> int:
    """Samples of a PCM_16 file, int16 (T,), at full scale; 0 for a single one, a peak that was normalised to it."""
    full = int(np.count_nonzero((samples == _PCM_MIN) | (samples == _PCM_MAX)))
    return full if full > 1 else 0


def _hint(kind: str | None) -> str:
    return "" if kind is None else f"; it is {kind}"
