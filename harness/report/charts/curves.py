"""Curves over one variable, such as a metric over the threshold, with the places that matter marked."""

from collections.abc import Sequence
from dataclasses import dataclass

from s5eval.harness.report.charts.scale import Scale, axis_below, axis_left, scale_of
from s5eval.harness.report.charts.svg import SMALL, chart, element, label, mark, text_width
from s5eval.harness.report.text import typeset_number

_LEFT = 46.0
_HEIGHT = 200.0
_LINE = 13.0


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through (x, y), in order of x; `low` and `high`, as long as `y`, are the band of its interval."""

    title: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at x with a name, such as `tuned 0.42`."""

    title: str
    x: float


def curves(
    lines: Sequence[Curve], marks: Sequence[Mark] = (), *, title: str, x_title: str, y_title: str, width: float = 460
) -> str:
    """Draw up to four curves over one axis; names stand above, those of marks in rows where none collide.

    Args:
        lines: up to four, in the colours of the series.
        marks: places on the axis.
        title: see `chart`.
        x_title: of the axis below.
        y_title: of the axis at the left.
        width: px.
    """
    x = scale_of(
        [v for line in lines for v in line.x], _LEFT, width - 10, with_values=[m.x for m in marks], margin=0.01
    )
    placed, rows = _rows(marks, x, width)
    top = 16.0 + (16.0 if len(lines) > 1 else 0.0) + _LINE * rows
    bottom = top + _HEIGHT
    y = scale_of([v for line in lines for v in (*line.y, *line.low, *line.high)], bottom, top)
    parts = [
        axis_left(y, _LEFT, width - 10),
        axis_below(x, top, bottom, x_title),
        label(0, 10, y_title, size=SMALL, class_="soft"),
    ]
    across = _LEFT
    for k, line in enumerate(lines[:4], start=1):
        if len(lines) > 1:
            parts.append(element("line", x1=across, x2=across + 16, y1=22.0, y2=22.0, class_=f"line s{k}"))
            parts.append(label(across + 20, 26, line.title, size=SMALL))
            across += 36 + text_width(line.title, SMALL)
        if len(line.low) and len(line.high):
            band = [*zip(line.x, line.high, strict=True), *reversed([*zip(line.x, line.low, strict=True)])]
            points = " ".join(f"{round(x(a), 1):g},{round(y(b), 1):g}" for a, b in band)
            parts.append(element("polygon", points=points, class_=f"s{k} band"))
        points = " ".join(f"{round(x(a), 1):g},{round(y(b), 1):g}" for a, b in zip(line.x, line.y, strict=True))
        parts.append(element("polyline", points=points, class_=f"line s{k}"))
    for entry, row in placed:
        at, half = x(entry.x), text_width(entry.title, SMALL) / 2
        baseline = top - 4 - _LINE * (rows - 1 - row)
        parts.append(
            mark(element("line", x1=at, x2=at, y1=baseline + 3, y2=bottom, class_="line ink thin"), entry.title)
        )
        parts.append(
            label(min(max(at, half), width - half), baseline, entry.title, anchor="middle", size=SMALL, class_="halo")
        )
    said = "; ".join(
        f"{line.title}: from {typeset_number(min(line.y), 3)} to {typeset_number(max(line.y), 3)}"
        for line in lines
        if len(line.y)
    )
    return chart(width, bottom + 34, *parts, title=title, description=f"{said}. {'; '.join(m.title for m in marks)}")


def _rows(marks: Sequence[Mark], scale: Scale, width: float) -> tuple[list[tuple[Mark, int]], int]:
    """Each mark with the first row of names in which it has room; and how many rows there are."""
    ends: list[float] = []
    placed = []
    for entry in sorted(marks, key=lambda m: m.x):
        half = text_width(entry.title, SMALL) / 2
        middle = min(max(scale(entry.x), half), width - half)
        row = next((k for k, end in enumerate(ends) if middle - half > end + 6), len(ends))
        if row == len(ends):
            ends.append(0.0)
        ends[row] = middle + half
        placed.append((entry, row))
    return placed, len(ends)
