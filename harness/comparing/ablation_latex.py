"""Tables as LaTeX, with `booktabs` and nothing else."""

from collections.abc import Sequence

from s5eval.harness.comparing.ablation import Ablation, AblationRow
from s5eval.harness.comparing.ablation_tables import HEADLINES, caption, published_rows, stars_withheld
from s5eval.harness.comparing.pair_words import NO_STAR
from s5eval.harness.report.text import has_width, number

_DIGITS = {"capi_sdri": 2, "mixture_accuracy": 1, "source_accuracy": 1}
_COLUMNS = len(HEADLINES) + 2

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",  # as they are, the usual fonts of text print ¡, ¿ and a dash for these three
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "…": r"\dots{}",
    "−": "$-$",
    "Δ": r"$\Delta$",
}


def escape(text: str) -> str:
    """Text as LaTeX sets it literally; what is not ASCII, and not known here, becomes a question mark."""
    known = (_SPECIAL.get(letter, letter) for letter in text)
    return "".join(part if part.isascii() else "?" for part in known)


def ablation_latex(ablation: Ablation) -> str:
    r"""A `table*` for two-column papers, differences below their values; needs `\usepackage{booktabs}`."""
    heads = [escape(title) for title in HEADLINES.values()]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table*}[t]",
        r"\centering",
        r"\footnotesize",
        r"\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{escape(_caption(caption(ablation), ablation))}}}",
        r"\begin{tabular}{@{}l" + "l" * len(HEADLINES) + r"r@{}}",
        r"\toprule",
        _line(["System", *heads, "Runs"]),
        r"\midrule",
    ]
    for row in ablation.rows:
        lines += _lines(_name(row, ablation), row, str(row.executed), compared=row.name != ablation.baseline)
    lines += _heading("Bounds (no systems)") if ablation.bounds else []
    for row in ablation.bounds:
        lines += _lines(_name(row, ablation), row, "", compared=False)
    published = published_rows(ablation.about)
    lines += _heading("Published") if published else []
    lines += [
        _line([escape(entry["name"]), *(_value(entry[m], k) for m, k in _DIGITS.items()), ""]) for entry in published
    ]
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table*}"]
    return "\n".join(lines) + "\n"


def _caption(facts: str, ablation: Ablation) -> str:
    notes = f"; {NO_STAR}" if stars_withheld(ablation) else ""
    notes += "." + "".join(f" {letter}: {mark}." for mark, letter in ablation.notes.items())
    return (
        f"{facts.replace(' | ', '; ')}. Values with 95 % intervals; Δ: difference to `{ablation.baseline}' with a "
        f"paired interval, * where that excludes 0{notes}"
    )


def _name(row: AblationRow, ablation: Ablation) -> str:
    if row.error is not None:
        return f"{escape(row.name)} (failed)"
    letters = ",".join(ablation.letters(row))
    return escape(row.name) + (f"$^{{{letters}}}$" if letters else "")


def _heading(text: str) -> list[str]:
    return [r"\midrule", _line([rf"\emph{{{text}}}", *[""] * (_COLUMNS - 1)])]


def _lines(name: str, row: AblationRow, stage_runs: str, *, compared: bool) -> list[str]:
    values, differences = [name], [""]
    for metric, places in _DIGITS.items():
        entry, delta = row.metrics[metric], row.delta[metric]
        values.append(_value(entry.value, places) + _interval(entry.ci_low, entry.ci_high, places))
        if compared and delta.value is not None:
            star = "^{*}" if delta.significant else ""
            change = rf"{{\scriptsize $\Delta\,{number(delta.value, places, signed=True)}{star}$}}"
            differences.append(change + _interval(delta.ci_low, delta.ci_high, places, signed=True))
        else:
            differences.append("")
    lines = [_line([*values, stage_runs])]
    return [*lines, _line([*differences, ""])] if any(differences) else lines


def _value(value: float | None, places: int) -> str:
    return "--" if value is None else f"${number(value, places)}$"


def _interval(low: float | None, high: float | None, places: int, *, signed: bool = False) -> str:
    if not has_width(low, high):
        return ""
    return rf" {{\scriptsize $[{number(low, places, signed=signed)}, {number(high, places, signed=signed)}]$}}"


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
