import numpy as np
import pytest

from s5eval.data_manifests.synthesis.render import (
    PlacedEvent,
    assemble,
    convolve,
    direct_part,
    event_gain,
    scale_background,
    tile,
)


@pytest.mark.parametrize("lengths", [(1, 1), (300, 20), (9000, 700), (30_000, 1793), (500, 4000), (40_000, 9000)])
def test_convolution_is_the_full_linear_one(lengths: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    source, responses = rng.standard_normal(lengths[0]), rng.standard_normal((3, lengths[1]))
    expected = np.stack([np.convolve(source, response) for response in responses])
    assert np.allclose(convolve(source, responses), expected, atol=1e-9)


def test_direct_part_is_a_window_around_the_largest_absolute_tap() -> None:
    response = np.full(4000, 0.1)
    response[500] = -1.0
    direct = direct_part(response, 32000)
    assert np.flatnonzero(direct)[0] == 500 - 192 and len(direct) == 500 + 1600 + 1
    assert np.array_equal(direct[308:], response[308:2101])
    assert np.flatnonzero(direct_part(response[::-1], 32000))[-1] == 3999  # cut at the end of the response
    short = direct_part(response, 32000, (0.06, 0.09))  # 1.92 and 2.88 samples: cut, not rounded
    assert np.flatnonzero(short).tolist() == [499, 500, 501, 502] and len(short) == 503


def test_of_taps_that_are_equally_large_the_first_counts() -> None:
    response = np.full(4000, 0.1)
    response[[700, 2900]] = -1.0, 1.0
    direct = direct_part(response, 32000)
    assert (np.flatnonzero(direct)[0], len(direct)) == (700 - 192, 700 + 1600 + 1)


def scene(events: list[PlacedEvent], T: int = 20_000) -> object:
    noise = np.zeros((4, T), dtype=np.float32)
    return assemble(targets=events, interference=[], noise=noise, sample_rate=32000, ref_db=-55)


def test_level_is_that_of_the_whole_wet_event_over_all_channels() -> None:
    rng = np.random.default_rng(2)
    event = PlacedEvent("Cough", rng.standard_normal(5000).astype("f4"), rng.standard_normal((4, 900)), None, 7, 12.0)
    mixture = scene([event]).mixture
    power = np.sum(mixture.astype(float) ** 2) / (4 * (5000 + 900 - 1))
    assert 10 * np.log10(power) == pytest.approx(-55 + 12, abs=1e-4)
    assert not mixture[:, :7].any()


def test_a_silent_end_of_the_response_counts_in_the_level() -> None:
    rng = np.random.default_rng(3)
    source, response = rng.standard_normal(3000).astype("f4"), rng.standard_normal((4, 500))
    short = scene([PlacedEvent("Cough", source, response, 9000, 0, 0.0)])
    long = scene([PlacedEvent("Cough", source, np.pad(response, ((0, 0), (0, 8500))), None, 0, 0.0)])
    assert np.allclose(short.mixture, long.mixture, atol=1e-7)


def test_what_lies_beyond_the_end_is_dropped_but_counts() -> None:
    rng = np.random.default_rng(4)
    source, response = rng.standard_normal(3000).astype("f4"), rng.standard_normal((4, 500))
    whole = scene([PlacedEvent("Cough", source, response, None, 0, 0.0)])
    cut = scene([PlacedEvent("Cough", source, response, None, 19_000, 0.0)])
    assert np.allclose(cut.mixture[:, 19_000:], whole.mixture[:, :1000], atol=1e-9)
    assert np.allclose(cut.dry[0, 19_000:], whole.dry[0, :1000], atol=1e-9)
    at_the_end = scene([PlacedEvent("Cough", source, response, None, 20_000, 0.0)])
    assert not at_the_end.mixture.any() and at_the_end.labels == ("Cough",)


def test_silence_keeps_gain_one() -> None:
    assert event_gain(np.zeros((4, 10)), 5, -55, 10) == 1.0
    assert not scale_background(np.zeros((4, 10), dtype=np.float32), 0, -55).any()


def test_background_level_and_tiling() -> None:
    rng = np.random.default_rng(5)
    noise = scale_background(rng.standard_normal((4, 1000)).astype("f4"), 3.0, -55)
    assert 10 * np.log10(np.mean(noise.astype(float) ** 2)) == pytest.approx(-52, abs=1e-4)
    assert np.array_equal(tile(noise, 2500)[:, 2000:], noise[:, :500])


def test_levels_are_summed_in_double_precision() -> None:
    # A loud start swallows what follows where squares are summed in single precision.
    signal = np.full((4, 320_000), 1e-3, dtype=np.float32)
    signal[:, 0] = 20.0
    power = np.mean(signal.astype(np.float64) ** 2)
    level = 10 ** (-55 / 20)
    assert np.isclose(event_gain(signal, 0, -55, 320_000), level / np.sqrt(power), rtol=1e-9, atol=0)
    scaled = scale_background(signal, 0, -55).astype(np.float64)
    assert np.isclose(scaled[0, 1], 1e-3 * level / np.sqrt(power), rtol=2e-7, atol=0)
