"""Figures of one run for a paper: where the decibels went, classes, sources over the mixture's SNR, confusions."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s5eval.data_manifests.common.files import make_folder
from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.reading import read_run_record, read_scores, read_summary
from s5eval.harness.record.run_summary import AnyMetricName, RunDecomposition
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report.charted import Slice, confusion_cells, pairs_of, snr_bins
from s5eval.harness.report.charts.confusion import FALSE_ALARM, MISSED
from s5eval.harness.report.decibels import ladder, ladder_to_bound
from s5eval.harness.report.figure_title import figure_title, put_title
from s5eval.harness.report.palette import LIGHT
from s5eval.harness.report.paper import (
    COLUMN,
    PAGE_WIDTH,
    as_rows,
    draw_intervals,
    new_figure,
    paper_style,
    save_figure,
)
from s5eval.harness.report.text import typeset_number
from s5eval.metrics.tolerance import LAST_BITS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_figures(run: Path, folder: Path) -> list[Path]:
    """Write the figures that a run has into a folder, each as SVG, PDF and PNG.

    Args:
        run: the run folder.
        folder: made if it is not there; figures of these names are replaced.

    Returns:
        The files. A run without references has none.

    Raises:
        DataError: the run is damaged.
        WriteError: the disk does not allow it.
    """
    figures = run_figures(run)
    make_folder(folder)
    written: list[Path] = []
    with paper_style():
        for name, draw in figures.items():
            written += save_figure(draw(), folder / name)
    return written


def run_figures(run: Path) -> dict[str, Callable[[], "Figure"]]:
    """File name → what draws it, of a run."""
    record, summary = read_run_record(run), read_summary(run)
    scored = [score for score in read_scores(run).values() if score.status == "scored"]
    title = figure_title(summary, n=summary.n_scored)
    figures: dict[str, Callable[[], Figure]] = {}
    if (decomposition := summary.decomposition) is not None:
        figures["decomposition"] = lambda: decomposition_figure(decomposition, title)
        figures["sources"] = lambda: sources_figure(scored, title)
    if by_class := summary.slices.get("class"):
        figures["classes"] = lambda: classes_figure(by_class, record.decision.shown_threshold, title)
        figures["confusions"] = lambda: confusions_figure(scored, title)
    return figures


def decomposition_figure(decomposition: RunDecomposition, title: str = "") -> "Figure":
    """The ladder from CAPI-SDRi to the bound as a waterfall; what lies above the bound is told below it."""
    steps = ladder_to_bound(decomposition)
    figure = new_figure(COLUMN, 0.75 + 0.22 * len(steps))
    axes = figure.subplots()
    level, widest = 0.0, max(abs(decomposition.value), abs(decomposition.bound), 1e-9)
    for k, (_, value, _, term) in enumerate(steps):
        total = term is None
        start, level = (0.0, value) if total else (level, level + value)
        color = LIGHT["s1"] if total else LIGHT["s2"] if value >= 0 else LIGHT["s3"]
        axes.barh(k, level - start, left=start, height=0.6, color=color)
        axes.text(
            max(start, level, 0.0) + 0.02 * widest, k, typeset_number(value, 2), va="center",
            fontsize=7, fontweight="bold" if total else "normal",
        )  # fmt: skip
    as_rows(axes, [step.title for step in steps])
    axes.axvline(0, color=LIGHT["soft"], linewidth=0.7)
    axes.margins(x=0.16)
    above = (step for step in ladder(decomposition)[len(steps) :] if step.term is not None)
    gaps = "\n".join(f"{step.title}: {typeset_number(step.value, 1)} dB" for step in above)
    axes.set_xlabel(f"CAPI-SDRi, dB\n({gaps} more, to the references)")
    put_title(figure, title)
    return figure


def classes_figure(slices: Mapping[str, Slice], threshold: Callable[[str], float] | None, title: str = "") -> "Figure":
    """SDRi with interval, precision and recall of every class, and its silence threshold where there is one."""
    names = list(slices)
    figure = new_figure(PAGE_WIDTH, 0.8 + 0.17 * len(names))
    ratios = [3, 2] if threshold is None else [3, 2, 1.2]
    all_axes = list(figure.subplots(1, len(ratios), sharey=True, width_ratios=ratios))
    left, middle = all_axes[:2]
    known = [(k, slices[name]["sdri"]) for k, name in enumerate(names) if slices[name]["sdri"].value is not None]
    draw_intervals(
        left, [k for k, _ in known], [e.value or 0.0 for _, e in known], [e.ci_low for _, e in known],
        [e.ci_high for _, e in known],
    )  # fmt: skip
    kinds: tuple[tuple[AnyMetricName, str, str, float], ...] = (
        ("precision", LIGHT["s2"], "s", -0.17),
        ("recall", LIGHT["s3"], "D", 0.17),
    )
    for key, color, marker, shift in kinds:
        entries = [(k + shift, slices[name][key].value) for k, name in enumerate(names)]
        shown = [(value, k) for k, value in entries if value is not None]
        if shown:
            middle.plot(*zip(*shown, strict=True), marker, color=color, markersize=3.5, label=key)
    if threshold is not None:
        right = all_axes[2]
        right.plot([threshold(name) for name in names], range(len(names)), "o", color=LIGHT["s4"], markersize=3.5)
        right.axvline(0.5, color=LIGHT["line"], linewidth=1)
        right.set_xlabel("threshold")
        right.set_xlim(0, 1)
    for axes in all_axes:
        as_rows(axes, names)
    left.axvline(0, color=LIGHT["soft"], linewidth=0.7)
    left.set_xlabel("SDRi, dB")
    middle.set_xlabel("precision and recall, %")
    middle.set_xlim(-4, 104)
    if middle.get_legend_handles_labels()[0]:
        middle.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.1)
    put_title(figure, title)
    return figure


def sources_figure(scored: Sequence[MixtureScore], title: str = "") -> "Figure":
    """SDRi of the assigned sources against the mixture's SNR, with means over ranges; dashed, what silence earns."""
    figure = new_figure(COLUMN, 2.6)
    axes = figure.subplots()
    points = [(pair.sdr_mixture, pair.sdri) for score in scored for pair in pairs_of(score)]
    if points:
        x, y = zip(*points, strict=True)
        many = len(points) > 500
        axes.plot(x, y, ".", color=LIGHT["s1"], alpha=0.25 if many else 0.5, markersize=5, rasterized=many, mew=0)
        ends = (max(min(x), -max(y)), min(max(x), -min(y)))
        if ends[0] < ends[1]:
            axes.plot(ends, [-e for e in ends], "--", color=LIGHT["s4"], linewidth=1, label="silence")
    bins = snr_bins(scored)
    if bins:
        means = [entry.mean for entry in bins]
        lows = [m - (m if e.ci_low is None else e.ci_low) for m, e in zip(means, bins, strict=True)]
        highs = [(m if e.ci_high is None else e.ci_high) - m for m, e in zip(means, bins, strict=True)]
        axes.errorbar(
            [(entry.low + entry.high) / 2 for entry in bins], means, yerr=[lows, highs], fmt="o", color=LIGHT["s2"],
            markersize=4, linewidth=1.3, label="mean of a range",
        )  # fmt: skip
    axes.grid()
    axes.axhline(0, color=LIGHT["soft"], linewidth=0.7)
    axes.set_xlabel("SNR of the mixture, dB")
    axes.set_ylabel("SDRi, dB")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.1)
    put_title(figure, title)
    return figure


def confusions_figure(scored: Sequence[MixtureScore], title: str = "") -> "Figure":
    """References against estimates: how often, and in the cells that are wrong the dB they cost below."""
    counts, decibels = confusion_cells(scored)
    names = [label for label in CLASSES if any(label in pair for pair in counts)]
    rows, columns = [*names, FALSE_ALARM], [*names, MISSED]
    side = 0.34 * len(rows) + 1.5
    figure = new_figure(max(PAGE_WIDTH * 0.7, side), max(PAGE_WIDTH * 0.7, side) * 0.95)
    axes = figure.subplots()
    for r, row in enumerate(rows):
        total = max(1, sum(counts.get((row, column), 0) for column in columns))
        for c, column in enumerate(columns):
            count, cost = counts.get((row, column), 0), decibels.get((row, column), 0.0)
            if not count and abs(cost) <= LAST_BITS:
                continue
            color = LIGHT["s3"] if row == column else LIGHT["s2"]
            axes.fill([c - 0.5, c + 0.5, c + 0.5, c - 0.5], [r - 0.5, r - 0.5, r + 0.5, r + 0.5], color=color,
                      alpha=0.12 + 0.4 * count / total, linewidth=0)  # fmt: skip
            paid = row != column and abs(cost) > LAST_BITS
            axes.text(c, r - (0.17 if paid else 0), str(count), ha="center", va="center", fontsize=7)
            if paid:
                axes.text(
                    c, r + 0.27, typeset_number(cost, 2), ha="center", va="center", fontsize=5, color=LIGHT["soft"]
                )
    axes.set_xticks(range(len(columns)), columns, rotation=50, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.xaxis.tick_top()
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for k in range(len(rows)):
        axes.axhline(k + 0.5, color=LIGHT["line"], linewidth=0.4, zorder=0)
        axes.axvline(k + 0.5, color=LIGHT["line"], linewidth=0.4, zorder=0)
    axes.set_xlabel(
        f"estimates ({FALSE_ALARM}: those without a reference)\n"
        "small: dB of the corpus value lost; colour: share of the row"
    )
    axes.set_ylabel(f"references ({MISSED}: those without an estimate)")
    put_title(figure, title)
    return figure
