"""A ranking of three made-up runs: what each file has of each of them, and what an unfinished one lacks."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from made_up_run import write_run
from sealed_files import edit_record

from s5eval.harness.comparing.ranked import RankedSubmission
from s5eval.harness.comparing.ranking import Ranking, rank_runs
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
