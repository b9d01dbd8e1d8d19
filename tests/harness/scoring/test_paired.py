"""Paired differences and their intervals: exact where they can be, and no verdict that chance gives as well."""

from dataclasses import replace

import numpy as np
import pytest

from s5eval.harness.record.tables import MixtureScore, Outcome
from s5eval.harness.scoring.columns import METRICS, Column, Metric, all_columns
from s5eval.harness.scoring.paired import hardly_differ, paired_differences, sign_test
from s5eval.metrics.bootstrap import paired_bootstrap
from s5eval.metrics.capi import CapiScore
from s5eval.metrics.label_counts import LabelCounts
from s5eval.systems.decision import Selection

SCORED = Outcome("scored")
COLUMNS = [Column(("metrics", metric.name), metric, lambda score: True) for metric in METRICS]


@pytest.mark.parametrize(
    ("better", "worse", "p"), [(0, 0, None), (5, 0, 2 / 32), (1, 1, 1.0), (9, 1, 22 / 1024), (1, 9, 22 / 1024)]
)
def test_the_sign_test_is_exact(better: int, worse: int, p: float | None) -> None:
    assert sign_test(better, worse) == (None if p is None else pytest.approx(p))


def score(id_: str, value: float | None) -> MixtureScore:
    counts = LabelCounts(1, 0, 0) if value is not None and value > 0 else LabelCounts(0, 1, 1)
    return MixtureScore(id_, SCORED, capi=CapiScore(value, None, None, None, (), 1, None), labels=counts)


def scores(values: np.ndarray) -> list[MixtureScore]:
    return [score(f"m_{k}", float(v)) for k, v in enumerate(values)]


def test_undefined_mixtures_count_on_the_side_that_defines_them() -> None:
    first = [score("a", 4.0), score("b", None)]
    second = [score("a", 4.0), score("b", 0.0)]
    difference = paired_differences(first, second, COLUMNS[:1])[0]
    assert (difference.first, difference.second, difference.delta) == (4.0, 2.0, -2.0)
    assert (difference.better, difference.worse, difference.ties, difference.n) == (0, 0, 1, 2)


def test_shares_are_compared_and_not_how_many_there_are() -> None:
    """One of two labels and two of four are as good; two of five are worse, though they are more."""
    first, second = (
        [MixtureScore(f"m_{k}", SCORED, labels=counts) for k, counts in enumerate(side)]
        for side in ((LabelCounts(1, 1, 0),) * 2, (LabelCounts(2, 1, 1), LabelCounts(2, 2, 1)))
    )
    named = {column.metric.name: column for column in COLUMNS}
    found = paired_differences(first, second, [named["source_accuracy"]])[0]
    assert (found.better, found.worse, found.ties) == (0, 1, 1)


def test_a_difference_and_its_interval_are_in_the_unit_of_the_metric() -> None:
    """Percent, of which the shares of a twin are a hundredth; a bound beside a system has columns of its own."""
    rng = np.random.default_rng(5)
    a, b = (scores(np.where(rng.random(40) < share, 4.0, -4.0)) for share in (0.3, 0.6))
    named = {column.metric.name: column for column in COLUMNS}
    found = paired_differences(a, b, [named["mixture_accuracy"]])[0]
    shares = [np.array([[float(score.exact)] for score in side]) for side in (a, b)]
    twin = paired_bootstrap(*((share, np.ones((40, 1))) for share in shares))
    assert found.delta == pytest.approx(100 * (shares[1].mean() - shares[0].mean()))
    assert (found.ci_low, found.ci_high) == (pytest.approx(100 * twin.low[0]), pytest.approx(100 * twin.high[0]))
    bound = Column(("bounds", "capi_sdri"), Metric("capi_sdri", lambda score: (7.0, 1.0)), lambda score: True)
    beside = paired_differences(a, b, [named["capi_sdri"]], [bound])[0]
    assert (beside.second, beside.better) == (7.0, 40)


def test_other_mixtures_are_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="different mixtures"):
        paired_differences(scores(np.zeros(2)), scores(np.zeros(3)), COLUMNS)


def test_columns_of_both_runs_are_compared() -> None:
    silent = [MixtureScore("a", SCORED, reference_labels=("Speech",))]
    loud = [MixtureScore("a", SCORED, reference_labels=("Speech",), estimates=(Selection(0, "Cough", 1.0),))]
    paths = {column.path for column in all_columns([*silent, *loud])}
    assert ("slices", "class", "Cough", "sdri") in paths


def simulated(rng: np.random.Generator, pairs: int, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """(1512, pairs) CAPI-SDRi of two runs: mixtures of very different difficulty, runs 3.5 dB apart on each.

    The difference of two such runs spreads by 5 dB from mixture to mixture: systems trained with other seeds.
    """
    difficulty = rng.normal(8, 7, (1512, pairs))
    a, b = (difficulty + rng.standard_t(5, (1512, pairs)) * 3.5 * np.sqrt(3 / 5) for _ in range(2))
    return a, b + gain


def significant(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    ones = np.ones_like(a)
    found = paired_bootstrap((a, ones), (b, ones))
    return (found.low > 0) | (found.high < 0)


@pytest.mark.slow
def test_false_alarms_and_power_over_a_thousand_pairs() -> None:
    rng = np.random.default_rng(2026)
    alarms, hits = [], []
    for _ in range(10):
        alarms.append(significant(*simulated(rng, 100, 0.0)))
        hits.append(significant(*simulated(rng, 100, 0.5)))
    assert np.concatenate(alarms).mean() <= 0.06
    assert np.concatenate(hits).mean() > 0.80


def test_false_alarms_and_power_in_small() -> None:
    rng = np.random.default_rng(1)
    assert significant(*simulated(rng, 40, 0.0)).mean() <= 0.15
    assert significant(*simulated(rng, 40, 0.5)).mean() > 0.8


def test_the_same_differences_come_out_of_the_comparison_itself() -> None:
    rng = np.random.default_rng(3)
    a, b = simulated(rng, 1, 0.5)
    difference = paired_differences(scores(a[:, 0]), scores(b[:, 0]), COLUMNS[:2])[0]
    assert difference.significant == bool(significant(a, b)[0])
    assert difference.delta == pytest.approx(float(b.mean() - a.mean()))


@pytest.mark.parametrize(
    ("n", "change", "significant"), [(1, 1e-15, False), (100, 1e-15, False), (5, 0.5, False), (6, 0.5, True)]
)
def test_a_change_of_one_bit_or_of_five_mixtures_is_no_verdict(n: int, change: float, significant: bool) -> None:
    """Five mixtures fall all to one side by chance once in 16 times: that is no 5 % level."""
    before = [score(f"m_{k}", 1.0) for k in range(n)]
    after = [score(f"m_{k}", 1.0 - change) for k in range(n)]
    difference = paired_differences(before, after, COLUMNS[:1])[0]
    assert difference.significant is significant
    assert difference.withheld is (change > 0.1 and not significant), "whoever shows it says that there are too few"
    assert (difference.worse, difference.ties) == ((n, 0) if change > 0.1 else (0, n))


@pytest.mark.parametrize(("changed", "significant"), [(5, False), (6, True)])
def test_mixtures_that_are_the_same_in_both_make_no_verdict(changed: int, significant: bool) -> None:
    before = [score(f"m_{k}", 1.0) for k in range(100)]
    after = [score(f"m_{k}", 1.5 if k < changed else 1.0) for k in range(100)]
    difference = paired_differences(before, after, COLUMNS[:1])[0]
    assert difference.ci_low is not None and difference.ci_low > 0, "the bootstrap alone would have a star there"
    assert (difference.significant, difference.withheld) == (significant, not significant)
    assert (difference.n, difference.changed, difference.ties) == (100, changed, 100 - changed)


def test_what_one_run_alone_defines_has_changed() -> None:
    silent = [score(f"m_{k}", None) for k in range(7)]
    difference = paired_differences(silent, [score(f"m_{k}", 1.0) for k in range(7)], COLUMNS[:1])[0]
    assert (difference.n, difference.changed) == (7, 7)


def test_of_four_changes_among_a_hundred_an_interval_alone_is_too_sure() -> None:
    """Up or down by chance: it excludes 0 in some 10 cases of 100; with twenty changes in some 4."""
    shares = []
    for changed in (4, 20):
        rng = np.random.default_rng(changed)
        steps = np.zeros((100, 400))
        for column in steps.T:
            places = rng.choice(100, changed, replace=False)
            column[places] = rng.choice([-1.0, 1.0], changed) * rng.uniform(0.5, 1.5, changed)
        found = paired_bootstrap((np.zeros_like(steps), np.ones_like(steps)), (steps, np.ones_like(steps)))
        shares.append(np.mean((found.low > 0) | (found.high < 0)))
    assert shares[0] > 0.08 and shares[1] < 0.06


def test_a_share_that_stays_with_other_numbers_is_a_tie_and_has_changed() -> None:
    """The value is a ratio of sums: two more false labels in each of ten mixtures lower it."""
    right = [score(f"r_{k}", 1.0) for k in range(10)]
    sides = [
        [*right, *(replace(score(f"w_{k}", 0.0), labels=LabelCounts(0, wrong, 1)) for k in range(10))]
        for wrong in (1, 3)
    ]
    named = {column.metric.name: column for column in COLUMNS}
    difference = paired_differences(*sides, [named["source_accuracy"]])[0]
    assert (difference.better, difference.worse, difference.ties) == (0, 0, 20)
    assert (difference.changed, difference.significant) == (10, True)
    assert difference.delta is not None and difference.delta < 0
    counts = np.ones((20, 2))
    counts[:10, 1] = 3.0
    assert not hardly_differ(np.zeros((20, 2)), counts)[0, 1]


def test_which_of_several_runs_hardly_differ() -> None:
    counts = np.ones((20, 3))
    values = np.zeros((20, 3))
    values[:5, 1] = values[:6, 2] = 1.0
    assert hardly_differ(values, counts).tolist() == [[True, True, False], [True, True, True], [False, True, True]]
    counts[:7, 1], values[:7, 1] = 0.0, 0.0  # seven of which the second has no value
    assert hardly_differ(values, counts).tolist() == [[True, False, False], [False, True, False], [False, False, True]]
