"""Intervals against a literal loop, undefined mixtures, coverage, and speed at the size of the challenge."""

import sys
import time
from typing import Any

import numpy as np
import pytest

from s5eval.metrics.bootstrap import Resamples, bootstrap, paired_bootstrap, percentiles, ratios, resampled_ratios


def literal_interval(numerator: np.ndarray, denominator: np.ndarray, resamples: int, seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    n = len(numerator)
    values = []
    for _ in range(resamples):
        drawn = rng.integers(0, n, n)
        if denominator[drawn].sum():
            values.append(numerator[drawn].sum() / denominator[drawn].sum())
    return tuple(np.quantile(values, [0.025, 0.975]))  # type: ignore[return-value]


def test_interval_agrees_with_a_literal_loop() -> None:
    rng = np.random.default_rng(3)
    tp = rng.integers(0, 3, 200).astype(float)
    total = tp + rng.integers(0, 2, 200)
    fast = bootstrap(tp[:, None], total[:, None], resamples=4000)
    low, high = literal_interval(tp, total, 4000, seed=9)
    assert fast.value[0] == tp.sum() / total.sum()
    assert fast.low[0] == pytest.approx(low, abs=0.006)
    assert fast.high[0] == pytest.approx(high, abs=0.006)


def test_same_seed_gives_the_same_interval_whatever_stands_beside_it() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3))
    alone = bootstrap(x[:, :1], np.ones((50, 1)))
    together = bootstrap(x, np.ones((50, 3)))
    assert alone.low[0] == pytest.approx(together.low[0], abs=1e-12)
    assert alone.high[0] == pytest.approx(together.high[0], abs=1e-12)


def test_columns_that_stand_twice_are_summed_as_a_literal_loop_sums_them() -> None:
    rng = np.random.default_rng(5)
    numerator, denominator = rng.normal(size=(20, 4)), rng.integers(0, 2, (20, 4)).astype(float)
    numerator[:, 2], denominator[:, 1:] = numerator[:, 0], denominator[:, :1]
    denominator[:, 3] = 0.0
    fast = resampled_ratios(numerator, denominator, resamples=300, seed=1)
    drawn = np.random.default_rng(1)
    # in the chunks that they are drawn in
    rows = np.vstack([drawn.integers(0, 20, (size, 20), dtype=np.int32) for size in (256, 44)])
    for row, found in zip(rows, fast, strict=True):
        for k in range(4):
            total = denominator[row, k].sum()
            wanted = numerator[row, k].sum() / total if total else np.nan
            assert found[k] == pytest.approx(wanted, abs=1e-12, nan_ok=True)


def test_undefined_mixtures_are_resampled_as_such() -> None:
    numerator = np.array([[6.0], [0.0], [0.0]])
    denominator = np.array([[1.0], [0.0], [0.0]])
    result = bootstrap(numerator, denominator)
    assert (result.value[0], result.low[0], result.high[0]) == (6.0, 6.0, 6.0)


@pytest.mark.parametrize("n", [0, 4])
def test_a_metric_that_is_never_defined_is_nan(n: int) -> None:
    result = bootstrap(np.zeros((n, 1)), np.zeros((n, 1)))
    assert np.isnan([result.value[0], result.low[0], result.high[0]]).all()


def test_paired_difference_recomputes_both_counts() -> None:
    rng = np.random.default_rng(5)
    score = rng.normal(5, 3, 300)
    defined = np.ones(300)
    extra = defined.copy()
    defined[:30] = 0.0  # undefined for the first system, 0 dB for the second: a false alarm on silent scenes
    a = ((score * defined)[:, None], defined[:, None])
    b = ((score * defined)[:, None], extra[:, None])
    result = paired_bootstrap(a, b)
    assert result.value[0] == pytest.approx(ratios(*b)[0] - ratios(*a)[0])
    assert result.low[0] < result.value[0] < result.high[0] < 0


@pytest.mark.parametrize(
    ("numerator", "denominator"), [(np.ones(3), np.ones(3)), (np.ones((3, 1)), np.ones((4, 1))), (np.ones((3, 1)), 1.0)]
)
def test_tables_of_another_shape_are_refused_with_their_shapes(numerator: Any, denominator: Any) -> None:
    with pytest.raises(ValueError, match=r"expected tables \(mixtures, metrics\) of one shape; got numerator \(3,"):
        bootstrap(numerator, denominator)
    with pytest.raises(ValueError, match=r"of one shape; got first\[0\] \(3, 1\), .*second\[1\]"):
        paired_bootstrap((np.ones((3, 1)), np.ones((3, 1))), (numerator, denominator))


def test_a_constant_shift_has_an_interval_of_no_width() -> None:
    x = np.random.default_rng(1).normal(size=(80, 1))
    one = np.ones((80, 1))
    result = paired_bootstrap((x, one), (x + 0.5, one))
    assert result.low[0] == pytest.approx(0.5)
    assert result.high[0] == pytest.approx(0.5)


def test_the_level_is_the_share_of_the_resamples_between_the_ends() -> None:
    x, one = np.random.default_rng(7).normal(size=(60, 1)), np.ones((60, 1))
    values = resampled_ratios(x, one, resamples=1000)[:, 0]
    for level in (0.5, 0.9):
        for found in (
            bootstrap(x, one, resamples=1000, level=level),
            paired_bootstrap((0 * x, one), (x, one), resamples=1000, level=level),
        ):
            inside = (values >= found.low[0] - 1e-12) & (values <= found.high[0] + 1e-12)
            assert inside.mean() == pytest.approx(level, abs=0.003)
            assert (values < found.low[0] - 1e-12).mean() == pytest.approx((1 - level) / 2, abs=0.003)


def test_coverage_is_near_nominal() -> None:
    rng = np.random.default_rng(11)
    hits = 0
    for trial in range(200):
        x = rng.exponential(1.0, size=(100, 1))
        result = bootstrap(x, np.ones((100, 1)), resamples=600, seed=trial)
        hits += bool(result.low[0] <= 1.0 <= result.high[0])
    assert 0.87 <= hits / 200 <= 0.99


def test_ten_thousand_resamples_of_the_test_split_take_under_a_second() -> None:
    x = np.random.default_rng(0).normal(size=(1512, 4))
    seconds = []
    for _ in range(3):
        start = time.process_time()
        bootstrap(x, np.ones((1512, 4)), resamples=10_000)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 1.0


def test_how_many_resamples_are_held_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["s5eval.metrics.bootstrap"]  # the package has a function of that name

    values = np.random.default_rng(4).normal(size=(3000, 2))
    whole = bootstrap(values, np.ones_like(values), resamples=300)
    monkeypatch.setattr(module, "_MOST_COUNTS", 7 * 3000)
    parts = bootstrap(values, np.ones_like(values), resamples=300)
    np.testing.assert_allclose(parts.low, whole.low, atol=1e-12)
    np.testing.assert_allclose(parts.high, whole.high, atol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 30])
def test_resamples_that_are_kept_give_the_interval_of_those_that_are_drawn(n: int) -> None:
    rng = np.random.default_rng(4)
    numerator, denominator = rng.normal(size=(n, 3)), rng.integers(0, 2, (n, 3)).astype(float)
    other = numerator + 0.3 * rng.normal(size=(n, 3)) * denominator
    resamples = Resamples(n)
    first, second = resamples.draw(numerator, denominator), resamples.draw(other, denominator)
    for values, expected in (
        (first, bootstrap(numerator, denominator)),
        (second - first, paired_bootstrap((numerator, denominator), (other, denominator))),
    ):
        low, high = percentiles(values)
        np.testing.assert_allclose(low, expected.low, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(high, expected.high, rtol=1e-9, atol=1e-12)
