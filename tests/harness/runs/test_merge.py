"""Shards of a run, merged: the same numbers as one run, or a word of what does not fit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sealed_files import edit_record

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.record.config import RunConfig

Call = Callable[..., Any]
SYSTEM = ("--system", "staged:build")

pytestmark = pytest.mark.usefixtures("systems_on_path")


def content(run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Lines by mixture, without their times, and the summary."""
    lines = [json.loads(line) for line in (run / "mixtures.jsonl").read_text().splitlines()]
    summary = {key: value for key, value in json.loads((run / "summary.json").read_text()).items() if key != "sha256"}
    found = {
        line["mixture_id"]: {**line, "outcome": {**line["outcome"], "seconds": 0}, "sha256": "", "number": 0}
        for line in lines
    }
    assert len(found) == len(lines)
    return found, summary


@pytest.fixture
def shards(staged_set: Path, tmp_path: Path, s5eval: Call) -> list[Path]:
    """Five shards of twelve mixtures, with wavs; one mixture fails."""
    runs = [tmp_path / f"R.{k}" for k in range(1, 6)]
    for k, out in enumerate(runs, start=1):
        options = ("--data", staged_set, "--save-audio", "--set", "system.fail=m_05", "--shard", f"{k}/5")
        result = s5eval("run", *SYSTEM, *options, "--out", out)
        assert result.code == (4 if k == 1 else 0), result.err
    return runs


def test_merged_shards_are_as_one_run(staged_set: Path, tmp_path: Path, shards: list[Path], s5eval: Call) -> None:
    whole, merged = tmp_path / "whole", tmp_path / "merged"
    options = ("--data", staged_set, "--save-audio", "--set", "system.fail=m_05", "--out", whole)
    assert s5eval("run", *SYSTEM, *options).code == 4
    result = s5eval("merge", *reversed(shards), "--out", merged)
    assert result.code == 4, result.err
    assert content(merged) == content(whole)
    checked = s5eval("check", merged)
    assert (checked.code, "12 of 12 mixtures are as they were written\n" in checked.out) == (0, True), checked.out
    assert "note:" not in checked.out
    for wav in (whole / "audio").iterdir():
        assert (merged / "audio" / wav.name).read_bytes() == wav.read_bytes()
    records = [json.loads((run / "run.json").read_text()) for run in (whole, merged)]
    for key in (
        "mixtures",
        "mixture_digests",
        "manifest_sha256",
        "manifest_sizes_sha256",
        "n_expected",
        "status",
        "lines",
    ):
        assert records[0][key] == records[1][key]
    assert len(records[1]["sittings"]) == 5
    assert sum(stage["executed"] + stage["reused"] for stage in records[1]["stages"].values()) > 30
    again = s5eval("run", *SYSTEM, "--resume", merged)
    assert again.code == 4, "a merged run goes on like any other: what has failed is tried again"
    assert content(merged) == content(whole)


def test_a_merged_run_that_says_the_lines_of_a_part_is_whole_all_the_same(
    tmp_path: Path, shards: list[Path], s5eval: Call
) -> None:
    assert s5eval("merge", *shards, "--out", tmp_path / "merged").code == 4
    edit_record(tmp_path / "merged" / "run.json", lines=3)
    checked = s5eval("check", tmp_path / "merged", "--json").json
    assert (checked["whole"], checked["not_reached"], checked["notes"]) == (12, 0, [])


def test_what_is_told_of_files_and_of_the_past_is_told_of_all_shards(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    estimates = small_set / "estimate"
    shutil.copy(estimates / "m_1_0_Speech.wav", estimates / "m_3_0_Dishes.wav")
    (estimates / "m_99_0_Speech.wav").write_bytes(b"")
    options = ("run", "--system", "folder", "--set", f"system.path={estimates}", "--data", small_set)
    whole, merged, shards = tmp_path / "whole", tmp_path / "merged", [tmp_path / "R.1", tmp_path / "R.2"]
    assert s5eval(*options, "--out", whole).code == 0
    for k, out in enumerate(shards, start=1):
        assert s5eval(*options, "--shard", f"{k}/2", "--out", out).code == 0
    assert s5eval("merge", *shards, "--out", merged).code == 0
    assert content(merged) == content(whole)
    assert (content(merged)[1]["answered"], content(merged)[1]["findings"]) == (4, {"no-estimate": 1, "orphan": 1})
    found = [sorted(json.loads((run / "run.json").read_text())["findings"]) for run in (whole, merged)]
    assert found[0] == found[1]
    edit_record(shards[1] / "run.json", adopted_unverified=1)
    again = s5eval("merge", *shards, "--out", tmp_path / "again").out
    assert "1 mixture of it made by an earlier version, without digests: unverified" in again


def test_findings_beyond_those_that_are_listed_are_added_up(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    """Both shards count two, and name none of them: they were taken for the same two."""
    shards, findings = [tmp_path / "R.1", tmp_path / "R.2"], {"no-estimate": 2, "orphan": 1}
    for k, out in enumerate(shards, start=1):
        assert s5eval("run", "--system", "silence", "--data", small_set, "--shard", f"{k}/2", "--out", out).code == 0
        edit_record(out / "run.json", lambda record: record["about"].update(findings=findings), findings=["x [orphan]"])
    assert s5eval("merge", *shards, "--out", tmp_path / "merged").code == 0
    assert content(tmp_path / "merged")[1]["findings"] == {"no-estimate": 4, "orphan": 1}


def test_every_sitting_of_a_shard_counts_in_what_the_whole_took(
    tmp_path: Path, shards: list[Path], s5eval: Call
) -> None:
    def begin_earlier(record: dict[str, Any]) -> None:
        record["sittings"].insert(0, {**record["sittings"][0], "seconds": 1000.0})

    edit_record(shards[1] / "run.json", begin_earlier)
    assert s5eval("merge", *shards, "--out", tmp_path / "merged").code == 4
    merged = json.loads((tmp_path / "merged" / "run.json").read_text())
    took = [sitting["seconds"] for sitting in merged["sittings"]]
    assert len(took) == 6 and merged["seconds"] == pytest.approx(sum(took)) and sum(took) > 1000


def test_a_missing_shard_is_named(tmp_path: Path, shards: list[Path], s5eval: Call) -> None:
    result = s5eval("merge", *shards[:1], *shards[2:3], *shards[4:], "--out", tmp_path / "merged")
    assert (result.code, "2 of 5 shards are missing: 2, 4" in result.err) == (3, True)
    assert not (tmp_path / "merged").exists()


def test_an_unfinished_shard_is_named_with_what_goes_on(tmp_path: Path, shards: list[Path], s5eval: Call) -> None:
    journal = shards[2] / "mixtures.jsonl"
    journal.write_text(journal.read_text().splitlines(keepends=True)[0])
    edit_record(shards[2] / "run.json", status="running", lines=None)
    result = s5eval("merge", *shards, "--out", tmp_path / "merged")
    assert (result.code, "shard 3/5, is not finished, 1 of 2 mixtures are missing" in result.err) == (3, True)
    assert f"--resume {shards[2]}" in result.err
    assert s5eval("run", *SYSTEM, "--resume", shards[2]).code == 0
    assert s5eval("merge", *shards, "--out", tmp_path / "merged").code == 4


def test_shards_that_are_damaged_or_of_other_content_or_metrics_are_refused(
    tmp_path: Path, shards: list[Path], s5eval: Call
) -> None:
    digests = json.loads((shards[2] / "run.json").read_text())["mixture_digests"]
    edit_record(shards[2] / "run.json", mixture_digests=[*digests[:-1], "1" * 64])
    result = s5eval("merge", *shards, "--out", tmp_path / "merged")
    assert (result.code, "do not come to the data set that each was cut from" in result.err) == (3, True), result.err
    edit_record(shards[2] / "run.json", mixture_digests=digests)
    next((shards[3] / "pairs").iterdir()).write_bytes(b"PK")
    result = s5eval("merge", *shards, "--out", tmp_path / "merged")
    assert (result.code, str(shards[3]) in result.err, "digest" in result.err) == (3, True, True)
    edit_record(shards[1] / "run.json", metric_version=0)
    result = s5eval("merge", *shards, "--out", tmp_path / "merged")
    assert (result.code, f"{shards[1]} was scored by metric version 0" in result.err) == (2, True), result.err


def test_shards_of_other_runs_are_refused(
    staged_set: Path, tmp_path: Path, shards: list[Path], s5eval: Call, make_set: Call
) -> None:
    other = {
        "options": (staged_set, "--metrics", "all", "--set", "system.fail=m_05", "--save-audio"),
        "fingerprint": (staged_set, "--set", "system.stages=2", "--save-audio"),
        "decision": (staged_set, "--set", "decision.max_sources=1", "--set", "system.fail=m_05", "--save-audio"),
        "data": (make_set(tmp_path / "other", {f"m_{k:02d}": ["Speech"] for k in range(12)}, seconds=0.25),),
        "shards of 4 and of 5": (staged_set, "--shard", "2/4"),
        "both shard 1/5": (staged_set, "--shard", "1/5"),
        "is no shard": (staged_set, "--shard", "1/1"),
    }
    for number, (said, (data, *options)) in enumerate(other.items()):
        run = tmp_path / f"other_{number}"
        shard = () if "--shard" in options else ("--shard", "2/5")
        assert s5eval("run", *SYSTEM, "--data", data, *shard, *options, "--out", run).code == 0
        result = s5eval("merge", shards[0], run, *shards[2:], "--out", tmp_path / "merged")
        assert result.code == 2, (said, result.err)
        assert said in result.err, result.err
    assert not (tmp_path / "merged").exists()


def test_rescored_shards_are_refused_for_those_they_were_made_of(
    tmp_path: Path, shards: list[Path], s5eval: Call
) -> None:
    """Else the merged run passes for a rescoring of the first of them that was not done, half of it written."""
    decision, rescored = tmp_path / "d.yaml", [tmp_path / f"T.{k}" for k in range(1, 6)]
    decision.write_text("max_sources: 1\n")
    for run, out in zip(shards, rescored, strict=True):
        assert s5eval("rescore", run, "--decision", decision, "--out", out).code in (0, 4)
    refused = s5eval("merge", *rescored, "--out", tmp_path / "merged")
    assert refused.code == 2 and f"{rescored[0]} was rescored from {shards[0]}: merge the shards" in refused.err
    assert not (tmp_path / "merged").exists()


def test_a_killed_merge_is_begun_again(tmp_path: Path, shards: list[Path], s5eval: Call) -> None:
    merged = tmp_path / "merged"
    assert s5eval("merge", *shards, "--out", merged).code == 4
    expected = content(merged)
    edit_record(merged / "run.json", status="running")
    (merged / "mixtures.jsonl").unlink()
    shutil.rmtree(merged / "audio")
    assert s5eval("merge", *shards, "--out", merged).code == 4
    assert content(merged) == expected
    done = s5eval("merge", *shards, "--out", merged)
    assert (done.code, "holds a run already" in done.err) == (2, True)


def test_a_shard_may_go_on_as_a_part_that_holds_it(
    staged_set: Path, tmp_path: Path, s5eval: Call, shards: list[Path]
) -> None:
    smaller = s5eval("run", *SYSTEM, "--resume", shards[0], "--shard", "1/3")
    assert (smaller.code, "does not hold 1 mixture done" in smaller.err) == (2, True), smaller.err
    other = shutil.copytree(staged_set, tmp_path / "other")
    shutil.copy(other / "soundscape" / "m_01.wav", other / "soundscape" / "m_00.wav")
    refused = s5eval("run", *SYSTEM, "--resume", shards[0], "--shard", "1/1", "--data", other)
    assert (refused.code, "does not hold the data that" in refused.err) == (3, True), refused.err
    assert s5eval("run", *SYSTEM, "--resume", shards[0], "--shard", "1/1").code == 4
    assert len(content(shards[0])[0]) == 12


def test_more_shards_than_mixtures_are_refused(staged_set: Path, tmp_path: Path, s5eval: Call) -> None:
    result = s5eval("run", *SYSTEM, "--data", staged_set, "--shard", "3/16", "--out", tmp_path / "run")
    assert (result.code, "16 shards of 12 mixtures leave some empty" in result.err) == (2, True)


@pytest.mark.parametrize("word", ["3", "0/4", "5/4", "1/0", "a/b", "1/2/3", "-1/4"])
def test_a_shard_is_k_of_n(word: str) -> None:
    with pytest.raises(UsageError, match="expected K/N with K from 1 to N, such as 3/16"):
        RunConfig("any", shard=word).check()
