"""CAPI-SDRi by hand, against the literal twin, and at sizes where a search over permutations stops."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s5eval.metrics.capi import assign, capi_sdri
from s5eval.metrics.literal import literal_capi_sdri
from s5eval.metrics.sdr import PairScores, pairwise_sdr


def tables(sdr: list[list[float]], mixture: list[float]) -> PairScores:
    matrix = np.array(sdr, float).reshape(len(sdr), len(mixture))
    n = len(matrix)
    zeros = np.zeros(len(mixture))
    return PairScores(matrix, np.array(mixture, float), zeros, np.eye(n), np.ones(n), zeros + 1)


def test_one_source() -> None:
    score = capi_sdri(tables([[10.0]], [4.0]), estimate_labels=["Cough"], reference_labels=["Cough"])
    assert (score.value, score.zero_floor, score.gain_floor, score.n_entries) == (6.0, -4.0, -4.0, 1)
    assert score.pairs[0].sdri == 6.0


def test_wrong_label_costs_two_zero_entries() -> None:
    score = capi_sdri(tables([[10.0]], [4.0]), estimate_labels=["Cough"], reference_labels=["Pour"])
    assert (score.value, score.n_entries, score.pairs) == (0.0, 2, ())


def test_silent_scene_answered_with_silence_is_undefined() -> None:
    score = capi_sdri(tables([], []), estimate_labels=[], reference_labels=[])
    assert (score.value, score.optimal, score.zero_floor, score.n_entries) == (None, None, None, 0)


def test_false_alarm_on_a_silent_scene_makes_it_defined_at_zero() -> None:
    scores = PairScores(np.zeros((1, 0)), np.zeros(0), np.zeros(0), np.eye(1), np.ones(1), np.zeros(0))
    assert capi_sdri(scores, estimate_labels=["Cough"], reference_labels=[]).value == 0.0


def test_pairing_maximises_snr_not_improvement_and_the_other_value_stands_beside_it() -> None:
    # One estimate, two references: SNR prefers reference 0 (8 dB), SDRi prefers reference 1 (7 - -5 dB).
    score = capi_sdri(tables([[8.0, 7.0]], [6.0, -5.0]), estimate_labels=["Cough"], reference_labels=["Cough"] * 2)
    assert score.value == pytest.approx((8 - 6) / 2)
    assert score.optimal == pytest.approx((7 + 5) / 2)
    assert score.zero_floor == pytest.approx(-6 / 2)


def test_ca_sdri_takes_the_best_pair_of_each_class_and_counts_classes() -> None:
    sdr = [[9.0, 2.0, 0.0], [1.0, 5.0, 0.0], [0.0, 0.0, 4.0]]
    score = capi_sdri(
        tables(sdr, [3.0, 1.0, 1.0]), estimate_labels=["Cough"] * 3, reference_labels=["Cough", "Cough", "Pour"]
    )
    assert score.ca_sdri == pytest.approx((9.0 - 3.0) / 2)
    single = capi_sdri(tables([[9.0]], [3.0]), estimate_labels=["Cough"], reference_labels=["Cough"])
    assert single.ca_sdri == single.value


def test_ca_sdri_takes_the_pair_of_the_highest_snr_whatever_it_improves() -> None:
    score = capi_sdri(
        tables([[9.0, 0.0], [0.0, 5.0]], [8.0, 1.0]), estimate_labels=["Cough"] * 2, reference_labels=["Cough"] * 2
    )
    assert score.value == pytest.approx((1.0 + 4.0) / 2)
    assert score.ca_sdri == pytest.approx(1.0)


def test_labels_must_fit_the_tables() -> None:
    with pytest.raises(ValueError, match="pair matrix"):
        capi_sdri(tables([[1.0]], [0.0]), estimate_labels=[], reference_labels=["Cough"])


LABELS = st.lists(st.sampled_from(["Cough", "Pour", "Speech"]), max_size=4)


@settings(max_examples=150, deadline=None)
@given(estimated=LABELS, true=LABELS, seed=st.integers(0, 10**6))
def test_equals_the_literal_twin_on_random_scenes(estimated: list[str], true: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    references = rng.normal(size=(len(true), 64))
    estimates = rng.normal(size=(len(estimated), 64))
    estimates[: len(true)] += references[: len(estimated)] * rng.uniform(0, 3)
    mixture = references.sum(axis=0) + rng.normal(size=64)
    fast = capi_sdri(
        pairwise_sdr(estimate=estimates, reference=references, mixture=mixture),
        estimate_labels=estimated,
        reference_labels=true,
    )
    slow = literal_capi_sdri(
        estimates=list(zip(estimated, estimates, strict=True)),
        references=list(zip(true, references, strict=True)),
        mixture=mixture,
    )
    assert (fast.value is None) == (slow is None)
    if slow is not None:
        assert fast.value == pytest.approx(slow, abs=1e-8)
        assert fast.optimal is not None
        assert fast.optimal >= slow - 1e-9


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 5), columns=st.integers(1, 5), seed=st.integers(0, 10**6))
def test_assignment_is_the_best_of_all_permutations(rows: int, columns: int, seed: int) -> None:
    from itertools import permutations

    scores = np.random.default_rng(seed).normal(size=(rows, columns))
    wide = scores if rows <= columns else scores.T
    best = max(
        sum(wide[i, j] for i, j in enumerate(chosen)) for chosen in permutations(range(wide.shape[1]), len(wide))
    )
    assert scores[assign(scores)].sum() == pytest.approx(best)


@pytest.mark.parametrize(("rows", "columns"), [(7, 7), (4, 7), (7, 4), (9, 12)])
def test_beyond_what_can_be_enumerated_the_assignment_is_the_best_too(rows: int, columns: int) -> None:
    rng = np.random.default_rng(rows * columns)
    count = min(rows, columns)
    best = np.sort(rng.permutation(rows)[:count]), rng.permutation(columns)[:count]
    scores = rng.uniform(-1.0, 0.0, (rows, columns))
    scores[best] = rng.uniform(1.0, 2.0, count)  # any other pairing gives one of these up for what is below zero
    found = assign(scores)
    assert (found[0].tolist(), found[1].tolist()) == (best[0].tolist(), best[1].tolist())


def test_between_sums_that_differ_in_their_last_bits_the_first_pairing_is_taken() -> None:
    assert 0.1 + 0.2 > 0.3
    assert assign(np.array([[0.3, 0.1 + 0.2]]))[1].tolist() == [0]
    assert assign(np.array([[0.3], [0.1 + 0.2]]))[0].tolist() == [0]
    assert assign(np.array([[0.3, 0.3 + 1e-6]]))[1].tolist() == [1]


def test_six_estimates_of_one_class_against_three_references_take_milliseconds() -> None:
    rng = np.random.default_rng(0)
    scores = tables(rng.normal(size=(6, 3)).tolist(), [0.0, 1.0, 2.0])
    capi_sdri(scores, estimate_labels=["Cough"] * 6, reference_labels=["Cough"] * 3)
    start = time.thread_time()  # whatever else the machine does
    capi_sdri(scores, estimate_labels=["Cough"] * 6, reference_labels=["Cough"] * 3)
    assert time.thread_time() - start < 0.01
