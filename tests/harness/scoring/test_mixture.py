"""The score of one mixture: what a decision keeps, under its priors too."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from s5eval.harness.record.tables import PairTable
from s5eval.harness.scoring.mixture import adapted, score_candidates, select
from s5eval.metrics.sdr import EPSILON, pairwise_sdr
from s5eval.systems.decision import KEEP_ALL, Decision
from s5eval.systems.interface import sure_scores

Tables = Callable[..., list[PairTable]]


def test_a_score_under_priors_is_that_of_the_adapted_table(make_tables: Tables) -> None:
    plain = Decision({"default": 0.5})
    weighted = replace(plain, prior_factors={"silence": 40.0, "Speech": 3.0})
    moved = 0
    for made in make_tables(40):
        scores = made.class_scores / made.class_scores.sum(axis=1, keepdims=True)
        table = replace(made, class_scores=scores)
        score = score_candidates("m", table, weighted)
        assert score == score_candidates("m", adapted(table, weighted), plain)
        kept = [(s.index, s.label) for s in select(table, weighted)]
        assert [(s.index, s.label) for s in score.estimates] == kept
        moved += score != score_candidates("m", table, plain)
    assert moved


SOUND, OTHER = np.eye(2, 8)


def flags(estimates: list[np.ndarray], references: list[np.ndarray]) -> list[str]:
    """Of a mixture that holds nothing but the other sound; all is of one class."""
    labels = ["Cough"] * len(estimates)
    tables = pairwise_sdr(estimate=np.stack(estimates), reference=np.stack(references), mixture=OTHER)
    table = PairTable(tables, *sure_scores(labels), tuple(labels), ("Cough",) * len(references))
    return [str(flag) for flag in score_candidates("m", table, KEEP_ALL).flags]


@pytest.mark.parametrize(
    ("estimates", "expected"),
    [
        ([1e-6 * SOUND, -0.5 * SOUND], []),
        ([0.5 * SOUND, 0 * SOUND, 0 * SOUND], ["silent-estimate:1", "silent-estimate:2"]),
        ([SOUND], ["perfect-estimate:0"]),
        ([SOUND + np.sqrt(0.9 * EPSILON) * OTHER], ["perfect-estimate:0"]),
        ([SOUND + np.sqrt(1.1 * EPSILON) * OTHER], []),
        ([999 * SOUND], []),
        ([0.5 * SOUND, 1001 * SOUND], ["over-scale:1"]),
    ],
)
def test_an_estimate_is_flagged_for_what_it_is_and_not_for_what_it_is_nearly(
    estimates: list[np.ndarray], expected: list[str]
) -> None:
    assert flags(estimates, [SOUND]) == expected


def test_a_reference_is_silent_up_to_the_energy_that_is_added_to_every_one() -> None:
    for energy, silent in ((0.0, True), (0.9 * EPSILON, True), (1.1 * EPSILON, False)):
        found = flags([0.5 * SOUND], [SOUND, np.sqrt(energy) * SOUND])
        assert found == ["silent-reference:1"] * silent, energy
