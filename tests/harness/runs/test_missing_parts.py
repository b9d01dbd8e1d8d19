"""What a system lacks, and who decided, stands beside every number that came of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s5eval.data_manifests.common.errors import DataError
from s5eval.harness.runs.chosen_decision import describe_decision
from s5eval.systems.decision import KEEP_ALL, Decision

Call = Callable[..., Any]
PART = "AF-Whisper (its extra is not installed)"


@pytest.fixture
def lacking(small_set: Path, tmp_path: Path, s5eval: Call, systems_on_path: None) -> tuple[Path, Path, Any]:
    """A run without a part, one with it, and what the first printed."""
    options = ["--system", "plugins:build", "--data", small_set]
    lacks = s5eval(
        "run", *options, "--save-audio", "--out", tmp_path / "lacks", "--set", f'system.missing_parts=["{PART}"]'
    )
    s5eval("run", *options, "--out", tmp_path / "whole")
    return tmp_path / "lacks", tmp_path / "whole", lacks


def test_a_missing_part_stands_in_table_summary_page_and_comparison(lacking: Any, s5eval: Call) -> None:
    lacks, whole, result = lacking
    assert f"WITHOUT {PART}" in result.out.splitlines()[0]
    assert json.loads((lacks / "summary.json").read_text())["missing_parts"] == [PART]
    assert f"without {PART}" in (lacks / "report.html").read_text()
    compared = s5eval("compare", lacks, whole)
    assert f"the systems differ: A is without {PART}" in compared.out
    assert f"WITHOUT {PART}" in compared.out.splitlines()[0]
    assert s5eval("compare", whole, lacks, "--json").json["warnings"] == [f"the systems differ: B is without {PART}"]
    assert f"WITHOUT {PART}" in s5eval("rescore", lacks).out
    same = s5eval("compare", whole, whole)
    assert ("WITHOUT" in same.out, "systems differ" in same.out) == (False, False)


def test_a_submission_of_a_system_that_lacks_a_part_says_so(lacking: Any, s5eval: Call, tmp_path: Path) -> None:
    from s5eval.harness.runs.to_submission import gather_submission

    lacks, _, _ = lacking
    other = shutil.copytree(lacks, tmp_path / "other")
    warnings = gather_submission(lacks, other).warnings
    assert [w.message for w in warnings if w.rule == "missing-part"] == [f"the system was run without {PART}"] * 2


def test_without_its_extra_multistage_is_marked_and_refused_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from s5eval.systems.multistage import encoder_by_name, system

    monkeypatch.setattr(encoder_by_name, "transformers_available", lambda: False)
    small = {"weights": "untrained", "stages": 2}
    assert system.build(small, "cpu").fingerprint()["missing_parts"] == ["AF-Whisper (no weights of it)"]
    assert "missing_parts" not in system.build({**small, "af_whisper": False}, "cpu").fingerprint()
    assert "missing_parts" not in system.build({**small, "stages": 1}, "cpu").fingerprint()
    with pytest.raises(DataError, match=r"no weights of it; give system\.af_whisper_weights=DIR"):
        system.build({**small, "af_whisper": True}, "cpu")
    if (system.SHIPPED / "af_whisper").is_dir():
        assert system.build({"stages": 2}, "cpu").fingerprint()["missing_parts"] == [PART]
        with pytest.raises(DataError, match=r"pip install 's5eval\[af-whisper\]'"):
            system.build({"stages": 2, "af_whisper": True}, "cpu")


def test_tuned_thresholds_that_are_not_there_are_a_missing_part(
    small_set: Path, tmp_path: Path, s5eval: Call, systems_on_path: None
) -> None:
    options = ["--system", "plugins:build", "--data", small_set, "--set", "decision.thresholds=tuned"]
    result = s5eval("run", *options, "--out", tmp_path / "run")
    assert "WITHOUT tuned thresholds" in result.out
    assert "decision: threshold 0.5 for every class" in result.out
    file = tmp_path / "mine.yaml"
    file.write_text("silence_thresholds: {default: 0.4}\n")
    other = s5eval("rescore", tmp_path / "run", "--decision", file, "--out", tmp_path / "other")
    assert "WITHOUT" not in other.out, "they were asked of the decision that is replaced"
    tuned = s5eval("tune", tmp_path / "run", "--folds", "2", "--json").json["decision"]
    assert "missing_parts" not in tuned["provenance"]


def test_table_page_and_comparison_say_who_decided(
    small_set: Path, tmp_path: Path, s5eval: Call, systems_on_path: None
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("silence_thresholds: {default: 0.4}\nprovenance: {dataset: mini, split: valid, weights: other}\n")
    options = ["--system", "plugins:build", "--data", small_set, "--decision", file, "--set", "decision.max_sources=2"]
    result = s5eval("run", *options, "--out", tmp_path / "run")
    said = "file mine.yaml (thresholds tuned on mini/valid for other weights or stages); set by hand: max_sources=2"
    assert f"decision: {said}" in result.out.splitlines()
    assert said in (tmp_path / "run" / "report.html").read_text()
    assert said in s5eval("compare", tmp_path / "run", tmp_path / "run").out
    other = s5eval("rescore", tmp_path / "run", "--decision", file, "--out", tmp_path / "again")
    assert (
        "decision: file mine.yaml (thresholds tuned on mini/valid for other weights or stages)"
        in other.out.splitlines()
    )


def test_a_decision_is_described_by_where_its_thresholds_come_from() -> None:
    tuned = Decision({"default": 0.3}, provenance={"dataset": "mini", "split": "valid", "weights": "w"})
    assert describe_decision(tuned, None, weights="w") == "thresholds tuned on mini/valid, which came with the system"
    assert "for other weights or stages" in describe_decision(tuned, None, weights="v")
    both = Decision({"default": 0.3}, provenance={"dataset": ["mini", "folder"], "split": ["valid", "folder"]})
    assert describe_decision(both, None).startswith("thresholds tuned on mini/valid and a folder, which")
    valid = Decision({"default": 0.3}, provenance={"dataset": "mini", "split": ["valid", "train"]})
    assert describe_decision(valid, None).startswith("thresholds tuned on mini/valid and mini/train, which")
    earned = Decision({"default": 0.3}, provenance={"split": "valid", "cross_validated_gain_db": {"value": 0.314}})
    assert describe_decision(earned, None).startswith("thresholds tuned on valid (+0.31 dB there, cross-validated), ")
    for gain in (None, {}, {"value": None}, {"value": "much"}, {"value": True}, 3.0):
        said = describe_decision(Decision({}, provenance={"split": "valid", "cross_validated_gain_db": gain}), None)
        assert said == "thresholds tuned on valid, which came with the system"
    assert describe_decision(Decision(), None) == "threshold 0.5 for every class"
    assert describe_decision(KEEP_ALL, None) == "every candidate is an estimate"
    assert describe_decision(Decision({"default": 0.2}), None) == "threshold 0.2 for every class"
    assert (
        describe_decision(Decision(), Path("a/b.yaml"))
        == "file b.yaml (threshold 0.5 for every class, no word of where from)"
    )
