"""A ranking in files: JSON, a page, Markdown, CSV (the table, and the conditions in long form), LaTeX."""

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

from s5eval.data_manifests.common.files import write_atomically
from s5eval.harness.comparing.ablation_latex import escape
from s5eval.harness.comparing.published import Published
from s5eval.harness.comparing.ranked import RankedSubmission
from s5eval.harness.comparing.ranking import Ranking
from s5eval.harness.comparing.ranking_page import ranking_page
from s5eval.harness.comparing.ranking_table import (
    METRIC_TITLES,
    behind_text,
    condition_rows,
    explained,
    first_text,
    heading,
    in_order,
    note_lines,
    published_as,
    rank_text,
    said_of,
    shown_as,
)
from s5eval.harness.report.table import interval_text, part_mark
from s5eval.harness.report.text import number
from s5eval.harness.scoring.paired import Difference

_DIFFERENCE = ("", "_ci_low", "_ci_high", "_p_sign", "_significant", "_withheld")  # ends of the names of its columns


def write_ranking(ranking: Ranking, out: Path) -> list[Path]:
    """Write `ranking.json`, `.html`, `.md`, `.csv`, `.tex` and `ranking_conditions.csv` into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    contents = {
        "ranking.json": json.dumps(ranking.as_dict(), indent=1),
        "ranking.html": ranking_page(ranking),
        "ranking.md": ranking_markdown(ranking),
        "ranking.csv": ranking_csv(ranking),
        "ranking_conditions.csv": conditions_csv(ranking),
        "ranking.tex": ranking_latex(ranking),
    }
    for name, content in contents.items():
        write_atomically(out / name, content)
    return [out / name for name in contents]


def ranking_markdown(ranking: Ranking) -> str:
    """The ranking, then the ranks by condition, as Markdown tables; who lacks what stands below."""
    header = ["rank [95 %]", "system", f"{METRIC_TITLES[ranking.metric]}, dB", "to the one before, dB", "first, %"]
    header += ["mixture acc., %", "source acc., %"]
    lines = [heading(ranking), "", _line(header), _line(["--:", ":--", *["--:"] * (len(header) - 2)])]
    rows = in_order(ranking)
    lines += [_line(_published_cells(row) if isinstance(row, Published) else _cells(row)) for row in rows]
    lines += ["", explained(ranking, first=True).replace("*", "\\*")]
    lines += [f"- {line}" for line in note_lines(ranking)]
    lines += ["", ranking.note] if ranking.note else []
    if ranking.conditions:
        names = [entry.name for entry in ranking.entries if entry.rank is not None]
        lines += ["", "Ranks by condition: rank [95 %], value in dB (CAPI-SDRi; SDRi of a class).", ""]
        lines += [_line(["condition", "mixtures", *names]), _line([":--", *["--:"] * (len(names) + 1)])]
        for condition, cells in condition_rows(ranking):
            lines.append(_line([f"{condition.group}: {condition.name}", str(condition.n), *cells]))
    return "\n".join(lines) + "\n"


def ranking_csv(ranking: Ranking) -> str:
    """One line per submission and published result; empty where a value is undefined."""
    header = ["kind", "name", "status", "rank", "rank_low", "rank_high", "rank_low_all", "rank_high_all", "first"]
    header += ["metric", "value", "value_ci_low", "value_ci_high", "n", "n_defined"]
    header += [f"to_{other}{part}" for other in ("previous", "first") for part in _DIFFERENCE]
    header += [
        "mixture_accuracy",
        "source_accuracy",
        "n_missing",
        "why_no_rank",
        "source",
        "team_rank",
        "marks",
    ]
    part = part_mark(ranking.n, ranking.n_split)  # which stands above every other table
    marks = "; ".join(filter(None, (part, *ranking.doubts)))
    return _csv([header, *(_csv_row(row, marks) for row in in_order(ranking))])


def conditions_csv(ranking: Ranking) -> str:
    """One line per condition and submission: its rank there with the 95 % interval, and the value."""
    header = ["group", "condition", "metric", "mixtures", "name", "rank", "rank_low", "rank_high", "value"]
    return _csv(
        [
            header,
            *(
                [c.group, c.name, c.metric, c.n, name, place.rank, place.low, place.high, place.value]
                for c in ranking.conditions
                for name, place in c.places.items()
            ),
        ]
    )


def ranking_latex(ranking: Ranking) -> str:
    r"""A `table*` for two-column papers; needs `\usepackage{booktabs}`."""
    title = METRIC_TITLES[ranking.metric]
    heads = ["Rank", "System", f"{title}, dB", "To the one before", "Mixture acc., %", "Source acc., %"]
    caption = f"{heading(ranking).replace(' | ', '; ')}. {explained(ranking, first=False)}"
    notes = "".join(f" {line.rstrip('.')}." for line in note_lines(ranking))
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table*}[t]",
        r"\centering",
        r"\footnotesize",
        rf"\caption{{{escape(caption)}{escape(notes)}}}",
        r"\begin{tabular}{@{}rlllrr@{}}",
        r"\toprule",
        _tex(heads),
        r"\midrule",
    ]
    for row in in_order(ranking):
        cells = _published_cells(row) if isinstance(row, Published) else _cells(row)
        lines.append(_tex([*cells[:4], *cells[5:]]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table*}"]) + "\n"


def _cells(entry: RankedSubmission) -> list[str]:
    metrics = entry.result.summary.metrics
    return [
        rank_text(entry),
        shown_as(entry),
        interval_text(entry.ranking_value, 3),
        behind_text(entry.to_previous),
        first_text(entry),
        interval_text(metrics["mixture_accuracy"], 2),
        interval_text(metrics["source_accuracy"], 2),
    ]


def _published_cells(row: Published) -> list[str]:
    return ["", published_as(row), number(row.capi_sdri, 2), "", "", number(row.mixture_accuracy, 2), ""]


def _csv_row(row: RankedSubmission | Published, of_all: str) -> list[object]:
    if isinstance(row, Published):
        facts = ["published", row.system, "", row.official_rank, *[None] * 5, row.metric, row.capi_sdri]
        return [
            *facts,
            *[None] * (4 + 2 * len(_DIFFERENCE)),
            row.mixture_accuracy,
            None,
            None,
            "",
            row.source,
            row.official_team_rank,
            row.note,
        ]
    place, value = row.place, row.ranking_value
    places = [None] * 5 if place is None else [place.low, place.high, place.low_all, place.high_all, place.first]
    changes = [*_difference(row.to_previous), *_difference(row.difference)]
    metrics = row.result.summary.metrics
    accuracies = [metrics["mixture_accuracy"].value, metrics["source_accuracy"].value]
    values = [row.metric, value.value, value.ci_low, value.ci_high, value.n, value.n_defined]
    marks = "; ".join(filter(None, (of_all, said_of(row))))
    end = [len(row.missing), row.why_no_rank or "", "", None, marks]
    return ["submission", row.name, row.status, row.rank, *places, *values, *changes, *accuracies, *end]


def _difference(change: Difference | None) -> list[object]:
    if change is None:
        return [None] * len(_DIFFERENCE)
    return [change.delta, change.ci_low, change.ci_high, change.p_sign, change.significant, change.withheld]


def _csv(rows: Sequence[Sequence[object]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([["" if cell is None else cell for cell in row] for row in rows])
    return buffer.getvalue()


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;').replace('*', chr(92) + '*') for cell in cells)} |"


def _tex(cells: Sequence[str]) -> str:
    """A line of the table; a hyphen before a digit is a minus, but in the second cell, which is a name."""
    signed = (cell if k == 1 else re.sub(r"(?<!\w)-(?=\d)", "−", cell) for k, cell in enumerate(cells))
    return " & ".join(map(escape, signed)) + r" \\"
