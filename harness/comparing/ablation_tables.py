"""The table of an ablation: for the terminal, as Markdown and as CSV."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.sets.known import known_datasets
from s5eval.harness.comparing.ablation import Ablation, AblationRow, Delta
from s5eval.harness.comparing.pair_words import NO_STAR
from s5eval.harness.record.run_record import Facts
from s5eval.harness.record.run_summary import CorpusBoundName, MetricValue
from s5eval.harness.report.table import (
    BOUND_NOTES,
    bound_title,
    bounds_explained,
    data_name,
    interval_text,
    part_mark,
    settings_of,
)
from s5eval.harness.report.terminal_layout import aligned
from s5eval.harness.report.text import ABSENT, number, number_and_interval
from s5eval.systems.settings import dotted

HEADLINES = {"capi_sdri": "CAPI-SDRi, dB", "mixture_accuracy": "mixture acc., %", "source_accuracy": "source acc., %"}
"""The three metrics of the table; `table.json` and `table.csv` have the floors as well."""

DIGITS = {"capi_sdri": 3, "mixture_accuracy": 2, "source_accuracy": 2}

_FLOOR = "capi_sdri_zero_floor"


def published_rows(about: Facts | None) -> list[dict[str, Any]]:
    """Published results on the split of the ablation: of an official one, and of all its mixtures, as they are."""
    if about is None:
        return []
    text = files("s5eval.data_manifests.sets").joinpath("published_stages.csv").read_text(encoding="utf-8")
    rows = [
        row
        for row in csv.DictReader(io.StringIO(text))
        if (row["dataset"], row["split"]) == (about.dataset, about.split)
    ]
    if rows and about.n_expected != known_datasets()[about.dataset].splits[about.split].mixtures:
        return []
    return [
        {"name": row["name"], "source": row["source"], **{k: float(row[k]) if row[k] else None for k in HEADLINES}}
        for row in rows
    ]


def caption(ablation: Ablation) -> str:
    """One line: system, weights, data, number of mixtures, and what was paid."""
    about = ablation.about
    if about is None:
        return "no row could be run"
    kinds = ablation.weights
    weights = kinds[0] if len(kinds) == 1 else f"of {len(kinds)} kinds, see table.json (fewer stages read fewer files)"
    return (
        f"{_circumstances(about, ablation, f'weights: {weights}')} | "
        f"stage runs: {ablation.executed} executed, {ablation.reused} reused"
    )


def data_caption(ablation: Ablation) -> str:
    """What a figure says above it: system, data, number of mixtures."""
    return "no row could be run" if ablation.about is None else _circumstances(ablation.about, ablation)


def _circumstances(about: Facts, ablation: Ablation, *more: str) -> str:
    """System, settings that all rows share, what else is told, data and how many mixtures."""
    keys = {setting: setting.partition("=")[0] for setting in about.set}
    rows = [dotted(row.assignments) for row in ablation.rows]
    shared = tuple(s for s, key in keys.items() if len({str(assignments.get(key)) for assignments in rows}) == 1)
    mixtures = part_mark(about.n_expected, about.n_split) or counted(about.n_expected, "mixture")
    return " | ".join(
        [about.system, *settings_of(replace(about, set=shared)), *more, f"data: {data_name(about)}", mixtures]
    )


def ablation_table(ablation: Ablation) -> str:
    """For the terminal: values with intervals, then differences to the baseline row."""
    rows: list[tuple[str, ...]] = [("", *HEADLINES.values(), "zero floor, dB", "stage runs", "seconds")]
    for row in ablation.rows:
        floor = row.metrics[_FLOOR].value
        costs = (f"{row.executed} (+{row.reused})", number(row.seconds, 1))
        rows.append((row_title(row, ablation), *_cells(row), number(floor, 3), *costs))
    rows += [
        (),
        *(
            (f"  {bound_title(name)}{_in_brackets(ablation.letters(row))}", *_cells(row), "", "", "")
            for name, row in _bounds(ablation)
        ),
    ]
    published = published_rows(ablation.about)
    if published:
        rows += [(), *((f"  published: {p['name']}", *_published(p), "", "", "") for p in published)]
    deltas: list[tuple[str, ...]] = [(f"difference to {ablation.baseline!r}", *HEADLINES.values())]
    deltas += [
        (row.name, *(_delta(row, metric) for metric in HEADLINES))
        for row in ablation.rows
        if row.name != ablation.baseline
    ]
    lines = [caption(ablation), "", *aligned(rows, apart=0), "", *aligned(deltas), ""]
    lines += ["95 % intervals, differences paired; * the interval excludes 0; stage runs: executed (+ reused)"]
    lines += [NO_STAR] if stars_withheld(ablation) else []
    lines += [f"({letter}) {mark}" for mark, letter in ablation.notes.items()]
    lines += _failures(ablation)
    lines += bounds_explained()
    return "\n".join(lines)


def ablation_markdown(ablation: Ablation) -> str:
    """As one Markdown table; bounds and published results stand apart, below."""
    header = ["", *(column for title in HEADLINES.values() for column in (title, "Δ")), "stage runs", "seconds"]
    lines = [caption(ablation), "", _line(header), _line([":--", *["--:"] * (len(header) - 1)])]
    for row in ablation.rows:
        cells = [
            cell for metric in HEADLINES for cell in (_cell(row, metric), _delta_or_baseline(row, metric, ablation))
        ]
        lines.append(
            _line(
                [f"**{row_title(row, ablation)}**", *cells, f"{row.executed} (+{row.reused})", number(row.seconds, 1)]
            )
        )
    for name, row in _bounds(ablation):
        cells = [cell for metric in HEADLINES for cell in (_cell(row, metric), _delta(row, metric))]
        lines.append(
            _line([f"*bound* {name}: {BOUND_NOTES[name]}{_in_brackets(ablation.letters(row))}", *cells, "", ""])
        )
    for entry in published_rows(ablation.about):
        cells = [cell for value in _published(entry) for cell in (value, "")]
        lines.append(_line([f"*published* {entry['name']} ({entry['source']})", *cells, "", ""]))
    note = (
        f"Values with 95 % intervals. Δ: difference to “{ablation.baseline}” over the same mixtures, with a paired "
        "interval; \\* where that excludes 0. Stage runs: (stage, mixture) pairs executed (+ reused) by the last "
        "call. Bounds and published results are no systems of this table."
    )
    note += f" {NO_STAR[0].upper()}{NO_STAR[1:]}." if stars_withheld(ablation) else ""
    remarks = [f"- ({letter}) {mark}" for mark, letter in ablation.notes.items()]
    remarks += [f"- {line}" for line in _failures(ablation)]
    return "\n".join([*lines, "", note, *([""] if remarks else []), *remarks]) + "\n"


def ablation_csv(ablation: Ablation) -> str:
    """One line per row, bound and published result; empty where a value is undefined."""
    metrics = list(ablation.rows[0].metrics)
    part = "" if ablation.about is None else part_mark(ablation.about.n_expected, ablation.about.n_split)
    parts = ("value", "ci_low", "ci_high")
    header = ["kind", "name", "set", "weights", "error", "marks", "executed", "reused", "seconds"]
    header += [f"{metric}{'' if part == 'value' else '_' + part}" for metric in metrics for part in parts]
    of_delta = (*parts, "significant", "withheld")
    header += [f"delta_{metric}{'' if part == 'value' else '_' + part}" for metric in metrics for part in of_delta]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    for kind, rows in (("row", ablation.rows), ("bound", ablation.bounds)):
        for row in rows:
            costs = [row.executed, row.reused, round(row.seconds, 3)] if kind == "row" else ["", "", ""]
            settings = json.dumps(dict(row.assignments))
            facts = [kind, row.name, settings, row.weights or "", row.error or "", _marks(part, row), *costs]
            values = [_raw(row.metrics, metric, part) for metric in metrics for part in parts]
            values += [_raw(row.delta, metric, part) for metric in metrics for part in of_delta]
            writer.writerow([*facts, *values])
    for entry in published_rows(ablation.about):
        values = ["" if entry.get(metric) is None else entry[metric] for metric in metrics]
        cells = [cell for value in values for cell in (value, "", "")]
        no_delta = [""] * (len(metrics) * len(of_delta))
        writer.writerow(["published", entry["name"], "", "", "", entry["source"], "", "", "", *cells, *no_delta])
    return buffer.getvalue()


def _marks(part: str, row: AblationRow) -> str:
    """The marks of a row where no caption stands above it: of how much of the split it is among them."""
    return "; ".join([*([part] if part else []), *row.marks])


def stars_withheld(ablation: Ablation) -> bool:
    """Whether a star is withheld from a difference that the table shows."""
    rows = (*ablation.rows, *ablation.bounds)
    return any(row.delta[metric].withheld for row in rows for metric in HEADLINES if metric in row.delta)


def row_title(row: AblationRow, ablation: Ablation, note: str = "") -> str:
    """A row's name with the letters of its marks, and a note before them; `failed` alone where it has no values."""
    letters = ["failed"] if row.error is not None else [*([note] if note else []), *ablation.letters(row)]
    return f"{row.name}{_in_brackets(letters)}"


def _in_brackets(letters: Sequence[str]) -> str:
    return f" ({', '.join(letters)})" if letters else ""


def _failures(ablation: Ablation) -> list[str]:
    """Why rows failed: a line for each reason, with the rows that it is the reason of."""
    rows: dict[str, list[str]] = {}
    for row in ablation.rows:
        if row.error is not None:
            rows.setdefault(row.error, []).append(row.name)
    return [f"{', '.join(names)} failed: {error}" for error, names in rows.items()]


def _bounds(ablation: Ablation) -> Iterator[tuple[CorpusBoundName, AblationRow]]:
    return zip(BOUND_NOTES, ablation.bounds, strict=False)


def _cells(row: AblationRow) -> tuple[str, ...]:
    return tuple(_cell(row, metric) for metric in HEADLINES)


def _cell(row: AblationRow, metric: str) -> str:
    entry = row.metrics[metric]
    return interval_text(entry, DIGITS[metric])


def _delta(row: AblationRow, metric: str) -> str:
    entry = row.delta[metric]
    if entry.value is None:
        return ABSENT
    text = number_and_interval(entry.value, entry.ci_low, entry.ci_high, DIGITS[metric], signed=True)
    return f"{text} *" if entry.significant else text


def _delta_or_baseline(row: AblationRow, metric: str, ablation: Ablation) -> str:
    return "baseline" if row.name == ablation.baseline else _delta(row, metric)


def _published(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(number(entry[metric], DIGITS[metric]) for metric in HEADLINES)


def _raw(values: Mapping[str, MetricValue] | Mapping[str, Delta], metric: str, part: str) -> float | bool | str:
    value: float | bool | None = getattr(values[metric], part) if metric in values else None
    if isinstance(value, bool):
        return value
    return "" if value is None else float(value)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace(" *", " \\*") for cell in cells) + " |"
