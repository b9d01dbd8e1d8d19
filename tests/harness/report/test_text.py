"""What is shown does not depend on the last bit of a sum."""

import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.codec import from_json
from s5eval.harness.record.run_summary import RunDecomposition
from s5eval.harness.record.tables import PairTable
from s5eval.harness.report.decibels import decomposition_lines
from s5eval.harness.report.text import number, number_and_interval, typeset, typeset_interval, typeset_number
from s5eval.harness.scoring.decomposition import decompose_run
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.harness.scoring.paired import LEAST_MIXTURES, Difference
from s5eval.metrics.capi import assign
from s5eval.metrics.decompose import decompose
from s5eval.metrics.sdr import pairwise_sdr
from s5eval.systems.decision import KEEP_ALL, Decision, decide

ULPS = (-3e-16, -1e-17, 0.0, 1e-17, 3e-16)
ROOT = Path(__file__).parents[3]
LABEL_LOSSES = ("miss", "false_alarm", "confusion", "repeated_class")


@pytest.mark.parametrize("value", [0.0, 0.0005, -0.0005, 1.2345, 12.5, -0.25, 5.0])
def test_a_number_reads_the_same_whatever_its_last_bits_are(value: float) -> None:
    for digits, signed in itertools.product((1, 2, 3), (False, True)):
        texts = {number(value + bits, digits, signed=signed) for bits in ULPS}
        assert len(texts) == 1
        assert not re.fullmatch(r"[-+]0\.0+", texts.pop())


def test_a_bound_that_rounds_to_zero_does_not_claim_a_side() -> None:
    assert number_and_interval(0.055, -0.0048, 0.118, 3, signed=True) == "+0.055 [0.00, +0.12]"
    assert number_and_interval(-0.055, -0.118, 0.0048, 3, signed=True) == "-0.055 [-0.12, 0.00]"


def test_an_interval_that_is_a_point_is_not_shown_whatever_its_last_bits_are() -> None:
    assert {number_and_interval(1.0, 1.0 - bits, 1.0 + bits, 3) for bits in ULPS} == {"1.000"}
    assert number_and_interval(-1e-17, -1e-17, 0.5, 3) == "0.000 [0.00, 0.50]"
    assert number_and_interval(None, None, None, 3) == "–"


def test_no_other_file_writes_decibels_or_intervals_by_itself() -> None:
    """Every fraction that a report shows goes through `text.py`."""
    for path in [
        *ROOT.glob("harness/report/*.py"),
        *ROOT.glob("harness/comparing/*.py"),
        *ROOT.glob("harness/tuning/tuned_table.py"),
    ]:
        if path.name != "text.py":
            assert not re.search(r":\+?\.[1-9{]\w*\}?f\}", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("bits", ULPS)
def test_pairings_between_equal_sums_do_not_hang_on_last_bits(bits: float) -> None:
    scores = np.array([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0], [3.0, 4.0, 5.0]])  # every pairing sums to 9
    for place in np.ndindex(3, 3):
        moved = scores.copy()
        moved[place] += bits
        assert assign(moved)[1].tolist() == [0, 1, 2]


@pytest.mark.parametrize("bits", ULPS)
def test_a_loss_of_last_bits_is_no_loss(bits: float) -> None:
    """The mixture stands in for every source, one under a wrong label: what that costs is noise, of either sign."""
    references = np.random.default_rng(1).standard_normal((2, 800))
    mixture = references.sum(0)
    scores = pairwise_sdr(estimate=np.stack([mixture, mixture]), reference=references, mixture=mixture)
    found = decompose(
        replace(scores, sdr=scores.sdr + bits),
        candidate_labels=["Cough", "Speech"],
        p_silence=np.zeros(2),
        selected=[0, 1],
        reference_labels=["Pour", "Speech"],
    )
    assert {(loss.kind, loss.label, loss.value) for loss in found.losses} == {("confusion", "Pour", 0.0)}


def test_a_confusion_that_costs_less_than_is_shown_is_not_listed() -> None:
    parts = {
        "value": 0.0,
        "bound": 1e-17,
        "ceiling": 9.0,
        "terms": dict.fromkeys(LABEL_LOSSES, -1e-17) | {"separation": 9.0},
        "oracle_labels": -1e-17,
        "oracle_count": 0.0,
        "oracle_silence": None,
        "gap": 9.0,
        "classes": {},
        "confusions": [{"reference": "Pour", "estimate": "Cough", "loss": 0.0049, "mixtures": 1}],
    }
    text = "\n".join(decomposition_lines(from_json(RunDecomposition, parts)))
    assert "Pour → Cough" not in text
    assert "-0.000" not in text


def test_pages_and_charts_have_a_true_minus_and_names_keep_their_hyphens() -> None:
    assert typeset_number(-0.25, 2) == "−0.25" and typeset_number(-1e-17, 3) == "0.000"
    assert typeset_interval(-1.0, -2.0, 0.5, 2, signed=True) == "−1.00 [−2.00, +0.50]"
    assert typeset("dev-test-1 2024-05-01 a-1 B-format -3") == "dev-test-1 2024-05-01 a-1 B-format −3"
    assert number(-0.25, 2) == "-0.25", "what a terminal shows is copied and read back"


@pytest.mark.parametrize(
    ("low", "high", "n", "significant"),
    [
        (-2e-16, -1e-16, 100, False),
        (1e-16, 2e-16, 100, False),
        (-0.2, -0.1, LEAST_MIXTURES - 1, False),
        (-0.2, -0.1, LEAST_MIXTURES, True),
        (-0.2, 0.1, 100, False),
    ],
)
def test_a_star_wants_more_than_last_bits_and_enough_mixtures(
    low: float, high: float, n: int, significant: bool
) -> None:
    difference = Difference(
        0.0, low, (low + high) / 2, low, high, better=0, worse=n, ties=0, p_sign=None, n=n, changed=n
    )
    assert difference.significant is significant


def test_thresholds_and_duplicates_do_not_hang_on_last_bits() -> None:
    decision = Decision({"default": 0.3}, max_sources=1, duplicate_correlation=0.9)
    for first, second in itertools.product(ULPS, ULPS):
        kept = decide(
            class_scores=np.full((2, len(CLASSES)), 0.5),
            p_silence=np.array([0.3 + first, 0.3 + second]),
            correlation=np.array([[1.0, 0.9 + first], [0.9 + first, 1.0]]),
            labels=None,
            decision=decision,
        )
        assert [(s.index, s.label) for s in kept] == [(0, CLASSES[0])]


def test_a_run_that_loses_nothing_to_labels_has_terms_that_are_exactly_zero() -> None:
    reference = np.random.default_rng(2).standard_normal((1, 700))
    scores = []
    for index in range(3):
        pair = pairwise_sdr(estimate=reference * 0.5, reference=reference, mixture=reference[0] * 2)
        table = PairTable(pair, np.eye(len(CLASSES))[:1], np.zeros(1), ("Speech",), ("Speech",))
        scores.append(score_candidates(f"m_{index}", table, KEEP_ALL))
    parts = decompose_run(scores)
    assert parts is not None
    assert {term: parts.terms[term] for term in LABEL_LOSSES} == dict.fromkeys(LABEL_LOSSES, 0.0)
