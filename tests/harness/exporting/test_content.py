"""What an export holds of a run: every figure under its own name, and every mark that stands beside its numbers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made_up_run import write_run
from sealed_files import edit_record

from s5eval import read_run
from s5eval.harness.comparing.run_list import RANKING_METRICS, list_runs
from s5eval.harness.exporting.content import listing_content, run_content
from s5eval.harness.exporting.model_card import model_card
from s5eval.harness.record.codec import to_json
from s5eval.harness.record.tables import PairTable

Tables = Callable[..., list[PairTable]]


@pytest.fixture
def run(tmp_path: Path, make_tables: Tables) -> Path:
    about = {"n_split": 500, "set": ("system.depth=2",), "missing_parts": ("an ear",), "name": "ours"}
    write_run(tmp_path / "runs" / "first", make_tables(30, 1), about=about, with_tables=True)
    return tmp_path / "runs" / "first"


def test_figures_and_facts_are_those_of_the_summary(run: Path) -> None:
    result = read_run(run)
    content = run_content(result)
    wanted = {}
    for name, value in result.summary.metrics.items():
        for end, part in (("", value.value), ("_ci_low", value.ci_low), ("_ci_high", value.ci_high)):
            wanted[f"{name}{end}"] = part
    assert len(wanted) == 18 and None not in wanted.values()
    assert dict(content.figures) == wanted
    counts = [content.facts[key] for key in ("n_expected", "n_scored", "n_failed")]
    assert (content.name, content.facts["name"], counts) == ("first", "ours", [30, 30, 0])
    assert (content.facts["system"], content.facts["dataset"], content.facts["split"]) == (
        "made-up",
        "made-up",
        "valid",
    )


def test_what_was_asked_and_under_which_circumstances_goes_along(run: Path) -> None:
    result = read_run(run)
    facts, told = run_content(result).facts, to_json(result.record)
    for name in ("manifest_sha256", "metric_version", "decision", "fingerprint", "config", "provenance", "energy"):
        assert facts[name] == told[name]
    assert (facts["weights"], facts["status"], facts["decision"]["silence_thresholds"]["Cough"]) == (
        "none",
        "complete",
        0.5,
    )


def test_what_stands_beside_the_table_in_the_terminal_goes_along(run: Path) -> None:
    """Findings, who decided, whose data: of a run that was rescored, it was told how its source was made alone."""
    about = {"findings": {"orphan": 2}, "folder": "calls", "decided_by": "somebody"}
    edit_record(run / "run.json", lambda record: record["about"].update(about), rescored_from="R", merged_from=["A"])
    facts = run_content(read_run(run)).facts
    assert {key: facts[key] for key in about} == about
    assert (facts["rescored_from"], facts["merged_from"]) == ("R", ["A"])


def test_a_value_that_is_undefined_is_left_out_and_is_no_zero(run: Path) -> None:
    result = read_run(run)
    capi = replace(result.summary.metrics["capi_sdri"], value=None, ci_low=None, ci_high=None)
    bare = replace(result.summary, metrics={**result.summary.metrics, "capi_sdri": capi})
    result.summary = bare
    figures = run_content(result).figures
    assert not any(name in figures for name in ("capi_sdri", "capi_sdri_ci_low", "capi_sdri_ci_high"))
    assert "capi_sdri_zero_floor" in figures


def test_every_mark_goes_along(run: Path) -> None:
    marks = ["PARTIAL: 30 of the split's 500 mixtures", "WITHOUT an ear", "set: system.depth=2"]
    assert [mark for mark in run_content(read_run(run)).facts["marks"] if mark != "PARTIAL"] == marks
    (told,) = listing_content(list_runs([run.parent])).tables["runs"]["marks"]
    assert told.split("; ") == marks


def test_a_row_of_the_list_has_each_metric_in_its_column(run: Path, tmp_path: Path) -> None:
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "run.json").write_text("{}")
    frame = listing_content(list_runs([run.parent])).tables["runs"].set_index("status")
    row, metrics = frame.loc["complete"], read_run(run).summary.metrics
    for name in RANKING_METRICS:
        told = metrics[name]
        assert [row[name], row[f"{name}_ci_low"], row[f"{name}_ci_high"]] == [told.value, told.ci_low, told.ci_high]
    assert (row["n_expected"], row["n_done"], row["name"]) == (30, 30, "ours")
    broken = frame.loc["damaged"]
    assert pd.isna(broken["n_done"]) and pd.isna(broken["capi_sdri"]) and "run.json" in broken["marks"]


def test_the_scores_of_a_card_stand_below_their_titles() -> None:
    scores = {
        "mini/test": {"mixture_accuracy": 51.0, "capi_sdri": [5.9, 5.1, 6.8]},
        "mini/valid": {"capi_sdri_zero_floor": -1.5},
    }
    page = model_card({"history": [], "scores": scores}, "k/n", licence=None, files=[])
    assert "0 hours in all, on not stated." in page
    assert "| data | CAPI-SDRi dB | mixture accuracy % | zero floor dB |" in page
    assert "| mini/test | 5.9 [5.1, 6.8] | 51.0 | – |\n| mini/valid | – | – | -1.5 |" in page


def test_a_training_stands_below_its_heads_on_the_page() -> None:
    entry = {"recipe": "mini/uss", "steps": 10, "scenes": 20, "data": "mine", "hours": 0.5, "device": "a GPU"}
    energy = {"kwh": 0.125, "seconds": 9, "method": "M", "hardware": "H", "unmeasured_sittings": 0}
    card = {
        "history": [{**entry, "energy": energy}, {"recipe": "mini/dpc", "steps": 1, "hours": 1.5}],
        "scores": {"mini/test": {"capi_sdri_gain_floor": -2.5}},
    }
    page = model_card(card, "k/n", licence=None, files=[])
    assert "| recipe | steps | scenes | data | hours |" in page
    assert "| mini/uss | 10 | 20 | mine | 0.5 |\n| mini/dpc | 1 | – | – | 1.5 |" in page
    assert "2 hours in all, on a GPU." in page
    assert "less than the whole, since 1 sitting was not measured" in page
    assert "| data | gain floor dB |\n|---|---:|\n| mini/test | -2.5 |" in page
