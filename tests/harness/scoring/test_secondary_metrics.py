"""`--metrics all`: secondary columns stand apart, and survive rescoring only where they still hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s5eval.harness.record.run_record import About
from s5eval.harness.record.run_summary import Mean, RunAsWritten
from s5eval.harness.record.tables import AsWritten, MixtureScore, Outcome
from s5eval.harness.scoring.summary import summarize

Call = Callable[..., Any]
NAMES = ["casa_sdr", "casa_sdri", "bss_sdr", "bss_sir", "bss_sar"]


@pytest.fixture
def run(systems_on_path: None, staged_set: Path, tmp_path: Path, s5eval: Call) -> Path:
    out = tmp_path / "run"
    result = s5eval(
        "run", "--system", "staged:build", "--data", staged_set, "--limit", 6, "--metrics", "all", "--out", out
    )
    assert result.code == 0
    assert "secondary metrics, dB (they rank nothing): CASA-SDR" in result.out
    return out


def test_values_of_every_metric(run: Path, summary: Call, lines: Call) -> None:
    secondary = summary(run)["secondary"]
    assert list(secondary) == NAMES
    assert all(entry["value"] is not None for entry in secondary.values())
    assert not set(NAMES) & summary(run)["metrics"].keys()
    silent = [line for line in lines(run).values() if not line["reference_labels"] and not line["estimates"]]
    assert all(set(line["secondary"].values()) == {None} for line in silent)
    assert "Secondary metrics (optional" in (run / "report.html").read_text()


def test_without_the_option_there_are_none(
    systems_on_path: None, staged_set: Path, tmp_path: Path, s5eval: Call, summary: Call, lines: Call
) -> None:
    out = tmp_path / "plain"
    s5eval("run", "--system", "staged:build", "--data", staged_set, "--limit", 2, "--out", out)
    assert summary(out)["secondary"] is None
    assert all(line["secondary"] is None for line in lines(out).values())


def test_rescoring_keeps_them_while_the_estimates_are_the_same(run: Path, s5eval: Call, summary: Call) -> None:
    before = summary(run)["secondary"]
    assert s5eval("rescore", run).code == 0
    assert summary(run)["secondary"] == before


def test_another_decision_keeps_what_the_tables_give_and_no_mean_over_the_rest(
    run: Path, tmp_path: Path, s5eval: Call, summary: Call
) -> None:
    decision = tmp_path / "d.yaml"
    decision.write_text("silence_thresholds: {default: 0.3}\n")
    assert s5eval("rescore", run, "--decision", decision, "--out", tmp_path / "other").code == 0
    secondary = summary(tmp_path / "other")["secondary"]
    assert secondary["casa_sdr"]["value"] is not None
    assert [secondary[name]["value"] for name in NAMES[2:]] == [None] * 3


def test_compare_shows_them(run: Path, s5eval: Call) -> None:
    result = s5eval("compare", run, run)
    assert "secondary metrics (they rank nothing)" in result.out
    assert "CASA-SDRi dB" in result.out


def test_a_mean_over_some_mixtures_says_so(run: Path, s5eval: Call, summary: Call) -> None:
    entry = summary(run)["secondary"]["bss_sdr"]
    assert entry["n_defined"] < entry["n"]  # the staged set has silent scenes
    told = f"over {entry['n_defined']} of {entry['n']} mixtures"
    assert told in s5eval("rescore", run).out
    assert told in (run / "report.html").read_text()


@pytest.mark.parametrize("threshold", [0.3, 0.0])
def test_what_only_the_written_files_tell_goes_when_the_estimates_change(
    threshold: float, systems_on_path: None, staged_set: Path, tmp_path: Path, s5eval: Call, summary: Call, lines: Call
) -> None:
    """Some mixtures keep their estimates, and a mean over those alone would pass for one over all."""
    out, other, decision = tmp_path / "run", tmp_path / "other", tmp_path / "d.yaml"
    s5eval("run", "--system", "staged:build", "--data", staged_set, "--limit", 8, "--save-audio", "--out", out)
    assert summary(out)["as_written"]["capi_sdri"]["n_defined"] == summary(out)["metrics"]["capi_sdri"]["n_defined"]
    assert s5eval("rescore", out).code == 0
    assert summary(out)["as_written"]["capi_sdri"]["value"] is not None
    decision.write_text(f"silence_thresholds: {{default: {threshold}}}\n")
    result = s5eval("rescore", out, "--decision", decision, "--out", other)
    before, after = lines(out), lines(other)
    changed = [id_ for id_ in before if before[id_]["estimates"] != after[id_]["estimates"]]
    assert len(changed) > 0
    assert summary(other)["as_written"] is None
    assert "as written" not in result.out
    assert "As written" not in (other / "report.html").read_text()
    assert all(line["as_written"] is None for line in after.values())


def test_as_written_and_secondary_columns_want_every_mixture() -> None:
    scored = Outcome("scored")
    full = MixtureScore("a", scored, as_written=AsWritten(0.9, 1), secondary={"casa_sdr": 1.0})
    rest = MixtureScore("b", scored)
    failed = MixtureScore("c", Outcome("failed", "off"))
    about = About(system="folder", weights="none", dataset="folder", split="folder")
    facts: dict[str, Any] = {"n_expected": 2, "finished": True, "about": about}
    assert summarize([full, failed], **facts).as_written == RunAsWritten(Mean(0.9, 1), 1)
    assert summarize([full], **facts).secondary is not None
    assert summarize([full, rest], **facts).as_written is None
    assert summarize([full, rest], **facts).secondary is None
