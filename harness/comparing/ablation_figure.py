"""The figure of an ablation: values with intervals, floors and bounds beside them."""

from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.files import atomic_path
from s5eval.harness.comparing.ablation import Ablation
from s5eval.harness.report.text import number

_INK = "#1c2430"
_SOFT = "#6b7683"
_SYSTEM = "#1d4ed8"
_SECOND = "#0f766e"
_FLOOR = "#b45309"
_FAR = 30.0  # dB; a bound beyond every system by more than this would flatten them, and is named instead


def draw_ablation(ablation: Ablation, out: Path) -> None:
    """Write `table.svg` and `table.png`: CAPI-SDRi left, accuracies right, one line per row."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = {
        "font.size": 9,
        "svg.hashsalt": "s5eval",
        "axes.edgecolor": _SOFT,
        "axes.labelcolor": _INK,
        "text.color": _INK,
        "xtick.color": _SOFT,
        "ytick.color": _INK,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(10.5, 2.0 + 0.34 * len(ablation.rows)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
        _levels(left, ablation)
        _accuracies(right, ablation)
        left.set_yticks(range(len(ablation.rows)), [_label(ablation, k) for k in range(len(ablation.rows))])
        left.set_ylim(len(ablation.rows) - 0.4, -0.6)
        for axes in (left, right):
            axes.grid(axis="x", color="#e3e7ec", linewidth=0.8)
            axes.set_axisbelow(True)
            axes.tick_params(axis="y", length=0)
            axes.spines[["top", "right", "left"]].set_visible(False)
        right.set_xlim(0, 100)
        for axes, columns in ((left, 3), (right, 1)):
            found = sorted(
                zip(*axes.get_legend_handles_labels(), strict=True), key=lambda pair: not _has_interval(pair[0])
            )
            if found:
                handles, labels = zip(*found, strict=True)
                axes.legend(
                    handles, labels, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, fontsize=8,
                    columnspacing=1.2, handletextpad=0.5, borderaxespad=0.2,
                )  # fmt: skip
        for suffix, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 160})):
            with atomic_path(out / f"table.{suffix}") as temporary:
                figure.savefig(temporary, format=suffix, **options)


def _levels(axes: Any, ablation: Ablation) -> None:
    _intervals(axes, ablation, "capi_sdri", 0.0, _SYSTEM, "o", "CAPI-SDRi")
    floors = [row.metrics["capi_sdri_zero_floor"].value for row in ablation.rows]
    shown = [(value, k) for k, value in enumerate(floors) if value is not None]
    axes.plot(
        *zip(*shown, strict=True), "|", color=_FLOOR, markersize=11, markeredgewidth=2, label="zero floor"
    ) if shown else None
    highest = max((row.metrics["capi_sdri"].value or 0.0 for row in ablation.rows), default=0.0)
    far = []
    for row, dashes in zip(ablation.bounds, ("-", "-", ":", "--", "-."), strict=False):
        value = row.metrics["capi_sdri"].value
        if value is None or row.name == "oracle-mixture":  # 0 dB by definition, as silence is
            continue
        if value > highest + _FAR:
            far.append(f"{row.name} {number(value, 1)} dB")
        else:
            axes.axvline(value, color=_SOFT, linestyle=dashes, linewidth=1, zorder=0, label=row.name)
    axes.set_xlabel("CAPI-SDRi, dB" + (f"   (beyond the right edge: {', '.join(far)})" if far else ""))


def _has_interval(handle: Any) -> bool:
    return type(handle).__name__ == "ErrorbarContainer"


def _accuracies(axes: Any, ablation: Ablation) -> None:
    _intervals(axes, ablation, "mixture_accuracy", -0.12, _SYSTEM, "o", "mixture accuracy")
    _intervals(axes, ablation, "source_accuracy", 0.12, _SECOND, "s", "source accuracy")
    axes.set_xlabel("accuracy, %")


def _intervals(axes: Any, ablation: Ablation, metric: str, shift: float, color: str, marker: str, label: str) -> None:
    entries = [(k + shift, row.metrics[metric]) for k, row in enumerate(ablation.rows)]
    defined = [(y, entry) for y, entry in entries if entry.value is not None]
    if not defined:
        return
    values = [entry.value or 0.0 for _, entry in defined]
    low = [value - (value if e.ci_low is None else e.ci_low) for value, (_, e) in zip(values, defined, strict=True)]
    high = [(value if e.ci_high is None else e.ci_high) - value for value, (_, e) in zip(values, defined, strict=True)]
    axes.errorbar(
        values,
        [y for y, _ in defined],
        xerr=[[max(0.0, part) for part in low], [max(0.0, part) for part in high]],
        fmt=marker,
        color=color,
        markersize=5,
        capsize=2.5,
        linewidth=1.4,
        label=label,
    )


def _label(ablation: Ablation, k: int) -> str:
    row = ablation.rows[k]
    note = "failed" if row.error is not None else "baseline" if row.name == ablation.baseline else ""
    return f"{row.name} ({note})" if note else row.name
