"""Class by class: SDRi with its interval, precision, recall and threshold, as small bars with their numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from s5eval.data_manifests.common.words import counted
from s5eval.harness.report.charts.scale import Scale, scale_of
from s5eval.harness.report.charts.svg import SMALL, chart, element, label, mark
from s5eval.harness.report.text import has_width, typeset_interval, typeset_number

_ROW = 21.0
_BAR = 9.0
_HEAD = 24.0
_NAME = 140.0
_COUNT = 34.0
_GAP = 18.0


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class.

    Attributes:
        label: its name.
        n: mixtures that concern it.
        sdri: mean SDRi of its entries, dB; None where undefined.
        low: of the 95 % interval.
        high: likewise.
        precision: of its labels, %.
        recall: likewise.
        threshold: of silence; None: not known.
        href: where its mixtures are.
    """

    label: str
    n: int
    sdri: float | None
    low: float | None = None
    high: float | None = None
    precision: float | None = None
    recall: float | None = None
    threshold: float | None = None
    href: str | None = None


def class_bars(rows: Sequence[ClassRow], *, title: str = "By class", width: float = 760) -> str:
    """Draw one line a class: its name, how many mixtures, and four columns of bars with their numbers.

    Args:
        rows: in the order to be shown.
        title: see `chart`.
        width: px; the SDRi gets twice the room of the others.
    """
    with_thresholds = any(row.threshold is not None for row in rows)
    columns = [("SDRi, dB", 2.0), ("precision, %", 1.0), ("recall, %", 1.0)]
    columns += [("threshold", 1.0)] if with_thresholds else []
    start = _NAME + _COUNT
    share = (width - start - _GAP * len(columns)) / sum(weight for _, weight in columns)
    bottom = _HEAD + _ROW * len(rows)
    parts = [label(_NAME + _COUNT - 4, 14, "n", anchor="end", size=SMALL, class_="soft")]
    x = start + _GAP
    for k, (name, weight) in enumerate(columns):
        end = x + share * weight
        parts.append(label(end, 14, name, anchor="end", size=SMALL, class_="soft"))
        reach = end - (46.0 if k == 0 else 44.0)
        if k == 0:
            scale = scale_of([v for row in rows for v in (row.sdri, row.low, row.high)], x, reach, with_values=(0.0,))
        else:
            scale = Scale(0.0, 1.0 if name == "threshold" else 100.0, x, reach)
        parts.append(element("line", x1=scale(0.0), x2=scale(0.0), y1=_HEAD - 3, y2=bottom, class_="axis"))
        if name == "threshold":
            parts.append(element("line", x1=scale(0.5), x2=scale(0.5), y1=_HEAD - 3, y2=bottom, class_="grid"))
        parts += [_cell(row, k, scale, end, _HEAD + r * _ROW) for r, row in enumerate(rows)]
        x = end + _GAP
    for r, row in enumerate(rows):
        baseline = _HEAD + r * _ROW + 14
        parts.append(label(0, baseline, row.label, width=_NAME - 4))
        parts.append(label(_NAME + _COUNT - 4, baseline, row.n, anchor="end", class_="soft"))
    said = "; ".join(f"{row.label}: SDRi {_sdri_text(row)} dB" for row in rows)
    return chart(width, bottom + 4, *parts, title=title, description=said, class_="wide")


def _sdri_text(row: ClassRow) -> str:
    return typeset_interval(row.sdri, row.low, row.high, 2)


def _cell(row: ClassRow, column: int, scale: Scale, end: float, top: float) -> str:
    value = (row.sdri, row.precision, row.recall, row.threshold)[column]
    text = typeset_number(value, (2, 1, 1, 3)[column])
    bar = ""
    if value is not None:
        low, high = sorted((scale(0.0), scale(value)))
        kind = "s1" if column == 0 else "s3" if column < 3 else "s4"
        bar = element("rect", x=low, y=top + 6, width=max(high - low, 1.0), height=_BAR, class_=kind)
    if column == 0 and row.low is not None and row.high is not None and has_width(row.low, row.high):
        y = top + 6 + _BAR / 2
        for class_ in ("line under", "line ink"):  # an outline of paper, to be seen on the bar as well
            bar += element("line", x1=scale(row.low), x2=scale(row.high), y1=y, y2=y, class_=class_)
    name = ("SDRi", "precision", "recall", "threshold")[column]
    unit = (" dB", " %", " %", "")[column]
    tooltip = f"{row.label}: {name} {_sdri_text(row) if column == 0 else text}{unit}, {counted(row.n, 'mixture')}"
    return (mark(bar, tooltip, row.href) if bar else "") + label(end, top + 14, text, anchor="end")
