"""Runs that are not whole, as the viewer reads them: in the making, written anew, damaged, of an earlier version."""

from collections.abc import Callable
from typing import Any

import pytest
from sealed_files import as_version_1, edit_record
from viewing import Made, key, rows, text_of

Browse = Callable[..., Any]


def test_a_run_that_is_being_made_is_shown_as_far_as_it_goes(copied: Made, browse: Browse) -> None:
    run = copied.scored
    journal = run / "mixtures.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    edit_record(run / "run.json", status="running")
    (run / "summary.json").unlink()
    journal.write_text("".join(lines[:2]) + lines[2][:40])
    client, asked = browse(run), {"run": key(run)}
    html = client.get("/mixtures", params=asked).text
    assert len(rows(html)) == 2
    assert "data-watch" in html
    before = client.get("/state", params=asked).json()
    assert before["running"]
    with journal.open("a") as file:
        file.write(lines[2][40:] + lines[3])
    assert client.get("/state", params=asked).json() != before
    assert len(rows(client.get("/mixtures", params=asked).text)) == 4
    text = text_of(client.get("/run", params=asked).text)
    assert "4 of 5 mixtures" in text
    assert "RUNNING" in text
    assert "torn" not in text


def test_a_journal_that_was_written_anew_is_read_anew(copied: Made, browse: Browse, s5eval: Browse) -> None:
    client, asked = browse(copied.staged), {"run": key(copied.staged)}
    before = client.get("/run", params=asked).text
    (copied.staged / "all.yaml").write_text("silence_thresholds: {default: 1.0}\n")
    out = copied.staged.parent / "anew"
    assert s5eval("rescore", copied.staged, "--decision", copied.staged / "all.yaml", "--out", out).code == 0
    for name in ("run.json", "mixtures.jsonl", "summary.json"):
        (out / name).replace(copied.staged / name)
    assert client.get("/run", params=asked).text != before


@pytest.mark.parametrize("status", ["complete", "running"])
def test_another_journal_under_the_number_of_the_one_before_is_read_from_its_beginning(
    copied: Made, browse: Browse, s5eval: Browse, status: str
) -> None:
    """File systems give the number of a file that was removed to the next: `rm -r OUT`, and the same OUT again."""
    decisions = {"none": "0.0", "all": "1.0"}
    for name, threshold in decisions.items():
        (copied.staged / "d.yaml").write_text(f"silence_thresholds: {{default: {threshold}}}\n")
        out = copied.staged.parent / name
        assert s5eval("rescore", copied.staged, "--decision", copied.staged / "d.yaml", "--out", out).code == 0
    none, every = copied.staged.parent / "none", copied.staged.parent / "all"
    client = browse(copied.staged.parent)
    if status == "running":
        for run in (none, every):
            edit_record(run / "run.json", status="running", rescored_from=None)
    assert (every / "mixtures.jsonl").stat().st_size > (none / "mixtures.jsonl").stat().st_size
    expected = text_of(client.get("/mixtures", params={"run": key(every)}).text)
    assert text_of(client.get("/mixtures", params={"run": key(none)}).text) != expected
    for name in ("run.json", "mixtures.jsonl", "summary.json"):
        (none / name).write_bytes((every / name).read_bytes())
    assert text_of(client.get("/mixtures", params={"run": key(none)}).text) == expected


@pytest.mark.parametrize("name", ["run.json", "summary.json", "mixtures.jsonl", "pairs"])
@pytest.mark.parametrize("how", ["gone", "garbage", "cut", "deep"])
def test_a_damaged_run_is_shown_as_far_as_it_goes_with_a_word(
    copied: Made, browse: Browse, name: str, how: str
) -> None:
    run = copied.staged
    for file in (run / name).glob("m_2*") if name == "pairs" else [run / name]:
        content = file.read_bytes()
        damaged = {"garbage": b"\0\xff{]", "cut": content[: len(content) // 2], "deep": b"[" * 100_000}
        file.unlink() if how == "gone" else file.write_bytes(damaged[how])
    client = browse(run.parent, data=(copied.data,))
    said = ""
    for address in ("/", "/run", "/mixtures", "/mixture", "/thresholds", "/compare", "/state"):
        query = {"run": key(run), "id": "m_2", "a": key(copied.scored), "b": key(run)}
        answer = client.get(address, params=query)
        assert answer.status_code in (200, 404), (address, answer.text)
        assert "Traceback" not in answer.text
        said += text_of(answer.text)
    if (name, how) != ("run.json", "gone"):
        words = {"summary.json": "summary.json", "mixtures.jsonl": "line", "pairs": "pair table"}
        assert words.get(name, name) in said
    if name == "summary.json":
        assert "made from the lines that stand" in said


def test_a_line_that_stands_twice_is_a_word_also_where_it_came_while_one_looked(copied: Made, browse: Browse) -> None:
    client = browse(copied.runs, data=(copied.data,))
    for text in ("", client.get("/run", params={"run": key(copied.staged)}).text):
        assert "not in its place" not in text_of(text)
    journal = copied.staged / "mixtures.jsonl"
    with journal.open("ab") as file:
        file.write(journal.read_bytes().splitlines(keepends=True)[0])
    said = text_of(client.get("/run", params={"run": key(copied.staged)}).text)
    assert "line 6 is not in its place" in said


@pytest.mark.parametrize("status", ["partial", "failed", "complete"])
def test_lines_that_a_run_had_when_it_ended_are_missed(copied: Made, browse: Browse, status: str) -> None:
    """Also the last ones, of a run that is not said to be complete: its numbers are of more than is shown."""
    journal = copied.staged / "mixtures.jsonl"
    edit_record(copied.staged / "run.json", status=status)
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:3]))
    said = text_of(browse(copied.staged).get("/run", params={"run": key(copied.staged)}).text)
    assert "mixtures.jsonl: 2 of its 5 lines are missing: taken out, or lost" in said


def test_a_run_of_an_earlier_version_is_shown_and_marked(copied: Made, browse: Browse) -> None:
    as_version_1(copied.scored)
    client = browse(copied.scored)
    for address in ("/", f"/run?run={key(copied.scored)}"):
        assert "unverified" in text_of(client.get(address).text)
    assert len(rows(client.get("/mixtures", params={"run": key(copied.scored)}).text)) == 5


def test_of_a_rescoring_that_was_ended_before_it_was_done_nothing_counts(copied: Made, browse: Browse) -> None:
    edit_record(copied.scored / "run.json", status="running", rescored_from="elsewhere")
    html = browse(copied.scored).get("/mixtures", params={"run": key(copied.scored)}).text
    assert "was ended before it was done" in text_of(html)
    assert not rows(html)


def test_of_a_run_that_goes_on_the_lines_count_and_not_the_summary_of_before(copied: Made) -> None:
    from s5eval.harness.view.runs import ViewedRun

    edit_record(copied.scored / "run.json", status="running")
    journal = copied.scored / "mixtures.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:3]))
    summary = ViewedRun("x", copied.scored).snapshot().summary
    assert summary is not None and (summary.n_scored, summary.n_expected) == (3, 5)


def test_the_pages_of_a_run_without_its_record_carry_the_mark_of_damage(copied: Made, browse: Browse) -> None:
    (copied.scored / "run.json").write_bytes(b"{")
    client, asked = browse(copied.scored.parent, data=(copied.data,)), {"run": key(copied.scored), "id": "m_1"}
    for address in ("/run", "/mixtures", "/mixture"):
        assert "DAMAGED" in text_of(client.get(address, params=asked).text), address
