"""What a board of thresholds keeps between questions, and what it hands on to a fit and to a file."""

from dataclasses import replace
from typing import Any

import pytest
import yaml
from viewing import Made, key


def board_of(made: Made, **changes: Any) -> Any:
    from s5eval.harness.view.runs import ViewedRun
    from s5eval.harness.view.thresholds import Board

    run: Any = ViewedRun(key(made.staged), made.staged).snapshot()
    decision = replace(run.record.decision, **changes)
    return Board(replace(run, record=replace(run.record, decision=decision)))


def test_what_is_compared_with_is_drawn_anew_where_it_is_another(made: Made) -> None:
    asked, own = {"default": 0.9, "Speech": 0.1}, {"default": 0.2}
    fresh = {against: board_of(made, silence_thresholds=own).evaluate(asked, against) for against in ("run", "0.5")}
    parts = [fresh[against]["metrics"]["capi_sdri"]["delta_low"] for against in fresh]
    assert parts[0] != parts[1], "else any would do"
    kept = board_of(made, silence_thresholds=own)
    for against in ("run", "0.5", "run"):
        assert kept.evaluate(asked, against) == fresh[against]


def test_recordings_that_mixtures_share_stay_together_in_the_fit(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    def fit(tables: Any, **named: Any) -> None:
        told.update(named, tables=len(tables))
        raise InterruptedError

    monkeypatch.setattr("s5eval.harness.view.thresholds.tune_tables", fit)
    monkeypatch.setattr("s5eval.harness.view.thresholds.recordings_in", lambda record, ids: list(ids))
    board = board_of(made)
    with pytest.raises(InterruptedError):
        board.optimum()
    assert told["recordings"] == board.ids and told["tables"] == len(board.ids) == 5
    assert (told["folds"], told["base"]) == (5, board.base)


def test_a_file_that_is_moved_from_a_fitted_one_tells_of_that_fit(copied: Made) -> None:
    board = board_of(copied, provenance={"tuned_on": "elsewhere", "tuned_on_forbidden": True})
    told = yaml.safe_load(board.save({"default": 0.4}, "mine.yaml").read_text())["provenance"]
    assert told["on_top_of"] == {"tuned_on": "elsewhere", "tuned_on_forbidden": True}


def test_a_damaged_table_is_left_out_by_name(copied: Made) -> None:
    (copied.staged / "pairs" / "m_2.npz").write_bytes(b"x")
    board = board_of(copied)
    assert board.unread == ["m_2"] and board.ids == ["m_1", "m_10", "m_3", "m_4"]
    told = board.evaluate({"default": 1.0})["counts"]
    assert told["mixtures"] == 4 and told["right"] + told["missed"] == 4, "references of what was read"
