"""A line that is taken out of the journal is missed by everything that reads the run, and redone by `--resume`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sealed_files import edit_record

Call = Callable[..., Any]


@pytest.fixture
def finished(small_set: Path, tmp_path: Path, s5eval: Call) -> Path:
    run = tmp_path / "run"
    assert s5eval("run", "--system", "oracle-gain", "--data", small_set, "--out", run).code == 0
    return run


def take_out(run: Path, number: int) -> None:
    journal = run / "mixtures.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for k, line in enumerate(lines) if k != number))


@pytest.mark.parametrize("status", ["partial", "running"])
@pytest.mark.parametrize("number", [0, 2])
def test_a_line_that_was_taken_out_is_missed_by_every_reader_and_redone(
    finished: Path, tmp_path: Path, s5eval: Call, lines: Call, status: str, number: int
) -> None:
    before = lines(finished)
    edit_record(finished / "run.json", status=status)
    take_out(finished, number)
    whole = tmp_path / "whole"
    for command in (
        ("report", finished),
        ("rescore", finished),
        ("rescore", finished, "--out", whole),
        ("compare", finished, finished),
        ("tune", finished),
    ):
        result = s5eval(*command)
        assert result.code == 3, command
        assert f"line {number + 1} is not in its place" in result.err, command
    checked = s5eval("check", finished, "--json")
    assert (checked.code, f"line {number + 1} is not in its place" in checked.out) == (3, True)
    assert s5eval("run", "--resume", finished, "--system", "oracle-gain").code == 0
    assert "is not in its place" in (finished / "log.txt").read_text()
    after = lines(finished)
    assert {id_: line["capi"] for id_, line in after.items()} == {id_: line["capi"] for id_, line in before.items()}
    assert [line["number"] for line in after.values()] == [1, 2, 3, 4, 5]
    assert s5eval("check", finished).code == 0


@pytest.mark.parametrize(
    ("ended", "said", "found"),
    [
        ({"status": "partial"}, "1 of its 5 lines are missing", "1 of its 5 lines are missing"),
        # as written before records counted the lines
        ({"lines": None}, "1 mixture without a line, such as 'm_4'", "no line of m_4, although the run was complete"),
    ],
)
def test_a_last_line_that_was_taken_out_of_a_run_that_ended_is_missed(
    finished: Path, s5eval: Call, ended: dict[str, Any], said: str, found: str
) -> None:
    edit_record(finished / "run.json", **ended)
    take_out(finished, 4)
    for command, word in (("report", said), ("rescore", said), ("check", found)):
        result = s5eval(command, finished)
        assert (result.code, word in result.out + result.err) == (3, True), command
    assert s5eval("run", "--resume", finished, "--system", "oracle-gain").code == 0
    assert s5eval("check", finished).code == 0


def test_lines_are_numbered_on_through_resumed_and_torn_journals(finished: Path, s5eval: Call, lines: Call) -> None:
    journal = finished / "mixtures.jsonl"
    edit_record(finished / "run.json", status="running")
    journal.write_bytes(journal.read_bytes()[:-30])
    assert s5eval("run", "--resume", finished, "--system", "oracle-gain").code == 0
    assert [line["number"] for line in lines(finished).values()] == [1, 2, 3, 4, 5]


def test_a_journal_of_before_has_no_numbers_and_is_read(finished: Path, s5eval: Call) -> None:
    from s5eval.data_manifests.common.sealed import seal

    journal = finished / "mixtures.jsonl"
    found = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in found:
        assert type(line.pop("number")) is int
    journal.write_text("".join(seal(line) + "\n" for line in found))
    assert s5eval("rescore", finished).code == 0
    assert [json.loads(line)["number"] for line in journal.read_text().splitlines()] == [1, 2, 3, 4, 5]


def cut(run: Path, count: int, **values: Any) -> bytes:
    """Leave the first so many lines, as a kill between two mixtures does; returns them."""
    journal = run / "mixtures.jsonl"
    kept = b"".join(journal.read_bytes().splitlines(keepends=True)[:count])
    journal.write_bytes(kept)
    edit_record(run / "run.json", status="running", lines=None, **values)
    return kept


def test_lines_that_stand_are_left_as_they_are_and_what_follows_is_appended(
    finished: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s5eval.harness.record.run_folder import RunFolder

    whole = json.loads((finished / "summary.json").read_text())
    kept = cut(finished, 3)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "rewrite", lambda *_: pytest.fail("the journal was written anew"))
        assert s5eval("run", "--resume", finished, "--system", "oracle-gain").code == 0
    assert (finished / "mixtures.jsonl").read_bytes().startswith(kept)
    assert json.loads((finished / "summary.json").read_text()) == whole
    assert s5eval("check", finished).code == 0


@pytest.mark.parametrize("harm", ["torn", "damaged", "moved", "a blank line", "a table that is gone"])
def test_lines_of_which_one_does_not_stand_are_written_anew(
    finished: Path, s5eval: Call, lines: Call, harm: str
) -> None:
    whole = json.loads((finished / "summary.json").read_text())
    kept = cut(finished, 3)
    journal = finished / "mixtures.jsonl"
    if harm == "torn":
        journal.write_bytes(kept + kept[:40])
    elif harm == "damaged":
        journal.write_bytes(kept.replace(b"m_10", b"m_11", 1))
    elif harm == "a blank line":
        journal.write_bytes(kept + b"\n")
    elif harm == "moved":
        journal.write_bytes(b"".join(reversed(kept.splitlines(keepends=True))))
    else:
        next((finished / "pairs").glob("m_10.npz")).unlink()
    assert s5eval("run", "--resume", finished, "--system", "oracle-gain").code == 0
    assert [line["number"] for line in lines(finished).values()] == [1, 2, 3, 4, 5]
    assert json.loads((finished / "summary.json").read_text()) == whole
    assert s5eval("check", finished).code == 0


def test_lines_that_stand_are_on_the_disk_before_the_run_says_that_it_is_complete(
    finished: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s5eval.harness.record.run_folder as module

    cut(finished, 5)  # the process was killed after its last line, before it handed over to the disk
    synced: list[str] = []
    sync, write = module.sync_files, module.write_atomically
    with monkeypatch.context() as patch:
        patch.setattr(module, "sync_files", lambda files: (synced.extend(path.name for path in files), sync(files)))
        patch.setattr(
            module, "write_atomically", lambda path, *a, **k: (synced.append(path.name), write(path, *a, **k))[1]
        )
        assert s5eval("run", "--resume", finished, "--system", "oracle-gain").code == 0
    last = len(synced) - 1 - synced[::-1].index("run.json")
    assert "mixtures.jsonl" in synced[:last], synced
