"""Where the decibels went, as a waterfall: from what was reached, over what each kind of error cost, to the bound."""

from collections.abc import Sequence
from dataclasses import dataclass

from s5eval.harness.report.charts.scale import scale_of
from s5eval.harness.report.charts.svg import chart, element, label, mark
from s5eval.harness.report.text import typeset_number

_ROW = 25.0
_BAR = 15.0
_TITLE = 140.0
_VALUE = 62.0
_TORN = 46.0
_OFF_SCALE = 20.0
"""dB; a term beyond all that labels and decisions cost by more than this would flatten them, and is drawn torn."""


@dataclass(frozen=True, slots=True)
class WaterfallRow:
    """One row: a total that stands for itself, or a term that leads from the row before to the next.

    Attributes:
        title: what it is.
        value: dB.
        total: it is a level; otherwise a change.
        note: what it means, for the tooltip.
        href: where its mixtures are.
    """

    title: str
    value: float
    total: bool = False
    note: str = ""
    href: str | None = None


def waterfall(steps: Sequence[WaterfallRow], *, width: float = 460, title: str = "Where the decibels went") -> str:
    """Draw the steps from top to bottom, each from where the one before ended, with its number at the right.

    Args:
        steps: the first a total.
        width: px.
        title: see `chart`.

    Example: `waterfall([Step("CAPI-SDRi", 5.8, total=True), Step("+ misses", 0.9), Step("= bound", 6.7, total=True)])`
    """
    spans = _spans(steps)
    near = [level for k, step in enumerate(steps) if not _is_far(steps, k) for level in spans[k] if step]
    left, right = _TITLE, width - _VALUE
    edge = max(near, default=0.0)
    reach = right - (_TORN if any(max(span) > edge for span in spans) else 0.0)
    scale = scale_of(near, left, reach, with_values=(0.0,), margin=0.02)
    parts = [element("line", x1=scale(0.0), x2=scale(0.0), y1=2.0, y2=_ROW * len(steps), class_="axis")]
    for k, step in enumerate(steps):
        top = k * _ROW + (_ROW - _BAR) / 2
        low, high = sorted(spans[k])
        torn = high > edge + 1e-9
        x, end = scale(low), right if torn else scale(high)
        kind = "s1" if step.total else "s2" if step.value >= 0 else "s3"
        bar = element("rect", x=x, y=top, width=max(end - x, 1.0), height=_BAR, class_=kind)
        if torn:
            bar += _tear(right - 16, top)
        text = typeset_number(step.value, 3)
        parts.append(
            mark(bar, f"{step.title.lstrip('+= ')}: {text} dB{f', {step.note}' if step.note else ''}", step.href)
        )
        baseline = top + _BAR - 3
        weight = "strong" if step.total else None
        parts.append(label(0, baseline, step.title, width=_TITLE - 10, class_=weight))
        parts.append(label(width, baseline, text, anchor="end", class_=weight))
        if k + 1 < len(steps) and not torn:
            level = scale(spans[k][1])
            parts.append(element("line", x1=level, x2=level, y1=top + _BAR, y2=top + _ROW, class_="grid"))
    said = "; ".join(f"{step.title} {typeset_number(step.value, 3)} dB" for step in steps)
    return chart(width, _ROW * len(steps), *parts, title=title, description=said)


def _spans(steps: Sequence[WaterfallRow]) -> list[tuple[float, float]]:
    """From where to where each bar goes, dB."""
    spans: list[tuple[float, float]] = []
    level = 0.0
    for step in steps:
        start = 0.0 if step.total else level
        level = step.value if step.total else level + step.value
        spans.append((start, level))
    return spans


def _is_far(steps: Sequence[WaterfallRow], k: int) -> bool:
    """Whether a bar goes beyond what is worth the room: what comes after a term that is off the scale, with it."""
    reached = [abs(step.value) for step in steps if step.total][:1]
    large = [
        j for j, step in enumerate(steps) if not step.total and abs(step.value) > _OFF_SCALE + max(reached, default=0)
    ]
    return bool(large) and k >= large[0]


def _tear(x: float, top: float) -> str:
    """Two slanted gaps: the bar is longer than it is drawn."""
    gaps = (f"M{round(x + shift)} {round(top + _BAR + 2)}l6 {-round(_BAR + 4)}" for shift in (0, 5))
    return "".join(element("path", d=gap, class_="gap") for gap in gaps)
