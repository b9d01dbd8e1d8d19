"""The score of one mixture: what a decision keeps, under its priors too."""

from collections.abc import Callable
from dataclasses import replace

from s5eval.harness.record.tables import PairTable
from s5eval.harness.scoring.mixture import adapted, score_candidates, select
from s5eval.systems.decision import Decision

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
