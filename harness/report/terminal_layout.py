"""Tables and sentences within the width of the terminal; in a file or a pipe every row is one line."""

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence

_LEAST = 40
_NARROW = 120
_TIED = "\N{WORD JOINER}"  # stands for a blank that no line ends at
_GAP = 2  # blanks between columns
_INDENT = "  "  # of what stands below a cell that is apart
_WHOLE = re.compile(r"(\[[^\]]*\](?: \*)?\S*|\d+(?: / \d+)+|\S+)")
_PIECES = (_WHOLE, re.compile(r"(\S+)"), re.compile(r"([^\s/_\-]*[/_\-]|[^\s/_\-]+)"), re.compile(r"(\S)"))
"""What a cell may be cut into, the first that fits: `[1, 2] *` or `8 / 2 / 0` whole, a word, what `/ _ -` part, any."""
_LEAST_CUT = 4  # characters of a column that is cut anywhere


def terminal_width() -> int | None:
    """Columns to print in: `$COLUMNS`, else the terminal's; None where standard output is neither."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked) > 0:
        return max(_LEAST, int(asked))
    return max(_LEAST, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None


def is_narrow() -> bool:
    """Whether explanations stand better below a table than in it."""
    width = terminal_width()
    return width is not None and width < _NARROW


def fitted(text: str) -> str:
    """A text whose sentences are wrapped to the terminal; tables fit already (`aligned`), paths are never cut."""
    width = terminal_width()
    if width is None:
        return text
    return "\n".join(line if len(line) <= width else _wrapped(line, width) for line in text.split("\n"))


def _wrapped(line: str, width: int) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    kept = re.sub(r"\[[^\]]*\]", lambda interval: interval[0].replace(" ", _TIED), line.strip())
    return textwrap.fill(
        kept,
        width,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(_TIED, " ")


def aligned(
    rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,), apart: int | None = None, firm: int = 0
) -> list[str]:
    """Rows as lines of equal columns; rules below the header and for empty rows.

    Where the terminal is too narrow, cells go on in further lines: a name between words, a value above its interval.

    Args:
        rows: the header first; all of one length, or empty.
        left: columns that stand to the left.
        apart: a column of what is copied, such as paths: where it does not fit whole, each of its cells stands on a
            line of its own above the others of its row, and is never cut.
        firm: characters that the first column has in any case, before words of it are cut; not where they would be more
            than a third of the terminal.
    """
    total, indent, heads = terminal_width(), "", [""] * len(rows)
    if apart is not None and not _fits(rows, total, whole=apart):
        heads = [row[apart].rstrip() if row else "" for row in rows]
        rows = [_without(row, apart) for row in rows]
        left = [k - (k > apart) for k in left if k != apart]
        indent, apart = _INDENT, None
    widths, pieces = _column_widths(rows, None if total is None else total - len(indent), whole=apart, firm=firm)
    rule = "─" * (len(indent) + sum(widths) + _GAP * (len(widths) - 1))
    lines: list[str] = []
    for number, (head, row) in enumerate(zip(heads, rows, strict=True)):
        if not row:
            lines.append(rule)
            continue
        lines += [head] if head else []
        cells = [_folded(*cell) for cell in zip(row, widths, pieces, strict=True)]
        for height in range(max(map(len, cells))):
            parts = [cell[height] if height < len(cell) else "" for cell in cells]
            justified = (
                part.ljust(width) if k in left else part.rjust(width)
                for k, (part, width) in enumerate(zip(parts, widths, strict=True))
            )
            lines.append((indent + (" " * _GAP).join(justified)).rstrip())
        if number == 0:
            lines.append(rule)
    return lines


def fits_apart(rows: Sequence[Sequence[str]], apart: int) -> bool:
    """Whether `aligned` has room for the rows without cutting a word or an interval, once a column stands apart."""
    total = terminal_width()
    return total is None or _fits([_without(row, apart) for row in rows], total - len(_INDENT))


def _fits(rows: Sequence[Sequence[str]], total: int | None, *, whole: int | None = None) -> bool:
    """Whether the rows need no more than `total` columns with no word cut, and one column not even folded."""
    least = _least_widths(_columns(rows), whole)
    return total is None or sum(least) + _GAP * (len(least) - 1) <= total


def _columns(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[row[k] for row in rows if row] for k in range(len(rows[0]))]


def _least_widths(columns: Sequence[Sequence[str]], whole: int | None) -> list[int]:
    """What every column needs for no word to be cut, and one of them not to be folded."""
    return [max(map(len, column)) if k == whole else _longest(column, 0) for k, column in enumerate(columns)]


def _without(row: Sequence[str], k: int) -> tuple[str, ...]:
    return (*row[:k], *row[k + 1 :])


def _column_widths(
    rows: Sequence[Sequence[str]], total: int | None, *, whole: int | None, firm: int
) -> tuple[list[int], list[re.Pattern[str]]]:
    """Natural widths, or, from the widest column down, those that fit into `total`; and what cells are cut into."""
    columns = _columns(rows)
    widths = [max(map(len, column)) for column in columns]
    levels = [0] * len(widths)
    room = sum(widths) if total is None else total - _GAP * (len(widths) - 1)
    least = _least_widths(columns, whole)
    floors = [firm if k == 0 and 3 * firm <= room else 0 for k in range(len(widths))]
    last = len(_PIECES) - 1
    while sum(least) > room and (cut := [k for k, level in enumerate(levels) if level < last and least[k] > floors[k]]):
        # What is cut anywhere cannot be read: that comes when no column has any other place left to be cut at.
        coarsest = min(levels[k] for k in cut)
        finer = [k for k in cut if levels[k] < last - (coarsest < last - 1)]
        k = max(finer, key=lambda k: (least[k], -k))
        levels[k] += 1
        least[k] = max(_longest(columns[k], levels[k]), floors[k])
    while sum(widths) > room:
        shrinking = [k for k in range(len(widths)) if widths[k] > least[k]]
        if not shrinking:
            break
        widths[max(shrinking, key=lambda k: widths[k])] -= 1
    return widths, [_PIECES[level] for level in levels]


def _longest(column: Sequence[str], level: int) -> int:
    """The longest piece that cells of a column are cut into, with the cell's indent."""
    if level == len(_PIECES) - 1:
        return min(_longest(column, level - 1), _LEAST_CUT + max(map(_indent, column)))
    pieces = ((_indent(cell), _PIECES[level].findall(cell)) for cell in column)
    return max((indent + max(map(len, found), default=0) for indent, found in pieces), default=0)


def _indent(cell: str) -> int:
    return len(cell) - len(cell.lstrip())


def _folded(cell: str, width: int, pieces: re.Pattern[str]) -> list[str]:
    """A cell in lines of at most `width` characters, as long as its pieces are that short."""
    if len(cell) <= width:
        return [cell]
    indent = " " * _indent(cell)
    lines: list[str] = []
    for match in pieces.finditer(cell):
        before = " " if match.start() and cell[match.start() - 1] == " " else ""
        if lines and len(lines[-1]) + len(before) + len(match[0]) <= width:
            lines[-1] += before + match[0]
        else:
            lines.append(indent + match[0])
    return lines or [""]
