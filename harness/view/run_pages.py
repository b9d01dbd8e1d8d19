"""What stands on the pages of runs, one run and its mixtures: from their records to the words of a template."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

from s5eval.data_manifests.common.errors import S5Error
from s5eval.data_manifests.common.words import counted
from s5eval.harness.comparing.run_list import ListedRun
from s5eval.harness.record.reading import coherent
from s5eval.harness.record.run_summary import MetricName, MetricValue, Summary
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report import charted
from s5eval.harness.report.charts.intervals import IntervalRow, forest
from s5eval.harness.report.footnotes import finding_lines, flag_lines
from s5eval.harness.report.table import BOUND_NOTES, lines_beside
from s5eval.harness.report.text import typeset
from s5eval.harness.view.filters import (
    LOSSES,
    RESULTS,
    Filter,
    above_floor,
    lost,
    lowest_snr,
)
from s5eval.harness.view.runs import Listed, Snapshot
from s5eval.harness.view.templating import shown

PAGE_ROWS = 100
"""Rows of a table; more stand on further pages."""

_HEADLINE: tuple[tuple[MetricName, str, str, int], ...] = (
    ("capi_sdri", "CAPI-SDRi", "dB", 2),
    ("capi_sdri_zero_floor", "silent, same labels", "dB", 2),
    ("mixture_accuracy", "mixture accuracy", "%", 1),
    ("source_accuracy", "source accuracy", "%", 1),
)


def runs_page(runs: Mapping[str, Listed]) -> list[dict[str, Any]]:
    """The runs, by key, in groups of the same data: what was made on different data stands in no common ranking."""
    groups: dict[tuple[str, str], list[tuple[str, Listed]]] = {}
    for key, listed in runs.items():
        groups.setdefault((listed.run.data, listed.data), []).append((key, listed))
    titled = []
    for (data, digest), members in groups.items():
        several = sum(other == data for other, _ in groups) > 1
        titled.append(
            {
                "title": data or "not to be read",
                "note": f"{digest[:8]}, other mixtures or files than its namesake" if several and data else "",
                "rows": [
                    {"key": key, "run": one.run, "weights": _weights(one.weights), "count": _count(one.run)}
                    for key, one in members
                ],
                "chart": _forest([(key, one.run) for key, one in members]),
            }
        )
    return titled


def _weights(weights: str) -> str:
    """Weights in a column: the beginning of their digest, or the word that stands for none."""
    digest = weights.removeprefix("sha256:")
    return digest[:8] if digest != weights else weights


def _count(run: ListedRun) -> str:
    if run.n_expected is None:
        return ""
    done = shown(None) if run.n_done is None else str(run.n_done)
    return str(run.n_expected) if done == str(run.n_expected) else f"{done} of {run.n_expected}"


def _forest(members: Sequence[tuple[str, ListedRun]]) -> str:
    known = [(key, run, run.metrics["capi_sdri"]) for key, run in members if run.metrics]
    names = Counter(run.name for _, run, _ in known)
    folders = Counter(run.path.name for _, run, _ in known)
    rows = [
        IntervalRow(
            run.name if names[run.name] == 1 else _folder(run.path, unlike=folders[run.path.name] > 1),
            metric.value,
            metric.ci_low,
            metric.ci_high,
            note="; ".join(run.marks)[:80],
            n=run.n_done,
            href=f"/run?run={key}",
        )
        for key, run, metric in known
        if metric.value is not None
    ]
    rows.sort(key=lambda row: -(row.value or 0.0))
    return forest(rows, title="CAPI-SDRi", unit="CAPI-SDRi, dB") if len(rows) > 1 else ""


def _folder(path: Path, *, unlike: bool) -> str:
    """What tells a run from its namesakes: its folder, with the one above where folders are namesakes as well."""
    return f"{path.parent.name}/{path.name}" if unlike else path.name


def link_of(run: Snapshot) -> charted.Link:
    """Where the mixtures behind a mark of a chart are."""

    def link(**asked: str) -> str:
        if "mixture" in asked:
            return f"/mixture?{urlencode({'run': run.key, 'id': asked['mixture']})}"
        return f"/mixtures?{urlencode({'run': run.key, **asked})}"

    return link


def run_page(run: Snapshot) -> dict[str, Any]:
    """The page of a run: headline, charts, bounds, failures; a chart that cannot be drawn says why."""
    problems: list[str] = []
    summary = None
    try:
        with coherent(run.path):
            summary = run.summary
    except S5Error as error:
        problems.append(str(error))
    charts = []
    for title, note, size, draw in _charts(run, summary):
        try:
            with coherent(run.path):
                svg = draw()
        except S5Error as error:
            problems.append(f"{title}: {error}")
            continue
        if svg:
            charts.append({"title": title, "note": note, "size": size, "svg": svg})
    return {
        "summary": summary,
        "headline": [] if summary is None else _headline(summary.metrics),
        "beside": [] if summary is None else [typeset(line) for line in lines_beside(summary)],
        "counts": _counts(run),
        "charts": charts,
        "chart_problems": problems,
        "flags": [] if summary is None else _flags(run, summary),
        "findings": [] if summary is None or run.record is None else finding_lines(summary, run.record.findings),
        "bounds": [] if summary is None or not summary.n_scored else _bounds(summary),
        "failures": [
            {
                "id": score.mixture_id,
                "error": score.outcome.error,
                "query": urlencode({"run": run.key, "id": score.mixture_id}),
            }
            for score in run.scores
            if score.status == "failed"
        ][:PAGE_ROWS],
    }


def _charts(run: Snapshot, summary: Summary | None) -> list[tuple[str, str, str, Callable[[], str]]]:
    scored = [score for score in run.scores if score.status == "scored"]
    if not scored:
        return []
    link = link_of(run)
    found: list[tuple[str, str, str, Callable[[], str]]] = []
    if summary is not None and summary.decomposition is not None:
        note = "Each error leads to the mixtures that have it."
        draw = partial(charted.waterfall_of, summary.decomposition, link)
        found.append(("Where the decibels went", note, "half", draw))
    if summary is not None and summary.slices.get("targets"):
        draw = partial(charted.by_condition_of, summary.slices, link, summary.conditions)
        found.append(("By condition", "", "half tall", draw))
    mean = None if summary is None else summary.metrics["capi_sdri"].value
    found.append(("Mixtures", "", "half", partial(charted.scores_of, scored, mean, link)))
    found.append(("SDRi against SNR", "Every assigned pair.", "half", partial(charted.by_snr_of, scored, link)))
    if summary is not None and summary.slices.get("class"):
        decision = run.decision
        threshold = None if decision is None else decision.shown_threshold
        found.append(("By class", "", "whole", partial(charted.classes_of, summary.slices["class"], threshold, link)))
    note = "Rows are references, columns estimates; below each count what it cost, in dB. "
    note += "Missed: references without an estimate; false alarm: estimates without a reference."
    found.append(("What was taken for what", note, "whole", partial(charted.confusions_of, scored, link)))
    return found


def _headline(metrics: Mapping[MetricName, MetricValue]) -> list[dict[str, str]]:
    entries = []
    for name, title, unit, digits in _HEADLINE:
        metric = metrics.get(name)
        if metric is None:
            continue
        low, high = (shown(getattr(metric, key), digits) for key in ("ci_low", "ci_high"))
        known = metric.ci_low is not None
        entries.append(
            {
                "title": title,
                "value": shown(metric.value, digits),
                "unit": unit,
                "range": f"{low} to {high}" if known else "",
            }
        )
    return entries


def _counts(run: Snapshot) -> str:
    scores = run.scores
    failed = sum(score.status == "failed" for score in scores)
    whole = counted(run.n_expected, "mixture")
    words = [whole if len(scores) == run.n_expected else f"{len(scores)} of {whole}"]
    words += [f"{failed} failed"] if failed else []
    exact = sum(bool(score.exact) for score in scores)
    scored = sum(score.status == "scored" for score in scores)
    words += [f"labels exactly right in {exact}"] if scored else ["no references: not scored"]
    return ", ".join(words)


def _flags(run: Snapshot, summary: Summary) -> list[dict[str, str]]:
    """What mixtures are flagged for, in the words of the printed table, and the address of those that are."""
    lines = zip(summary.flags, flag_lines(summary), strict=True)
    return [{"line": line, "query": urlencode({"run": run.key, "flag": kind})} for kind, line in lines]


def _bounds(summary: Summary) -> list[dict[str, Any]]:
    return [
        {"name": name, "note": note, "value": summary.bounds[name]["capi_sdri"].value}
        for name, note in BOUND_NOTES.items()
        if name in summary.bounds
    ]


def mixtures_page(run: Snapshot, wanted: Filter, page: int) -> dict[str, Any]:
    """A page of the table of mixtures."""
    found = wanted.apply(run.index)
    pages = max(1, -(-len(found) // PAGE_ROWS))
    page = min(max(1, page), pages)
    values = [score.capi_sdri for score in found if score.capi_sdri is not None]
    return {
        "filter": wanted,
        "rows": [_row(run, score, wanted) for score in found[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]],
        "found": len(found),
        "total": len(run.scores),
        "mean": float(np.mean(values)) if values else None,
        "page": page,
        "pages": pages,
        "losses": LOSSES,
        "results": RESULTS,
        **run.index.choices,
    }


def _row(run: Snapshot, score: MixtureScore, wanted: Filter) -> dict[str, Any]:
    references, estimates = list(score.reference_labels or ()), [e.label for e in score.estimates]
    return {
        "score": score,
        "query": mixture_query(run, score.mixture_id, wanted),
        "above": above_floor(score),
        "lost": lost(score),
        "snr": lowest_snr(score),
        "references": _matched(references, estimates),
        "estimates": _matched(estimates, references) if score.status == "scored" else _all_right(estimates),
    }


def mixture_query(run: Snapshot, mixture_id: str, wanted: Filter) -> str:
    """The address of a mixture's page, from which one goes on among those that are wanted."""
    asked = wanted.query()
    return urlencode({"run": run.key, "id": mixture_id}) + (f"&{asked}" if asked else "")


def _all_right(labels: Sequence[str]) -> list[dict[str, Any]]:
    return [{"label": label, "right": True} for label in labels]


def _matched(labels: Sequence[str], others: Sequence[str]) -> list[dict[str, Any]]:
    """Labels, and whether each has a partner of its class on the other side, as multisets."""
    left = list(others)
    rows = []
    for label in labels:
        right = label in left
        if right:
            left.remove(label)
        rows.append({"label": label, "right": right})
    return rows


def neighbours(run: Snapshot, mixture_id: str, wanted: Filter) -> dict[str, str]:
    """The addresses of the mixtures before and after one, and its place, among those that are wanted."""
    ids = [score.mixture_id for score in wanted.apply(run.index)]
    if mixture_id not in ids:
        return {"place": "", "before": "", "after": ""}
    at = ids.index(mixture_id)
    return {
        "place": f"{at + 1} of {len(ids)}",
        "before": mixture_query(run, ids[at - 1], wanted) if at else "",
        "after": mixture_query(run, ids[at + 1], wanted) if at + 1 < len(ids) else "",
    }
