"""A run as DataFrames: the numbers of its records, with the same columns and types whatever the run holds."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_up_run import write_run

import s5eval as face
from s5eval.frames import Run

FRAMES = ("mixtures", "sources", "estimates", "pairs", "slices", "losses")
Call = Callable[..., Any]


@pytest.fixture
def run(small_set: Path, tmp_path: Path, s5eval: Call) -> Run:
    out = tmp_path / "run"
    s5eval("score", small_set / "estimate", "--data", small_set, "--out", out, "--metrics", "all")
    return face.read_run(out)


def test_mixtures_hold_what_the_journal_says(run: Run, lines: Callable[[Path], Any]) -> None:
    recorded = lines(run.path)
    frame = run.mixtures
    assert list(frame.index) == list(recorded) == [score.mixture_id for score in run.scores]
    for id_, line in recorded.items():
        row = frame.loc[id_]
        counts, value = line["labels"], line["capi"]["value"]
        assert {name: row[name] for name in ("tp", "fp", "fn")} == counts
        assert row["exact"] == (counts["fp"] == counts["fn"] == 0)
        if value is None:
            assert pd.isna(row["capi_sdri"])
        else:
            assert row["capi_sdri"] == value
        assert row["n_references"] == len(line["reference_labels"])
    targets = frame[frame["n_references"] > 0]
    losses = targets[[name for name in frame if name.startswith("loss_")]].sum(axis=1)
    assert (targets["bound_labels"] - targets["capi_sdri"]).tolist() == pytest.approx(losses.tolist())
    assert frame["capi_sdri"].mean() == pytest.approx(run.summary.metrics["capi_sdri"].value)
    assert 100 * frame["exact"].mean() == pytest.approx(run.summary.metrics["mixture_accuracy"].value)
    assert frame["casa_sdr"].notna().any()


def test_sources_and_estimates_are_two_views_of_the_same_pairs(run: Run) -> None:
    sources, estimates = run.sources, run.estimates
    assert len(sources) == run.mixtures["n_references"].sum() == 6
    assert len(estimates) == run.mixtures["n_estimates"].sum() == 5
    key = ["mixture_id", "reference", "estimate"]
    both = sources.dropna(subset="estimate").merge(estimates.dropna(subset="reference"), on=key)
    assert len(both) == run.mixtures["tp"].sum() == 4
    assert both["sdri_x"].tolist() == pytest.approx(both["sdri_y"].tolist())
    assert (both["label_x"] == both["label_y"]).all()
    assert sources["sdr_mixture"].notna().all()
    entries = sources.groupby("mixture_id")["sdri"].sum() / run.mixtures["n_entries"]
    assert entries.dropna().tolist() == pytest.approx(run.mixtures.loc[entries.dropna().index, "capi_sdri"].tolist())


def test_pairs_have_the_labels_that_the_priors_of_the_decision_make(
    tmp_path: Path, make_tables: Callable[..., Any]
) -> None:
    """They had those of before: estimates stood assigned to references of another class."""
    made = make_tables(40, 2)
    tables = [replace(t, class_scores=t.class_scores / t.class_scores.sum(axis=1, keepdims=True)) for t in made]
    write_run(tmp_path / "run", tables, with_tables=True)
    (tmp_path / "priors.yaml").write_text("prior_factors: {Speech: 20.0, Cough: 0.05, silence: 0.2}\n")
    run = face.rescore(tmp_path / "run", tmp_path / "again", decision=tmp_path / "priors.yaml")
    assigned = run.pairs[run.pairs["assigned"]]
    assert len(assigned) and (assigned["candidate_label"] == assigned["reference_label"]).all()
    both = run.pairs.merge(run.estimates, left_on=["mixture_id", "candidate"], right_on=["mixture_id", "estimate"])
    assert len(both) and (both["candidate_label"] == both["label"]).all()
    assert (both["p_silence"] <= run.record.decision.threshold("Speech")).all()
    before = face.read_run(tmp_path / "run").pairs
    assert (before["candidate_label"] != run.pairs["candidate_label"]).any()


def test_pairs_are_every_candidate_against_every_reference(run: Run) -> None:
    pairs = run.pairs
    assert len(pairs) == (run.mixtures["n_estimates"] * run.mixtures["n_references"]).sum()
    assert pairs["kept"].all()
    assigned = pairs[pairs["assigned"]]
    assert (assigned["candidate_label"] == assigned["reference_label"]).all()
    assert len(assigned) == 4
    wanted = run.sources.dropna(subset="estimate")["sdri"].tolist()
    assert sorted(assigned["sdri"]) == pytest.approx(sorted(wanted))


def test_slices_hold_every_value_of_the_summary(run: Run) -> None:
    slices = run.slices.set_index(["group", "name", "metric"])
    value = slices.loc[("all", "all", "capi_sdri")]
    assert (value["value"], value["unit"]) == (run.summary.metrics["capi_sdri"].value, "dB")
    assert slices.loc[("class", "Typing", "recall"), "unit"] == "%"
    assert slices.loc[("bound", "oracle-zeros", "capi_sdri"), "n"] == 5
    assert slices.loc[("targets", "2", "mixture_accuracy"), "n"] == 2
    assert set(slices.index.levels[0]) == {"all", "bound", "secondary", "targets", "repeated_class", "class"}


def test_losses_by_class_sum_to_the_gap_to_the_bound(run: Run) -> None:
    parts = run.summary.decomposition
    assert parts is not None
    assert run.losses["total"].sum() == pytest.approx(parts.bound - parts.value)
    assert run.losses["miss"].sum() == pytest.approx(parts.terms["miss"])


def test_a_run_without_references_has_the_same_columns(run: Run, make_set: Call, tmp_path: Path) -> None:
    root = make_set(tmp_path / "eval", {"m_1": ["Cough"], "m_2": []})
    for path in (root / "oracle_target").iterdir():
        path.unlink()
    (root / "oracle_target").rmdir()
    other = face.run("silence", root, tmp_path / "silent")
    for name in FRAMES:
        assert getattr(other, name).dtypes.to_dict() == getattr(run, name).dtypes.to_dict(), name
    assert other.mixtures["status"].tolist() == ["predicted", "predicted"]
    assert other.mixtures["n_references"].isna().all()
    assert other.sources.empty


@pytest.mark.usefixtures("systems_on_path")
def test_a_failed_mixture_is_a_row_with_its_error_and_no_number(small_set: Path, tmp_path: Path) -> None:
    run = face.run("plugins:build", small_set, tmp_path / "run", settings={"raise_on": "m_2"})
    row = run.mixtures.loc["m_2"]
    assert (row["status"], pd.isna(row["capi_sdri"]), pd.isna(row["n_estimates"])) == ("failed", True, True)
    assert "the network fell over" in row["error"]
    assert "m_2" not in set(run.sources["mixture_id"]) | set(run.pairs["mixture_id"])
    assert "plugins:build on folder small, 4 of 5 mixtures scored, partial" in repr(run)


def test_a_damaged_run_is_told(run: Run) -> None:
    next((run.path / "pairs").iterdir()).write_bytes(b"x")
    with pytest.raises(face.DataError, match="not a readable pair table"):
        face.read_run(run.path).pairs  # noqa: B018
    (run.path / "summary.json").unlink()
    with pytest.raises(face.DataError, match="summary"):
        face.read_run(run.path)


def test_frames_survive_csv_and_are_made_once(run: Run, tmp_path: Path) -> None:
    assert run.mixtures is run.mixtures
    run.mixtures.to_csv(tmp_path / "m.csv")
    back = pd.read_csv(tmp_path / "m.csv", index_col="mixture_id")
    assert back["capi_sdri"].tolist() == pytest.approx(run.mixtures["capi_sdri"].tolist(), nan_ok=True)
    assert json.loads(run.slices.to_json(orient="records"))[0]["metric"]
