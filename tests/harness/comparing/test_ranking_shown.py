"""A ranking of three made-up runs: what each file has of each of them, and what an unfinished one lacks."""

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up_run import write_run
from sealed_files import as_version_1, edit_record

from s5eval.harness.comparing.ranked import RankedSubmission, placed
from s5eval.harness.comparing.ranking import Ranking, _common_folder, rank_runs
from s5eval.harness.comparing.ranking_files import write_ranking
from s5eval.harness.comparing.ranking_table import ranking_table
from s5eval.harness.record.tables import PairTable
from s5eval.harness.report.text import number

Tables = Callable[..., list[PairTable]]
N, LEFT = 40, 3


@pytest.fixture(scope="module")
def ranking(tmp_path_factory: pytest.TempPathFactory, make_tables: Tables) -> Ranking:
    """Two runs of the same candidates under two thresholds, and a third that was killed before its last mixtures."""
    home = tmp_path_factory.mktemp("runs")
    for name, threshold in (("usual", 0.5), ("timid", 0.2), ("killed", 0.5)):
        write_run(home / name, make_tables(N, 3), threshold=threshold, about={"name": name})
    killed = home / "killed"
    lines = (killed / "mixtures.jsonl").read_text().splitlines(keepends=True)
    (killed / "mixtures.jsonl").write_text("".join(lines[: N - LEFT]))
    edit_record(killed / "run.json", status="partial")
    edit_record(killed / "summary.json", status="partial", n_scored=N - LEFT, n_predicted=N - LEFT)
    return rank_runs([home / "timid", home / "usual", home / "killed"])


@pytest.fixture(scope="module")
def files(ranking: Ranking, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {path.name: path.read_text() for path in write_ranking(ranking, tmp_path_factory.mktemp("ranking"))}


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def entries(ranking: Ranking) -> dict[str, RankedSubmission]:
    return {entry.name: entry for entry in ranking.entries}


def test_an_unfinished_run_has_no_rank_and_what_it_never_ran_is_missing(
    ranking: Ranking, files: dict[str, str]
) -> None:
    killed = entries(ranking)["killed"]
    assert [(entry.name, entry.rank) for entry in ranking.entries] == [("usual", 1), ("timid", 2), ("killed", None)]
    told = f"not finished: {LEFT} of {N} were never run"
    assert (killed.partial, killed.status, killed.missing) == (told, "partial", ("m_0037", "m_0038", "m_0039"))
    for text in (ranking_table(ranking), files["ranking.md"], files["ranking.tex"].replace(r"\_", "_")):
        assert f"killed: {told} (missing: m_0037, m_0038, m_0039)" in text
    assert f'killed: {LEFT} of {N} mixtures; <span class="warn">no rank: {told}' in files["ranking.html"]
    assert [row["n_missing"] for row in rows_of(files["ranking.csv"])] == ["0", "0", str(LEFT)]
    assert rows_of(files["ranking.csv"])[2]["why_no_rank"] == told
    assert "failed" not in ranking_table(ranking).partition("killed: ")[2], "none has"


def test_one_whose_value_is_undefined_says_why_it_has_no_rank(tmp_path: Path, make_tables: Tables) -> None:
    """A dash stood there, and no word of it."""
    tables = [replace(table, reference_labels=None) for table in make_tables(6, 1)]
    write_run(tmp_path / "run", tables)
    found = rank_runs([tmp_path / "run"])
    written = {path.name: path.read_text() for path in write_ranking(found, tmp_path / "ranking")}
    why = "undefined: the set has no references"
    (entry,) = found.entries
    assert (entry.rank, entry.partial, entry.why_no_rank) == (None, None, why)
    for text in (ranking_table(found), written["ranking.md"], written["ranking.tex"]):
        assert f"made-up: {why}" in text
    assert f"made-up: no rank: {why}" in written["ranking.html"]
    assert rows_of(written["ranking.csv"])[0]["why_no_rank"] == why
    assert json.loads(written["ranking.json"])["ranking"][0]["why_no_rank"] == why


def test_the_page_has_true_minus_signs_and_what_is_copied_has_hyphens(ranking: Ranking, tmp_path: Path) -> None:
    first = ranking.conditions[0]
    lower = {name: replace(place, value=-0.08) for name, place in first.places.items()}
    changed = replace(ranking, conditions=(replace(first, places=lower), *ranking.conditions[1:]))
    files = {path.name: path.read_text() for path in write_ranking(changed, tmp_path)}
    shown = re.sub(r"<style>.*?</style>|<[^>]*>", " ", files["ranking.html"], flags=re.DOTALL)
    assert "−0.08" in shown and re.findall(r"(?<![\w-])-\d", shown) == []
    assert " -0.08" in files["ranking.md"]


def test_estimates_of_a_part_are_ranked_where_the_rest_may_well_be_silence(ranking: Ranking) -> None:
    """Half of the mixtures with targets, or more, and no list of its own that says otherwise."""
    usual = entries(ranking)["usual"]
    targets = sum(bool(score.reference_labels) for score in usual.scores.values())
    silent = tuple(id_ for id_, score in usual.scores.items() if not score.estimates)
    assert silent

    def answering(count: int, *, listed: bool = False) -> RankedSubmission:
        summary = replace(usual.result.summary, answered=count, listed=listed)
        return replace(usual, rank=None, place=None, result=replace(usual.result, summary=summary))

    half = (targets + 1) // 2
    assert (answering(half).partial, answering(half).status, answering(half).missing) == (None, "complete", silent)
    few, told = answering(half - 1), answering(N - 1, listed=True)
    assert few.partial == f"answers {half - 1} of {N} mixtures: most of those with targets have no file"
    assert told.partial == f"answers {N - 1} of {N} mixtures: its own list does not call the others silent"
    assert (few.status, told.status) == ("partial", "partial")
    assert (answering(N).partial, answering(N).missing) == (None, ()), "a silence of its own is an answer"
    others = [replace(entries(ranking)["timid"], rank=None), few, told]
    assert [(entry.rank, entry.partial is None) for entry in placed(others)] == [
        (1, True),
        (None, False),
        (None, False),
    ]


def test_the_csv_has_every_number_under_its_name(ranking: Ranking, files: dict[str, str]) -> None:
    for row, entry in zip(rows_of(files["ranking.csv"]), ranking.entries, strict=True):
        value, metrics = entry.ranking_value, entry.result.summary.metrics
        wanted: dict[str, Any] = {
            "name": entry.name, "status": entry.status, "rank": entry.rank, "metric": "capi_sdri",
            "value": value.value, "value_ci_low": value.ci_low, "value_ci_high": value.ci_high,
            "n": value.n, "n_defined": value.n_defined,
            "mixture_accuracy": metrics["mixture_accuracy"].value, "source_accuracy": metrics["source_accuracy"].value,
        }  # fmt: skip
        if entry.place is not None:
            wanted |= {"rank_low": entry.place.low, "rank_high": entry.place.high, "first": entry.place.first}
            wanted |= {"rank_low_all": entry.place.low_all, "rank_high_all": entry.place.high_all}
        for other, change in (("previous", entry.to_previous), ("first", entry.difference)):
            for end in ("ci_low", "ci_high", "p_sign", "significant"):
                wanted[f"to_{other}_{end}"] = None if change is None else getattr(change, end)
            wanted[f"to_{other}"] = None if change is None else change.delta
        assert {key: row[key] for key in wanted} == {k: "" if v is None else str(v) for k, v in wanted.items()}


def test_differences_are_to_the_one_that_is_named(ranking: Ranking) -> None:
    usual, timid, killed = ranking.entries
    assert (usual.difference, usual.to_previous, killed.to_previous) == (None, None, None)
    assert timid.difference is not None and killed.difference is not None
    assert timid.value is not None and usual.value is not None
    assert timid.difference.delta == pytest.approx(timid.value - usual.value) and timid.difference == timid.to_previous
    assert killed.difference.delta == 0, "over the mixtures that both have scored"
    first, second, last = ranking.as_dict()["ranking"]
    assert first["difference_to_first"] is None
    for told in (second["difference_to_first"], second["difference_to_previous"]):
        assert told["delta"] == timid.difference.delta
        assert told["significant"] == timid.difference.significant and told["withheld"] is False
    assert (last["answered"], last["n_failed"], last["missing"]) == (N, 0, ["m_0037", "m_0038", "m_0039"])


def test_conditions_stand_in_csv_markdown_and_page_as_they_were_reckoned(
    ranking: Ranking, files: dict[str, str]
) -> None:
    wanted = []
    for c in ranking.conditions:
        for name, place in c.places.items():
            numbers = ("" if v is None else str(v) for v in (place.rank, place.low, place.high, place.value))
            wanted.append([c.group, c.name, c.metric, str(c.n), name, *numbers])
    assert [list(row.values()) for row in rows_of(files["ranking_conditions.csv"])] == wanted
    assert {name for *_, name, _, _, _, _ in wanted} == {"usual", "timid"}, "one without a rank has none anywhere"
    for condition in ranking.conditions:
        shown = [
            "–" if p.rank is None else f"{p.rank} [{p.low}, {p.high}] {number(p.value, 2)}"
            for p in (condition.places["usual"], condition.places["timid"])
        ]
        line = f"| {condition.group}: {condition.name} | {condition.n} | {shown[0]} | {shown[1]} |"
        assert line in files["ranking.md"]
        values = {name: place.value for name, place in condition.places.items() if place.value is not None}
        for name, value in values.items():
            assert condition.places[name].rank == 1 + sum(other > value + 1e-9 for other in values.values())


def test_the_folder_of_a_ranking_is_the_one_that_its_runs_have_in_common(ranking: Ranking, tmp_path: Path) -> None:
    assert ranking.out == ranking.entries[0].path.parent
    copies = [tmp_path / "a" / "usual", tmp_path / "b" / "deep" / "timid"]
    for copy in copies:
        shutil.copytree(entries(ranking)[copy.name].path, copy)
    assert rank_runs(copies).out == tmp_path.resolve()
    assert rank_runs(copies[:1]).as_dict()["runs"] == str(tmp_path / "a")


def test_runs_that_have_only_the_root_in_common_have_no_folder(ranking: Ranking) -> None:
    assert _common_folder([Path("/data/one/run"), Path("/home/two/run")]) is None
    assert _common_folder([Path("/run1"), Path("/run2")]) == Path("/"), "there they are"
    assert replace(ranking, out=None).as_dict()["runs"] is None


def test_what_is_not_certain_of_the_data_is_told(ranking: Ranking, tmp_path: Path) -> None:
    old, new = tmp_path / "old", entries(ranking)["usual"].path
    shutil.copytree(entries(ranking)["timid"].path, old)
    as_version_1(old)
    (unsure,) = (told for told in rank_runs([new, old]).warnings if "names and sizes" in told)
    assert (
        unsure
        == f"{new} and {old}: that both were made on the same data is known by names and sizes of the files alone"
    )
    assert not any("names and sizes" in told for told in ranking.warnings)
    both = replace(ranking, doubts=(unsure,), marks=("usual: oracle",))
    assert both.warnings == (unsure, "usual: oracle") == tuple(both.as_dict()["warnings"])
    assert [ranking_table(both).count(f"warning: {told}") for told in both.warnings] == [1, 1]
    write_ranking(rank_runs([new, old]), tmp_path / "files")
    for kind in ("html", "md", "tex", "csv", "json"):
        assert "names and sizes" in (tmp_path / "files" / f"ranking.{kind}").read_text(), kind


def test_a_table_has_its_cells_below_their_headings(ranking: Ranking, files: dict[str, str]) -> None:
    header, _, *body = [line.split(" | ") for line in files["ranking.md"].splitlines() if line.startswith("|")][:5]
    assert [cell.strip("| ") for cell in header][:5] == [
        "rank [95 %]", "system", "CAPI-SDRi, dB", "to the one before, dB", "first, %"
    ]  # fmt: skip
    for cells, entry in zip(body, ranking.entries, strict=True):
        metrics = entry.result.summary.metrics
        assert cells[1].startswith(entry.name) and cells[2].startswith(number(entry.value, 3))
        assert cells[4] == ("–" if entry.place is None else number(100 * entry.place.first, 1))
        assert cells[5].startswith(number(metrics["mixture_accuracy"].value, 2))
        assert cells[6].startswith(number(metrics["source_accuracy"].value, 2))
    assert body[2][1] == "killed (partial)" and body[2][0] == "| –"
    assert json.loads(files["ranking.json"])["n_split"] == N
