"""Plain WAV files are read as soundfile reads them, to the bit; whatever is not plain is left to soundfile."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from s5eval.data_manifests.audio import read_audio
from s5eval.data_manifests.common.errors import AudioError
from s5eval.data_manifests.pcm import open_plain

RATE = 32_000
TYPES = {"PCM_16": "int16", "PCM_24": "int32", "PCM_32": "int32", "FLOAT": "float32"}


def plain(path: Path) -> npt.NDArray[Any] | None:
    with open_plain(path) as wav:
        return None if wav is None else wav.read(wav.frames, TYPES[wav.subtype])


def soundfile_s(path: Path) -> npt.NDArray[np.float32]:
    samples: npt.NDArray[np.float32] = soundfile.read(path, dtype="float32", always_2d=True)[0]
    return samples.T


def chunk(name: bytes, body: bytes, declared: int | None = None) -> bytes:
    size = len(body) if declared is None else declared
    return struct.pack("<4sL", name, size) + body + b"\0" * (len(body) % 2)


def fmt(tag: int, channels: int, bits: int, rate: int = RATE) -> bytes:
    block = channels * bits // 8
    if tag != 0xFFFE:
        return chunk(b"fmt ", struct.pack("<HHLLHH", tag, channels, rate, rate * block, block, bits))
    guid = struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    body = struct.pack("<HHLLHHHHL", tag, channels, rate, rate * block, block, bits, 22, bits, 0) + guid
    return chunk(b"fmt ", body)


def riff(*chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<L", 4 + sum(map(len, chunks))) + b"WAVE" + b"".join(chunks)


@pytest.mark.parametrize("subtype", TYPES)
@pytest.mark.parametrize("format_", ["WAV", "WAVEX"])
@pytest.mark.parametrize("channels", [1, 4])
def test_what_soundfile_writes_is_plain_and_equal(tmp_path: Path, subtype: str, format_: str, channels: int) -> None:
    path = tmp_path / "it.wav"
    samples = np.random.default_rng(0).uniform(-1, 1, (777, channels))
    samples[:3] = [[-1.0], [1.0], [0.0]]
    soundfile.write(path, samples, RATE, subtype=subtype, format=format_)
    assert plain(path) is not None
    expected = soundfile_s(path)
    np.testing.assert_array_equal(read_audio(path, channels=channels, sample_rate=RATE), expected)
    last = read_audio(path, channels=channels, sample_rate=RATE, only=channels - 1)
    np.testing.assert_array_equal(last, expected[channels - 1 :])
    out = np.empty_like(expected)
    assert read_audio(path, channels=channels, sample_rate=RATE, out=out) is out
    np.testing.assert_array_equal(out, expected)


CHUNKS = st.lists(
    st.tuples(
        st.sampled_from([b"LIST", b"fact", b"JUNK", b"PEAK", b"bext", b"cue ", b"smpl", b"what"]),
        st.binary(max_size=40),
    ),
    max_size=3,
)


@settings(max_examples=400, deadline=None)
@given(
    tag=st.sampled_from([1, 1, 1, 3, 0xFFFE, 6, 2]),
    channels=st.integers(1, 5),
    bits=st.sampled_from([8, 16, 24, 32, 64]),
    frames=st.integers(0, 50),
    before=CHUNKS,
    after=CHUNKS,
    declared=st.sampled_from([None, None, None, 0, 1, 7, 0xFFFFFFFF, 0x7FFFFFFF]),
    cut=st.integers(0, 3),
    seed=st.integers(0, 9),
)
def test_any_header_is_read_as_soundfile_reads_it_or_left_to_it(
    tmp_path_factory: pytest.TempPathFactory,
    tag: int,
    channels: int,
    bits: int,
    frames: int,
    before: list[tuple[bytes, bytes]],
    after: list[tuple[bytes, bytes]],
    declared: int | None,
    cut: int,
    seed: int,
) -> None:
    body = np.random.default_rng(seed).bytes(frames * channels * bits // 8)
    if tag == 3 and bits == 32:
        body = np.random.default_rng(seed).normal(size=frames * channels).astype("<f4").tobytes()
    pieces = [chunk(*piece) for piece in before]
    content = riff(fmt(tag, channels, bits), *pieces, chunk(b"data", body, declared), *(chunk(*p) for p in after))
    path = tmp_path_factory.getbasetemp() / "any.wav"
    path.write_bytes(content[: len(content) - cut])
    samples = plain(path)
    if samples is None:
        return
    # What is called plain is all there, and soundfile reads the same from it.
    assert samples.shape == (frames, channels)
    np.testing.assert_array_equal(read_audio(path, channels=channels, sample_rate=RATE), soundfile_s(path))


@pytest.mark.parametrize(
    "content",
    [
        riff(fmt(1, 1, 16), chunk(b"data", bytes(40), 0)),  # written to a pipe
        riff(fmt(1, 1, 16), chunk(b"data", bytes(40), 0xFFFFFFFF)),
        riff(fmt(1, 1, 16), chunk(b"data", bytes(40), 60)),  # cut
        riff(fmt(1, 1, 16), chunk(b"data", bytes(39))),  # half a frame
        b"RF64" + riff(fmt(1, 1, 16), chunk(b"data", bytes(40)))[4:],
        b"RIFX" + riff(fmt(1, 1, 16), chunk(b"data", bytes(40)))[4:],
        riff(chunk(b"data", bytes(40)), fmt(1, 1, 16)),
        riff(fmt(1, 1, 16), fmt(1, 2, 16), chunk(b"data", bytes(40))),
        riff(fmt(1, 1, 16), chunk(b"data", bytes(40)), chunk(b"data", bytes(40))),
        riff(fmt(1, 1, 8), chunk(b"data", bytes(40))),
        riff(fmt(6, 1, 16), chunk(b"data", bytes(40))),
        riff(fmt(1, 1, 16), chunk(b"data", b"")),
        riff(fmt(1, 1, 16)),
        riff(fmt(1, 1, 16), chunk(b"data", bytes(40))) + b"tail",
        b"RIFF",
        b"",
    ],
)
def test_what_is_not_plain_is_left_to_soundfile(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "it.wav"
    path.write_bytes(content)
    assert plain(path) is None


def test_a_header_of_thousands_of_bytes_is_plain(tmp_path: Path) -> None:
    path = tmp_path / "it.wav"
    samples = np.arange(20, dtype="<i2")
    path.write_bytes(riff(fmt(1, 1, 16), chunk(b"LIST", bytes(9000)), chunk(b"data", samples.tobytes())))
    np.testing.assert_array_equal(plain(path), samples[:, None])
    np.testing.assert_array_equal(read_audio(path, channels=1, sample_rate=RATE), soundfile_s(path))


def test_a_file_that_becomes_shorter_while_it_is_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "it.wav"
    soundfile.write(path, np.zeros(5000), RATE, subtype="PCM_16")
    with open_plain(path) as wav:
        assert wav is not None
        path.write_bytes(path.read_bytes()[:3000])
        assert len(wav.read(5000, "int16")) == (3000 - 44) // 2
    with pytest.raises(AudioError, match="truncated"):
        read_audio(path, channels=1, sample_rate=RATE)


@pytest.mark.parametrize("subtype", TYPES)
def test_blocks_of_it_are_the_whole(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "it.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, (100, 3)), RATE, subtype=subtype)
    with open_plain(path) as wav:
        assert wav is not None
        blocks = [wav.read(count, TYPES[subtype]) for count in (7, 1, 80, 50, 50)]
        with pytest.raises(ValueError, match="is handed out as"):
            wav.read(1, "float64")
    assert [len(block) for block in blocks] == [7, 1, 80, 12, 0]
    np.testing.assert_array_equal(np.concatenate(blocks), plain(path))


def test_errors_are_those_of_the_other_way(tmp_path: Path) -> None:
    path = tmp_path / "it.wav"
    soundfile.write(path, np.array([0.0, np.nan, 0.0]), RATE, subtype="FLOAT")
    for arguments, message in (
        ({"channels": 1, "sample_rate": 16_000}, "the sample rate is 32000 Hz"),
        ({"channels": 2, "sample_rate": RATE}, "1 channel, expected 2"),
        ({"channels": 1, "sample_rate": RATE}, "NaN or infinite samples, the first at sample 1"),
    ):
        said = []
        for source in (path, io.BytesIO(path.read_bytes())):  # an open file is soundfile's to read
            with pytest.raises(AudioError, match=message) as caught:
                read_audio(source, name="it", **arguments)  # type: ignore[arg-type]
            said.append(str(caught.value))
        assert said[0] == said[1]
