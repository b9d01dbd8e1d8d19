"""A cross-validated gain that rests on too little says so wherever it is shown."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from s5eval.harness.record.tables import PairTable
from s5eval.harness.runs.chosen_decision import describe_decision
from s5eval.harness.scoring.paired import too_few
from s5eval.harness.tuning.expected_tuning import tune_expected_score
from s5eval.harness.tuning.threshold_curves import tuning_curves, tuning_figure
from s5eval.harness.tuning.threshold_table import Objective
from s5eval.harness.tuning.tune import tune_runs, tune_tables
from s5eval.harness.tuning.tune_result import TuneResult, _paired_gain
from s5eval.harness.tuning.tuned_table import tuning_table
from s5eval.systems.decision import Decision

Tables = Callable[..., list[PairTable]]

ALMOST_SILENT = Decision({"default": 0.02})


def by_one(
    tables: list[PairTable], recordings: list[frozenset[str]] | None, objective: str = "capi_sdri"
) -> TuneResult:
    return tune_tables(
        tables,
        base=ALMOST_SILENT,
        objective=Objective(objective),  # type: ignore[arg-type]
        folds=3,
        recordings=recordings,
    )


def rows(values: list[float]) -> np.ndarray:
    """(N, 6), of mixtures with these CAPI-SDRi."""
    return np.array([(value, 1.0, 0.0, 1.0, 0.0, 1.0) for value in values])


def test_a_gain_of_a_handful_of_mixtures_says_so_everywhere(made_run: Callable[..., Path], tmp_path: Path) -> None:
    run = made_run("few", 5, threshold=0.02)
    result = tune_runs(run, folds=5)
    changed = result.gain["changed"]
    assert isinstance(changed, int) and 0 < changed <= 5
    words = f"only {changed} mixtures changed"
    assert result.too_few == words == result.as_dict()["too_few"]
    assert f"{words}: so few can all fall to one side by chance, whatever the interval says\n" in tuning_table(result)
    assert words in repr(result)
    assert f" dB there, {words}, cross-validated)" in describe_decision(result.decision, None)
    drawn = tuning_figure(tuning_curves([run], result.decision), result)
    assert words in drawn.get_suptitle().replace("\n", " ")


def test_a_gain_of_many_mixtures_has_no_such_word(make_tables: Tables) -> None:
    result = by_one(make_tables(60, 5), None)
    assert (result.too_few, result.as_dict()["too_few"]) == ("", None)
    assert "only" not in tuning_table(result)


def test_many_mixtures_of_few_recordings_are_few(make_tables: Tables) -> None:
    tables = [table for table in make_tables(90, 5) if table.reference_labels]
    heard = [frozenset({f"r{k % 3}"}) for k in range(len(tables))]
    result = by_one(tables, heard)
    assert (result.gain["recordings"], result.gain["empty"]) == (3, 0)
    assert result.too_few == "only 3 recordings in all that changed"
    own = by_one(tables, [frozenset({str(k)}) for k in range(len(tables))])
    assert own.too_few == "" and own.gain["recordings"] == own.gain["changed"]


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        ({"changed": 0, "recordings": 0, "empty": 0}, ""),
        ({"changed": 5}, "only 5 mixtures changed"),
        ({"changed": 6}, ""),
        ({"changed": 1, "recordings": 1, "empty": 0}, "only 1 mixture changed"),
        (
            {"changed": 9, "recordings": 1, "empty": 4},
            "only 1 recording and 4 scenes without a target in all that changed",
        ),
        ({"changed": 9, "recordings": 2, "empty": 4}, ""),
        ({"changed": 9, "recordings": None, "empty": None}, ""),
        ({"changed": True}, ""),
        ({"changed": "3"}, ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_the_words(gain: dict[str, object], words: str) -> None:
    assert too_few(gain) == words


def test_what_changed_is_counted_in_what_the_objective_is_made_of() -> None:
    before, after = rows([1.0] * 8), rows([1.0] * 5 + [2.0] * 3)
    after[0, 4] = after[1, 2] = 1.0  # a source, and a mixture's labels
    names = ("capi_sdri", "mixture_accuracy", "source_accuracy", "mix")
    assert [_paired_gain(before, after, Objective(name), None)["changed"] for name in names] == [3, 1, 1, 4]  # type: ignore[arg-type]
    heard = [frozenset({"a"})] * 6 + [frozenset({"b"}), frozenset()]
    found = _paired_gain(before, after, Objective(), heard)
    assert (found["recordings"], found["empty"]) == (2, 1)
    some = _paired_gain(before, after, Objective(), [*heard[:5], None, *heard[6:]])
    assert (some["changed"], some["recordings"], some["empty"]) == (3, None, None)


def test_an_expected_score_has_the_word_too(make_tables: Tables) -> None:
    tables = [
        replace(table, class_scores=table.class_scores / table.class_scores.sum(axis=1, keepdims=True))
        for table in make_tables(5, 3)
    ]
    result = tune_expected_score(tables, base=ALMOST_SILENT, folds=2)
    assert result.too_few.startswith("only ") and result.too_few in tuning_table(result)
