"""From values to pixels: linear scales, round ticks, and axes whose labels leave each other room."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from s5eval.harness.report.charts.svg import SMALL, element, label, text_width
from s5eval.harness.report.text import typeset_number


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` at pixels from `start` to `end`; what lies beyond is held at the edge.

    >>> Scale(0, 10, 100, 200)(5), Scale(0, 10, 100, 200)(-3)
    (150.0, 100.0)
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """About so many round values within."""
        step = round_step((self.high - self.low) / max(1, count))
        first = math.ceil(round(self.low / step, 6))
        last = math.floor(round(self.high / step, 6))
        return [k * step for k in range(first, last + 1)]


def round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `least`.

    >>> round_step(3), round_step(0.011), round_step(50)
    (5.0, 0.02, 50.0)
    """
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next((power * k for k in (1, 2, 5, 10) if power * k >= least * (1 - 1e-9)), power * 10)


def scale_of(
    values: Iterable[float | None], start: float, end: float, *, with_values: Sequence[float] = (), margin: float = 0.04
) -> Scale:
    """A scale that holds all values that are finite, `with_values` among them, and some margin on both sides."""
    known = [v for v in (*values, *with_values) if v is not None and math.isfinite(v)] or [0.0]
    low, high = min(known), max(known)
    if high - low < 1e-9:
        low, high = low - 1.0, high + 1.0
    room = (high - low) * margin
    return Scale(low - room, high + room, start, end)


def decimals_of(step: float) -> int:
    """How many decimals tell one multiple of a round step from the next."""
    return max(0, -math.floor(math.log10(step) + 1e-9))


def tick_text(value: float, step: float) -> str:
    """A tick with the decimals its step has."""
    return typeset_number(value, decimals_of(step))


def axis_below(scale: Scale, top: float, bottom: float, title: str, *, count: int = 5) -> str:
    """Grid lines from `top` to `bottom`, tick labels below them, and the axis' title below these; 34 px in all."""
    ticks = scale.ticks(count)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    parts = []
    right = -math.inf
    for tick in ticks:
        x, text = scale(tick), tick_text(tick, step)
        class_ = "grid zero" if abs(tick) < step / 1e6 else "grid"
        parts.append(element("line", x1=x, x2=x, y1=top, y2=bottom, class_=class_))
        half = text_width(text, SMALL) / 2
        x = min(x, scale.end + 8 - half)
        if x - half > right + 4:
            parts.append(label(x, bottom + 14, text, anchor="middle", size=SMALL, class_="soft"))
            right = x + half
    middle = (scale.start + scale.end) / 2
    return "".join(parts) + label(middle, bottom + 29, title, anchor="middle", size=SMALL, class_="soft")


def axis_left(scale: Scale, left: float, right: float, *, count: int = 4, digits: int | None = None) -> str:
    """Grid lines from `left` to `right`, and tick labels to the left of them."""
    ticks = scale.ticks(count)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    parts = []
    for tick in ticks:
        y = scale(tick)
        class_ = "grid zero" if abs(tick) < step / 1e6 else "grid"
        parts.append(element("line", x1=left, x2=right, y1=y, y2=y, class_=class_))
        text = tick_text(tick, step) if digits is None else typeset_number(tick, digits)
        parts.append(label(left - 6, y + 4, text, anchor="end", size=SMALL, class_="soft"))
    return "".join(parts)
