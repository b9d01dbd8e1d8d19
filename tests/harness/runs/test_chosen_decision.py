"""`--set decision.…`: the thresholds switch, single classes, and contradictions."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.runs.chosen_decision import choose_decision, describe_decision, is_tuned_on_forbidden
from s5eval.systems.decision import EXPECTED_SCORE, Decision
from s5eval.systems.expected_score import ExpectedScore
from s5eval.systems.provenance import BEFORE

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
    own = Decision(
        {"default": 1.0},
        2,
        expected_score=ExpectedScore(0.9, 0.6),
        provenance={"objective": EXPECTED_SCORE, "split": "valid"},
    )
    tuned = choose_decision(own, {"thresholds": "tuned"})
    assert (tuned.decision, tuned.thresholds) == (own, "tuned")
    assert tuned.decided_by == "expected score at temperature 0.9 tuned on valid, which came with the system"
    default = choose_decision(own, {"thresholds": "default"})
    assert default.decision == Decision(max_sources=2)
    assert default.decided_by == "threshold 0.5 for every class; at most 2 sources"
    untuned = replace(own, provenance=None)
    assert choose_decision(untuned, {}).decided_by == "expected score at temperature 0.9; at most 2 sources"
    assert choose_decision(untuned, {"thresholds": "tuned"}).decision == Decision(max_sources=2)
    warmer = choose_decision(own, {"expected_score": {"temperature": 1.2}})
    assert warmer.decision.expected_score == ExpectedScore(1.2, 0.6)
    said = "expected score at temperature 1.2; at most 2 sources; set by hand: expected_score.temperature=1.2"
    assert warmer.decided_by == said
    assert choose_decision(own, {"max_sources": 1}).decided_by == f"{tuned.decided_by}; set by hand: max_sources=1"


def test_an_expected_score_that_is_taken_away_or_joined_leaves_thresholds_that_make_sense() -> None:
    own = Decision({"default": 1.0}, expected_score=ExpectedScore(0.9, 0.6), provenance={"split": "valid"})
    plain = choose_decision(own, {"expected_score": None})
    assert plain.decision.silence_thresholds == {"default": 0.5} and plain.decision.expected_score is None
    assert plain.decided_by == "threshold 0.5 for every class; set by hand: expected_score=null"
    both = choose_decision(own, {"silence_thresholds": {"default": 0.5}})
    assert both.decision.expected_score == own.expected_score
    said = "threshold 0.5 for every class, then expected score at temperature 0.9; set by hand: "
    assert both.decided_by == f"{said}silence_thresholds.default=0.5"
    joined = choose_decision(Decision(), {"expected_score": {"temperature": 1.1}})
    assert joined.decision == Decision({"default": 1.0}, expected_score=ExpectedScore(1.1))
    assert joined.decided_by == "expected score at temperature 1.1; set by hand: expected_score.temperature=1.1"
    with pytest.raises(UsageError, match="contradict each other"):
        choose_decision(own, {"thresholds": "default", "expected_score": {"temperature": 1.1}})


def test_what_was_tuned_on_what_is_told_apart() -> None:
    first = {
        "objective": EXPECTED_SCORE,
        "dataset": "mini",
        "split": "valid",
        "cross_validated_gain_db": {"value": 0.07},
    }
    score = Decision({"default": 1.0}, expected_score=ExpectedScore(0.9), provenance=first)
    below = "expected score at temperature 0.9 tuned on mini/valid (+0.07 dB there, cross-validated)"
    assert describe_decision(score, None) == f"{below}, which came with the system"
    thresholds = replace(score, provenance={"objective": "capi_sdri", "split": "real", BEFORE: first})
    assert describe_decision(thresholds, Path("t.yaml")) == f"file t.yaml (thresholds tuned on real, on top of {below})"
    priors = replace(score, provenance={"unlabelled": True, "split": "real", BEFORE: first})
    assert describe_decision(priors, Path("p.yaml")) == f"file p.yaml (priors adapted on real, on top of {below})"
    moving = replace(priors, provenance={**(priors.provenance or {}), "unsettled_after": 500})
    assert "(priors adapted (unsettled after 500 iterations) on real, " in describe_decision(moving, Path("p.yaml"))
    bare = Decision({"default": 0.3, "Speech": 0.4})
    assert (
        describe_decision(bare, Path("b.yaml"))
        == "file b.yaml (thresholds of its own for some classes, no word of where from)"
    )


def test_default_leaves_adapted_priors_with_all_that_is_said_of_them() -> None:
    adapted = {"unlabelled": True, "split": "here", "tuned_on_forbidden": True}
    own = Decision({"default": 0.3}, prior_factors={"Speech": 3.0}, provenance={**adapted, BEFORE: {"split": "valid"}})
    default = choose_decision(own, {"thresholds": "default"})
    assert default.decision == Decision(prior_factors=own.prior_factors, provenance=adapted)
    assert default.decided_by == "threshold 0.5 for every class, priors adapted on here, which came with the system"
    assert is_tuned_on_forbidden(default.decision)
    tuned = choose_decision(default.decision, {"thresholds": "tuned"})
    assert (tuned.thresholds, tuned.missing) == ("default", ("tuned thresholds",)), "priors are no tuned thresholds"
    below = Decision(provenance={"split": "valid", BEFORE: adapted}, prior_factors=own.prior_factors)
    assert is_tuned_on_forbidden(choose_decision(below, {"thresholds": "default"}).decision)


def test_unusual_rules_are_told() -> None:
    strict = Decision(max_sources=1, prior_factors={"Speech": 5.0})
    said = "threshold 0.5 for every class; at most 1 source; priors changed"
    assert choose_decision(strict, {}).decided_by == said
    assert describe_decision(strict, Path("s.yaml")) == f"file s.yaml ({said}, no word of where from)"
    loose = Decision(max_sources=None, duplicate_correlation=0.5)
    said = "threshold 0.5 for every class; any number of sources; duplicates from a correlation of 0.5 on"
    assert choose_decision(loose, {}).decided_by == said


def test_the_threshold_of_one_class_is_not_told_as_that_of_all() -> None:
    own = "thresholds of its own for some classes"
    named = describe_decision(Decision({"Speech": 0.3}), Path("s.yaml"))
    assert named == f"file s.yaml ({own}, no word of where from)"
    beside = Decision({"Speech": 1.0}, expected_score=ExpectedScore(1.0))  # 0.5 for the others, which drops some
    assert choose_decision(beside, {}).decided_by == f"{own}, then expected score at temperature 1"
    same = Decision(dict.fromkeys(CLASSES, 0.3))
    assert choose_decision(same, {}).decided_by == "threshold 0.3 for every class"


@pytest.mark.parametrize("value", ["best", "1", "null"])
def test_other_values_are_refused(run: Call, value: str) -> None:
    result, _ = run(f"decision.thresholds={value}")
    if value == "null":
        assert result.code == 0
    else:
        assert result.code == 2
        assert "expected tuned or default" in result.err


@pytest.mark.parametrize(
    ("name", "meant"), [("Speach", "CLASS; did you mean 'Speech'?"), ("Speech", "Speech=0.4"), ("zzz", "CLASS")]
)
def test_a_class_where_the_switch_is_leads_to_the_thresholds_by_class(name: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_decision(Decision(), {"thresholds": {name: 0.4}})
    assert "expected tuned or default; one threshold for every class" in str(caught.value)
    assert str(caught.value).endswith(f"thresholds by class are decision.silence_thresholds.{meant}")


@pytest.mark.parametrize("key", ["threshold", "thresholds", "silence_thresholds"])
def test_one_threshold_for_all_that_stands_elsewhere_is_told_its_place(key: str) -> None:
    with pytest.raises(UsageError, match=r"decision\.silence_thresholds\.default=0\.35"):
        choose_decision(Decision(), {key: 0.35})
    assert choose_decision(Decision(), {"silence_thresholds": {"default": 0.35}}).decision.threshold("Speech") == 0.35


def test_of_many_values_that_were_set_it_is_said_how_many() -> None:
    chosen = choose_decision(Decision(), {"silence_thresholds": dict.fromkeys(CLASSES, 0.4), "max_sources": None})
    assert chosen.decided_by.endswith("; set by hand: max_sources=null, 18 values of silence_thresholds")


def test_a_file_and_the_switch_contradict_each_other(run: Call, tmp_path: Path, s5eval: Call, staged_set: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_text("silence_thresholds: {default: 0.3}\n")
    result = s5eval(
        "run", "--system", "staged:build", "--data", staged_set, "--decision", file,
        "--set", "decision.thresholds=tuned", "--out", tmp_path / "x",
    )  # fmt: skip
    assert result.code == 2
    assert "contradict" in result.err
