"""Places of submissions, their files, ranks of finished runs, and a run among the published results."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s5eval.harness.comparing import published
from s5eval.harness.comparing.published import published_on, ranking_metric
from s5eval.harness.comparing.ranking import rank_runs
from s5eval.harness.comparing.ranking_files import write_ranking
from s5eval.metrics.ranks import rank_intervals
from s5eval.submissions.rules import EVAL_IDS

Call = Callable[..., Any]


@pytest.fixture
def runs(systems_on_path: None, staged_set: Path, tmp_path: Path, s5eval: Call) -> list[Path]:
    """Three runs on the same data: the references, silence, and the references with another threshold."""
    found = []
    for name, system in (("Quiet", "silence"), ("Best|A", "oracle"), ("Scaled", "oracle-gain")):
        run = tmp_path / name.replace("|", "_")
        call = ("run", "--system", system, "--data", staged_set, "--name", name.replace("|", "_"), "--out", run)
        assert s5eval(*call).code == 0
        found.append(run)
    return found


def test_finished_runs_are_ranked_by_what_is_on_disk(runs: list[Path], s5eval: Call, tmp_path: Path) -> None:
    found = s5eval("rank", *runs, "--json", "--out", tmp_path / "ranking")
    assert found.code == 0
    rows = found.json["ranking"]
    assert [(row["name"], row["rank"]) for row in rows] == [("Best_A", 1), ("Scaled", 2), ("Quiet", 3)]
    assert rows[0]["place"] == {"low": 1, "high": 1, "low_all": 1, "high_all": 1, "first": 1.0}
    assert rows[0]["difference_to_previous"] is None
    assert rows[1]["difference_to_previous"]["significant"] is True
    assert any("oracle: sees the references" in warning for warning in found.json["warnings"])
    names = sorted(path.name for path in (tmp_path / "ranking").iterdir())
    assert names == [
        "ranking.csv", "ranking.html", "ranking.json", "ranking.md", "ranking.tex", "ranking_conditions.csv",
    ]  # fmt: skip
    assert json.loads((tmp_path / "ranking" / "ranking.json").read_text()) == found.json
    other = s5eval("rank", *runs, runs[0])
    assert (other.code, "have the same name" in other.err) == (2, True)


def test_a_narrow_terminal_says_what_it_leaves_out_and_explains_what_it_shows(
    runs: list[Path], s5eval: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    wide = s5eval("rank", *runs, "--out", tmp_path / "r").out
    assert all(word in wide for word in ("behind the first dB", "source acc. %", "n (defined)"))
    assert "more columns" not in wide
    monkeypatch.setenv("COLUMNS", "72")
    narrow = s5eval("rank", *runs).out
    assert "more columns in ranking.csv (--out): behind the first dB, source acc. %" in narrow
    assert "(defined)" in narrow and "12 (" in narrow
    assert "\n  1 Best_A\n" in narrow, "a name is not cut"
    for text in (wide, narrow):
        assert "first: share of resamples" not in text, "no such column"
    assert "first: share of resamples" in (tmp_path / "r" / "ranking.md").read_text()
    assert "first: share" not in (tmp_path / "r" / "ranking.tex").read_text(), "whose table has no such column"
    row = list(csv.DictReader(io.StringIO((tmp_path / "r" / "ranking.csv").read_text())))[2]
    assert float(row["to_first"]) < float(row["to_previous"]) < 0
    assert row["to_first_significant"] == "True"


def test_so_few_mixtures_that_nothing_has_a_star_are_told(
    systems_on_path: None, staged_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    for system in ("oracle", "silence"):
        s5eval("run", "--system", system, "--data", staged_set, "--limit", 5, "--out", tmp_path / system)
    both = (tmp_path / "oracle", tmp_path / "silence")
    found = s5eval("rank", *both, "--out", tmp_path / "r")
    told = "no star where fewer than 6 mixtures changed: so few can all fall to one side by chance"
    compared = s5eval("compare", *both).out
    assert told in compared and "5 mixtures compared" in compared
    for text in (found.out, *((tmp_path / "r" / f"ranking.{kind}").read_text() for kind in ("md", "html", "tex"))):
        assert f"{told}, and every rank is possible" in text
        assert "PARTIAL: 5 of the split" in text
        assert "2 submissions" in text
    listed = csv.DictReader(io.StringIO((tmp_path / "r" / "ranking.csv").read_text()))
    assert all("PARTIAL: 5 of the split's 12 mixtures" in row["marks"] for row in listed)
    alone = s5eval("rank", both[0]).out
    assert "| 1 submission |" in alone
    one = s5eval("run", "--system", "oracle", "--data", staged_set, "--limit", 1, "--out", tmp_path / "one").out
    assert "| 1 of " in one or "| 1 mixture" in one


def test_conditions_are_ranked_like_the_whole(runs: list[Path]) -> None:
    ranking = rank_runs(runs)
    by_name = {(c.group, c.name): c for c in ranking.conditions}
    assert ("targets", "2") in by_name
    assert any(group == "class" for group, _ in by_name)
    two = by_name["targets", "2"]
    values = {name: place.value for name, place in two.places.items()}
    ordered = sorted(values, key=lambda name: -(values[name] or 0.0))
    assert [two.places[name].rank for name in ordered] == [1, 2, 3]
    assert two.n == 3  # so few can all fall to one side by chance
    assert {(place.low, place.high) for place in two.places.values()} == {(1, 3)}
    silent = by_name["targets", "0"]
    assert {place.rank for place in silent.places.values()} == {None}


def test_places_are_those_of_the_scores(runs: list[Path]) -> None:
    ranking = rank_runs(runs)
    sides = [[score.capi_sdri for score in entry.scores.values()] for entry in ranking.entries]
    table = np.array(sides, dtype=np.float64).T
    found = rank_intervals(np.nan_to_num(table), (~np.isnan(table)).astype(float))
    places = [entry.place for entry in ranking.entries]
    assert [(p.low, p.high) for p in places if p] == list(zip(found.low.tolist(), found.high.tolist(), strict=True))


def test_files_hold_every_submission_and_escape_what_names_hold(runs: list[Path], tmp_path: Path) -> None:
    ranking = rank_runs(runs)
    result = ranking.entries[0].result
    result = replace(result, summary=replace(result.summary, set=("system.level=0.5",)))
    odd = replace(ranking.entries[0], name="<b>&|x_1 -1", result=result)
    ranking = replace(ranking, entries=(odd, *ranking.entries[1:]), conditions=())
    paths = {path.suffix + path.stem[7:]: path.read_text() for path in write_ranking(ranking, tmp_path / "r")}
    assert "&lt;b&gt;&amp;|x_1 -1" in paths[".html"]
    assert "&#124;x_1 -1" in paths[".md"]
    assert r"\&" in paths[".tex"] and r"x\_1 -1" in paths[".tex"], "a name keeps its hyphen"
    assert "& $-$" in paths[".tex"], "a difference has a minus sign"
    rows = list(csv.DictReader(io.StringIO(paths[".csv"])))
    assert [row["name"] for row in rows] == ["<b>&|x_1 -1", "Scaled", "Quiet"]
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert all(len(row) == len(rows[0]) and None not in row for row in rows)
    for text in (paths[".md"], paths[".tex"], rows[0]["marks"]):
        assert "set: system.level=0.5; oracle: sees the references" in text, "what it is worth goes where it goes"


_PAGE = "https://dcase.community/challenge{}/task-spatial-semantic-segmentation-of-sound-scenes-results"


def _published(dataset: str, split: str) -> tuple[tuple[published.Published, ...], str]:
    rows, note = published_on(dataset, split, ["a"] * (1512 if dataset == "dcase2026" else 7), 7)
    assert note is not None
    return rows, note


@pytest.mark.parametrize(
    ("dataset", "split", "n", "best", "metric"),
    [
        ("dcase2026", "dev-test", 16, ("Bando_AIST_2", 16.45), "capi_sdri"),
        ("dcase2025", "test", 18, ("Morocutti_CPJKU_2", 15.04), "ca_sdri"),
        ("dcase2025", "eval", 17, ("Choi_KAIST_3", 11.00), "ca_sdri"),
    ],
)
def test_every_published_figure_has_its_source_and_its_challenge_s_metric(
    dataset: str, split: str, n: int, best: tuple[str, float], metric: str
) -> None:
    rows, note = _published(dataset, split)
    assert (len(rows), (rows[0].system, rows[0].capi_sdri)) == (n, best)
    assert {row.metric for row in rows} == {metric} == {ranking_metric(dataset)}
    pages = {_PAGE.format(dataset[-4:]), f"https://github.com/nttcslab/{dataset}_task4_baseline"}
    assert {row.source for row in rows} <= pages
    assert all(source in note for source in {row.source for row in rows}) and "not known here" in note


@pytest.mark.parametrize(("dataset", "teams"), [("dcase2026", 11), ("dcase2025", 9)])
def test_every_team_of_a_challenge_is_there_and_the_order_of_values_is_that_of_the_official_ranks(
    dataset: str, teams: int
) -> None:
    if dataset == "dcase2026":
        rows, _ = published_on("folder", "folder", EVAL_IDS[:1512])
    else:
        rows, _ = _published(dataset, "eval")
    ranks = [row.official_rank for row in rows if row.official_rank is not None]
    assert ranks == sorted(ranks)
    assert [row.official_team_rank for row in rows if row.official_team_rank is not None] == list(range(1, teams + 1))


def test_a_baseline_that_is_on_no_page_has_its_repository_s_figures_of_the_test_set_alone() -> None:
    for dataset, system, value in (("dcase2026", "Nguyen_NTT_2", 8.489), ("dcase2025", "Baseline_ResUNet", 11.032)):
        split = "dev-test" if dataset == "dcase2026" else "test"
        (row,) = [row for row in _published(dataset, split)[0] if row.system == system]
        assert (row.capi_sdri, row.official_rank, row.source.split("/")[2]) == (value, None, "github.com")
    assert "Nguyen_NTT_2" not in {row.system for row in published_on("folder", "folder", EVAL_IDS[:1512])[0]}
    assert published_on("dcase2025", "test", ["a"] * 5, 7)[0] == ()


def test_what_is_said_of_a_part_is_true_of_its_split() -> None:
    """Of the validation split nothing is published, and of the evaluation set its first mixtures."""
    told = "published results are of the first 1512 mixtures, all of them"
    assert published_on("dcase2026", "eval", EVAL_IDS[:5]) == ((), told)
    assert (
        published_on("dcase2026", "valid", ["a"] * 5) == published_on("dcase2026", "valid", ["a"] * 1800) == ((), None)
    )


def test_one_run_is_set_among_the_published_results(
    s5eval: Call, small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ("score", small_set / "estimate", "--data", small_set, "--published", "--out")
    none = s5eval(*call, tmp_path / "none")
    assert none.code == 0
    assert "no published results on these mixtures" in none.out
    ids = sorted(path.stem for path in (small_set / "soundscape").iterdir())
    monkeypatch.setattr(published, "EVAL_IDS", tuple(ids))
    monkeypatch.setattr(published, "RANKED_EVAL_MIXTURES", len(ids))
    found = s5eval(*call, tmp_path / "among")
    assert "Bando_AIST_3 (published, rank 1 of the challenge)" in found.out
    assert "Wang_SRCN_2 (published, team rank 4 of the challenge)" in found.out
    assert "1 estimate" in found.out
