"""Every way in which a file can be wrong is said, and nothing wrong is read."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.audio import BLOCK_FRAMES, read_audio, read_blocks, read_stored_blocks
from s5eval.data_manifests.common.errors import AudioError

RATE = 32_000


def write(path: Path, *, channels: int = 1, rate: int = RATE, subtype: str = "PCM_16", length: int = 4000) -> Path:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (length, channels))
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


@pytest.mark.parametrize(
    ("suffix", "subtype"), [("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("flac", "PCM_16")]
)
def test_reads_wav_and_flac_as_float32_rows(tmp_path: Path, suffix: str, subtype: str) -> None:
    path = write(tmp_path / f"a.{suffix}", channels=4, subtype=subtype)
    audio = read_audio(path, channels=4, sample_rate=RATE)
    assert audio.dtype == np.float32
    np.testing.assert_array_equal(audio, soundfile.read(path, dtype="float32")[0].T)


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "PCM_32"), ("wav", "FLOAT"), ("flac", "PCM_16"), ("flac", "PCM_24")],
)
@pytest.mark.parametrize(("channels", "only"), [(1, None), (4, 0), (4, 2)])
def test_stored_samples_are_those_that_are_read_as_floats(
    tmp_path: Path, suffix: str, subtype: str, channels: int, only: int | None
) -> None:
    path = write(tmp_path / f"a.{suffix}", channels=channels, subtype=subtype, length=BLOCK_FRAMES + 700)
    stored = list(read_stored_blocks(path, channels=channels, sample_rate=RATE, only=only))
    floats = list(read_blocks(path, channels=channels, sample_rate=RATE, only=only))
    assert [block.shape for block in stored] == [block.shape for block in floats]
    for block, expected in zip(stored, floats, strict=True):
        assert block.dtype == (np.int16 if subtype == "PCM_16" else np.float32)
        scale = 32768.0 if block.dtype == np.int16 else 1.0
        np.testing.assert_array_equal(block.astype(np.float64) / scale, expected.astype(np.float64))


def test_stored_samples_of_a_cut_file_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AudioError, match="truncated"):
        list(read_stored_blocks(path, channels=1, sample_rate=RATE))


def test_reads_an_open_file_and_calls_it_by_the_name_given(tmp_path: Path) -> None:
    content = write(tmp_path / "a.wav").read_bytes()
    assert read_audio(BytesIO(content), channels=1, sample_rate=RATE, name="in.zip").shape == (1, 4000)
    with pytest.raises(AudioError, match=r"in\.zip: 1 channel, expected 2"):
        read_audio(BytesIO(content), channels=2, sample_rate=RATE, name="in.zip")


def damaged(tmp_path: Path, damage: Callable[[bytes], bytes], suffix: str = "wav") -> Path:
    path = write(tmp_path / f"a.{suffix}")
    path.write_bytes(damage(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", r"empty \(0 bytes\)"),
        (lambda data: data[:20], "cannot be read as audio"),
        (lambda data: data[: len(data) // 2], "truncated"),
        (lambda data: data[:-2], "truncated"),
        (lambda data: b"not audio at all" * 40, "cannot be read as audio"),
    ],
)
def test_damaged_wavs_are_refused(tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    with pytest.raises(AudioError, match=message):
        read_audio(damaged(tmp_path, damage), channels=1, sample_rate=RATE)


@pytest.mark.parametrize("container", ["WAVEX"])
def test_an_extensible_wav_is_not_cut_silently_either(tmp_path: Path, container: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((4000, 4)), RATE, format=container, subtype="PCM_16")
    read_audio(path, channels=4, sample_rate=RATE)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(AudioError, match="truncated"):
        read_audio(path, channels=4, sample_rate=RATE)


def test_a_cut_flac_is_refused(tmp_path: Path) -> None:
    path = damaged(tmp_path, lambda data: data[: len(data) // 2], "flac")
    with pytest.raises(AudioError, match=r"truncated|cannot be read"):
        read_audio(path, channels=1, sample_rate=RATE)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_samples_are_refused_with_their_place(tmp_path: Path, value: float) -> None:
    samples = np.zeros(100, np.float32)
    samples[37] = value
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"NaN or infinite samples, the first at sample 37"):
        read_audio(tmp_path / "a.wav", channels=1, sample_rate=RATE)


def test_wrong_rate_wrong_channels_and_absence_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", channels=2, rate=16_000)
    into = np.empty((1, 9), np.float32)
    with pytest.raises(AudioError, match="the sample rate is 16000 Hz, expected 32000 Hz"):
        read_audio(write(tmp_path / "slow.wav", rate=16_000), channels=1, sample_rate=RATE, out=into)
    with pytest.raises(AudioError, match="2 channels, expected 1"):
        read_audio(write(tmp_path / "stereo.wav", channels=2), channels=1, sample_rate=RATE, out=into)
    with pytest.raises(AudioError, match="the sample rate is 16000 Hz, expected 32000 Hz"):
        read_audio(path, channels=2, sample_rate=RATE)
    with pytest.raises(AudioError, match="2 channels, expected 1"):
        read_audio(path, channels=1, sample_rate=16_000)
    with pytest.raises(AudioError, match="no such file"):
        read_audio(tmp_path / "b.wav", channels=1, sample_rate=RATE)


@pytest.mark.parametrize("rate", [16_000, 31_999, 32_001, 44_100, 48_000])
def test_no_other_rate_is_taken_for_the_right_one(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "a.wav", rate=rate)
    for source in (path, BytesIO(path.read_bytes())):
        with pytest.raises(AudioError, match=f"the sample rate is {rate} Hz, expected 32000 Hz"):
            read_audio(source, channels=1, sample_rate=RATE, name="a")


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("channel", [0, 1, 3])
def test_the_channel_that_is_asked_for_is_read_and_no_other(tmp_path: Path, subtype: str, channel: int) -> None:
    path = write(tmp_path / "a.wav", channels=4, subtype=subtype)
    expected = soundfile.read(path, dtype="float32")[0][:, channel]
    np.testing.assert_array_equal(read_audio(path, channels=4, sample_rate=RATE, only=channel), expected[None])
    (block,) = read_blocks(path, channels=4, sample_rate=RATE, only=channel)
    np.testing.assert_array_equal(block, expected[None])


def test_a_sample_that_is_none_is_counted_from_the_beginning_of_the_file(tmp_path: Path) -> None:
    samples = np.zeros((BLOCK_FRAMES + 9, 2), np.float32)
    samples[BLOCK_FRAMES + 5, 1] = np.nan
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    for source in (path, BytesIO(path.read_bytes())):
        with pytest.raises(AudioError, match=f"the first at sample {BLOCK_FRAMES + 5}"):
            read_audio(source, channels=2, sample_rate=RATE, only=0, name="a")


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_channels_are_averaged_where_that_is_asked_for(tmp_path: Path, subtype: str) -> None:
    path = write(tmp_path / "a.wav", channels=3, subtype=subtype)
    expected = soundfile.read(path, dtype="float32")[0].mean(axis=1)
    found = read_audio(path, channels=1, sample_rate=RATE, downmix=True)
    np.testing.assert_allclose(found, expected[None], rtol=0, atol=1e-7)


@pytest.mark.parametrize("length", [3999, 4001])
def test_what_is_read_into_an_array_has_its_length(tmp_path: Path, length: int) -> None:
    path, into = write(tmp_path / "a.wav"), np.empty((1, length), np.float32)
    for source in (path, BytesIO(path.read_bytes())):
        with pytest.raises(AudioError, match=f"4000 samples, the mixture has {length}"):
            read_audio(source, channels=1, sample_rate=RATE, out=into, name="a")
