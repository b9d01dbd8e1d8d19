"""Signals whose true SNR is known in closed form, and the literal twin."""

import dataclasses
import warnings

import numpy as np
import pytest

from s5eval.metrics.literal import literal_snr
from s5eval.metrics.sdr import EPSILON, pairwise_sdr, snr


def orthogonal(count: int, length: int, seed: int = 0) -> np.ndarray:
    """`count` orthonormal signals, times 3: every energy is 9."""
    rng = np.random.default_rng(seed)
    return 3.0 * np.linalg.qr(rng.normal(size=(length, count)))[0].T


@pytest.mark.parametrize("level_db", [-40.0, -3.0, 0.0, 17.5, 60.0])
def test_orthogonal_error_has_the_snr_it_was_given(level_db: float) -> None:
    target, error = 1000 * orthogonal(2, 4000)  # energies far above ε
    estimate = target + error * 10 ** (-level_db / 20)
    assert snr(estimate=estimate, reference=target) == pytest.approx(level_db, abs=1e-4)


def test_gain_error_is_not_forgiven() -> None:
    (target,) = orthogonal(1, 1000)
    assert snr(estimate=0.5 * target, reference=target) == pytest.approx(20 * np.log10(2), abs=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pair_matrix_equals_the_literal_twin(dtype: type) -> None:
    rng = np.random.default_rng(1)
    length = 70_001  # not a multiple of the block
    references = rng.normal(size=(3, length)).astype(dtype)
    estimates = np.stack([*(references + 0.1 * rng.normal(size=(3, length))), rng.normal(size=length)]).astype(dtype)
    mixture = references.sum(axis=0) + rng.normal(size=length).astype(dtype)
    scores = pairwise_sdr(estimate=estimates, reference=references, mixture=mixture)
    for n, estimate in enumerate(estimates):
        for r, reference in enumerate(references):
            assert scores.sdr[n, r] == pytest.approx(literal_snr(estimate, reference), abs=1e-9)
    for r, reference in enumerate(references):
        assert scores.sdr_mixture[r] == pytest.approx(literal_snr(mixture, reference), abs=1e-9)
        gain = (mixture.astype(float) @ reference) / (mixture.astype(float) @ mixture.astype(float))
        assert scores.sdr_gain[r] == pytest.approx(literal_snr(gain * mixture, reference), abs=1e-4)


@pytest.mark.parametrize("error_db", [40, 60, 80, 100, 120, 140])
def test_near_perfect_estimates_lose_no_digit_to_cancellation(error_db: float) -> None:
    target, error = orthogonal(2, 50_000)
    estimate = target + error * 10 ** (-error_db / 20)
    scores = pairwise_sdr(estimate=estimate[None], reference=target[None], mixture=error)
    assert scores.sdr[0, 0] == pytest.approx(literal_snr(estimate, target), abs=1e-8)


def test_perfect_estimate_is_limited_by_epsilon_alone() -> None:
    (target,) = orthogonal(1, 1000)
    scores = pairwise_sdr(estimate=target[None], reference=target[None], mixture=target)
    limit = 10 * np.log10((9 + EPSILON) / EPSILON)
    assert scores.sdr[0, 0] == pytest.approx(limit, abs=1e-9)
    assert scores.sdr_perfect[0] == scores.sdr[0, 0] == scores.sdr_mixture[0]


def test_silence_has_snr_zero_whatever_the_reference() -> None:
    target, other = orthogonal(2, 500)
    scores = pairwise_sdr(estimate=np.zeros((1, 500)), reference=np.stack([target, 0 * target]), mixture=other)
    assert scores.sdr.tolist() == [[0.0, 0.0]]


def test_pcm_input_is_read_at_full_scale_one() -> None:
    rng = np.random.default_rng(2)
    pcm = rng.integers(-20_000, 20_000, size=(2, 3000)).astype(np.int16)
    reference = rng.normal(size=(1, 3000))
    from_pcm = pairwise_sdr(estimate=pcm, reference=reference, mixture=pcm[0])
    from_float = pairwise_sdr(estimate=pcm / 32768.0, reference=reference, mixture=pcm[0] / 32768.0)
    np.testing.assert_allclose(from_pcm.sdr, from_float.sdr, rtol=1e-12)
    np.testing.assert_allclose(from_pcm.correlation, from_float.correlation, rtol=1e-9)


def test_16_bit_samples_give_the_tables_of_their_floats_to_the_last_bit() -> None:
    rng = np.random.default_rng(3)
    pcm = rng.integers(-32768, 32768, size=(6, 20_000)).astype(np.int16)
    pcm[1] = pcm[4]  # a perfect estimate, and a nearly perfect one: the second pass
    pcm[2] = pcm[4] + (np.arange(20_000) % 4000 == 0)
    whole = pcm.astype(np.float32) * np.float32(2.0**-15)
    from_pcm = pairwise_sdr(estimate=whole[:3], reference=pcm[3:5], mixture=pcm[5])
    from_float = pairwise_sdr(estimate=whole[:3], reference=whole[3:5], mixture=whole[5])
    for entry in dataclasses.fields(from_pcm):
        np.testing.assert_array_equal(getattr(from_pcm, entry.name), getattr(from_float, entry.name))


def test_no_candidates_and_no_references_give_empty_tables() -> None:
    scores = pairwise_sdr(estimate=np.empty((0, 8)), reference=np.empty((0, 8)), mixture=np.ones(8))
    assert (scores.sdr.shape, scores.sdr_mixture.shape, scores.correlation.shape) == ((0, 0), (0,), (0, 0))


def test_correlation_is_normalised_and_zero_for_silence() -> None:
    a, b = orthogonal(2, 100)
    scores = pairwise_sdr(estimate=np.stack([a, 2 * a, -a, a + b, 0 * a]), reference=np.empty((0, 100)), mixture=b)
    np.testing.assert_allclose(scores.correlation[0], [1, 1, -1, np.sqrt(0.5), 0], atol=1e-12)
    np.testing.assert_allclose(scores.energy, [9, 36, 9, 18, 0], atol=1e-12)


@pytest.mark.parametrize(("row", "where"), [(0, "estimate 0"), (2, "reference 1"), (3, "the mixture")])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_samples_are_named_and_nothing_warns(row: int, where: str, value: float) -> None:
    """Of both signs too, in two blocks: what they add up to is no number."""
    rows = np.ones((4, 20_000))
    rows[row, 7], rows[row, 9_000] = value, -value
    rows[(row + 1) % 4, 7] = 0.0  # times infinity, in a product
    with warnings.catch_warnings(), pytest.raises(ValueError, match=where):
        warnings.simplefilter("error")
        pairwise_sdr(estimate=rows[:1], reference=rows[1:3], mixture=rows[3])


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="lengths differ"):
        pairwise_sdr(estimate=np.ones((1, 9)), reference=np.ones((1, 10)), mixture=np.ones(10))


@pytest.mark.parametrize(
    ("samples", "problem"),
    [
        (np.full((1, 9), 128, np.uint8), "holds uint8"),
        (np.ones((1, 9), bool), "holds bool"),
        (np.ones((1, 9)) + 1j, "holds complex128"),
        (np.ones((1, 9), object), "holds object"),
        (np.ma.masked_equal(np.arange(9.0)[None], 3.0), "masked samples"),
    ],
)
def test_samples_whose_full_scale_is_not_known_are_refused_by_name(samples: np.ndarray, problem: str) -> None:
    """An unsigned integer was taken for full scale 1.0, and of a complex number the real part was."""
    ones = np.ones((1, 9))
    with pytest.raises(ValueError, match=f"estimate 0 .*{problem}"):
        pairwise_sdr(estimate=samples, reference=ones, mixture=ones[0])
    with pytest.raises(ValueError, match=f"reference 0 .*{problem}"):
        pairwise_sdr(estimate=ones, reference=samples, mixture=ones[0])
    with pytest.raises(ValueError, match=f"the mixture .*{problem}"):
        pairwise_sdr(estimate=ones, reference=ones, mixture=samples[0])
    with pytest.raises(ValueError, match=f"the estimate .*{problem}"):
        snr(estimate=samples[0], reference=ones[0])


def test_a_mask_that_hides_nothing_hides_nothing() -> None:
    samples = np.ma.MaskedArray(np.arange(9.0)[None])
    assert pairwise_sdr(estimate=samples, reference=2 * samples, mixture=samples[0]).sdr[0, 0] == pytest.approx(6.0206)


@pytest.mark.parametrize("shape", [(1,), (), (1, 9), (8,), (0,)])
def test_an_estimate_of_another_shape_has_no_snr(shape: tuple[int, ...]) -> None:
    """One sample was stretched over the whole reference."""
    with pytest.raises(ValueError, match=r"\(T,\)"):
        snr(estimate=np.zeros(shape), reference=np.ones(9))
