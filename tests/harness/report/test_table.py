"""The table of a result: beside the value stand what silence would earn, and over how many mixtures it is a mean."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from made_up_run import write_run

from s5eval.harness.record.reading import read_summary
from s5eval.harness.record.tables import PairTable
from s5eval.harness.report.decibels import decomposition_lines
from s5eval.harness.report.table import ranking_of_2025, summary_table
from s5eval.harness.report.text import number, number_and_interval

Call = Callable[..., Any]


def test_the_floors_and_the_mixtures_that_define_the_value_stand_beside_it(
    small_set: Path, tmp_path: Path, s5eval: Call, summary: Call
) -> None:
    """One of five scenes is silent and was answered with silence."""
    shown = s5eval("score", small_set / "estimate", "--data", small_set, "--out", tmp_path / "run").out
    metrics = summary(tmp_path / "run")["metrics"]
    value, zero, gain = (metrics[f"capi_sdri{floor}"]["value"] for floor in ("", "_zero_floor", "_gain_floor"))
    assert value != zero != gain
    header, row, *bounds = (re.split(r"\s{2,}", line) for line in shown.splitlines() if re.search(r"\(\S+\)$", line))
    cells = dict(zip(header[1:], row[1:], strict=True))
    assert (cells["zero floor dB"], cells["n (defined)"]) == (f"{zero:.3f}", "5 (4)")
    assert cells["CAPI-SDRi dB"].startswith(f"{value:.3f} [")
    assert "oracle-zeros" in {bound[1].partition(" ")[0] for bound in bounds}
    page = (tmp_path / "run" / "report.html").read_text()
    system, *_ = re.findall(r'<tr class="system">.*?</tr>', page, re.DOTALL)
    parts = re.findall(r"<td>(.*?)</td>", system, re.DOTALL)
    assert parts[-1] == "5 (4)"
    assert [part.partition(" ")[0] for part in parts[1:4]] == [
        f"{number:.2f}".replace("-", "−") for number in (value, zero, gain)
    ]


def test_the_metric_of_2025_is_told_where_it_ranks_and_is_not_that_of_2026(
    tmp_path: Path, make_tables: Callable[..., list[PairTable]]
) -> None:
    for dataset in ("dcase2025", "dcase2026"):
        write_run(tmp_path / dataset, make_tables(40, 2), about={"dataset": dataset})
    summary = read_summary(tmp_path / "dcase2025")
    value, other = summary.metrics["ca_sdri"], summary.metrics["capi_sdri"]
    assert value.value != other.value
    shown = (
        f"CA-SDRi, the ranking metric of 2025: {number_and_interval(value.value, value.ci_low, value.ci_high, 3)} dB"
    )
    assert ranking_of_2025(summary) == shown and shown in summary_table(summary)
    assert ranking_of_2025(read_summary(tmp_path / "dcase2026")) == ""


def test_the_three_confusions_that_cost_the_most_are_named(
    tmp_path: Path, make_tables: Callable[..., list[PairTable]]
) -> None:
    write_run(tmp_path / "run", make_tables(80, 2))
    parts = read_summary(tmp_path / "run").decomposition
    assert parts is not None and len(parts.confusions) > 5
    largest = sorted(parts.confusions, key=lambda c: -c.loss)[:3]
    listed = ", ".join(f"{c.reference} → {c.estimate} {number(c.loss, 2)}" for c in largest)
    (line,) = (line for line in decomposition_lines(parts) if line.startswith("+ confusions"))
    assert line.endswith(f": {listed}")
