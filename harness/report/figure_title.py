"""What a figure is of, told above it in the words that stand beside the numbers elsewhere."""

import re
from typing import TYPE_CHECKING

from s5eval.data_manifests.common.words import counted
from s5eval.harness.record.run_record import Facts
from s5eval.harness.report.charts.svg import plain
from s5eval.harness.report.palette import LIGHT
from s5eval.harness.report.table import data_name, marks_of, part_mark, settings_of, shown_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE = 7.0  # points
_LINE = 1.2 * _SIZE / 72  # inches
_LEFT = 0.01  # of the figure's width, at either side
_BETWEEN = " | "
_EARNED = re.compile(r" \([^()]*cross-validated\)")
_LONGEST = 120  # characters of a name or a decision; the page has all of it


def figure_title(facts: Facts, *, n: int | None = None, folder: str = "") -> str:
    """A run as a figure names it: system and settings, data, decision, marks, and how many mixtures.

    A figure leaves its folder for a paper or a slide, and takes no other word with it than these.

    Args:
        facts: of the run.
        n: mixtures that the figure is of; None: all that were to be evaluated.
        folder: the run folder's name, where that tells it from others in the figure.
    """
    name = shown_name(facts)
    aside = [word for word in (facts.system, folder) if word and word != name]
    part = part_mark(facts.n_expected, facts.n_split)
    count = facts.n_expected if n is None else n
    missing = count < facts.n_expected
    words = [
        plain(name, _LONGEST) + (f" ({plain(', '.join(aside), _LONGEST)})" if aside else ""),
        *(plain(setting) for setting in settings_of(facts)),
        f"data: {plain(data_name(facts), _LONGEST)}",
        *([f"decision: {_decision(facts.decided_by)}"] if facts.decided_by else []),
        *([part] if part else []),
        *(plain(mark) for mark in marks_of(facts) if not (part and mark == "PARTIAL")),
        *([f"{count} of {facts.n_expected} mixtures"] if missing else [] if part else [counted(count, "mixture")]),
    ]
    return _BETWEEN.join(words)


def _decision(decided_by: str) -> str:
    """Where a decision comes from, without what it earned there, and that a system's own came with it."""
    return plain(_EARNED.sub("", decided_by).removesuffix(", which came with the system"), _LONGEST)


def put_title(figure: "Figure", *titles: str) -> None:
    """Write titles above a figure, each from a new line on, wrapped to its width; it grows by the lines they take."""
    width, height = figure.get_size_inches()
    lines = [line for title in titles if title for line in _wrapped(title, 72 * width * (1 - 2 * _LEFT))]
    if not lines:
        return
    figure.set_size_inches(width, height + _LINE * (len(lines) - 1))
    figure.suptitle("\n".join(lines), fontsize=_SIZE, color=LIGHT["soft"], x=_LEFT, ha="left")


def _wrapped(title: str, width: float) -> list[str]:
    """Lines of at most `width` points: between the parts of a title, else between words, else within one."""
    lines = [""]
    for part in title.split(_BETWEEN):
        _append(lines, part, width, _BETWEEN)
        if _width(lines[-1]) <= width:
            continue
        words = lines.pop().split(" ")
        lines.append("")
        for word in words:
            _append(lines, word, width, " ")
            while _width(lines[-1]) > width:
                whole = lines.pop()
                cut = next(k for k in range(len(whole), 0, -1) if k == 1 or _width(whole[:k]) <= width)
                lines += [whole[:cut], whole[cut:]]
    return lines


def _append(lines: list[str], text: str, width: float, between: str) -> None:
    """Add text to the last line where there is room, else as another."""
    longer = f"{lines[-1]}{between}{text}" if lines and lines[-1] else text
    if lines and (not lines[-1] or _width(longer) <= width):
        lines[-1] = longer
    else:
        lines.append(text)


def _width(text: str) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    return float(text_to_path.get_text_width_height_descent(text, FontProperties(size=_SIZE), False)[0])
