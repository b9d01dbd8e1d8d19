"""Threshold tuning: guarantees, cross-validation, the decision file, forbidden splits, the command."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sealed_files import edit_record

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.tables import PairTable
from s5eval.harness.tuning.closed_form_start import analytic_thresholds, observe_slots
from s5eval.harness.tuning.coordinate_search import fit
from s5eval.harness.tuning.threshold_table import Objective, sweep_table
from s5eval.harness.tuning.tune import tune_tables
from s5eval.systems.decision import Decision, candidate_labels
from s5eval.systems.decision_reading import load_decision

Tables = Callable[..., list[PairTable]]
Call = Callable[..., Any]
BASE = np.full(18, 0.5)


@pytest.mark.parametrize("objective", [Objective(), Objective("mixture_accuracy"), Objective("mix", 0.3)])
@pytest.mark.parametrize("shrinkage", [0.0, 50.0])
def test_never_below_the_untuned_score_on_the_tuning_mixtures(
    make_tables: Tables, objective: Objective, shrinkage: float
) -> None:
    rng = np.random.default_rng(0)
    for seed in range(6):
        tables = make_tables(40, seed)
        sweep = sweep_table(tables, Decision())
        base = BASE if seed % 2 else rng.random(18)
        guess = analytic_thresholds(observe_slots(tables))
        found = fit(sweep, base=base, starts=[] if guess is None else [guess], objective=objective, shrinkage=shrinkage)
        assert objective(sweep.sums(found.thresholds)) >= objective(sweep.sums(base))
        assert ((found.thresholds >= 0) & (found.thresholds <= 1)).all()


def test_the_search_finds_a_threshold_that_is_wrong_on_purpose(make_tables: Tables) -> None:
    tables = make_tables(200, 3)
    sweep = sweep_table(tables, Decision())
    bad = BASE.copy()
    bad[[2, 9]] = 0.02  # two classes all but silenced
    found = fit(sweep, base=bad, objective=Objective(), shrinkage=0.0)
    assert found.thresholds[[2, 9]].min() > 0.1
    assert Objective()(sweep.sums(found.thresholds)) > Objective()(sweep.sums(bad)) + 0.1


def test_ties_stay_at_the_base_value(make_tables: Tables) -> None:
    tables = [table for table in make_tables(60, 4) if not table.reference_labels]
    sweep = sweep_table(tables, Decision())
    # Silent scenes, objective undefined or 0 whatever is done: nothing is moved.
    found = fit(sweep, base=np.full(18, 0.37), objective=Objective("source_accuracy"))
    assert np.array_equal(found.thresholds, np.full(18, 0.37))


@pytest.mark.parametrize("shrinkage", [0.0, 50.0])
def test_the_file_says_of_every_class_what_the_fit_is_judged_by(make_tables: Tables, shrinkage: float) -> None:
    """Of a class that is nowhere, too: without shrinkage it keeps its threshold, with it it gets the common one."""
    tables = [t for t in make_tables(80, 5) if "Speech" not in candidate_labels(t.class_scores, t.labels)]
    base = Decision({"default": 0.5, "Cough": 0.1, "Speech": 0.8})
    sweep, start = sweep_table(tables, base), np.array([base.threshold(label) for label in CLASSES])
    guess = analytic_thresholds(observe_slots(tables))
    assert guess is not None and len(tables) > 20
    found = fit(sweep, base=start, starts=[guess], objective=Objective(), shrinkage=shrinkage)
    written = tune_tables(tables, base=base, objective=Objective(), shrinkage=shrinkage).decision
    assert [written.threshold(label) for label in CLASSES] == found.thresholds.tolist()
    assert written.threshold("Speech") == (found.default if found.shrinkage else 0.8)


def test_rare_classes_are_drawn_to_the_common_threshold(make_tables: Tables) -> None:
    tables = make_tables(150, 5)
    sweep = sweep_table(tables, Decision())
    free = fit(sweep, base=BASE, objective=Objective(), shrinkage=0.0)
    shrunk = fit(sweep, base=BASE, objective=Objective(), shrinkage=50.0)
    if shrunk.shrinkage:
        assert np.std(shrunk.thresholds) < np.std(free.thresholds)
    else:
        assert np.array_equal(shrunk.thresholds, np.round(free.thresholds, 6))


def test_tuning_reports_a_cross_validated_gain(make_tables: Tables) -> None:
    tables = make_tables(300, 7)
    result = tune_tables(tables, base=Decision({"default": 0.1}), objective=Objective(), folds=4)
    untuned, fitted, validated = (result.scores[name]["objective"] for name in ("untuned", "fitted", "cross_validated"))
    assert untuned is not None
    assert fitted is not None
    assert validated is not None
    assert fitted > untuned + 0.3  # 0.1 silences most of what is right
    assert validated > untuned
    assert result.gain["value"] == pytest.approx(
        (result.scores["cross_validated"]["capi_sdri"] or 0) - (result.scores["untuned"]["capi_sdri"] or 0)
    )
    revived = sum(row["revived"] for row in result.classes.values())
    assert revived > sum(row["silenced"] for row in result.classes.values())
    assert sum(row["candidates"] for row in result.classes.values()) == 900


def test_what_cannot_be_tuned_is_refused(make_tables: Tables) -> None:
    tables = make_tables(10, 8)
    with pytest.raises(UsageError, match="`folds` is 11"):
        tune_tables(tables, base=Decision(), objective=Objective(), folds=11)
    for table in tables:
        table.p_silence[:] = 0.0
    with pytest.raises(UsageError, match="no candidate of this run has a silence probability"):
        tune_tables(tables, base=Decision(), objective=Objective())


def forbid(run: Path) -> None:
    forbidden = {"tune": "forbidden", "dataset": "dcase2026", "split": "dev-test"}
    edit_record(run / "run.json", lambda record: record["about"].update(forbidden))


def test_the_command_writes_a_decision_file_that_runs_and_rescoring_use(
    staged_run: Path, staged_set: Path, tmp_path: Path, s5eval: Call, summary: Call
) -> None:
    result = s5eval("tune", staged_run, "--folds", "3")
    assert result.code == 0
    assert "cross-validated" in result.out
    file = staged_run / "thresholds.yaml"
    decision = load_decision(file)
    provenance = decision.provenance or {}
    assert provenance["objective"] == "capi_sdri"
    assert provenance["folds"] == 3
    assert provenance["run"] == "run"
    assert provenance["tuned_on_forbidden"] is False
    rescored, again = tmp_path / "rescored", tmp_path / "again"
    assert s5eval("rescore", staged_run, "--decision", file, "--out", rescored).code == 0
    assert s5eval(
        "run", "--system", "staged:build", "--data", staged_set, "--decision", file, "--out", again
    ).code == 0  # fmt: skip
    assert summary(rescored)["metrics"] == summary(again)["metrics"]
    assert summary(again)["metrics"]["capi_sdri"]["value"] == pytest.approx(provenance["scores"]["fitted"]["capi_sdri"])
    assert summary(again)["tuned_on_forbidden"] is False


def test_a_decision_file_that_was_cut_or_changed_is_refused_wherever_it_is_cut(
    staged_run: Path, tmp_path: Path, s5eval: Call
) -> None:
    file = tmp_path / "thresholds.yaml"
    assert s5eval("tune", staged_run, "--folds", 2, "--out", file).code == 0
    text = file.read_text()
    whole = load_decision(file)
    lines = text.splitlines(keepends=True)
    assert len(lines) > 8
    for kept in range(1, len(lines)):
        file.write_text("".join(lines[:kept]))
        with pytest.raises(UsageError, match="not what was written: cut"):
            load_decision(file)
    file.write_text("".join(lines[1:]))
    with pytest.raises(UsageError, match="not what was written: cut"):
        load_decision(file)
    file.write_text(text.replace("max_sources: 3", "max_sources: 2"))
    result = s5eval("rescore", staged_run, "--decision", file, "--out", tmp_path / "again")
    assert (result.code, "removes its first and its last line" in result.err) == (2, True)
    assert not (tmp_path / "again").exists()
    file.write_text("".join(lines[1:-1]).replace("max_sources: 3", "max_sources: 2"))
    assert load_decision(file).max_sources == 2
    file.write_text(text.replace("\n", "\r\n"))  # as an editor or a transfer may leave it
    assert load_decision(file) == whole


def test_json_and_another_file(staged_run: Path, tmp_path: Path, s5eval: Call) -> None:
    file = tmp_path / "mine.yaml"
    result = s5eval(
        "tune", staged_run, "--out", file, "--json", "--objective", "mix", "--weight", "0.5", "--shrinkage", "0"
    )
    assert result.code == 0
    assert result.json["file"] == str(file)
    assert result.json["decision"] == yaml.safe_load(file.read_text())
    assert result.json["scores"]["fitted"]["objective"] >= result.json["scores"]["untuned"]["objective"]


def test_a_forbidden_split_needs_allow_test_and_leaves_its_mark(
    staged_run: Path, staged_set: Path, tmp_path: Path, s5eval: Call, summary: Call
) -> None:
    forbid(staged_run)
    refused = s5eval("tune", staged_run)
    assert refused.code == 2
    assert "dcase2026/dev-test" in refused.err
    assert not (staged_run / "thresholds.yaml").exists()
    assert "forbidden" in s5eval("tune", staged_run, "--allow-test").out
    file = staged_run / "thresholds.yaml"
    for command in (
        ("run", "--system", "staged:build", "--data", staged_set, "--decision", file),
        ("rescore", staged_run, "--decision", file),
    ):
        out = tmp_path / f"{command[0]}_tuned"
        result = s5eval(*command, "--out", out)
        assert "decision tuned on a forbidden split" in result.out
        assert summary(out)["tuned_on_forbidden"] is True


def test_runs_without_references_or_tables(staged_run: Path, tmp_path: Path, s5eval: Call) -> None:
    assert s5eval("tune", tmp_path / "nothing").code == 2
    next((staged_run / "pairs").glob("*.npz")).write_bytes(b"torn")
    assert s5eval("tune", staged_run).code == 3


def test_several_runs_are_tuned_together(
    staged_run: Path, staged_set: Path, tmp_path: Path, make_set: Callable[..., Path], s5eval: Call
) -> None:
    second = tmp_path / "second"
    others = make_set(tmp_path / "others", {"a": ["Cough"], "b": ["Speech", "Pour"], "c": []}, seconds=0.3)
    assert s5eval("run", "--system", "staged:build", "--data", others, "--out", second).code == 0
    one = s5eval("tune", staged_run, "--folds", 2, "--json").json
    both = s5eval("tune", staged_run, second, "--folds", 2, "--out", tmp_path / "both.yaml", "--json").json
    assert both["n_mixtures"] == one["n_mixtures"] + 3
    assert yaml.safe_load((tmp_path / "both.yaml").read_text())["provenance"]["run"] == [staged_run.name, "second"]
    other = tmp_path / "other"
    words = ("--set", "decision.silence_thresholds.Speech=0.9", "--limit", 3, "--out", other)
    assert s5eval("run", "--system", "staged:build", "--data", staged_set, *words).code == 0
    refused = s5eval("tune", staged_run, other)
    assert (refused.code, "cannot be tuned together" in refused.err) == (2, True)
    refused = s5eval("tune", staged_run, second, "--unlabelled")
    assert (refused.code, "adapts to one RUN" in refused.err) == (2, True)


def test_a_decision_that_was_tuned_on_a_forbidden_split_keeps_its_mark_when_tuned_again(
    staged_run: Path, staged_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    """Where nothing is gained the thresholds are the old ones, and rare classes stay near them in any case."""
    file = tmp_path / "old.yaml"
    file.write_text("silence_thresholds: {default: 0.4}\nprovenance: {tuned_on_forbidden: true}\n")
    run = tmp_path / "with"
    assert s5eval("rescore", staged_run, "--decision", file, "--out", run).code == 0
    shown = s5eval("tune", run, "--folds", 2)
    assert "tuned on a forbidden split" in shown.out
    assert yaml.safe_load((run / "thresholds.yaml").read_text())["provenance"]["tuned_on_forbidden"] is True
    assert "forbidden" not in s5eval("tune", staged_run, "--folds", 2).out


def test_what_the_runs_of_a_tuning_lacked_is_told_by_table_and_later_runs(
    staged_run: Path, staged_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    edit_record(staged_run / "run.json", lambda record: record["about"].update(missing_parts=["an ear"], n_split=40))
    shown = s5eval("tune", staged_run, "--folds", 2).out
    assert "tuned on a run without an ear" in shown and "tuned on a part: PARTIAL" in shown
    words = ("--system", "staged:build", "--data", staged_set, "--decision", staged_run / "thresholds.yaml")
    result = s5eval("run", *words, "--out", tmp_path / "later")
    said = next(line for line in result.out.splitlines() if line.startswith("decision:"))
    assert "on a run without an ear; PARTIAL:" in said and "of the split's 40 mixtures" in result.out.replace(
        "\n  ", " "
    )


def test_folds_by_workers_are_the_same(make_tables: Call) -> None:
    tables = make_tables(40, seed=3)
    alone, shared = (
        tune_tables(tables, base=Decision(), objective=Objective(), folds=3, workers=workers) for workers in (None, 2)
    )
    assert shared.as_dict() == alone.as_dict()
