"""An ablation made by hand: what terminal, Markdown, CSV, LaTeX and JSON have of each row, and in which column."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s5eval.harness.comparing.ablation import Ablation, AblationRow, Delta
from s5eval.harness.comparing.ablation_figure import ablation_figure
from s5eval.harness.comparing.ablation_latex import ablation_latex
from s5eval.harness.comparing.ablation_tables import ablation_csv, ablation_markdown, ablation_table
from s5eval.harness.record.run_record import Facts
from s5eval.harness.record.run_summary import MetricValue
from s5eval.harness.report.paper import paper_style

METRICS = (
    "capi_sdri", "mixture_accuracy", "source_accuracy", "capi_sdri_zero_floor", "capi_sdri_gain_floor", "ca_sdri"
)  # fmt: skip
NOTHING = MetricValue(None, None, None, 0, 0)


def values(start: float, names: tuple[str, ...] = METRICS) -> dict[str, MetricValue]:
    """Each metric at another value, one unit wide to the left and two to the right."""
    steps = {name: start + 3 * k for k, name in enumerate(names)}
    return {name: MetricValue(v, v - 1, v + 2, 30, 28) for name, v in steps.items()}


def deltas(start: float, *, star: bool, names: tuple[str, ...] = METRICS) -> dict[str, Delta]:
    steps = {name: start + 3 * k for k, name in enumerate(names)}
    return {name: Delta(v, v - 0.5, v + 0.25, significant=star, withheld=False, n=30) for name, v in steps.items()}


BASE = AblationRow("base", {"a": 1}, Path("rows/base"), values(10), deltas(0, star=False), 7, 5, 1.25, weights="w1")
MORE = AblationRow(
    "more", {"a": 2}, Path("rows/more"), values(20), deltas(-4, star=True), 9, 3, 2.5, ("a mark",), 2, weights="w2"
)
DEAD = AblationRow(
    "dead", {"a": 3}, Path("rows/dead"), dict.fromkeys(METRICS, NOTHING), dict.fromkeys(METRICS, Delta()),
    error="no net",
)  # fmt: skip
BOUND = AblationRow("silence", {}, None, values(1, METRICS[:3]), deltas(-9, star=False, names=METRICS[:3]))
FACTS = Facts(
    system="ours", weights="w1", dataset="folder", split="folder", folder="set", status="complete", n_expected=30,
    n_split=40,
)  # fmt: skip
ABLATION = Ablation(FACTS, "base", (BASE, MORE, DEAD), (BOUND,))


def test_the_csv_has_every_number_under_its_name() -> None:
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(ablation_csv(ABLATION)))}
    for row in (*ABLATION.rows, BOUND):
        told = rows[row.name]
        for name in METRICS:
            metric, delta = row.metrics.get(name, NOTHING), row.delta.get(name, Delta())
            for part, end in (("value", ""), ("ci_low", "_ci_low"), ("ci_high", "_ci_high")):
                for prefix, side in (("", metric), ("delta_", delta)):
                    value = getattr(side, part)
                    assert told[f"{prefix}{name}{end}"] == ("" if value is None else str(float(value)))
    facts = [rows["more"][key] for key in ("kind", "weights", "error", "executed", "reused", "seconds")]
    assert facts == ["row", "w2", "", "9", "3", "2.5"]
    assert (rows["dead"]["error"], rows["silence"]["kind"], rows["silence"]["executed"]) == ("no net", "bound", "")
    part = "PARTIAL: 30 of the split's 40 mixtures"
    assert [row["marks"] for row in rows.values()] == [part, f"{part}; a mark", part, part]


def cells(text: str, name: str) -> list[str]:
    return next(re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip().startswith(name))[1:]


def test_the_terminal_has_values_then_differences() -> None:
    text = ablation_table(ABLATION)
    above, below = text.split("difference to 'base'")
    assert cells(above, "base") == [
        "10.000 [9.00, 12.00]", "13.00 [12.00, 15.00]", "16.00 [15.00, 18.00]", "19.000", "7 (+5)", "1.2"
    ]  # fmt: skip
    assert cells(above, "more (a)")[0] == "20.000 [19.00, 22.00]"
    assert cells(above, "dead (failed)")[:4] == ["–", "–", "–", "–"]
    assert cells(above, "silence (no output)")[:3] == [
        "1.000 [0.00, 3.00]", "4.00 [3.00, 6.00]", "7.00 [6.00, 9.00]"
    ]  # fmt: skip
    assert cells(below, "more") == [
        "-4.000 [-4.50, -3.75] *", "-1.00 [-1.50, -0.75] *", "+2.00 [+1.50, +2.25] *"
    ]  # fmt: skip
    assert cells(below, "dead") == ["–", "–", "–"] and "base" not in below.split("95 %")[0]
    assert "(a) a mark" in text and "dead failed: no net" in text
    assert "stage runs: 16 executed, 8 reused" in text and "PARTIAL: 30 of the split's 40 mixtures" in text


def test_the_markdown_has_each_difference_behind_its_value() -> None:
    lines = [line.strip("| ").split(" | ") for line in ablation_markdown(ABLATION).splitlines() if line.startswith("|")]
    rows = {line[0]: line[1:] for line in lines}
    assert rows["**base**"][:6] == [
        "10.000 [9.00, 12.00]", "baseline", "13.00 [12.00, 15.00]", "baseline", "16.00 [15.00, 18.00]", "baseline"
    ]  # fmt: skip
    assert rows["**more (a)**"] == [
        "20.000 [19.00, 22.00]", "-4.000 [-4.50, -3.75] \\*", "23.00 [22.00, 25.00]", "-1.00 [-1.50, -0.75] \\*",
        "26.00 [25.00, 28.00]", "+2.00 [+1.50, +2.25] \\*", "9 (+3)", "2.5",
    ]  # fmt: skip
    assert rows["*bound* silence: no output"][:4] == [
        "1.000 [0.00, 3.00]", "-9.000 [-9.50, -8.75]", "4.00 [3.00, 6.00]", "-6.00 [-6.50, -5.75]"
    ]  # fmt: skip


def test_the_latex_has_values_and_below_them_the_differences() -> None:
    lines = ablation_latex(ABLATION).splitlines()
    (at,) = (k for k, line in enumerate(lines) if line.startswith("more$^{a}$"))
    value, change = (lines[at + k].removesuffix(r" \\").split(" & ") for k in (0, 1))
    small = r" {\scriptsize $["
    assert value[1:] == [
        rf"$20.00${small}19.00, 22.00]$}}", rf"$23.0${small}22.0, 25.0]$}}", rf"$26.0${small}25.0, 28.0]$}}", "9"
    ]  # fmt: skip
    assert change[:2] == ["", rf"{{\scriptsize $\Delta\,-4.00^{{*}}$}}{small}-4.50, -3.75]$}}"]
    assert change[3:] == [rf"{{\scriptsize $\Delta\,+2.0^{{*}}$}}{small}+1.5, +2.2]$}}", ""]
    assert "dead (failed) & -- & -- & -- & 0 \\\\" in lines
    assert not lines[at - 1].startswith(" & {"), "the baseline has no difference to itself"
    assert any("a: a mark." in line and "PARTIAL: 30" in line for line in lines)


def test_the_latex_has_published_values_below_the_same_heads() -> None:
    whole = replace(FACTS, dataset="dcase2026", split="dev-test", n_expected=1512, n_split=1512)
    text = ablation_latex(replace(ABLATION, about=whole))
    lines = [line.removesuffix(r" \\").split(" & ") for line in text.splitlines()]
    (heads,) = (line for line in lines if line[0] == "System")
    assert heads[1:] == ["CAPI-SDRi, dB", r"mixture acc., \%", r"source acc., \%", "Runs"]
    (published,) = (line for line in lines if line[0].startswith(r"M2DAT\_4c"))
    assert published[1:] == ["$8.49$", "$60.7$", "$70.4$", ""]


def test_the_figure_has_every_row_at_its_value_and_bounds_as_lines() -> None:
    with paper_style():
        figure = ablation_figure(ABLATION)
        axes_of: Any = figure.axes
    left, right = axes_of
    assert "(a) a mark" in figure.get_suptitle().splitlines()
    accuracies = zip(right.containers, ("mixture_accuracy", "source_accuracy"), (-0.12, 0.12), strict=True)
    for bars, metric, shift in ((left.containers[0], "capi_sdri", 0.0), *accuracies):
        assert bars.get_label() == ("CAPI-SDRi" if metric == "capi_sdri" else metric.replace("_", " "))
        assert list(bars.lines[0].get_xdata()) == [ABLATION.rows[k].metrics[metric].value for k in (0, 1)]
        assert list(bars.lines[0].get_ydata()) == pytest.approx([shift, 1 + shift]), "the third has failed"
        ends = [tuple(segment[:, 0]) for segment in bars.lines[2][0].get_segments()]
        assert ends == [(v - 1, v + 2) for v in bars.lines[0].get_xdata()]
    drawn = {line.get_label(): list(line.get_xdata()) for line in left.get_lines()}
    assert drawn["zero floor"] == [19, 29] and drawn["silence"] == [1, 1]
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels == ["base (baseline)", "more (a)", "dead (failed)"]


def test_a_bound_far_beyond_is_named_and_not_drawn() -> None:
    far = replace(BOUND, name="oracle", metrics=values(80, METRICS[:3]))
    near = replace(BOUND, name="oracle-gain", metrics=values(45, METRICS[:3]))
    with paper_style():
        axes_of: Any = ablation_figure(replace(ABLATION, bounds=(near, far))).axes
    left, _ = axes_of
    assert left.get_xlabel().endswith("(beyond the right edge: oracle 80.0 dB)")
    drawn = {line.get_label(): list(line.get_xdata()) for line in left.get_lines()}
    assert drawn["oracle-gain"] == [45, 45] and "oracle" not in drawn


def test_machines_get_the_same() -> None:
    told = ABLATION.as_dict()
    assert (told["stage_runs"], told["weights"]) == ({"executed": 16, "reused": 8}, None)
    more = told["rows"][1]
    assert more["delta"]["capi_sdri"] == {
        "value": -4, "ci_low": -4.5, "ci_high": -3.75, "significant": True, "withheld": False, "n": 30
    }  # fmt: skip
    assert (more["marks"], more["stage_runs"]) == (["a mark"], {"executed": 9, "reused": 3})
    assert told["rows"][2]["error"] == "no net" and "run" not in told["bounds"][0]


def test_a_failed_row_or_mixture_is_in_the_exit_code() -> None:
    codes = [replace(ABLATION, rows=rows).exit_code for rows in ((BASE,), (BASE, MORE), (BASE, DEAD))]
    assert codes == [0, 4, 4]
