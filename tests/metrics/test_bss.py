"""BSS Eval through mir_eval: known mixtures, silent sides, and what the stand-ins must not change."""

import numpy as np
import pytest

from s5eval.metrics.bss import bss_eval

LENGTH = 8000


@pytest.fixture(scope="module")
def references() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, LENGTH))


def test_interference_is_found_as_such(references: np.ndarray) -> None:
    estimate = references[:1] + 0.1 * references[1:]
    scores = bss_eval(estimate=estimate, reference=references, pairs=[(0, 0)])
    assert scores.sir == pytest.approx(20.0, abs=0.8)  # the 512-tap filters of a short signal explain some of it
    assert scores.sar[0] > 40


def test_noise_is_an_artefact(references: np.ndarray) -> None:
    noise = np.random.default_rng(1).normal(size=(1, LENGTH))
    scores = bss_eval(estimate=references[:1] + 0.1 * noise, reference=references, pairs=[(0, 0)])
    assert scores.sar == pytest.approx(20.0, abs=1.0)
    assert scores.sir[0] > scores.sar[0]


def test_scale_does_not_matter(references: np.ndarray) -> None:
    estimate = references[:1] + 0.1 * references[1:]
    loud, soft = (bss_eval(estimate=g * estimate, reference=references, pairs=[(0, 0)]) for g in (3.0, 0.1))
    assert loud.sdr == pytest.approx(soft.sdr)


def test_pairs_are_scored_as_assigned_and_do_not_disturb_each_other(references: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    estimates = references[::-1] + 0.1 * rng.normal(size=references.shape)
    both = bss_eval(estimate=estimates, reference=references, pairs=[(0, 1), (1, 0)])
    one = bss_eval(estimate=estimates, reference=references, pairs=[(1, 0)])
    assert both.sdr[1] == pytest.approx(one.sdr[0])
    assert both.sdr.min() > 15


def test_a_lone_reference_cannot_be_interfered_with(references: np.ndarray) -> None:
    scores = bss_eval(estimate=references[:1] + 0.1, reference=references[:1], pairs=[(0, 0)])
    assert scores.sir[0] == np.inf


def test_silence_is_undefined(references: np.ndarray) -> None:
    silent = np.zeros((1, LENGTH))
    assert np.isnan(bss_eval(estimate=silent, reference=references, pairs=[(0, 0)]).sdr).all()
    one_silent = np.vstack([references[:1], silent])
    scores = bss_eval(estimate=references, reference=one_silent, pairs=[(0, 0), (1, 1)])
    assert np.isfinite(scores.sdr[0])
    assert np.isnan(scores.sdr[1])
    assert bss_eval(estimate=references, reference=references, pairs=[]).sdr.shape == (0,)


def test_references_that_nothing_tells_apart_leave_it_undefined() -> None:
    """The mixture failed, and was in no number of the ranking, for a metric that ranks nothing."""
    clicks = np.zeros((2, 2048))
    clicks[:, 0] = 1.0
    scores = bss_eval(estimate=0.5 * clicks[:1], reference=clicks, pairs=[(0, 0)])
    assert np.isnan([scores.sdr, scores.sir, scores.sar]).all()


def test_an_error_of_the_projection_that_is_no_singular_matrix_is_not_hidden(
    references: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: object, **named: object) -> None:
        raise AttributeError("gone")

    monkeypatch.setattr("mir_eval.separation.bss_eval_sources", broken)
    with pytest.raises(AttributeError, match="gone"):
        bss_eval(estimate=references, reference=references, pairs=[(0, 0)])


def test_shapes_are_checked(references: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected estimate"):
        bss_eval(estimate=references[:, :-1], reference=references, pairs=[(0, 0)])


def test_a_reference_that_stands_in_two_pairs_is_refused(references: np.ndarray) -> None:
    """Both pairs were given the values of the last."""
    with pytest.raises(ValueError, match="reference 1 stands in 2 pairs"):
        bss_eval(estimate=references, reference=references, pairs=[(0, 1), (1, 1)])


@pytest.mark.parametrize("name", ["estimate", "reference"])
def test_samples_that_are_not_finite_are_named(references: np.ndarray, name: str) -> None:
    """NaN is what a silent side has; a broken one was given the same."""
    broken = references.copy()
    broken[1, 7] = np.inf
    signals = {"estimate": references, "reference": references, name: broken}
    with pytest.raises(ValueError, match=f"NaN or infinite samples in {name} 1"):
        bss_eval(**signals, pairs=[(0, 0)])
