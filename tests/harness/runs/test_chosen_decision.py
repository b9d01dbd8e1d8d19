"""`--set decision.…`: the thresholds switch, single classes, and contradictions."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s5eval.harness.runs.chosen_decision import choose_decision
from s5eval.systems.decision import Decision
from s5eval.systems.expected_score import ExpectedScore

Call = Callable[..., Any]


@pytest.fixture
def run(systems_on_path: None, staged_set: Path, tmp_path: Path, s5eval: Call) -> Call:
    def call(*options: object) -> tuple[Any, Any]:
        out = tmp_path / f"run_{len(list(tmp_path.iterdir()))}"
        result = s5eval(
            "run", "--system", "staged:build", "--data", staged_set, "--limit", 2, "--out", out,
            *(part for option in options for part in ("--set", option)),
        )  # fmt: skip
        record = json.loads((out / "run.json").read_text()) if result.code == 0 else None
        return result, record

    return call


def test_tuned_takes_the_thresholds_that_came_with_the_weights(run: Call) -> None:
    _, record = run("system.tuned=true", "decision.thresholds=tuned")
    assert record["decision"]["silence_thresholds"] == {"default": 0.6, "Speech": 0.7}
    assert record["about"]["thresholds"] == "tuned"


def test_default_leaves_them_aside(run: Call) -> None:
    _, record = run("system.tuned=true", "decision.thresholds=default")
    assert record["decision"]["silence_thresholds"] == {"default": 0.5}
    assert record["decision"]["provenance"] is None
    assert record["about"]["thresholds"] == "default"


def test_tuned_without_tuned_thresholds_is_default_and_says_so(run: Call) -> None:
    _, record = run("decision.thresholds=tuned")
    assert record["decision"]["silence_thresholds"] == {"default": 0.5}
    assert record["about"]["thresholds"] == "default"
    assert record["about"]["missing_parts"] == ["tuned thresholds"]


def test_nothing_is_said_when_nothing_was_asked(run: Call) -> None:
    _, record = run("system.tuned=true")
    assert record["decision"]["silence_thresholds"] == {"default": 0.6, "Speech": 0.7}
    assert record["about"]["thresholds"] is None


def test_one_class_joins_the_others(run: Call) -> None:
    _, record = run("system.tuned=true", "decision.silence_thresholds.Cough=0.2", "decision.max_sources=2")
    assert record["decision"]["silence_thresholds"] == {"default": 0.6, "Speech": 0.7, "Cough": 0.2}
    assert record["decision"]["max_sources"] == 2


def test_an_expected_score_goes_with_the_thresholds_it_stands_for() -> None:
    own = Decision({"default": 1.0}, 2, expected_score=ExpectedScore(0.9, 0.6), provenance={"split": "valid"})
    tuned = choose_decision(own, {"thresholds": "tuned"})
    assert (tuned.decision, tuned.thresholds) == (own, "tuned")
    assert tuned.decided_by == "expected score at temperature 0.9 tuned on valid, which came with the system"
    default = choose_decision(own, {"thresholds": "default"})
    assert default.decision == Decision(max_sources=2)
    assert default.decided_by == "threshold 0.5 for every class"
    untuned = replace(own, provenance=None)
    assert choose_decision(untuned, {}).decided_by == "by the expected score at temperature 0.9"
    assert choose_decision(untuned, {"thresholds": "tuned"}).decision == Decision(max_sources=2)
    warmer = choose_decision(own, {"expected_score": {"temperature": 1.2}}).decision
    assert warmer.expected_score == ExpectedScore(1.2, 0.6)
    assert choose_decision(own, {"expected_score": None}).decision.expected_score is None


@pytest.mark.parametrize("value", ["best", "1", "null"])
def test_other_values_are_refused(run: Call, value: str) -> None:
    result, _ = run(f"decision.thresholds={value}")
    if value == "null":
        assert result.code == 0
    else:
        assert result.code == 2
        assert "expected tuned or default" in result.err


def test_a_file_and_the_switch_contradict_each_other(run: Call, tmp_path: Path, s5eval: Call, staged_set: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_text("silence_thresholds: {default: 0.3}\n")
    result = s5eval(
        "run", "--system", "staged:build", "--data", staged_set, "--decision", file,
        "--set", "decision.thresholds=tuned", "--out", tmp_path / "x",
    )  # fmt: skip
    assert result.code == 2
    assert "contradict" in result.err
