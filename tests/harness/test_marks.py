"""What a reader must know of a number stands beside it wherever the number is shown: every mark, every reader."""

import json
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sealed_files import as_version_1, edit_record

from s5eval.data_manifests.common.digests import digest_text
from s5eval.harness.record.fitted_mixtures import KEY, fitted_here
from s5eval.harness.record.run_record import DataFacts
from s5eval.harness.runs.rescore import rescore

Call = Callable[..., Any]
Runs = Mapping[str, Path]


@pytest.fixture
def runs(small_set: Path, tmp_path: Path, s5eval: Call, systems_on_path: None) -> Runs:
    """Three runs of one system: on the whole set, on a part, and without one of its parts."""
    options = ("run", "--system", "plugins:build", "--data", small_set)
    lacking = ("--set", 'system.missing_parts=["an ear"]')
    found = {}
    for name, more in (("whole", ()), ("part", ("--limit", 2)), ("lacking", lacking)):
        found[name] = tmp_path / "runs" / name
        assert s5eval(*options, *more, "--out", found[name]).code == 0
    return found


def listed(s5eval: Call, run: Path) -> Any:
    (entry,) = s5eval("runs", run, "--json").json
    return entry


def test_the_list_of_runs_says_what_is_a_part_and_what_lacks_one(runs: Runs, s5eval: Call) -> None:
    assert listed(s5eval, runs["whole"])["marks"] == []
    assert listed(s5eval, runs["part"])["marks"] == ["PARTIAL: 2 of the split's 5 mixtures"]
    assert listed(s5eval, runs["lacking"])["marks"] == ["WITHOUT an ear", 'set: system.missing_parts=["an ear"]']
    shown = s5eval("runs", runs["part"].parent).out
    assert "PARTIAL: 2 of the split's 5 mixtures" in shown and "WITHOUT an ear" in shown


def test_the_list_of_runs_shows_no_number_that_was_not_written(runs: Runs, s5eval: Call) -> None:
    summary = runs["whole"] / "summary.json"
    value = json.loads(summary.read_text())["metrics"]["capi_sdri"]["value"]
    summary.write_text(summary.read_text().replace(str(value), str(value + 1)))
    entry = listed(s5eval, runs["whole"])
    assert entry["metrics"] == {} and "does not match its digest" in entry["marks"][0]


def test_equal_marks_are_told_once(runs: Runs, s5eval: Call, small_set: Path) -> None:
    again = runs["part"].with_name("again")
    s5eval("run", "--system", "plugins:build", "--data", small_set, "--limit", 2, "--out", again)
    assert s5eval("runs", runs["part"].parent).out.count("PARTIAL: 2 of") == 1


def test_what_is_unverified_is_marked_in_table_list_and_comparison(runs: Runs, s5eval: Call) -> None:
    run = runs["whole"]
    as_version_1(run)
    assert any("unverified" in mark for mark in listed(s5eval, run)["marks"])
    assert "unverified" in s5eval("compare", run, runs["whole"]).out
    shown = s5eval("rescore", run)
    assert shown.code == 0
    assert "5 mixtures of it made by an earlier version, without digests: unverified" in shown.out
    assert "unverified" in json.loads((run / "summary.json").read_text())["unverified"]
    assert any("unverified" in mark for mark in listed(s5eval, run)["marks"])


def test_settings_stand_beside_the_name_of_the_system(runs: Runs, s5eval: Call, small_set: Path) -> None:
    """Two runs of one name and one digest of weights are told apart."""
    out = runs["whole"].with_name("set")
    result = s5eval("run", "--system", "plugins:build", "--data", small_set, "--set", "system.depth=2", "--out", out)
    assert result.out.startswith("plugins:build | set: system.depth=2 | weights:")
    assert "set: system.depth=2" in (out / "report.html").read_text()
    compared = s5eval("compare", runs["whole"], out).out.splitlines()
    assert ["set: system.depth=2" in line for line in compared[:2]] == [False, True]


def test_a_part_that_was_rescored_and_killed_ends_as_it_was(runs: Runs) -> None:
    """Killed between its first and its last word, a rescoring leaves the status `running`."""
    path = runs["part"] / "run.json"
    edit_record(path, status="running", metric_version=None)
    rescore(runs["part"])
    assert json.loads(path.read_text())["status"] == "complete"


def test_check_shows_names_escaped_and_json_stays_json(runs: Runs, s5eval: Call) -> None:
    stranger = runs["whole"] / "pairs" / "\x1b[31mred.npz"
    stranger.write_bytes(b"")
    shown = s5eval("check", runs["whole"])
    assert "\x1b" not in shown.out and "\\x1b[31mred" in shown.out
    next((runs["whole"] / "pairs").glob("m_*.npz")).unlink()
    repaired = s5eval("check", runs["whole"], "--repair", "--system", "plugins:build", "--json")
    assert (repaired.json["ok"], len(repaired.json["repaired"])) == (True, 1)


def test_a_loaded_system_says_what_it_lacks(systems_on_path: None) -> None:
    import s5eval

    with pytest.warns(UserWarning, match="loaded without an ear"):
        system = s5eval.load_system("plugins:build", missing_parts=["an ear"])
    assert system.missing_parts == ("an ear",)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert s5eval.load_system("plugins:build").missing_parts == ()


def test_what_a_loaded_system_proposes_is_checked(systems_on_path: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import s5eval

    system = s5eval.load_system("plugins:build")
    monkeypatch.setattr(system.system, "propose", lambda mixtures: None)
    with pytest.raises(s5eval.DataError, match="expected a list of Candidates"):
        system.propose(np.zeros((4, 3200), np.float32))


def test_a_relative_run_is_repaired_although_its_system_changes_the_folder(
    runs: Runs, s5eval: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import plugins

    propose = plugins.Omni.propose
    monkeypatch.setattr(plugins.Omni, "propose", lambda self, mixtures: (os.chdir("/"), propose(self, mixtures))[1])
    monkeypatch.chdir(tmp_path)
    next((runs["whole"] / "pairs").glob("m_*.npz")).unlink()
    repaired = s5eval("check", "runs/whole", "--repair", "--system", "plugins:build")
    assert (repaired.code, "runs/whole: complete, 5 of 5" in repaired.out) == (0, True)


def test_a_decision_that_was_fitted_to_what_it_is_scored_on_says_so(
    small_set: Path, tmp_path: Path, s5eval: Call, systems_on_path: None
) -> None:
    """In the table, the list and a comparison; for a part, and for shards."""
    first, file, tuned = tmp_path / "first", tmp_path / "t.yaml", tmp_path / "tuned"
    options = ("run", "--system", "staged:build", "--data", small_set)
    assert s5eval(*options, "--out", first).code == 0
    assert s5eval("tune", first, "--folds", 2, "--out", file).code == 0
    mark = "decision fitted to these mixtures"
    assert mark in s5eval("rescore", first, "--decision", file, "--out", tuned).out.splitlines()[0]
    assert mark in listed(s5eval, tuned)["marks"] and mark not in listed(s5eval, first)["marks"]
    assert [mark in line for line in s5eval("compare", first, tuned).out.splitlines()[:2]] == [False, True]
    again = s5eval("tune", tuned, "--folds", 2)
    assert "the decision of before was fitted to these mixtures: its row is too high" in again.out
    assert "fitted to these" not in s5eval("tune", first, "--folds", 2).out

    part = tmp_path / "part"
    assert mark in s5eval(*options, "--limit", 2, "--decision", file, "--out", part).out
    shards = [tmp_path / f"shard{k}" for k in (1, 2)]
    for k, shard in enumerate(shards, start=1):
        assert mark in s5eval(*options, "--decision", file, "--shard", f"{k}/2", "--out", shard).out
    assert mark in s5eval("merge", *shards, "--out", tmp_path / "merged").out

    plain, of_part, whole = tmp_path / "plain", tmp_path / "of_part.yaml", tmp_path / "whole"
    assert s5eval(*options, "--limit", 2, "--out", plain).code == 0
    assert s5eval("tune", plain, "--folds", 2, "--out", of_part).code == 0
    some = s5eval("rescore", first, "--decision", of_part, "--out", whole).out
    assert "decision fitted to 2 of these mixtures" in some.splitlines()[0]


def test_records_of_before_are_recognised_by_all_mixtures_or_none() -> None:
    facts = DataFacts(manifest_sha256="a" * 64, mixtures=("m", "n"), mixture_digests=("b" * 64, "c" * 64))
    assert fitted_here(None, facts) == 0
    assert fitted_here({"manifest_sha256": "a" * 64}, facts) == 2
    assert fitted_here({"manifest_sha256": ["d" * 64, "a" * 64]}, facts) == 2
    assert fitted_here({"manifest_sha256": "d" * 64}, facts) == 0
    assert fitted_here({"manifest_sha256": "a" * 64, "unlabelled": True}, facts) == 0, "priors have seen no reference"
    listed_ones = {"manifest_sha256": "d" * 64, KEY: digest_text(["c" * 64, "e" * 64])}
    assert fitted_here(listed_ones, facts) == 1
    assert fitted_here({"unlabelled": True, "on_top_of": listed_ones}, facts) == 1


def test_scores_that_are_no_probabilities_are_not_taken_for_such(
    small_set: Path, tmp_path: Path, s5eval: Call, systems_on_path: None
) -> None:
    """By an expected score, and by priors; in a run and in a rescoring."""
    run, file = tmp_path / "run", tmp_path / "d.yaml"
    options = ("run", "--system", "staged:build", "--data", small_set)
    assert s5eval(*options, "--out", run).code == 0
    for rule in ("expected_score: {temperature: 1.0, usual_share: 0.7}", "prior_factors: {Speech: 2.0}"):
        file.write_text(f"{rule}\n")
        refused = s5eval("rescore", run, "--decision", file, "--out", tmp_path / "again")
        assert refused.code != 0 and "take class scores for probabilities" in refused.err
        shown = s5eval(*options, "--decision", file, "--out", tmp_path / rule[:4])
        assert shown.code == 4 and "take class scores for probabilities" in shown.err + shown.out
