"""Values with their intervals, row under row: runs of a folder, differences of two, conditions of one."""

from collections.abc import Sequence
from dataclasses import dataclass

from s5eval.data_manifests.common.words import counted
from s5eval.harness.report.charts.scale import Scale, axis_below, scale_of
from s5eval.harness.report.charts.svg import SMALL, chart, element, label, mark, text_width
from s5eval.harness.report.text import has_width, typeset_interval, typeset_number

_ROW = 24.0
_NOTED = 38.0
_HEAD = 26.0
_GAP = 14.0


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """One value with its interval.

    Attributes:
        title: what it is of.
        value: None where undefined; then the row says so.
        low: of the 95 % interval; None: not known.
        high: likewise.
        note: words that must not be missed beside it, such as PARTIAL; in a second line.
        group: rows of one group stand together under its name.
        beside: a value that stands beside it, such as its zero floor.
        n: what it is the mean of, for the tooltip.
        quiet: a floor or a bound, not something that is judged.
        href: where it leads.
    """

    title: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    group: str = ""
    beside: float | None = None
    n: int | None = None
    quiet: bool = False
    href: str | None = None


def forest(
    rows: Sequence[IntervalRow], *, title: str, unit: str = "dB", signed: bool = False, digits: int = 2,
    beside: str = "", zero: bool = True, width: float = 560,
) -> str:  # fmt: skip
    """Draw rows with their intervals, and the numbers in a column of their own at the right.

    Args:
        rows: from top to bottom; those of a group one after the other.
        title: see `chart`.
        unit: of the values, for the axis.
        signed: differences: every number carries its sign.
        digits: decimals.
        beside: what `Row.beside` is, for axis and tooltip.
        zero: 0 is within the axis.
        width: px.
    """
    texts = [typeset_interval(row.value, row.low, row.high, digits, signed=signed, places=digits) for row in rows]
    column = max((text_width(text) for text in texts), default=0.0)
    names = max((text_width(row.title) for row in rows), default=0.0)
    left = min(max(names, 60.0), width * 0.34) + _GAP
    right = max(width - column - _GAP, left + 80)
    values = [value for row in rows for value in (row.value, row.low, row.high, row.beside)]
    scale = scale_of(values, left, right, with_values=(0.0,) if zero else ())
    parts: list[str] = []
    y, group = 0.0, ""
    for row, text in zip(rows, texts, strict=True):
        if row.group != group:
            group = row.group
            y += _HEAD
            parts.append(label(0, y - 8, group, class_="strong halo", width=width))
        middle = y + _ROW / 2
        parts.append(label(0, middle + 4, row.title, width=left - _GAP, class_="soft" if row.quiet else None))
        parts.append(label(width, middle + 4, text, anchor="end", class_="soft" if row.quiet else None))
        if row.value is not None:
            parts.append(_row_mark(row, scale, middle, f"{row.title}: {text} {unit}", beside, digits))
        y += _NOTED if row.note else _ROW
        if row.note:
            parts.append(
                label(0, y - 6, row.note, size=SMALL, class_="warn halo", width=left - _GAP + (right - left) * 0.98)
            )
    axis = axis_below(scale, 0.0, y, unit, count=5)
    if beside:
        x = max((left + right) / 2 + text_width(unit, SMALL) / 2 + 20, 0.0)
        axis += element("line", x1=x, x2=x, y1=y + 19, y2=y + 31, class_="line s2")
        axis += label(x + 6, y + 29, beside, size=SMALL, class_="soft")
    said = "; ".join(f"{row.title} {text} {unit}" for row, text in zip(rows, texts, strict=True))
    return chart(width, y + 34, axis, *parts, title=title, description=said)


def _row_mark(row: IntervalRow, scale: Scale, middle: float, said: str, beside: str, digits: int) -> str:
    class_ = "s4" if row.quiet else "s1"
    shape = ""
    if row.low is not None and row.high is not None and has_width(row.low, row.high):
        shape += element("line", x1=scale(row.low), x2=scale(row.high), y1=middle, y2=middle, class_=f"line {class_}")
    if row.beside is not None:
        x = scale(row.beside)
        shape += element("line", x1=x, x2=x, y1=middle - 7, y2=middle + 7, class_="line s2")
        said += f"; {beside} {typeset_number(row.beside, digits)}"
    if row.value is not None:
        shape += element("circle", cx=scale(row.value), cy=middle, r=4.0, class_=class_)
    if row.n is not None:
        said += f"; {counted(row.n, 'mixture')}"
    return mark(shape, said, row.href)
