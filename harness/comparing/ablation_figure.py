"""The figure of an ablation: values with intervals, floors and bounds beside them."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s5eval.harness.comparing.ablation import Ablation
from s5eval.harness.comparing.ablation_tables import data_caption, row_title
from s5eval.harness.report.charts.svg import plain
from s5eval.harness.report.figure_title import put_title
from s5eval.harness.report.palette import LIGHT
from s5eval.harness.report.paper import PAGE_WIDTH, as_rows, draw_intervals, new_figure, paper_style, save_figure
from s5eval.harness.report.text import typeset_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FAR = 30.0  # dB; a bound beyond every system by more than this would flatten them, and is named instead


def draw_ablation(ablation: Ablation, out: Path) -> None:
    """Write `table.svg`, `.pdf` and `.png`: CAPI-SDRi left, accuracies right, one line per row."""
    with paper_style():
        save_figure(ablation_figure(ablation), out / "table")


def ablation_figure(ablation: Ablation) -> "Figure":
    """The figure, within `paper_style`."""
    figure = new_figure(PAGE_WIDTH, 1.3 + 0.22 * len(ablation.rows))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    _levels(left, ablation)
    _accuracies(right, ablation)
    for axes in (left, right):
        as_rows(axes, [_label(ablation, k) for k in range(len(ablation.rows))])
    right.set_xlim(-2, 102)
    for axes, columns in ((left, 3), (right, 1)):
        found = sorted(zip(*axes.get_legend_handles_labels(), strict=True), key=lambda pair: not _has_interval(pair[0]))
        if found:
            handles, labels = zip(*found, strict=True)
            axes.legend(
                handles, labels, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False,
                columnspacing=1.2, handletextpad=0.5, borderaxespad=0.2,
            )  # fmt: skip
    put_title(figure, data_caption(ablation), *(f"({letter}) {mark}" for mark, letter in ablation.notes.items()))
    return figure


def _levels(axes: Any, ablation: Ablation) -> None:
    _intervals(axes, ablation, "capi_sdri", 0.0, LIGHT["s1"], "o", "CAPI-SDRi")
    floors = [row.metrics["capi_sdri_zero_floor"].value for row in ablation.rows]
    shown = [(value, k) for k, value in enumerate(floors) if value is not None]
    axes.plot(
        *zip(*shown, strict=True), "|", color=LIGHT["s2"], markersize=8, markeredgewidth=1.6, label="zero floor"
    ) if shown else None
    highest = max((row.metrics["capi_sdri"].value or 0.0 for row in ablation.rows), default=0.0)
    far = []
    for row, dashes in zip(ablation.bounds, ("-", "-", ":", "--", "-."), strict=False):
        value = row.metrics["capi_sdri"].value
        if value is None or row.name == "oracle-mixture":  # 0 dB by definition, as silence is
            continue
        if value > highest + _FAR:
            far.append(f"{row.name} {typeset_number(value, 1)} dB")
        else:
            axes.axvline(value, color=LIGHT["soft"], linestyle=dashes, linewidth=1, zorder=0, label=row.name)
    axes.set_xlabel("CAPI-SDRi, dB" + (f"   (beyond the right edge: {', '.join(far)})" if far else ""))


def _has_interval(handle: Any) -> bool:
    return type(handle).__name__ == "ErrorbarContainer"


def _accuracies(axes: Any, ablation: Ablation) -> None:
    _intervals(axes, ablation, "mixture_accuracy", -0.12, LIGHT["s1"], "o", "mixture accuracy")
    _intervals(axes, ablation, "source_accuracy", 0.12, LIGHT["s3"], "s", "source accuracy")
    axes.set_xlabel("accuracy, %")


def _intervals(axes: Any, ablation: Ablation, metric: str, shift: float, color: str, marker: str, label: str) -> None:
    entries = [(k + shift, row.metrics[metric]) for k, row in enumerate(ablation.rows)]
    defined = [(y, entry) for y, entry in entries if entry.value is not None]
    if not defined:
        return
    draw_intervals(
        axes, [y for y, _ in defined], [entry.value or 0.0 for _, entry in defined],
        [entry.ci_low for _, entry in defined], [entry.ci_high for _, entry in defined],
        color=color, marker=marker, label=label,
    )  # fmt: skip


def _label(ablation: Ablation, k: int) -> str:
    row = ablation.rows[k]
    note = "baseline" if row.name == ablation.baseline else ""
    return row_title(replace(row, name=plain(row.name, 50)), ablation, note=note)
