"""Pictures of sounds: the right tone in the right row at the right level, and a PNG that others can read."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from s5eval.data_manifests.records import SAMPLE_RATE
from s5eval.harness.report.spectrogram import (
    CEILING_DB,
    FLOOR_DB,
    envelope,
    inline,
    picture,
    png,
    row_of,
    spectrogram,
)

SECONDS = np.arange(SAMPLE_RATE) / SAMPLE_RATE


@pytest.mark.parametrize("hertz", [200.0, 1000.0, 5000.0, 15_000.0])
def test_a_tone_stands_in_its_row(hertz: float) -> None:
    steps = spectrogram(0.01 * np.sin(2 * np.pi * hertz * SECONDS), width=20, height=40)
    assert np.all(np.abs(steps.argmax(axis=0) - row_of(hertz, 40)) <= 1)


def test_a_frequency_lies_in_the_row_whose_edges_are_around_it() -> None:
    """Of 32 rows, the edge of the upper and the lower half is at the geometric mean of 60 Hz and 16 kHz: 979.8 Hz."""
    rows = [row_of(hertz, 32) for hertz in (16_000, 15_000, 985, 975, 61, 60, 10)]
    assert rows == [0, 0, 15, 16, 31, 31, 31]


@pytest.mark.parametrize("level", [-90.0, -60.0, -30.0])
def test_a_level_is_the_step_that_the_scale_says(level: float) -> None:
    wave = 10 ** (level / 20) * np.sin(2 * np.pi * 1000 * SECONDS)
    steps = spectrogram(wave, width=10, height=32, colours=80)
    assert abs(int(steps.max()) - (level - FLOOR_DB)) <= 1  # a step is a dB
    assert CEILING_DB - FLOOR_DB == 80


def test_silence_is_black_and_full_scale_is_brightest() -> None:
    assert spectrogram(np.zeros(SAMPLE_RATE), width=8, height=8).max() == 0
    assert spectrogram(np.sin(2 * np.pi * 1000 * SECONDS), width=8, height=8).max() == 255


def test_an_onset_stands_in_its_column() -> None:
    wave = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE)
    wave[: SAMPLE_RATE // 2] = 0
    quiet = spectrogram(wave, width=40, height=16).max(axis=0) == 0
    assert quiet[:18].all()
    assert not quiet[21:].any()


@pytest.mark.parametrize("colours", [2, 16, 17, 256])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (80, 28)])
def test_others_read_the_png_as_it_was_meant(colours: int, size: tuple[int, int]) -> None:
    width, height = size
    steps = np.random.default_rng(0).integers(0, colours, (height, width)).astype(np.uint8)
    image = Image.open(io.BytesIO(png(steps, colours)))
    assert image.size == size
    assert np.array_equal(np.asarray(image), steps)
    grey = [0.3 * r + 0.59 * g + 0.11 * b for r, g, b in np.reshape(image.getpalette(), (-1, 3))[:colours]]
    assert all(np.diff(grey) > 0)  # ever lighter


@pytest.mark.parametrize(("seconds", "width", "height"), [(10.0, 80, 28), (0.1, 80, 28), (200.0, 80, 28), (3.0, 97, 3)])
def test_frames_taken_together_are_frames_taken_one_by_one(seconds: float, width: int, height: int) -> None:
    wave = np.random.default_rng(1).normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)
    per_column = max(4, -(-len(wave) // (width * 1024)))
    window = np.hanning(1025)[:-1]
    edges = np.round(np.geomspace(60, 16000, height + 1) / SAMPLE_RATE * 1024).astype(int)
    expected = np.empty((height, width))
    starts = np.linspace(0, len(wave) - 1024, width * per_column).astype(int).reshape(width, per_column)
    for column in range(width):
        frames = [np.abs(np.fft.rfft(window * wave[start : start + 1024])) ** 2 for start in starts[column]]
        power = np.mean(frames, axis=0) * (2 / window.sum()) ** 2
        for row in range(height):
            low, high = edges[row], max(edges[row] + 1, edges[row + 1])
            expected[height - 1 - row, column] = 10 * np.log10(max(power[low:high].max(), 1e-12))
    share = np.clip((expected - FLOOR_DB) / (CEILING_DB - FLOOR_DB), 0, 1 - 1e-9) * 16
    found = spectrogram(wave, width=width, height=height, colours=16)
    near_an_edge = np.abs(share - np.round(share)) < 1e-3
    assert (found == np.floor(share))[~near_an_edge].all()
    assert near_an_edge.mean() < 0.02


def test_a_step_without_a_colour_is_refused() -> None:
    with pytest.raises(ValueError, match="expected below 16"):
        png(np.full((2, 2), 16, np.uint8), 16)


@pytest.mark.parametrize("length", [0, 1, 100, 1024, 400_000])
def test_any_length_gives_a_picture(length: int) -> None:
    wave = np.random.default_rng(0).normal(0, 0.1, length).astype(np.float32)
    content = picture(wave)
    assert Image.open(io.BytesIO(content)).size == (80, 28)
    assert content == picture(wave)
    assert len(content) < 1500


def test_a_small_picture_is_quick() -> None:
    wave = np.random.default_rng(0).normal(0, 0.1, 10 * SAMPLE_RATE).astype(np.float32)
    picture(wave)
    start = time.process_time()
    picture(wave)
    assert time.process_time() - start < 0.5  # 2 ms where nothing else is at work


def test_the_envelope_holds_every_sample() -> None:
    wave = np.random.default_rng(0).normal(0, 0.1, 1003)
    low, high = envelope(wave, 10)
    parts = np.split(wave.astype(np.float32), np.linspace(0, 1003, 11).astype(int)[1:-1])
    assert low.tolist() == [part.min() for part in parts]
    assert high.tolist() == [part.max() for part in parts]
    assert len(envelope(wave[:3], 10)[0]) == 10
    assert envelope(wave[:0], 4)[1].tolist() == [0, 0, 0, 0]


def test_a_file_in_an_address_is_the_file() -> None:
    assert inline(b"abc") == "data:image/png;base64,YWJj"
