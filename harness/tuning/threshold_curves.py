"""How CAPI-SDRi goes with the silence thresholds: of all classes at once, and of each with the others as tuned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.lines import load_table
from s5eval.harness.record.reading import facts_of, read_lines, read_run_record
from s5eval.harness.record.shards_together import joint_facts, shards_together
from s5eval.harness.record.tables import PairTable
from s5eval.harness.report.figure_title import figure_title, put_title
from s5eval.harness.report.palette import LIGHT
from s5eval.harness.report.paper import PAGE_WIDTH, figure_target, new_figure, paper_style, save_figure
from s5eval.harness.report.text import typeset_interval, typeset_number
from s5eval.harness.scoring.mixture import adapted
from s5eval.harness.scoring.paired import too_few
from s5eval.harness.tuning.threshold_table import sweep_table
from s5eval.harness.tuning.tune_result import TuneResult
from s5eval.metrics.arrays import Array
from s5eval.systems.decision import Decision

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 101
"""Thresholds from 0 to 1 at which a curve is drawn."""

_LARGEST = 8  # classes that are named in the figure
_NAMED = 4  # runs that are


@dataclass(frozen=True, slots=True)
class TuningCurves:
    """CAPI-SDRi over thresholds, dB.

    Attributes:
        thresholds: (P,), from 0 to 1.
        common: (P,), with one threshold for all classes.
        classes: class → (P,), with its threshold alone moved and the others as tuned.
        before: with the thresholds that tuning began with.
        tuned: with the tuned ones.
    """

    thresholds: Array
    common: Array
    classes: Mapping[str, Array]
    before: float
    tuned: float


def tuning_curves(runs: Sequence[Path], tuned: Decision) -> TuningCurves:
    """The curves on the mixtures of runs, which `tuned` was fitted to: what they promise is not cross-validated.

    Raises:
        UsageError: not a run.
        DataError: a table is missing or damaged.
    """
    base = read_run_record(runs[0]).decision
    tables = [adapted(table, base) for run in runs for table in _tables(run)]
    sweep = sweep_table(tables, replace(base, prior_factors=None))
    grid = np.linspace(0.0, 1.0, POINTS)

    def value(thresholds: Array) -> float:
        total, count = sweep.scores(thresholds)[:, :2].sum(axis=0)
        return float(total / count) if count else float("nan")

    fitted = np.array([tuned.threshold(label) for label in CLASSES])
    counts = sweep.counts()
    classes = {}
    for k, label in enumerate(CLASSES):
        if counts[k]:
            moved = np.repeat(fitted[None], POINTS, axis=0)
            moved[:, k] = grid
            classes[label] = np.array([value(row) for row in moved])
    start = np.array([base.threshold(label) for label in CLASSES])
    common = np.array([value(np.full(len(CLASSES), t)) for t in grid])
    return TuningCurves(grid, common, classes, value(start), value(fitted))


def write_tuning_figure(runs: Sequence[Path], result: TuneResult, file: Path) -> list[Path]:
    """Write the curves as the file's suffix says; without one as SVG, PDF and PNG.

    Raises:
        UsageError: another suffix.
        WriteError: the disk does not allow it.
    """
    stem, formats = figure_target(file)
    curves = tuning_curves(runs, result.decision)
    with paper_style():
        return save_figure(tuning_figure(curves, result, _titles(runs)), stem, formats)


def tuning_figure(curves: TuningCurves, result: TuneResult, titles: Sequence[str] = ()) -> "Figure":
    """Left, one threshold for all; right, each class's own, for those that gain or lose most by it.

    Above stand what the runs are that it was tuned on (`titles`), and how far the curves can be believed.
    """
    figure = new_figure(PAGE_WIDTH, 2.7)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1])
    left.plot(curves.thresholds, curves.common, color=LIGHT["s1"], label="one threshold for all")
    for level, style, color, name in (
        (curves.before, ":", LIGHT["ink"], "before"),
        (curves.tuned, "--", LIGHT["s2"], "tuned by class"),
    ):
        if np.isfinite(level):
            left.axhline(
                level, linestyle=style, color=color, linewidth=1.1, label=f"{name}: {typeset_number(level, 2)}"
            )
    left.set_ylabel("CAPI-SDRi, dB")
    left.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.1)
    spans = {
        label: float(np.nanmax(v) - np.nanmin(v)) if np.isfinite(v).any() else 0.0
        for label, v in curves.classes.items()
    }
    named = sorted(spans, key=lambda label: (-round(spans[label], 9), label))[:_LARGEST]
    colors = [LIGHT[role] for role in ("s1", "s2", "s3", "s4")]
    for k, label in enumerate(named):
        dashes: Any = ("-", (0, (4, 1.5)))[k // len(colors)]
        right.plot(
            curves.thresholds, curves.classes[label], color=colors[k % len(colors)], linestyle=dashes, linewidth=1,
            label=label,
        )  # fmt: skip
        at = result.decision.threshold(label)
        height = float(np.interp(at, curves.thresholds, curves.classes[label]))
        right.plot([at], [height], "o", color=colors[k % len(colors)], markersize=4)
    if named:
        right.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, borderaxespad=0.3)
    for axes, what in ((left, "of all classes"), (right, "of one class, others as tuned (dot: its own)")):
        axes.set_xlabel(f"silence threshold {what}")
        axes.grid()
    fitted = f"fitted to these {counted(result.n_mixtures, 'mixture')}"
    gain = result.gain
    gained = typeset_interval(gain["value"], gain["ci_low"], gain["ci_high"], 3, signed=True, places=3)
    few = f", {words}" if (words := too_few(gain)) else ""
    put_title(figure, *titles, f"thresholds {fitted}; gain in CAPI-SDRi when cross-validated: {gained} dB{few}")
    return figure


def _titles(runs: Sequence[Path]) -> list[str]:
    records = [read_run_record(run) for run in runs]
    titles = []
    for numbers in shards_together(records):
        facts = joint_facts([facts_of(records[k]) for k in numbers])
        titles.append(figure_title(facts, folder=", ".join(runs[k].resolve().name for k in numbers)))
    more = len(titles) - _NAMED
    return titles if more <= 0 else [*titles[:_NAMED], f"and {counted(more, 'more run')}"]


def _tables(run: Path) -> list[PairTable]:
    record = read_run_record(run)
    lines = read_lines(run, record)
    scored = [id_ for id_ in record.mixtures if id_ in lines and lines[id_].score.status == "scored"]
    return [load_table(run, lines[id_]) for id_ in scored]
