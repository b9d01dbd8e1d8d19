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
from s5eval.harness.comparing.published import published_on, published_sources, ranking_metric
from s5eval.harness.comparing.ranking import rank_runs
from s5eval.harness.comparing.ranking_files import write_ranking
from s5eval.metrics.ranks import rank_intervals

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
    odd = replace(ranking.entries[0], name="<b>&|x_1")
    ranking = replace(ranking, entries=(odd, *ranking.entries[1:]), conditions=())
    paths = {path.suffix + path.stem[7:]: path.read_text() for path in write_ranking(ranking, tmp_path / "r")}
    assert "&lt;b&gt;&amp;|x_1" in paths[".html"]
    assert "&#124;x_1" in paths[".md"]
    assert r"\&" in paths[".tex"] and r"x\_1" in paths[".tex"]
    rows = list(csv.DictReader(io.StringIO(paths[".csv"])))
    assert [row["name"] for row in rows] == ["<b>&|x_1", "Scaled", "Quiet"]
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert all(len(row) == len(rows[0]) and None not in row for row in rows)


def test_every_published_figure_has_its_source_and_its_challenge_s_metric() -> None:
    assert set(published_sources()) == {"dcase2025", "dcase2026"}
    assert all(source.startswith("https://dcase.community/challenge20") for source in published_sources().values())
    rows, note = published_on("dcase2025", "test", ["a"] * 7, 7)
    assert (len(rows), rows[0].system, rows[0].capi_sdri, rows[0].metric) == (17, "Morocutti_CPJKU_2", 15.04, "ca_sdri")
    assert note is not None and "not known here" in note
    evaluated, _ = published_on("dcase2025", "eval", ["a"] * 7, 7)
    ranks = [row.official_rank for row in evaluated if row.official_rank is not None]
    assert ranks == sorted(ranks)  # the order of the values is that of the official ranks
    assert published_on("dcase2025", "test", ["a"] * 5, 7)[0] == ()
    assert (ranking_metric("dcase2025"), ranking_metric("mini")) == ("ca_sdri", "capi_sdri")


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
    assert "1 estimate" in found.out
