"""`--metrics all`: secondary columns stand apart, and survive rescoring only where they still hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
    assert "secondary" not in summary(out)
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
