"""Where the decibels went: hand-made cases with a known answer, and the sum on random tables."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s5eval.metrics.capi import capi_sdri
from s5eval.metrics.decompose import Decomposition, Unanswered, decompose, subset
from s5eval.metrics.sdr import PairScores, pairwise_sdr


def tables(sdr: list[list[float]], mixture: list[float]) -> PairScores:
    matrix = np.array(sdr, float).reshape(len(sdr), len(mixture))
    n, r = matrix.shape
    mix = np.array(mixture, float)
    return PairScores(matrix, mix, mix + 1, np.eye(n), np.ones(n), np.ones(r))


def run(
    sdr: list[list[float]], mixture: list[float], labels: str, selected: list[int], references: str
) -> Decomposition:
    return decompose(
        tables(sdr, mixture),
        candidate_labels=list(labels),
        p_silence=np.linspace(0.1, 0.9, len(labels)),
        selected=selected,
        reference_labels=list(references),
    )


def booked(parts: Decomposition) -> dict[tuple[str, str, str | None], float]:
    return {(loss.kind, loss.label, loss.other): pytest.approx(loss.value) for loss in parts.losses}


GOOD = [[10.0, -9.0], [-9.0, 8.0]]  # candidate 0 is reference 0 at 10 dB, candidate 1 is reference 1 at 8 dB


def test_nothing_is_lost_with_right_labels() -> None:
    parts = run(GOOD, [0, 0], "AB", [0, 1], "AB")
    assert parts.losses == ()
    assert parts.value == parts.bound == parts.oracle_labels == parts.oracle_count == parts.oracle_silence == 9.0


def test_a_swap_of_labels_is_two_confusions() -> None:
    parts = run(GOOD, [0, 0], "BA", [0, 1], "AB")
    assert parts.value == -9.0
    assert parts.bound == 9.0
    # Each reference is worth half: 10 − (−9) and 8 − (−9).
    assert booked(parts) == {("confusion", "A", "B"): 9.5, ("confusion", "B", "A"): 8.5}
    assert parts.oracle_labels == 9.0


def test_a_miss_costs_what_the_waveform_would_have_earned() -> None:
    parts = run(GOOD, [0, 2], "AB", [0], "AB")
    assert parts.value == 5.0
    assert booked(parts) == {("miss", "B", None): 3.0}
    assert parts.oracle_silence == parts.oracle_count == parts.bound == 8.0


def test_a_false_alarm_thins_the_mean() -> None:
    parts = run([*GOOD, [-20.0, -20.0]], [0, 0], "ABC", [0, 1, 2], "AB")
    assert parts.value == 6.0
    assert booked(parts) == {("false_alarm", "C", None): 3.0}
    assert parts.oracle_silence == parts.oracle_count == 9.0
    assert parts.oracle_labels == 6.0


def test_a_wrong_label_is_one_confusion_for_both_of_its_entries() -> None:
    parts = run(GOOD, [0, 0], "AC", [0, 1], "AB")
    # Entries: 10 for A, 0 for the C that is not there, 0 for the B that is.
    assert parts.value == pytest.approx(10 / 3)
    assert booked(parts) == {("confusion", "B", "C"): 9 - 10 / 3}


def test_a_miss_is_booked_on_the_class_of_the_reference_whatever_the_candidate_was_called() -> None:
    assert booked(run(GOOD, [0, 2], "AC", [0], "AB")) == {("miss", "B", None): 3.0}


def test_the_tables_of_some_candidates_are_those_of_their_waveforms() -> None:
    rng = np.random.default_rng(2)
    estimates, references, mixture = rng.normal(size=(4, 50)), rng.normal(size=(2, 50)), rng.normal(size=50)
    rows = [2, 0, 3]
    found = subset(pairwise_sdr(estimate=estimates, reference=references, mixture=mixture), rows)
    expected = pairwise_sdr(estimate=estimates[rows], reference=references, mixture=mixture)
    for entry in dataclasses.fields(expected):
        np.testing.assert_allclose(getattr(found, entry.name), getattr(expected, entry.name), rtol=1e-9, atol=1e-12)


def test_a_miss_of_one_of_two_sources_of_a_class() -> None:
    parts = run([[6.0, 9.0], [5.0, -30.0]], [0, 0], "AA", [0], "AA")
    assert (parts.value, parts.bound) == (4.5, 7.0)
    assert booked(parts) == {("miss", "A", None): 2.5}


def test_an_estimate_that_takes_the_place_of_another_of_its_class() -> None:
    # Candidate 1 is the source of B, labelled A, and nearer to the source of A than candidate 0 is.
    parts = run([[6.0, -9.0], [8.0, 12.0]], [0, 0], "AA", [0, 1], "AB")
    assert parts.value == pytest.approx(8 / 3)  # 8 for A, 0 for the second A, 0 for B
    assert parts.bound == 9.0
    # A gains 2 of 2 references, its own candidate is one more entry; B loses its 12 dB.
    assert booked(parts) == {("repeated_class", "A", None): -1 + 4 / 3, ("confusion", "B", "A"): 6.0}


def test_dropping_what_is_worse_than_the_mixture_is_a_gain() -> None:
    parts = run([[-4.0]], [0], "A", [], "A")
    assert (parts.value, parts.bound) == (0.0, -4.0)
    assert booked(parts) == {("miss", "A", None): -4.0}


def test_a_silent_scene_books_its_false_alarms_at_no_cost_of_its_own() -> None:
    parts = run([[], []], [], "AB", [1], "")
    assert (parts.value, parts.bound) == (0.0, None)
    assert booked(parts) == {("false_alarm", "B", None): 0.0}


def test_a_silent_scene_answered_with_silence_is_undefined() -> None:
    parts = run([[]], [], "A", [], "")
    assert (parts.value, parts.bound, parts.losses) == (None, None, ())


def test_fewer_candidates_than_references() -> None:
    parts = run([[7.0, 9.0]], [0, 0], "A", [0], "AB")
    assert parts.value == 3.5  # scored at A, though the waveform belongs to B
    assert parts.bound == 4.5
    assert booked(parts) == {("confusion", "B", "A"): 1.0}


@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.integers(0, 4), st.integers(1, 4))
def test_losses_sum_to_the_gap(seed: int, n: int, r: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    letters = "ABCD"[:classes]
    pairs = tables(rng.normal(0, 10, (n, r)).tolist(), rng.normal(0, 5, r).tolist())
    labels = [str(x) for x in rng.choice(list(letters), n)]
    references = [str(x) for x in rng.choice(list(letters), r)]
    selected = [k for k in range(n) if rng.random() < 0.6]
    parts = decompose(
        pairs, candidate_labels=labels, p_silence=rng.random(n), selected=selected, reference_labels=references
    )
    official = capi_sdri(
        subset(pairs, selected), estimate_labels=[labels[k] for k in selected], reference_labels=references
    )
    assert parts.value == official.value
    if r:
        assert parts.bound is not None
        assert parts.value is not None
        assert abs(sum(loss.value for loss in parts.losses) - (parts.bound - parts.value)) < 1e-9
    else:
        assert all(loss.kind == "false_alarm" and loss.value == 0 for loss in parts.losses)
        assert len(parts.losses) == len({labels[k] for k in selected})
    keys = [(loss.kind, loss.label, loss.other) for loss in parts.losses]
    assert len(keys) == len(set(keys))


def test_the_bound_is_the_official_score_of_the_candidates_with_true_labels() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        r = int(rng.integers(1, 4))
        pairs = tables(rng.normal(0, 10, (4, r)).tolist(), rng.normal(0, 5, r).tolist())
        references = [str(x) for x in rng.choice(list("AB"), r)]
        parts = decompose(
            pairs,
            candidate_labels=list("ABAB"),
            p_silence=rng.random(4),
            selected=[0, 2],
            reference_labels=references,
        )
        best = max(
            value
            for rows in np.ndindex(*[4] * r)
            if len(set(rows)) == r
            and (value := capi_sdri(subset(pairs, rows), estimate_labels=references, reference_labels=references).value)
            is not None
        )
        assert parts.bound == pytest.approx(best)


def test_without_silence_probabilities_neither_count_nor_silence_can_be_put_right() -> None:
    """Wavs have none; to keep the first of them by name says nothing."""
    parts = decompose(
        tables([*GOOD, [-20.0, -20.0]], [0, 0]),
        candidate_labels=list("ABC"),
        p_silence=np.zeros(3),
        selected=[0, 1, 2],
        reference_labels=list("AB"),
    )
    assert (parts.oracle_count, parts.oracle_silence) == (None, None)
    assert parts.oracle_labels == parts.value == 6.0


def test_references_without_a_candidate_are_told_from_waveforms_that_could_be_better() -> None:
    parts = run([[7.0, 9.0]], [0, 2], "A", [0], "AB")  # the candidate is the second reference's, or the first's: 7 to 7
    assert parts.unanswered is not None
    perfect = tables([[7.0, 9.0]], [0, 2]).sdr_perfect
    assert parts.unanswered.references == 1
    assert parts.unanswered.value == pytest.approx((perfect[1] - 2) / 2)
    nothing = run([], [0, 2], "", [], "AB").unanswered
    assert nothing is not None
    assert (nothing.references, nothing.value) == (2, pytest.approx((perfect.sum() - 2) / 2))
    assert run(GOOD, [0, 0], "AB", [0], "AB").unanswered == Unanswered(0, 0.0)  # a miss is no such reference
    assert run([[]], [], "A", [0], "").unanswered == Unanswered(0, 0.0)
