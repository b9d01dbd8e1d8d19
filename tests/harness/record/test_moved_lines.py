"""Lines that stand twice, or in another order, are refused by everything that reads the run; `--resume` redoes them."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sealed_files import edit_record

Call = Callable[..., Any]
Change = Callable[[Sequence[str]], Sequence[str]]

SAID = "is not in its place"
MOVED: dict[str, tuple[Change, int]] = {
    "reversed": (lambda lines: lines[::-1], 1),
    "two of them swapped": (lambda lines: [*lines[:1], lines[2], lines[1], *lines[3:]], 2),
    "the first one doubled": (lambda lines: [lines[0], *lines], 2),
    "the last one doubled": (lambda lines: [*lines, lines[-1]], 6),
    "all doubled": (lambda lines: [*lines, *lines], 6),
    "one in another's place": (lambda lines: [*lines[:2], lines[1], *lines[3:]], 3),
}

pytestmark = pytest.mark.usefixtures("systems_on_path")


@pytest.fixture
def finished(small_set: Path, tmp_path: Path, s5eval: Call) -> Path:
    run = tmp_path / "run"
    assert s5eval("run", "--system", "plugins:build", "--data", small_set, "--out", run, "--save-audio").code == 0
    return run


def rearrange(run: Path, change: Change) -> None:
    journal = run / "mixtures.jsonl"
    journal.write_text("".join(change(journal.read_text().splitlines(keepends=True))))


@pytest.mark.parametrize(("how", "status"), [*((how, "complete") for how in MOVED), ("reversed", "running")])
def test_moved_lines_are_refused_by_every_reader_and_put_right_by_resume(
    finished: Path, tmp_path: Path, s5eval: Call, lines: Call, how: str, status: str
) -> None:
    before = lines(finished)
    other = shutil.copytree(finished, tmp_path / "other")
    edit_record(finished / "run.json", status=status, **({"lines": None} if status == "running" else {}))
    change, number = MOVED[how]
    said = f"line {number} {SAID}"
    rearrange(finished, change)
    named = ("--author", "Choi", "--affiliation", "KAIST", "--nparams", "9", "--out", tmp_path / "out")
    readers = [
        ("report", finished),
        ("report", finished, "--figures", tmp_path / "figures"),
        ("report", finished, "--bundle", tmp_path / "page"),
        ("rescore", finished),
        ("rescore", finished, "--out", tmp_path / "whole"),
        ("compare", finished, other),
        ("compare", other, finished),
        ("rank", other, finished),
        ("tune", finished, "--allow-test", "--out", tmp_path / "tuned.yaml"),
        ("export", finished, "--to", "csv", "--out", tmp_path / "tables"),
    ]
    if status == "complete":  # these refuse unfinished runs for that alone
        readers += [
            ("pack", finished, "--out", tmp_path / "run.s5run.zip"),
            ("submit", "build", finished, "--dev-run", other, *named),
            ("submit", "build", other, "--dev-run", finished, *named),
        ]
    for command in readers:
        result = s5eval(*command)
        assert result.code == 3, (command, result.out, result.err)
        assert said in result.err, (command, result.err)
    checked = s5eval("check", finished, "--json")
    assert (checked.code, said in checked.out) == (3, True)
    assert {entry.name for entry in tmp_path.iterdir()} == {"small", "run", "other"}, "nothing was made of them"
    resumed = s5eval("run", "--resume", finished, "--system", "plugins:build")
    assert resumed.code == 0, resumed.err
    assert said in (finished / "log.txt").read_text()
    assert {id_: line["capi"] for id_, line in lines(finished).items()} == {
        id_: line["capi"] for id_, line in before.items()
    }
    assert s5eval("check", finished).code == 0
    assert s5eval("compare", other, finished, "--json").json["changes"] == []


@pytest.mark.parametrize("how", MOVED)
def test_a_shard_with_moved_lines_is_not_merged(
    finished: Path, small_set: Path, tmp_path: Path, s5eval: Call, how: str
) -> None:
    shards = [tmp_path / f"R.{k}" for k in (1, 2)]
    scenes = ("--system", "plugins:build", "--data", small_set)
    shutil.rmtree(finished)
    for k, out in enumerate(shards, start=1):
        assert s5eval("run", *scenes, "--shard", f"{k}/2", "--out", out).code == 0
    change, _ = MOVED[how]
    rearrange(shards[0], change)
    result = s5eval("merge", *shards, "--out", tmp_path / "merged")
    assert (result.code, SAID in result.err, str(shards[0]) in result.err) == (3, True, True), result.err
    assert not (tmp_path / "merged").exists()
