"""A cut file is never read: every container that libsndfile knows, cut anywhere; and lengths that are not told."""

import io
import struct
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from s5eval.data_manifests.audio import audio_length, audio_seconds, check_whole, read_audio, read_blocks
from s5eval.data_manifests.common.errors import AudioError
from s5eval.data_manifests.containers import KNOWN_FORMATS

RATE, FRAMES = 32_000, 4000
SUBTYPES = ("PCM_16", "PCM_24", "FLOAT", "PCM_S8", "ULAW", "VORBIS", "MPEG_LAYER_III")
OTHERS = {"RAW", "SD2"}  # need to be told what they hold, or keep it in another file


@cache
def written(format_: str, subtype: str, frames: int = FRAMES) -> bytes | None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (frames, 1))
    buffer = io.BytesIO()
    try:
        soundfile.write(buffer, samples, RATE, format=format_, subtype=subtype)
    except (soundfile.SoundFileError, ValueError):
        return None
    return buffer.getvalue()


CONTAINERS = [
    (format_, subtype)
    for format_ in sorted(soundfile.available_formats())
    for subtype in SUBTYPES
    if format_ not in OTHERS and subtype in soundfile.available_subtypes(format_) and written(format_, subtype)
]


def read(content: bytes) -> np.ndarray:
    return read_audio(io.BytesIO(content), channels=1, sample_rate=RATE, name="it.wav")


@pytest.mark.parametrize(("format_", "subtype"), CONTAINERS)
def test_a_container_is_read_whole_or_refused_by_name(format_: str, subtype: str) -> None:
    content = written(format_, subtype) or b""
    if format_ in KNOWN_FORMATS:
        expected = soundfile.read(io.BytesIO(content), dtype="float32")[0]
        np.testing.assert_array_equal(read(content)[0], expected)
    else:
        with pytest.raises(AudioError, match=r"it\.wav: "):
            read(content)


@settings(max_examples=300, deadline=None)
@given(container=st.sampled_from(CONTAINERS), part=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_never_read_as_a_shorter_one(container: tuple[str, str], part: float) -> None:
    whole = written(*container) or b""
    try:
        samples = read(whole[: int(part * len(whole))])
    except AudioError as error:
        assert "it.wav" in str(error)
    else:  # only what stands after the samples is gone
        np.testing.assert_array_equal(samples, read(whole))


@pytest.mark.parametrize("format_", ["RF64", "W64", "AIFF", "AU", "WAV", "WAVEX", "FLAC"])
def test_half_a_file_is_named(tmp_path: Path, format_: str) -> None:
    path = tmp_path / "half.wav"
    content = written(format_, "PCM_16") or b""
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match=r"half\.wav: (truncated|cannot be read as audio)"):
        read_audio(path, channels=1, sample_rate=RATE)
    if format_ != "FLAC":
        for look in (audio_length, audio_seconds, check_whole):
            with pytest.raises(AudioError, match="truncated"):
                look(path)


def piped(riff: int, data: int) -> bytes:
    content = bytearray(written("WAV", "PCM_16") or b"")
    struct.pack_into("<L", content, 4, riff)
    struct.pack_into("<L", content, content.index(b"data") + 4, data)
    return bytes(content)


@pytest.mark.parametrize(
    ("riff", "data"),
    [(0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFF024, 0x7FFFF000), (0x80000024, 0x80000000), (0, 0), (36, 0), (0xFFFFFFFF, 0)],
)
def test_a_wav_from_a_pipe_is_read_to_its_end(tmp_path: Path, riff: int, data: int) -> None:
    content = piped(riff, data)
    np.testing.assert_array_equal(read(content), read(written("WAV", "PCM_16") or b""))
    (tmp_path / "piped.wav").write_bytes(content)
    assert audio_length(tmp_path / "piped.wav") == FRAMES
    with pytest.raises(AudioError, match="3000 samples, the mixture has 4000"):
        read_audio(
            io.BytesIO(content[:-2000]), channels=1, sample_rate=RATE, out=np.empty((1, FRAMES), np.float32), name="it"
        )


def test_an_empty_wav_with_chunks_behind_is_empty() -> None:
    content = bytearray(written("WAV", "PCM_16", 0) or b"")
    content += b"LIST" + struct.pack("<L", 4) + b"INFO"
    assert read(bytes(content)).shape == (1, 0)


def test_a_flac_of_unknown_length_is_read_to_its_end_and_a_cut_one_is_not(tmp_path: Path) -> None:
    whole = written("FLAC", "PCM_16", 20_000) or b""
    content = bytearray(whole)
    content[21] &= 0xF0  # the samples in all, 36 bits of the stream's description
    content[22:26] = bytes(4)
    np.testing.assert_array_equal(read(bytes(content)), read(whole))
    path = tmp_path / "piped.flac"
    path.write_bytes(content)
    assert (audio_length(path), audio_seconds(path)) == (20_000, 20_000 / RATE)
    for length, said in (
        (19_999, "more than 19999 samples, which is what"),
        (20_001, "20000 samples, the mixture has"),
    ):
        with pytest.raises(AudioError, match=rf"piped\.flac: {said}"):
            read_audio(path, channels=1, sample_rate=RATE, out=np.empty((1, length), np.float32))
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match=r"piped\.flac: cannot be read as audio"):
        read_audio(path, channels=1, sample_rate=RATE)


def test_channels_are_averaged_as_the_official_code_does() -> None:
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (FRAMES, 2)).astype(np.float32)
    for subtype in ("PCM_16", "FLOAT"):
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, RATE, format="WAV", subtype=subtype)
        expected = soundfile.read(io.BytesIO(buffer.getvalue()), dtype="float32")[0].mean(axis=1)
        found = read_audio(io.BytesIO(buffer.getvalue()), channels=1, sample_rate=RATE, downmix=True, name="it")
        np.testing.assert_array_equal(found[0], expected)


def test_a_flac_that_has_fewer_samples_than_it_promises_is_truncated(tmp_path: Path) -> None:
    content = bytearray(written("FLAC", "PCM_16", 20_000) or b"")
    content[24:26] = (20_010).to_bytes(2, "big")  # the last of the 36 bits
    path = tmp_path / "short.flac"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"short\.flac: (truncated: 20000 of 20010 frames|cannot be read)"):
        list(read_blocks(path, channels=1, sample_rate=RATE))
