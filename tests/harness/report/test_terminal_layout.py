"""Tables on terminals of any width: nothing wider than the screen, nothing lost."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s5eval.harness.report.terminal_layout import aligned, fitted

Call = Callable[..., Any]
ROWS = [
    ("", "CAPI-SDRi dB", "mixture acc. %"),
    ("a_system/of-a-long name (with what it is)", "6.959 [1.66, 12.61]", "60.000 [20.00, 100.00]"),
    (),
    ("  bound", "–", ""),
]


def test_without_a_terminal_a_row_is_a_line() -> None:
    assert len(aligned(ROWS)) == 5
    assert fitted("word " * 60) == "word " * 60


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_every_line_fits_and_every_character_stays(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = aligned(ROWS)
    assert max(map(len, lines)) <= width
    shown = sorted(re.sub(r"[\s─]", "", "".join(lines)))
    assert shown == sorted("".join(cell for row in ROWS for cell in row).replace(" ", ""))
    if width >= 60:
        assert any("[1.66, 12.61]" in line for line in lines), "an interval is not cut where there is room"


@pytest.mark.parametrize("name", ["mine", "my_package.systems:build_the_large_one"])
@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_bounds_keep_their_names_whole_beside_wide_intervals(
    name: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    cells = ("-16.959 [-21.66, -12.61]", "-12.345", "60.000 [20.00, 100.00]", "60.000 [20.00, 100.00]", "1512 (1260)")
    header = ("", "CAPI-SDRi dB", "zero floor dB", "mixture acc. %", "source acc. %", "n (defined)")
    rows = [header, (name, *cells), (), ("  oracle-mixture", *cells)]
    lines = aligned(rows, firm=len("  oracle-mixture"))
    assert max(map(len, lines)) <= width
    assert any(line.startswith("  oracle-mixture ") for line in lines) == (width > 40)
    if (name, width) == ("mine", 80):
        assert not any("oracle-mixture" in line for line in aligned(rows)), "which is what room was missing for"


LISTED = [
    ("run", "name", "status", "CAPI-SDRi dB"),
    ("runs/20261128T104043Z_multistage_test_ab12cd (1)", "multistage", "complete", "6.584"),
    ("runs/b", "oracle-gain", "running", "–"),
]


@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_what_is_copied_stands_whole_above_its_row_or_in_it(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = aligned(LISTED, left=(0, 1, 2), apart=0)
    if width == 160:
        assert len(lines) == 4
        assert lines[2].split() == [*LISTED[1][0].split(), "multistage", "complete", "6.584"]
        return
    tight = sum(max(len(row[k]) for row in LISTED) for k in range(4)) + 3 * 2 - 3  # `CAPI-SDRi dB` can be folded
    monkeypatch.setenv("COLUMNS", str(tight))
    assert LISTED[1][0] in aligned(LISTED, left=(0, 1, 2), apart=0)[3], "what stays in its row is not folded there"
    for path, name, *_ in LISTED[1:]:
        above = lines.index(path)
        assert lines[above + 1].startswith(f"  {name}" if width > 40 else "  ")
    assert max(len(line) for line in lines if line != LISTED[1][0]) <= width


def test_nothing_is_cut_anywhere_while_another_column_can_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """One long word is no reason to cut it by the letter where names beside it have places to be cut at."""
    monkeypatch.setenv("COLUMNS", "40")
    rows = [("a", "b"), ("a_name/of-many-parts_and-more", "unpartedword"), ("x", "Z" * 20)]
    lines = aligned(rows)
    assert any("Z" * 20 in line for line in lines)
    shown = [line for line in aligned([("a", "b"), ("Y" * 30, "Z" * 30)]) if "─" not in line]
    assert max(map(len, shown)) == 40, "what has to be cut fills its lines"


def test_a_star_stays_with_its_interval_and_counts_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = aligned([("", "B − A [95 %]", "better / worse / same"), ("n", "+45.000 [+25.00, +65.00] *", "16 / 1 / 0")])
    assert any("[+25.00, +65.00] *" in line for line in lines)
    assert any("16 / 1 / 0" in line for line in lines)


def test_sentences_are_wrapped_and_intervals_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    text = fitted("  metrics: " + ", ".join(["SDR 14.11 [14.05, 14.15]"] * 6))
    assert max(map(len, text.split("\n"))) <= 50
    assert text.count("[14.05, 14.15]") == 6
    assert all(line.startswith("  ") for line in text.split("\n"))


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_command_prints_a_table_wider_than_the_screen(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(small_set / "estimate", "team-a")
    shutil.copytree(small_set / "estimate", "a_team_of_a_long_name-and-more-to-it_v2")
    monkeypatch.setenv("COLUMNS", str(width))
    teams = ("team-a", "a_team_of_a_long_name-and-more-to-it_v2")
    data = ("--data", small_set)
    printed = [
        s5eval("score", "team-a", *data, "--out", "one", "--metrics", "all"),
        s5eval("score", *teams, *data, "--out", "all"),
        s5eval("compare", "one", f"all/{teams[1]}"),
        s5eval("runs", "."),
    ]
    for result in printed:
        assert result.code == 0, result.err
        assert max(map(len, result.out.split("\n"))) <= width, result.out


def test_what_was_scored_has_its_name_everywhere(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    archive = shutil.make_archive(str(tmp_path / "team"), "zip", small_set / "estimate")
    result = s5eval("score", archive, "--data", small_set)
    (run,) = (tmp_path / "runs").iterdir()
    assert "_team_small_" in run.name
    assert result.out.startswith("team (folder) | ")
    assert "<h1>team</h1>" in (run / "report.html").read_text()
    assert json.loads((run / "summary.json").read_text())["name"] == "team"
    named = s5eval("score", archive, "--data", small_set, "--name", "ours, 2nd", "--out", "x")
    assert named.out.startswith("ours, 2nd (folder) | ")
    both = s5eval("score", archive, small_set / "estimate", "--data", small_set, "--name", "x")
    assert (both.code, "--name names one run" in both.err) == (2, True)


def test_runs_are_listed_with_scores_and_marks(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert s5eval("runs").out == "no runs in runs\n"
    assert s5eval("runs", "nowhere").code == 2
    s5eval("score", small_set / "estimate", "--data", small_set, "--out", "runs/a", "--name", "ours")
    s5eval("run", "--system", "oracle", "--data", small_set, "--out", "runs/rows/b", "--limit", 2)
    (tmp_path / "runs" / "c").mkdir()
    (tmp_path / "runs" / "c" / "run.json").write_text("{")
    listed = {entry["path"]: entry for entry in s5eval("runs", "--json").json}
    assert list(listed) == ["runs/a", "runs/c", "runs/rows/b"]
    summary = json.loads((tmp_path / "runs/a/summary.json").read_text())
    assert listed["runs/a"]["metrics"]["capi_sdri"]["value"] == summary["metrics"]["capi_sdri"]["value"]
    assert (listed["runs/a"]["name"], listed["runs/a"]["n_done"], listed["runs/a"]["n_expected"]) == ("ours", 5, 5)
    assert "oracle: sees the references" in listed["runs/rows/b"]["marks"]
    assert (listed["runs/c"]["status"], "cannot be read" in listed["runs/c"]["marks"][0]) == ("damaged", True)
    monkeypatch.setenv("COLUMNS", "80")
    path = "runs/20261128T104043Z_multistage_of-a-long-name_test_ab12cd"
    (tmp_path / "runs" / "a").rename(path)
    assert f"\n{path} (1)\n  ours " in s5eval("runs").out, "a path can be copied"
    (tmp_path / path).rename("runs/a")
    monkeypatch.delenv("COLUMNS")
    text = s5eval("runs", "runs/a", "runs").out
    assert text.count("ours") == 1
    assert "(1) " in text and "oracle: sees the references" in text
