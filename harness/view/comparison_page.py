"""What the page of two runs shows: their paired differences, and the mixtures in which they part."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from s5eval.data_manifests.common.errors import S5Error
from s5eval.data_manifests.common.words import counted
from s5eval.harness.comparing.pair_of_runs import PairOfRuns, compare_runs
from s5eval.harness.comparing.pair_words import LEFT_OUT, NO_STAR
from s5eval.harness.errors import NotComparableError
from s5eval.harness.record.reading import coherent
from s5eval.harness.report.charts.intervals import IntervalRow, forest
from s5eval.harness.report.table import SECONDARY_TITLES
from s5eval.harness.report.text import typeset_interval
from s5eval.harness.scoring.by_condition import GROUP_TITLES, SHORT_TITLES
from s5eval.harness.scoring.paired import Difference
from s5eval.harness.view.runs import Snapshot
from s5eval.metrics.tolerance import settled

_SHOWN = 300  # mixtures

_TITLES = {
    "capi_sdri": "CAPI-SDRi, dB",
    "mixture_accuracy": "mixture accuracy, %",
    "source_accuracy": "source accuracy, %",
    "capi_sdri_zero_floor": "zero floor, dB",
    "capi_sdri_gain_floor": "gain floor, dB",
    "ca_sdri": "CA-SDRi, dB",
    "sdri": "SDRi, dB",
    "precision": "precision, %",
    "recall": "recall, %",
    **{str(name): f"{title}, dB" for name, title in SECONDARY_TITLES.items()},
}
_FLIPS = ("fixed", "broken", "worse", "better")


def comparison_page(a: Snapshot, b: Snapshot, *, different: bool, only: str) -> dict[str, Any]:
    """The page of B beside A.

    Args:
        a: the run to compare with.
        b: the run that is judged.
        different: compare what both have although they were made on different data.
        only: of the mixtures, `fixed`, `broken`, `worse` or `better`; empty: all.
    """
    page: dict[str, Any] = {"a": a, "b": b, "different": different, "only": only, "problem": None, "rows": []}
    try:
        with coherent(a.path, b.path):
            found = compare_runs(a.path, b.path, allow_different=different)
    except S5Error as error:
        return {**page, "problem": str(error), "may_differ": isinstance(error, NotComparableError)}
    rows = _mixtures(a, b, found)
    wanted = [row for row in rows if only not in _FLIPS or row["flip"] == only or row["side"] == only]
    left_out = [f"left out: {counted(len(ids), 'mixture')}, {LEFT_OUT[why]}" for why, ids in found.left_out.items()]
    return {
        **page,
        "n": found.n,
        "warnings": found.warnings,
        "left_out": left_out,
        "charts": _charts(found),
        "differences": [_difference(path, difference) for path, difference in found.differences.items()],
        "about_stars": _about_stars(found),
        "rows": wanted[:_SHOWN],
        "found": len(wanted),
        "fixed": len(found.fixed),
        "broken": len(found.broken),
    }


def _charts(found: PairOfRuns) -> list[dict[str, str]]:
    charts = []
    metrics = [("CAPI-SDRi", "capi_sdri"), ("CAPI-SDRi, silent", "capi_sdri_zero_floor")]
    rows = [_row(title, found.differences["metrics", name]) for title, name in metrics]
    rows += [
        _row(part, difference, group=title)
        for group, title in GROUP_TITLES.items()
        for part, difference in found.by_group(group)
    ]
    charts.append(_chart("CAPI-SDRi, by condition", rows, "dB"))
    classes = [_row(part, difference) for part, difference in found.by_group("class") if difference.delta is not None]
    if classes:
        charts.append({**_chart("SDRi, by class", classes, "dB"), "size": "half tall"})
    accuracies = [("mixtures", "mixture_accuracy"), ("sources", "source_accuracy")]
    charts.append(
        _chart("Accuracies", [_row(title, found.differences["metrics", name]) for title, name in accuracies], "%")
    )
    return charts


def _chart(title: str, rows: list[IntervalRow], unit: str) -> dict[str, str]:
    svg = forest(rows, title=title, unit=f"B − A, {unit}", signed=True, width=460)
    return {"title": title, "svg": svg, "size": "half"}


def _row(title: str, difference: Difference, group: str = "") -> IntervalRow:
    return IntervalRow(title, difference.delta, difference.ci_low, difference.ci_high, group=group, n=difference.n)


def _about_stars(found: PairOfRuns) -> str:
    few = f"; {NO_STAR}" if any(difference.withheld for difference in found.differences.values()) else ""
    return f"* the 95 % paired interval excludes 0{few}"


def _difference(path: tuple[str, ...], difference: Difference) -> dict[str, Any]:
    of = "all" if path[0] == "metrics" else " ".join([SHORT_TITLES.get(path[-3], ""), path[-2]]).strip()
    text = typeset_interval(difference.delta, difference.ci_low, difference.ci_high, 2, signed=True)
    return {
        "of": of if path[0] != "secondary" else "secondary",
        "metric": _TITLES[path[-1]],
        "first": difference.first,
        "second": difference.second,
        "delta": difference.delta,
        "range": text.partition(" ")[2],
        "better": difference.better,
        "worse": difference.worse,
        "p": difference.p_sign,
        "significant": difference.significant,
    }


def _mixtures(a: Snapshot, b: Snapshot, found: PairOfRuns) -> list[dict[str, Any]]:
    """Every mixture that both have scored, the largest loss first, those without a change last."""
    changes: Mapping[str, float] = dict(found.changes)
    fixed, broken = set(found.fixed), set(found.broken)
    rows: list[dict[str, Any]] = []
    for id_, line in a.lines.items():
        other = b.lines.get(id_)
        if other is None or "scored" not in (line.score.status, other.score.status):
            continue
        change = changes.get(id_)
        rows.append(
            {
                "id": id_,
                "query": urlencode({"run": a.key, "id": id_, "with": b.key}),
                "first": line.score.capi_sdri,
                "second": other.score.capi_sdri,
                "change": change,
                "references": line.score.reference_labels or (),
                "a": [estimate.label for estimate in line.score.estimates],
                "b": [estimate.label for estimate in other.score.estimates],
                "flip": "fixed" if id_ in fixed else "broken" if id_ in broken else "",
                "side": "" if change is None else "better" if change > 0 else "worse",
            }
        )
    return sorted(rows, key=lambda row: (row["change"] is None, settled(row["change"] or 0.0), row["id"]))
