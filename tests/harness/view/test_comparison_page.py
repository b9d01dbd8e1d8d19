"""The page of two runs: A is the first, B what is judged, and a star says what it says elsewhere."""

import json
from pathlib import Path
from typing import Any

import pytest
from sealed_files import edit_lines, edit_record
from viewing import Made, key

from s5eval.harness.comparing.pair_of_runs import compare_runs


def page_of(a: Path, b: Path, **asked: Any) -> dict[str, Any]:
    from s5eval.harness.view.comparison_page import comparison_page
    from s5eval.harness.view.runs import ViewedRun

    first, second = (ViewedRun(key(run), run).snapshot() for run in (a, b))
    return comparison_page(first, second, different=False, only=asked.get("only", ""))


def scores_of(run: Path) -> dict[str, float | None]:
    lines = map(json.loads, (run / "mixtures.jsonl").read_text().splitlines())
    return {line["mixture_id"]: line["capi"]["value"] for line in lines}


def test_rows_are_of_a_and_b_and_what_b_adds_the_largest_loss_first(made: Made) -> None:
    page, a, b = page_of(made.scored, made.staged), scores_of(made.scored), scores_of(made.staged)
    assert {row["id"]: (row["first"], row["second"]) for row in page["rows"]} == {id_: (a[id_], b[id_]) for id_ in a}
    changed = [row for row in page["rows"] if row["change"] is not None]
    assert changed and [row["change"] for row in changed] == sorted(row["change"] for row in changed)
    for row in changed:
        assert row["change"] == pytest.approx(row["second"] - row["first"])
        assert row["side"] == ("better" if row["second"] > row["first"] else "worse")
    for only in ("better", "worse"):
        shown = {row["id"] for row in page_of(made.scored, made.staged, only=only)["rows"]}
        assert shown == {row["id"] for row in page["rows"] if row["side"] == only}


def test_differences_are_those_of_the_comparison_with_sides_as_they_are(made: Made) -> None:
    found = compare_runs(made.scored, made.staged).differences.values()
    for row, difference in zip(page_of(made.scored, made.staged)["differences"], found, strict=True):
        assert (row["first"], row["second"], row["delta"]) == (difference.first, difference.second, difference.delta)
        assert (row["better"], row["worse"]) == (difference.better, difference.worse)
    assert any(difference.better != difference.worse for difference in found)


def test_mixtures_that_are_left_out_are_counted(copied: Made) -> None:
    def fail(line: dict[str, Any]) -> None:
        if line["mixture_id"] == "m_3":
            line["outcome"] = {"status": "failed", "error": "it fell over", "seconds": 0.0}

    edit_lines(copied.staged, fail)
    page = page_of(copied.scored, copied.staged)
    assert page["n"] == 4 and page["left_out"] == ["left out: 1 mixture, not scored in the second run"]


def test_a_star_that_too_few_mixtures_withhold_is_spoken_of(made: Made, copied: Made) -> None:
    differences = compare_runs(made.scored, made.staged).differences.values()
    assert any(difference.withheld for difference in differences), "five mixtures are fewer than a star takes"
    said = page_of(made.scored, made.staged)["about_stars"]
    assert said.startswith("* the 95 % paired interval excludes 0; no star where fewer than 6 mixtures changed")
    alike = page_of(made.scored, made.scored)["about_stars"]
    assert alike == "* the 95 % paired interval excludes 0"


def test_the_words_on_stars_stand_below_the_table(made: Made, browse: Any) -> None:
    html = browse(made.runs).get("/compare", params={"a": key(made.scored), "b": key(made.staged)}).text
    table, _, rest = html.partition("All differences")
    assert "* the 95 % paired interval excludes 0" in rest and "paired interval excludes 0" not in table


def test_a_mixture_beside_one_of_other_files_says_so(copied: Made, browse: Any) -> None:
    """Runs on different data are compared where that is asked for; their references are not the same."""
    client = browse(copied.runs)
    asked = {"run": key(copied.staged), "id": "m_2", "with": key(copied.scored)}
    assert "other files of this mixture" not in client.get("/mixture", params=asked).text
    digests = json.loads((copied.scored / "run.json").read_text())["mixture_digests"]
    edit_record(copied.scored / "run.json", mixture_digests=[digest[::-1] for digest in digests])
    said = client.get("/mixture", params=asked).text
    assert "B was run on other files of this mixture: the references that its estimates answer are not these" in said
    for run in (copied.scored, copied.staged):  # a folder of scenes of the embedded set, which may have been changed
        edit_record(run / "run.json", lambda content: content["about"].update(dataset="mini", split="test"))
    assert "other files of this mixture" in client.get("/mixture", params=asked).text
    for run in (copied.scored, copied.staged):  # the set in the cache, which another machine may have rounded otherwise
        edit_record(run / "run.json", lambda content: content["config"].update(dataset="mini"))
    assert "other files of this mixture" not in client.get("/mixture", params=asked).text
    edit_record(copied.scored / "run.json", lambda content: content["about"].update(dataset=None), mixture_digests=None)
    assert "other files of this mixture" not in client.get("/mixture", params=asked).text, "it is not known"
    edit_record(copied.scored / "run.json", mixture_digests=digests)
    edit_lines(
        copied.scored, lambda line: line.update(reference_labels=["Cough", "Speech"][: len(line["reference_labels"])])
    )
    assert "other files of this mixture" in client.get("/mixture", params=asked).text
