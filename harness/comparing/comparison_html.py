"""A comparison as HTML, for notebooks: whose runs they are, the differences, and what flipped."""

from s5eval.data_manifests.common.words import counted
from s5eval.harness.comparing.pair_of_runs import PairOfRuns
from s5eval.harness.comparing.pair_words import NO_STAR, TITLES, delta_text, remarks, title_of
from s5eval.harness.report.charts.intervals import IntervalRow, forest
from s5eval.harness.report.notebook import framed, html_table, paragraph
from s5eval.harness.report.text import number
from s5eval.harness.scoring.by_condition import GROUP_TITLES


def comparison_html(comparison: PairOfRuns) -> str:
    """Both runs with their marks, every metric, and a forest of the differences by condition and class."""
    heads = [f"A: {title_of(comparison.first)}", f"B: {title_of(comparison.second)}"]
    heads += remarks(comparison)
    rows = [
        (TITLES[path[-1]], number(d.first, 3), number(d.second, 3), delta_text(d))
        for path, d in comparison.differences.items()
        if path[0] == "metrics"
    ]
    note = f"{counted(comparison.n, 'mixture')}; * the 95 % paired interval excludes 0; labels exact only in B: "
    note += f"{len(comparison.fixed)}, only in A: {len(comparison.broken)}"
    if any(d.withheld for path, d in comparison.differences.items() if path[0] == "metrics"):
        note += f"; {NO_STAR}"
    table = html_table(("", "A", "B", "B − A [95 %]"), rows)
    return framed("".join(map(paragraph, heads)) + table + paragraph(note) + _forest(comparison))


def _forest(comparison: PairOfRuns) -> str:
    rows = [
        IntervalRow(part, d.delta, d.ci_low, d.ci_high, group=title, n=d.n)
        for group, title in {**GROUP_TITLES, "class": "SDRi by class"}.items()
        for part, d in comparison.by_group(group)
        if d.delta is not None
    ]
    return forest(rows, title="B − A by condition and class", unit="B − A, dB", signed=True) if rows else ""
