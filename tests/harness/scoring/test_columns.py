"""The table behind all intervals of a run, against a loop that asks every column about every mixture."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from s5eval.harness.record.reading import read_scores
from s5eval.harness.scoring.columns import all_columns, fractions, member_counts

Call = Callable[..., Any]


def test_the_table_is_what_each_metric_says_of_each_member(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    assert s5eval("score", small_set / "estimate", "--data", small_set, "--out", tmp_path / "run").code == 0
    scored = [score for score in read_scores(tmp_path / "run").values() if score.status == "scored"]
    columns = all_columns(scored)
    literal = np.zeros((len(scored), len(columns), 2))
    members = np.zeros(len(columns), int)
    for row, score in enumerate(scored):
        for k, column in enumerate(columns):
            if column.member(score):
                literal[row, k] = column.metric.fraction(score)
                members[k] += 1
    assert np.array_equal(fractions(scored, columns), literal)
    assert member_counts(scored, columns) == members.tolist()
    assert len(columns) > 30 and 0 < members.min() < members.max() == len(scored) == 5


def test_no_mixture_at_all_makes_an_empty_table() -> None:
    columns = all_columns([])
    assert fractions([], columns).shape == (0, len(columns), 2)
