"""What a reader of the page must not miss stands above its numbers, each in words of its own."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up_run import write_run
from sealed_files import as_version_1, edit_lines, edit_record

from s5eval.harness.record.reading import read_run_record
from s5eval.harness.record.tables import PairTable
from s5eval.harness.report.page import made, write_page

Tables = Callable[..., list[PairTable]]


@pytest.fixture
def run(tmp_path: Path, make_tables: Tables) -> Path:
    about = {"weights": "untrained", "missing_parts": ("an ear",), "n_split": 500}
    write_run(tmp_path / "run", make_tables(20, 1), about=about)
    return tmp_path / "run"


def above(run: Path) -> str:
    """What stands before the first heading."""
    return write_page(run, draw=False).read_text().partition('<h2 id="result">')[0]


def test_what_the_numbers_are_worth_stands_above_them(run: Path) -> None:
    edit_record(
        run / "summary.json",
        flags={"over-scale": 2}, flagged={"over-scale": ["m_0001"]}, undefined_reason="there is no reason",
    )  # fmt: skip
    warnings = re.findall(r'<p class="warn">(.*?)</p>', above(run))
    assert warnings == [
        "without an ear: not the system that was asked for.",
        "weights: untrained. These numbers say that the program runs, nothing about separation.",
        "partial: 20 of 500 mixtures.",
        "CAPI-SDRi is undefined: there is no reason.",
    ]
    assert re.search(r'<p class="about">over-scale 2: .* \(m_0001\)</p>', above(run))


def test_findings_about_the_files_stand_on_the_page_as_in_the_terminal(run: Path) -> None:
    """The page is what others are sent: a name that belongs to no mixture was not on it."""
    found = "warning: other_0_Typing.wav: not read: no mixture 'other' [orphan]"
    edit_record(run / "summary.json", findings={"no-estimate": 2, "orphan": 1})
    edit_record(run / "run.json", findings=[found])
    notes = re.findall(r'<p class="about">(.*?)</p>', above(run))
    assert "findings about the files: 2 no-estimate, 1 orphan (run.json lists them; strict runs refuse them)" in notes
    assert any("other_0_Typing.wav: not read: no mixture &#39;other&#39; [orphan]" in note for note in notes)


def test_that_a_run_is_not_verified_is_a_warning_of_its_own(run: Path) -> None:
    as_version_1(run)
    assert re.search(r'<p class="warn">[^<]*unverified[^<]*\.</p>', above(run))


def test_a_whole_and_honest_run_has_no_warning(tmp_path: Path, make_tables: Tables) -> None:
    write_run(tmp_path / "run", make_tables(20, 1))
    assert '"warn"' not in above(tmp_path / "run")


def test_how_a_run_was_made_tells_of_code_that_was_changed(run: Path) -> None:
    def committed(*, dirty: bool) -> str:
        edit_record(
            run / "run.json",
            lambda record: record["provenance"].update(git={"commit": "0123456789abcdef", "dirty": dirty}),
        )
        return made(read_run_record(run))

    assert "commit 0123456789ab (changed)." in committed(dirty=True)
    assert "commit 0123456789ab." in committed(dirty=False)


def test_how_a_run_was_made_tells_of_all_its_sittings(run: Path) -> None:
    """Code, machine and time of one sitting stood there for all: of a merged run, those of its first shard."""

    def sittings(record: dict[str, Any]) -> None:
        here = {**record["provenance"], "time": "2026-01-02T00:00:00+00:00"}
        record["sittings"] = [{"provenance": here}, {"provenance": {**here, "device": "cuda"}}, {"provenance": here}]

    edit_record(run / "run.json", sittings, merged_from=["a", "b"])
    told = made(read_run_record(run))
    way = "a machine, Python 3.11, s5eval 0"
    assert told.startswith("3 sittings from 2026-01-02T00:00:00+00:00 to 2026-01-02T00:00:00+00:00, ")
    assert f", device cpu, {way} | device cuda, {way}. Merged from 2 shards. " in told
    edit_record(run / "run.json", sittings=[], merged_from=[], rescored_from="elsewhere")
    assert f"device cpu, {way}. Rescored from elsewhere. " in made(read_run_record(run))


def test_a_mixture_that_failed_is_none_whose_value_is_undefined(tmp_path: Path, make_tables: Tables) -> None:
    scores = write_run(tmp_path / "run", make_tables(20, 1))
    undefined = sum(score.capi_sdri is None for score in scores)
    failing = [score.mixture_id for score in scores if score.capi_sdri is not None][:2]
    assert undefined

    def fail(line: dict[str, Any]) -> None:
        if line["mixture_id"] in failing:
            line["outcome"] = {"status": "failed", "error": "off", "seconds": 0.0}
            line["capi"] = line["labels"] = line["decomposition"] = None

    edit_lines(tmp_path / "run", fail)
    page = write_page(tmp_path / "run", draw=False).read_text()
    (told,) = re.findall(r"(\d+) values from [^<]*; (\d+) undefined", page)
    assert told == (str(18 - undefined), str(undefined))
