"""What an export holds, whatever it is written to: facts, figures, and tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.files import utf_8
from s5eval.harness.comparing.run_list import RANKING_METRICS, ListedRun
from s5eval.harness.record.codec import to_json
from s5eval.harness.record.reading import facts_of
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.record.run_summary import Summary
from s5eval.harness.report.table import all_marks_of, settings_of, shown_name

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("mixtures", "sources", "estimates", "pairs", "slices", "losses")
"""The DataFrames of a run that are exported, in this order."""

_ABOUT = ("system", "weights", "dataset", "split", "folder", "decided_by", "findings")
_RECORDED = (
    "manifest_sha256", "metric_version", "decision", "fingerprint", "config", "provenance", "energy", "rescored_from",
    "merged_from",
)  # fmt: skip


class Frames(Protocol):
    """A run that has been read, as `s5eval.read_run` gives it."""

    path: Path
    record: RunRecord
    summary: Summary


@dataclass(frozen=True, slots=True)
class Content:
    """One thing to export.

    Attributes:
        name: what it is called there.
        facts: what was run on what, and what a reader must not miss (`marks`); plain JSON types.
        figures: corpus values by name, with their intervals as `…_ci_low` and `…_ci_high`; undefined ones are left out.
        tables: DataFrames with plain columns; what was an index is the first column.
    """

    name: str
    facts: Mapping[str, Any]
    figures: Mapping[str, float]
    tables: Mapping[str, "pd.DataFrame"]


def run_content(run: Frames) -> Content:
    """All of a run: every table of `s5eval.read_run`, with the marks that stand beside its numbers."""
    record, summary = run.record, run.summary
    facts = facts_of(record)
    tables = {}
    for name in TABLES:
        frame: pd.DataFrame = getattr(run, name)
        tables[name] = frame if frame.index.name is None else frame.reset_index()
    told: dict[str, Any] = to_json(record)
    return Content(
        run.path.resolve().name,
        {
            "name": shown_name(facts),
            **{key: told["about"][key] for key in _ABOUT},
            "status": record.status,
            "marks": [*all_marks_of(facts), *settings_of(facts)],
            "n_expected": summary.n_expected,
            "n_scored": summary.n_scored,
            "n_failed": summary.n_failed,
            **{key: told[key] for key in _RECORDED},
        },
        _figures(summary),
        tables,
    )


def _figures(summary: Summary) -> dict[str, float]:
    figures = {}
    for name, told in summary.metrics.items():
        for suffix, value in (("", told.value), ("_ci_low", told.ci_low), ("_ci_high", told.ci_high)):
            if value is not None and math.isfinite(value):
                figures[f"{name}{suffix}"] = float(value)
    return figures


def listing_content(runs: Sequence[ListedRun]) -> Content:
    """The table of many runs: a row each, as `s5eval runs` lists them.

    Raises:
        UsageError: there are none.
    """
    if not runs:
        raise UsageError("there are no runs to export")
    import pandas as pd

    rows = [_row(run) for run in runs]
    kinds = {"n_expected": "Int64", "n_done": "Int64"}
    columns = {
        key: pd.Series(
            [row[key] for row in rows], dtype=kinds.get(key, "float64" if key.startswith(RANKING_METRICS) else "string")
        )
        for key in rows[0]
    }
    return Content("runs", {"runs": len(runs)}, {}, {"runs": pd.DataFrame(columns)})


def _row(run: ListedRun) -> dict[str, Any]:
    row: dict[str, Any] = {"run": str(run.path)}
    row |= {key: getattr(run, key) for key in ("name", "time", "data", "status", "n_expected", "n_done")}
    for metric in RANKING_METRICS:
        for key in ("value", "ci_low", "ci_high"):
            told = run.metrics.get(metric)
            row[metric if key == "value" else f"{metric}_{key}"] = None if told is None else getattr(told, key)
    row["marks"] = "; ".join(run.marks)
    return {key: utf_8(value).decode() if isinstance(value, str) else value for key, value in row.items()}


def plain_rows(frame: "pd.DataFrame") -> list[list[Any]]:
    """The rows of a table in plain Python types; None for what is missing or no number."""
    columns = [
        [None if missing else _plain(value) for value, missing in zip(series, series.isna(), strict=True)]
        for _, series in frame.items()
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def _plain(value: Any) -> Any:
    item = getattr(value, "item", None)  # of numpy's scalars
    return item() if item is not None else value
