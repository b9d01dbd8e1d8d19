"""The sweep table against scoring mixture by mixture, exactly."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.tables import PairTable
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.harness.tuning.threshold_table import Objective, sweep_table
from s5eval.systems.decision import Decision
from s5eval.systems.expected_score import ExpectedScore

Tables = Callable[..., list[PairTable]]


def with_thresholds(thresholds: np.ndarray, base: Decision) -> Decision:
    values = {label: float(value) for label, value in zip(CLASSES, thresholds, strict=True)}
    return replace(base, silence_thresholds=values)


def rescored(tables: list[PairTable], decision: Decision) -> np.ndarray:
    rows = []
    for table in tables:
        score = score_candidates("m", table, decision)
        counts = score.labels
        assert counts is not None
        defined = (0.0, 0.0) if score.capi_sdri is None else (score.capi_sdri, 1.0)
        rows.append((*defined, float(score.exact), 1.0, counts.tp, counts.tp + counts.fp + counts.fn))
    return np.array(rows, float)


@pytest.mark.parametrize(
    "base",
    [
        Decision(),
        Decision(max_sources=1),
        Decision(duplicate_correlation=None),
        Decision(max_sources=None),
        Decision(max_sources=None, duplicate_correlation=None, expected_score=ExpectedScore(0.8)),
    ],
    ids=["default", "one source", "duplicates stay", "no maximum", "expected score"],
)
def test_fifty_random_threshold_sets_equal_full_rescoring_exactly(make_tables: Tables, base: Decision) -> None:
    tables = make_tables(20, 1) + make_tables(6, 2, 5)
    if base.needs_probabilities:
        sums = [table.class_scores.sum(axis=1, keepdims=True) for table in tables]
        tables = [replace(t, class_scores=t.class_scores / s) for t, s in zip(tables, sums, strict=True)]
    sweep = sweep_table(tables, base)
    rng = np.random.default_rng(3)
    observed = np.concatenate([table.p_silence for table in tables])
    for trial in range(50):
        # Half of the sets are observed probabilities, where "exceeds" and "reaches" differ.
        thresholds = rng.random(18) if trial % 2 else rng.choice(observed, 18)
        expected = rescored(tables, with_thresholds(thresholds, base))
        assert np.array_equal(sweep.scores(thresholds), expected)
        assert np.array_equal(sweep.sums(thresholds), expected.sum(axis=0))


def test_a_sweep_over_one_class_is_every_threshold_that_matters(make_tables: Tables) -> None:
    tables = make_tables(80, 4)
    sweep = sweep_table(tables, Decision())
    thresholds = np.random.default_rng(5).random(18)
    for label in (0, 7, 17):
        edges, sums = sweep.sweep(thresholds, label)
        assert edges[0] == -np.inf
        assert (np.diff(edges) > 0).all()
        for edge, row in zip(edges, sums, strict=True):
            changed = thresholds.copy()
            changed[label] = edge
            assert sweep.sums(changed) == pytest.approx(row, abs=1e-9)


def test_restricting_keeps_the_mixtures_named(make_tables: Tables) -> None:
    tables = make_tables(30, 6)
    sweep = sweep_table(tables, Decision())
    kept = np.array([3, 4, 20])
    thresholds = np.random.default_rng(7).random(18)
    assert np.array_equal(sweep.restrict(kept).scores(thresholds), sweep.scores(thresholds)[kept])


def test_too_many_combinations_are_refused(make_tables: Tables) -> None:
    with pytest.raises(DataError, match="16 candidates"):
        sweep_table(make_tables(40, 8, 16), Decision())


def test_objectives() -> None:
    sums = np.array([30.0, 10.0, 4.0, 8.0, 3.0, 4.0])
    assert Objective()(sums) == 3.0
    assert Objective("mixture_accuracy")(sums) == 50.0
    assert Objective("source_accuracy")(sums) == 75.0
    assert Objective("mix", 0.2)(sums) == pytest.approx(3.0 + 0.2 * 50)
    assert Objective()(np.zeros(6)) == -np.inf
