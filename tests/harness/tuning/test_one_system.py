"""Scores of one system alone are tuned on together, and a decision is called another's where another one uses it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from sealed_files import edit_record

from s5eval.harness.record.reading import read_run_record

Call = Callable[..., Any]


def decided_by(run: Path) -> str:
    return read_run_record(run).about.decided_by or ""


@pytest.fixture
def other_run(staged_run: Path, staged_set: Path, tmp_path: Path, s5eval: Call) -> Call:
    """`other_run(words…)`: a run like `staged_run`, whose system states the same weights, with other settings."""

    def run(*words: object, system: str = "staged:build") -> Path:
        out = tmp_path / f"other{len(list(tmp_path.glob('other*')))}"
        assert s5eval("run", "--system", system, "--data", staged_set, *words, "--out", out).code == 0
        return out

    return run


@pytest.mark.parametrize(
    ("setting", "told"),
    [("system.af_whisper=false", "stages.stage2.af_whisper is false, not true"), ("system.stages=2", "stages.stage3")],
)
def test_runs_with_and_without_an_encoder_or_a_stage_are_not_tuned_together(
    staged_run: Path, other_run: Call, s5eval: Call, setting: str, told: str
) -> None:
    other = other_run("--set", setting)
    refused = s5eval("tune", staged_run, other)
    assert (refused.code, told in refused.err, "cannot be tuned together" in refused.err) == (2, True, True)
    refused = s5eval("tune", staged_run, "--unlabelled", "--source", other)
    assert (refused.code, told in refused.err, "say nothing of the priors" in refused.err) == (2, True, True)
    assert not (staged_run / "thresholds.yaml").exists()


def test_two_systems_that_state_no_weights_are_told_apart_by_their_names(
    staged_run: Path, other_run: Call, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    import staged

    monkeypatch.setattr(staged, "two", staged.build, raising=False)
    refused = s5eval("tune", staged_run, other_run(system="staged:two"))
    assert (refused.code, 'is "staged:two", not "staged:build"' in refused.err) == (2, True)


@pytest.mark.parametrize("kind", [(), ("--rule", "expected_score"), ("--unlabelled",)])
def test_a_decision_says_where_it_is_used_by_another_system(
    other_run: Call, s5eval: Call, tmp_path: Path, kind: tuple[str, ...]
) -> None:
    file, probable = tmp_path / "mine.yaml", ("--set", "system.probable=true")
    assert s5eval("tune", other_run(*probable), *kind, "--out", file).code == 0
    provenance = yaml.safe_load(file.read_text())["provenance"]
    assert provenance["weights"] == "untrained" and provenance["fingerprint"].startswith("sha256:")
    words = ("--decision", file, *probable)
    here, there = other_run(*words), other_run(*words, "--set", "system.af_whisper=false")
    same, another = decided_by(here), decided_by(there)
    assert " for other weights or settings" in another and "for other" not in same
    for run, said in ((here, same), (there, another)):
        again = tmp_path / f"again_{run.name}"
        assert s5eval("rescore", run, "--decision", file, "--out", again).code == 0
        assert decided_by(again) == said


def test_a_decision_file_of_before_is_told_by_its_weights(probable_run: Path, other_run: Call, tmp_path: Path) -> None:
    file = tmp_path / "old.yaml"
    file.write_text("silence_thresholds: {default: 0.4}\nprovenance: {split: valid, weights: untrained}\n")
    for words in ((), ("--set", "system.af_whisper=false")):
        assert decided_by(other_run("--decision", file, *words)) == "file old.yaml (thresholds tuned on valid)"


def test_a_run_of_before_whose_fingerprint_holds_another_decision_is_of_the_same_system(
    staged_run: Path, tmp_path: Path, make_set: Callable[..., Path], s5eval: Call
) -> None:
    data, other = make_set(tmp_path / "more", {"a": ["Cough"], "b": ["Speech"]}, seconds=0.3), tmp_path / "other"
    assert s5eval("run", "--system", "staged:build", "--data", data, "--out", other).code == 0
    edit_record(other / "run.json", lambda record: record["fingerprint"].update(thresholds="sha256:t"))
    assert s5eval("tune", staged_run, other, "--folds", 2).code == 0
