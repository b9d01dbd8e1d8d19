"""How values lie: a histogram of scores, and SDRi against the mixture's SNR, point by point or in bins."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from s5eval.data_manifests.common.words import counted
from s5eval.harness.report.charts.scale import (
    Scale,
    axis_below,
    axis_left,
    decimals_of,
    round_step,
    scale_of,
    tick_text,
)
from s5eval.harness.report.charts.svg import SMALL, chart, element, label, mark, text_width
from s5eval.harness.report.text import has_width, typeset_interval, typeset_number

_LEFT = 40.0
_TOP = 18.0
_HEIGHT = 190.0
_MANY = 600
"""Points; more are drawn as cells, whose strength is how many lie there."""


@dataclass(frozen=True, slots=True)
class Point:
    """One source: the SNR of the mixture with respect to it, its SDRi, whose it is, and where it leads; dB."""

    x: float
    y: float
    tooltip: str = ""
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Bin:
    """The mean of the points from `low` to `high`, with its 95 % interval; dB. `href` leads to its mixtures."""

    low: float
    high: float
    mean: float
    ci_low: float | None
    ci_high: float | None
    n: int
    href: str | None = None


def histogram(
    values: Sequence[float | None], *, title: str = "CAPI-SDRi of the mixtures", unit: str = "CAPI-SDRi, dB",
    mean: float | None = None, href: Callable[[float, float], str] | None = None, width: float = 400,
) -> str:  # fmt: skip
    """Draw how often values occur, in round steps; None are counted beside.

    Args:
        values: one a mixture; None where undefined.
        title: see `chart`.
        unit: of the axis.
        mean: a line where the mean is.
        href: where the mixtures from one value to another (not with it) are.
        width: px.
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    step = (
        round_step((max(known) - min(known)) / min(30.0, 2 * len(known) ** 0.4))
        if known and max(known) > min(known)
        else 1.0
    )
    counts: dict[int, int] = {}
    for value in known:
        counts[math.floor(round(value / step, 9))] = counts.get(math.floor(round(value / step, 9)), 0) + 1
    first, last = (min(counts), max(counts)) if counts else (0, 0)
    scale = Scale(first * step, (last + 1) * step, _LEFT, width - 10)
    bottom = _TOP + _HEIGHT - 40
    upright = Scale(0.0, float(max(counts.values(), default=1)) * 1.05, bottom, _TOP)
    parts = [axis_left(upright, _LEFT, width - 10, count=4 if upright.high > 4 else 2)]  # whole numbers
    parts.append(axis_below(scale, bottom, bottom + 3, unit))
    for k, count in sorted(counts.items()):
        x, end = scale(k * step), scale((k + 1) * step)
        bar = element(
            "rect",
            x=x + 0.5,
            y=upright(count),
            width=max(end - x - 1, 0.5),
            height=bottom - upright(count),
            class_="s1",
        )
        places = max(2, decimals_of(step))
        said = f"{count} from {typeset_number(k * step, places)} to {typeset_number((k + 1) * step, places)}"
        parts.append(mark(bar, said, None if href is None else href(k * step, (k + 1) * step)))
    if mean is not None and known:
        x = scale(mean)
        text = f"mean {typeset_number(mean, 2)}"
        half = text_width(text, SMALL) / 2
        parts.append(element("line", x1=x, x2=x, y1=_TOP - 4, y2=bottom, class_="line s2"))
        parts.append(label(min(max(x, half), width - half), 10, text, anchor="middle", size=SMALL))
    undefined = len(values) - len(known)
    said = f"{len(known)} values"
    said += f" from {typeset_number(min(known), 2)} to {typeset_number(max(known), 2)}" if known else ""
    said += f", mean {typeset_number(mean, 3)}" if mean is not None else ""
    return chart(
        width, _TOP + _HEIGHT, *parts, title=title,
        description=f"{said}{f'; {undefined} undefined' if undefined else ''}.",
    )  # fmt: skip


def scatter_plot(
    points: Sequence[Point], bins: Sequence[Bin] = (), *, title: str = "SDRi against the mixture's SNR",
    x_title: str = "SNR of the mixture, dB", y_title: str = "SDRi, dB",
    href: Callable[[float, float], str] | None = None, width: float = 400,
) -> str:  # fmt: skip
    """Draw points, means of bins with their intervals over them, and the line of what a silent waveform would earn:
    minus the mixture's SNR.

    Args:
        points: sources; above 600 as cells of a grid.
        bins: means over ranges of x.
        title: see `chart`.
        x_title: of the axis below.
        y_title: of the axis at the left.
        href: of cells: where what lies from one x to another is.
        width: px.
    """
    bottom = _TOP + _HEIGHT + 20
    x = scale_of([point.x for point in points], _LEFT, width - 10)
    y = scale_of([point.y for point in points], bottom, _TOP, with_values=(0.0,))
    parts = [axis_left(y, _LEFT, width - 10, count=6), axis_below(x, _TOP, bottom, x_title)]
    parts.append(label(0, 10, y_title, size=SMALL, class_="soft"))
    if points:
        parts.append(_silence(x, y, width))
    parts.append(_cells(points, x, y, href) if len(points) > _MANY else _dots(points, x, y))
    for entry in bins:
        at = x((entry.low + entry.high) / 2)
        shape = ""
        if entry.ci_low is not None and entry.ci_high is not None and has_width(entry.ci_low, entry.ci_high):
            shape = element("line", x1=at, x2=at, y1=y(entry.ci_low), y2=y(entry.ci_high), class_="line s2")
        shape += element("circle", cx=at, cy=y(entry.mean), r=4.5, class_="s2 ringed")
        text = typeset_interval(entry.mean, entry.ci_low, entry.ci_high, 2)
        said = f"{_span(entry)}: mean {text} dB of {counted(entry.n, 'source')}"
        parts.append(mark(shape, said, entry.href))
    listed = "; ".join(f"{_span(entry)}: {typeset_number(entry.mean, 2)}" for entry in bins)
    return chart(
        width, bottom + 34, *parts, title=title,
        description=f"{counted(len(points), 'source')}. {f'Means: {listed}.' if bins else ''}",
    )  # fmt: skip


def _span(entry: Bin) -> str:
    """`−2.5 to −2.0 dB`: ranges may be narrower than a decibel."""
    width = entry.high - entry.low
    return f"{tick_text(entry.low, width)} to {tick_text(entry.high, width)} dB"


def _silence(x: Scale, y: Scale, width: float) -> str:
    """The line SDRi = -SNR, as far as it is within, and its name where it leaves the picture at the left."""
    low, high = max(x.low, -y.high), min(x.high, -y.low)
    if low >= high:
        return ""
    line = element("line", x1=x(low), y1=y(-low), x2=x(high), y2=y(-high), class_="line s4 dashed")
    return line + label(width - 10, 10, "– – silence", anchor="end", size=SMALL, class_="soft")


def _dots(points: Sequence[Point], x: Scale, y: Scale) -> str:
    return "".join(
        mark(element("circle", cx=x(point.x), cy=y(point.y), r=3.0, class_="s1 faint"), point.tooltip, point.href)
        for point in points
    )


def _cells(points: Sequence[Point], x: Scale, y: Scale, href: Callable[[float, float], str] | None) -> str:
    """A grid of cells 8 px wide; the more points, the stronger."""
    across, up = max(1, round(abs(x.end - x.start) / 8)), max(1, round(abs(y.end - y.start) / 8))
    counts: dict[tuple[int, int], int] = {}
    for point in points:
        key = _place(point.x, x.low, x.high, across), _place(point.y, y.low, y.high, up)
        counts[key] = counts.get(key, 0) + 1
    most = max(counts.values())
    wide, high = (x.high - x.low) / across, (y.high - y.low) / up
    shapes = []
    for (column, row), count in sorted(counts.items()):
        low, base = x.low + column * wide, y.low + row * high
        top, bottom = y(base + high), y(base)
        shape = element(
            "rect", x=x(low), y=top, width=x(low + wide) - x(low) - 0.5, height=bottom - top - 0.5,
            class_="s1", fill_opacity=str(round(0.12 + 0.88 * math.sqrt(count / most), 2)),
        )  # fmt: skip
        said = f"{counted(count, 'source')} at {typeset_number(low, 1)} dB, SDRi {typeset_number(base, 1)} dB"
        shapes.append(mark(shape, said, None if href is None else href(low, low + wide)))
    return "".join(shapes)


def _place(value: float, low: float, high: float, count: int) -> int:
    return min(count - 1, max(0, math.floor((value - low) / (high - low) * count)))
