"""What a rescored run takes over from the run that it is made of, and that nothing half done passes for it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from killed import killed_before
from sealed_files import edit_record

from s5eval.metrics.version import METRIC_VERSION

Call = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("systems_on_path")


@pytest.fixture
def part(small_set: Path, tmp_path: Path, s5eval: Call) -> Path:
    """A run that was interrupted after two of five mixtures."""
    settings = ("--set", "system.interrupt_on=m_2", "--set", "system.slow=0.01")
    words = ("run", "--system", "plugins:build", "--data", small_set, *settings, "--out", tmp_path / "part")
    assert s5eval(*words).code == 130
    return tmp_path / "part"


def record(run: Path) -> Any:
    return json.loads((run / "run.json").read_text())


@pytest.mark.parametrize("command", ["merge", "rescore"])
def test_a_run_that_was_killed_is_not_written_over(
    part: Path, small_set: Path, tmp_path: Path, s5eval: Call, command: str
) -> None:
    edit_record(part / "run.json", status="running", lines=None)
    shards = [tmp_path / "R.1", tmp_path / "R.2"]
    for k, out in enumerate(shards, start=1):
        assert s5eval("run", "--system", "silence", "--data", small_set, "--shard", f"{k}/2", "--out", out).code == 0
    before = (part / "mixtures.jsonl").read_bytes()
    result = s5eval(command, *(shards if command == "merge" else shards[:1]), "--out", part)
    assert (result.code, "holds a run already" in result.err) == (2, True), result.err
    assert ((part / "mixtures.jsonl").read_bytes(), record(part)["about"]["system"]) == (before, "plugins:build")


def test_a_part_stays_one_and_its_mixtures_took_as_long(
    part: Path, tmp_path: Path, s5eval: Call, lines: Call, summary: Call
) -> None:
    seconds = [line["outcome"]["seconds"] for line in lines(part).values()]
    other = tmp_path / "other"
    for run, options in ((part, ()), (other, ("--out", other))):
        assert s5eval("rescore", part, *options).code == 0
        assert (record(run)["status"], record(run)["lines"], summary(run)["status"]) == ("partial", 2, "partial")
        assert [line["outcome"]["seconds"] for line in lines(run).values()] == seconds
        checked = s5eval("check", run, "--json")
        assert (checked.code, checked.json["whole"], checked.json["not_reached"]) == (0, 2, 3)
    assert s5eval("rescore", other).code == 0
    assert record(other)["rescored_from"] == str(part), "in place it is made of the same run as before"


def test_a_rescored_run_knows_its_source_from_any_folder(
    part: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path as it was typed named another run, or none, in what a killed rescoring is told to repeat."""
    monkeypatch.chdir(tmp_path)
    with killed_before("rewrite"):
        s5eval("rescore", "part", "--out", "other")
    monkeypatch.chdir(tmp_path / "part")
    told = s5eval("check", tmp_path / "other")
    assert (told.code, f"repeat it: s5eval rescore {part} --out" in told.err) == (2, True), told.err
    assert s5eval("rescore", part, "--out", tmp_path / "other").code == 0


def test_a_decision_of_forbidden_data_marks_what_is_scored_with_it_alone(
    part: Path, tmp_path: Path, s5eval: Call, summary: Call
) -> None:
    for name, provenance, marked in (("a", "{split: test, tuned_on_forbidden: true}", True), ("b", "null", False)):
        file, source = tmp_path / f"{name}.yaml", part if marked else tmp_path / "a"
        file.write_text(f"silence_thresholds: {{default: 0.4}}\nprovenance: {provenance}\n")
        assert s5eval("rescore", source, "--decision", file, "--out", tmp_path / name).code == 0
        assert summary(tmp_path / name)["tuned_on_forbidden"] is marked


def test_lines_of_before_do_not_pass_for_scored_anew_after_a_kill(part: Path, s5eval: Call) -> None:
    edit_record(part / "run.json", metric_version=0)

    with killed_before("rewrite"):
        s5eval("rescore", part)
    resumed = s5eval("run", "--resume", part, "--system", "plugins:build")
    assert (resumed.code, "was scored by metric version None" in resumed.err) == (2, True), resumed.err
    assert s5eval("rescore", part).code == 0
    assert record(part)["metric_version"] == METRIC_VERSION
