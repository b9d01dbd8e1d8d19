"""CASA-SDR: pairs by waveform, judges labels afterwards."""

import itertools

import numpy as np
import pytest

from s5eval.metrics.casa import casa_sdr
from s5eval.metrics.sdr import PairScores


def tables(sdr: list[list[float]], mixture: list[float]) -> PairScores:
    matrix = np.array(sdr, float).reshape(len(sdr), len(mixture))
    n, r = matrix.shape
    mix = np.array(mixture, float)
    return PairScores(matrix, mix, mix, np.eye(n), np.ones(n), np.ones(r))


GOOD = [[10.0, -9.0], [-9.0, 8.0]]


def test_right_labels_are_the_mean_of_the_pairs() -> None:
    score = casa_sdr(tables(GOOD, [1, 2]), estimate_labels="AB", reference_labels="AB")
    assert (score.sdr, score.sdri) == (9.0, 7.5)
    assert (score.n_correct, score.n_wrong, score.n_unpaired) == (2, 0, 0)


def test_a_swap_of_labels_earns_nothing_and_costs_nothing_more() -> None:
    # CAPI-SDRi would pair by label and find −9 dB twice.
    score = casa_sdr(tables(GOOD, [1, 2]), estimate_labels="BA", reference_labels="AB")
    assert (score.sdr, score.sdri, score.n_wrong) == (0.0, 0.0, 2)


def test_a_wrong_label_counts_as_false_positive_and_false_negative() -> None:
    score = casa_sdr(tables(GOOD, [0, 0]), estimate_labels="AC", reference_labels="AB")
    assert score.sdr == pytest.approx(10 / 3)


def test_left_over_estimates_and_references_are_entries() -> None:
    assert casa_sdr(tables([[10.0], [1.0]], [0]), estimate_labels="AB", reference_labels="A").sdr == 5.0
    assert casa_sdr(tables([[10.0, -9.0]], [0, 0]), estimate_labels="A", reference_labels="AB").sdr == 5.0


def test_nothing_at_all_is_undefined() -> None:
    score = casa_sdr(tables([], []), estimate_labels="", reference_labels="")
    assert (score.sdr, score.sdri) == (None, None)


def test_labels_must_fit() -> None:
    with pytest.raises(ValueError, match="1 estimates"):
        casa_sdr(tables(GOOD, [0, 0]), estimate_labels="A", reference_labels="AB")


def test_equals_the_definition_by_enumeration() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        n, r = (int(x) for x in rng.integers(1, 5, 2))
        sdr = rng.normal(0, 10, (n, r))
        mixture = rng.normal(0, 5, r)
        labels, references = ([str(x) for x in rng.choice(list("ABC"), size)] for size in (n, r))
        count = min(n, r)
        best = max(
            (list(zip(rows, columns, strict=True)) for rows in itertools.permutations(range(n), count)
             for columns in itertools.combinations(range(r), count)),
            key=lambda pairs: sum(sdr[i, j] for i, j in pairs),
        )  # fmt: skip
        right = [(i, j) for i, j in best if labels[i] == references[j]]
        entries = len(right) + 2 * (count - len(right)) + abs(n - r)
        score = casa_sdr(tables(sdr.tolist(), mixture.tolist()), estimate_labels=labels, reference_labels=references)
        assert score.sdr == pytest.approx(sum(sdr[i, j] for i, j in right) / entries)
        assert score.sdri == pytest.approx(sum(sdr[i, j] - mixture[j] for i, j in right) / entries)
