"""The figure of a comparison: what B adds to A, metric by metric and class by class, and mixture by mixture."""

from pathlib import Path
from typing import TYPE_CHECKING

from s5eval.data_manifests.common.words import counted
from s5eval.harness.comparing.pair_of_runs import PairOfRuns, Side
from s5eval.harness.comparing.pair_words import remarks
from s5eval.harness.report.charts.svg import plain
from s5eval.harness.report.figure_title import figure_title, put_title
from s5eval.harness.report.palette import LIGHT
from s5eval.harness.report.paper import (
    PAGE_WIDTH,
    as_rows,
    draw_intervals,
    figure_target,
    new_figure,
    paper_style,
    save_figure,
)
from s5eval.harness.report.text import typeset_number
from s5eval.harness.scoring.by_condition import GROUP_TITLES, SHORT_TITLES
from s5eval.harness.scoring.paired import LEAST_MIXTURES, Difference

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def write_comparison_figure(comparison: PairOfRuns, file: Path) -> list[Path]:
    """Write the figure as the file's suffix says; without one as SVG, PDF and PNG.

    Raises:
        UsageError: another suffix.
        WriteError: the disk does not allow it.
    """
    stem, formats = figure_target(file)
    with paper_style():
        return save_figure(comparison_figure(comparison), stem, formats)


def comparison_figure(comparison: PairOfRuns) -> "Figure":
    """Differences with their paired intervals (blue: excludes 0), and beside them the change of every mixture.

    Above stand both runs, and whatever makes them less comparable than they look.
    """
    rows = _rows(comparison)
    figure = new_figure(PAGE_WIDTH, max(2.4, 1.0 + 0.17 * len(rows)))
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    _differences(left, rows)
    _changes(right, comparison)
    said = [plain(remark, 1000) for remark in remarks(comparison)]
    said += [f"{counted(comparison.n, 'mixture')} compared"] if said else []
    put_title(figure, f"A: {_title(comparison.first)}", f"B: {_title(comparison.second)}", *said)
    return figure


def _rows(comparison: PairOfRuns) -> list[tuple[str, Difference]]:
    """CAPI-SDRi of all, then of the slices by condition, then SDRi by class."""
    found = [("all mixtures", comparison.differences["metrics", "capi_sdri"])]
    for group in GROUP_TITLES:
        found += [(f"{SHORT_TITLES[group]}: {part}", difference) for part, difference in comparison.by_group(group)]
    found += comparison.by_group("class")
    return [(name, difference) for name, difference in found if difference.delta is not None]


def _differences(axes: "Axes", rows: list[tuple[str, Difference]]) -> None:
    few = f", or fewer than {LEAST_MIXTURES} changed" if any(d.withheld for _, d in rows) else ""
    for significant in (True, False):
        chosen = [(k, d) for k, (_, d) in enumerate(rows) if d.significant is significant]
        draw_intervals(
            axes,
            [k for k, _ in chosen],
            [d.delta or 0.0 for _, d in chosen],
            [d.ci_low for _, d in chosen],
            [d.ci_high for _, d in chosen],
            color=LIGHT["s1"] if significant else LIGHT["s4"],
            label="interval excludes 0" if significant else f"interval holds 0{few}",
        )
    as_rows(axes, [name for name, _ in rows])
    axes.axvline(0, color=LIGHT["ink"], linewidth=0.8)
    axes.set_xlabel("B − A: CAPI-SDRi, and SDRi of classes, dB")
    columns = 1 if few else 2
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, borderaxespad=0.1)


def _changes(axes: "Axes", comparison: PairOfRuns) -> None:
    changes = [change for _, change in comparison.changes]
    value = comparison.differences["metrics", "capi_sdri"]
    alone = value.n - value.better - value.worse - value.ties  # a silent scene that one run answers with sounds, say
    same = comparison.n - len(changes) - alone
    places = range(len(changes))
    colors = [LIGHT["s2"] if change < 0 else LIGHT["s1"] for change in changes]
    axes.vlines(places, 0, changes, colors=colors, linewidth=max(0.3, min(3.0, 150 / max(1, len(changes)))))
    axes.axhline(0, color=LIGHT["ink"], linewidth=0.8)
    axes.grid(axis="y")
    axes.set_xticks([])
    worse = sum(change < 0 for change in changes)
    told = f"{worse} worse, {len(changes) - worse} better; {same} as before"
    told += f";\n{alone} defined in one run alone" if alone else ""
    axes.set_xlabel(f"mixtures that changed:\n{told}")
    axes.set_ylabel("change in CAPI-SDRi, dB")
    if value.delta is not None:
        axes.axhline(
            value.delta,
            color=LIGHT["s4"],
            linestyle="--",
            linewidth=1,
            label=f"B − A {typeset_number(value.delta, 2, signed=True)} dB",
        )
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, borderaxespad=0.1)


def _title(side: Side) -> str:
    return figure_title(side.facts, folder=Path(side.path).name)
