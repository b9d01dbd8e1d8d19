"""The search for thresholds on tables of a few candidates, whose best thresholds can be told without searching."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from s5eval.harness.record.tables import PairTable
from s5eval.harness.tuning.coordinate_search import fit
from s5eval.harness.tuning.threshold_table import Objective, SweepTable, sweep_table
from s5eval.metrics.arrays import Array
from s5eval.systems.decision import Decision

Tables = Callable[..., list[PairTable]]
MEAN = Objective()


def rows(values: Sequence[float]) -> Array:
    """States of a mixture that has these values, which the objective is the mean of."""
    return np.array([[value, 1, 0, 1, 0, 1] for value in values], np.float64)


def alone(*candidates: tuple[int, float, float, float]) -> SweepTable:
    """One candidate a mixture: class, probability of silence, value where it is dropped, value where it is kept."""
    order = sorted(range(len(candidates)), key=lambda k: candidates[k][:2])
    label, p_silence = (np.array([candidates[k][part] for k in order]) for part in (0, 1))
    ones = np.ones(len(candidates), np.intp)
    values = np.concatenate([rows(candidate[2:]) for candidate in candidates])
    return SweepTable(values, 2 * np.arange(len(candidates)), np.array(order), label, p_silence, ones, 0 * ones)


def together(dropped: float, first: float, second: float, kept: float) -> SweepTable:
    """A mixture with two candidates, of classes 0 and 1: values of none, of either alone, and of both."""
    values = rows([dropped, first, second, kept])
    zeros = np.zeros(2, np.intp)
    return SweepTable(values, zeros[:1], zeros, np.array([0, 1]), np.array([0.5, 0.5]), np.array([1, 2]), zeros)


def free(table: SweepTable, base: float, *, starts: Sequence[Array] = (), seed: int = 0) -> Array:
    found = fit(table, base=np.full(18, base), starts=starts, objective=MEAN, shrinkage=0.0, seed=seed)
    return found.thresholds


def test_a_threshold_lies_in_the_middle_of_what_it_parts() -> None:
    table = alone((0, 0.2, 0.0, 6.0), (0, 0.4, 0.0, -3.0), (1, 0.3, 0.0, 5.0), (1, 0.8, 0.0, -1.0))
    found = free(table, 0.95)
    assert found[:3] == pytest.approx([0.3, 0.55, 0.95]), "not at a probability that was seen"


@pytest.mark.parametrize(("base", "found"), [(0.95, 0.4), (0.05, 0.2), (0.35, 0.35)])
def test_of_thresholds_that_are_as_good_the_nearest_to_the_old_one_is_taken(base: float, found: float) -> None:
    table = alone((0, 0.1, 0.0, 6.0), (0, 0.3, 2.0, 2.0), (0, 0.5, 0.0, -3.0))
    assert free(table, base)[0] == pytest.approx(found)


def test_a_candidate_that_is_surely_there_cannot_be_dropped_and_hides_no_other_gain() -> None:
    """No threshold is below 0: what dropping it would gain is not there to be compared with."""
    table = alone((0, 0.0, 9.0, 0.0), (1, 0.6, 1.0, 0.0), (2, 0.95, 0.0, 20.0))  # the last is lost by a common one
    for seed in range(6):
        found = free(table, 0.99, seed=seed)
        assert found[0] >= 0 and found[1] < 0.6
        assert MEAN(table.sums(found)) == pytest.approx(7.0)


def test_what_pays_only_after_another_class_was_moved_is_found_in_any_order() -> None:
    table = together(dropped=2.0, first=1.5, second=0.5, kept=1.0)
    for seed in range(6):
        assert MEAN(table.sums(free(table, 0.9, seed=seed))) == 2.0


def test_what_pays_only_together_is_found_from_a_start_that_has_it() -> None:
    table = together(dropped=2.0, first=0.5, second=0.5, kept=1.0)
    assert MEAN(table.sums(free(table, 0.9))) == 1.0
    start = np.full(18, 0.9)
    start[:2] = 0.1
    assert MEAN(table.sums(free(table, 0.9, starts=[start]))) == 2.0


def test_every_class_is_drawn_to_the_best_common_threshold_as_by_so_many_candidates(make_tables: Tables) -> None:
    """By all of the strength, or by less, where that would cost more than was gained."""
    taken = set()
    for seed in (0, 1, 4):
        table = sweep_table(make_tables(60, seed), Decision())
        counts, base = table.counts(), np.full(18, 0.5)
        tuned = fit(table, base=base, objective=MEAN, shrinkage=15.0).thresholds
        for start in (base, tuned):
            own = fit(table, base=start, objective=MEAN, shrinkage=0.0).thresholds
            found = fit(table, base=start, objective=MEAN, shrinkage=40.0)
            quantiles = np.quantile(table.p_silence, np.linspace(0, 1, 101))
            tried = [float(np.median(start)), *((low + high) / 2 for low, high in itertools.pairwise(quantiles))]
            common = max(tried, key=lambda value: round(float(MEAN(table.sums(np.full(18, value)))), 9))
            for strength in (40.0, 20.0, 10.0):
                drawn = (counts * own + strength * common) / (counts + strength)
                if MEAN(table.sums(np.round(drawn, 6))) >= MEAN(table.sums(start)) - 1e-9:
                    assert found.default == pytest.approx(common, abs=1e-6)
                    break
            else:
                strength, drawn = 0.0, own
            taken.add(strength)
            assert found.shrinkage == strength
            assert found.thresholds == pytest.approx(drawn, abs=3e-6)
    assert taken >= {40.0, 10.0, 0.0}, "all of these are tried"


def test_what_earns_nothing_stays_put_wherever_it_would_be_drawn() -> None:
    table = alone((0, 0.2, 0.0, 6.0), (1, 0.3, 0.0, 5.0))
    base = np.full(18, 0.5)
    base[0] = 1.0  # the common threshold, 0.5, is as good
    found = fit(table, base=base, objective=MEAN, shrinkage=50.0)
    assert np.array_equal(found.thresholds, base) and found.default == 0.5


def test_where_the_full_shrinkage_takes_the_gain_away_a_weaker_one_does_not_bring_it_back() -> None:
    table = alone((0, 0.9, 0.0, 6.0), (1, 0.7, 5.0, 0.0), (1, 0.8, 5.0, 0.0))
    base = np.full(18, 0.5)
    assert free(table, 0.5)[0] > 0.9
    found = fit(table, base=base, objective=MEAN, shrinkage=50.0)
    assert np.array_equal(found.thresholds, base) and found.shrinkage == 50.0
