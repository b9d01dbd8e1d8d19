"""What was taken for what: a matrix of classes, with counts and the decibels they cost."""

from collections.abc import Callable, Mapping, Sequence

from s5eval.harness.report.charts.svg import chart, element, label, mark, text_width
from s5eval.harness.report.text import typeset_number
from s5eval.metrics.tolerance import LAST_BITS

MISSED = "missed"
"""Column of references that no estimate stands for."""

FALSE_ALARM = "false alarm"
"""Row of estimates that no reference stands for."""

_CELL = 32.0
_EDGE = 8.0


def confusion_matrix(
    classes: Sequence[str],
    counts: Mapping[tuple[str, str], int],
    *,
    decibels: Mapping[tuple[str, str], float] | None = None,
    href: Callable[[str, str], str] | None = None,
    title: str = "What was taken for what",
) -> str:
    """Draw references (rows) against estimates (columns); the diagonal is right, what has no partner stands apart.

    Every cell that is not empty shows its count and, below, the dB of the corpus value it cost. The stronger, the more:
    right ones in one colour, wrong ones in another, each by the share of its row.

    Args:
        classes: in the order of rows and columns.
        counts: (reference or `FALSE_ALARM`, estimate or `MISSED`) → how many.
        decibels: likewise, what they cost, dB.
        href: where the mixtures behind a cell are.
        title: see `chart`.
    """
    cost = decibels or {}
    rows, columns = [*classes, FALSE_ALARM], [*classes, MISSED]
    left = max((text_width(name) for name in rows), default=0.0) + 10
    top = max((text_width(name) for name in columns), default=0.0) * 0.75 + 16
    places_x = [left + k * _CELL + (_EDGE if k == len(classes) else 0.0) for k in range(len(columns))]
    places_y = [top + k * _CELL + (_EDGE if k == len(classes) else 0.0) for k in range(len(rows))]
    parts = []
    for x, name in zip(places_x, columns, strict=True):
        # Turned by 50 degrees: a line of type needs 19 px of width then, and a cell has 32.
        parts.append(label(x + _CELL / 2 + 2, top - 6, name, rotate=-50.0, class_="soft" if name == MISSED else None))
    for y, name in zip(places_y, rows, strict=True):
        class_ = "soft" if name == FALSE_ALARM else None
        parts.append(label(left - 8, y + _CELL / 2 + 4, name, anchor="end", class_=class_))
    for row, y in zip(rows, places_y, strict=True):
        total = sum(counts.get((row, column), 0) for column in columns)
        for column, x in zip(columns, places_x, strict=True):
            if row == FALSE_ALARM and column == MISSED:
                continue
            count = counts.get((row, column), 0)
            parts.append(element("rect", x=x, y=y, width=_CELL - 1, height=_CELL - 1, class_="cell"))
            paid = abs(cost.get((row, column), 0.0)) > LAST_BITS
            if count or paid:
                link = None if href is None else href(row, column)
                parts.append(_filled(row, column, count, cost.get((row, column)), total, x, y, link))
    wrong = sorted(((n, pair) for pair, n in counts.items() if pair[0] != pair[1] and n), reverse=True)[:5]
    said = "; ".join(f"{row} as {column}: {n}" for n, (row, column) in wrong)
    told = f"Rows are references, columns estimates; {MISSED}: references without an estimate; {FALSE_ALARM}: "
    told += f"estimates without a reference. Most often wrong: {said or 'nothing'}."
    reach = text_width(columns[-1]) * 0.66
    return chart(
        places_x[-1] + _CELL / 2 + max(reach, _CELL / 2) + 4, places_y[-1] + _CELL, *parts, title=title,
        description=told, class_="wide",
    )  # fmt: skip


def _filled(
    row: str, column: str, count: int, cost: float | None, total: int, x: float, y: float, href: str | None
) -> str:
    kind = "s3" if row == column else "s2"
    strength = str(round(0.10 + 0.34 * count / max(total, 1), 3))  # text on it stays readable
    shape = element("rect", x=x, y=y, width=_CELL - 1, height=_CELL - 1, class_=kind, fill_opacity=strength)
    paid = cost is not None and abs(cost) > LAST_BITS
    middle = x + (_CELL - 1) / 2
    shape += label(middle, y + (14 if paid else 20), count, anchor="middle")
    if paid:
        shape += label(middle, y + 26, typeset_number(cost, 2), anchor="middle", size=9.0, class_="soft")
    what = f"{row} as {column}" if row != column else f"{row}, right"
    what = f"{row}, missed" if column == MISSED else f"false alarm: {column}" if row == FALSE_ALARM else what
    return mark(shape, f"{what}: {count}{f', {typeset_number(cost, 3)} dB' if paid else ''}", href)
