"""The run as a static page: numbers, charts, bounds, slices, and every mixture with its picture and its sounds.

It opens from a file, needs no server and no network, and reads without script. A run of very many mixtures goes on in
further pages, `report_2.html` and so on.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.files import read_regular, utf_8, write_atomically
from s5eval.data_manifests.common.words import counted, first_of
from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.manifest import Manifest
from s5eval.harness.record.provenance import Provenance
from s5eval.harness.record.reading import read_run_record, read_scores, read_summary, unverified
from s5eval.harness.record.run_folder import PAGE
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.record.run_summary import Summary
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.record.unpacked import refuse_in_place
from s5eval.harness.report import charted
from s5eval.harness.report.charts.svg import plain
from s5eval.harness.report.decibels import LOSS_TITLES, ladder, what_if_lines
from s5eval.harness.report.footnotes import finding_lines, flag_lines
from s5eval.harness.report.page_templates import SCALE_NOTE, environment, packaged_text, policy
from s5eval.harness.report.pictures import small_pictures
from s5eval.harness.report.rows import MixtureRow, mixture_row
from s5eval.harness.report.sounds import Sounds, find_sounds
from s5eval.harness.report.style import stylesheet
from s5eval.harness.report.table import (
    BOUND_NOTES,
    SECONDARY_TITLES,
    as_written_line,
    energy_of_run,
    headline,
    how_many,
    predicted,
    ranking_of_2025,
    shown_name,
)
from s5eval.harness.report.text import typeset
from s5eval.harness.scoring.by_condition import CONDITION_TITLES
from s5eval.metrics.tolerance import settled

PER_PAGE = 1600
"""Mixtures of one page: with picture and links each takes some 2 kB."""

_WAYS = 4
"""Of what differs between sittings, so much is told."""

_PAGES = re.compile(rb"<!-- pages (\d+) -->\n")


def write_page(
    run: Path,
    *,
    draw: bool = True,
    per_page: int = PER_PAGE,
    record: RunRecord | None = None,
    scores: Iterable[MixtureScore] | None = None,
    manifest: Manifest | None = None,
    pictures: Mapping[str, str] | None = None,
) -> Path:
    """Write `report.html` into a run folder, from its `run.json`, `summary.json` and journal.

    Args:
        run: the run folder.
        draw: read the mixtures' audio for pictures that are not in the cache; otherwise pages have those alone.
        per_page: mixtures on one page.
        record: what `run.json` is about to hold, for whoever ends a run; None: it is read.
        scores: of the journal, for whoever has just read or written all of it; None: it is read.
        manifest: of the data, for whoever has opened them; None: they are looked for.
        pictures: of mixtures, by id, for whoever has drawn some; kept for the next page.

    Returns:
        The first page's path. Players find the audio where it lies, by relative addresses.
    """
    refuse_in_place(run, "`s5eval unpack` makes a run folder of it, for a page; or ask for `bundle` or `figures`")
    record = record or read_run_record(run)
    sounds = find_sounds(record, check=draw, manifest=manifest)
    ordered = sorted(read_scores(run).values() if scores is None else scores, key=worst_first)
    shown = small_pictures(record, sounds.scenes, draw=draw, drawn=pictures)
    rows = [
        mixture_row(run, score, scene=sounds.scenes.get(score.mixture_id), picture=shown.get(score.mixture_id))
        for score in ordered
    ]
    pages = render_pages(run, ordered, rows, sounds, record=record, per_page=per_page)
    names = page_names(len(pages))
    for name, html in reversed([*zip(names, pages, strict=True)]):  # the first page stands once all others do
        content = utf_8(html)
        write_atomically(run / name, content + _seal(content).encode())
    for old in run.glob("report_*.html"):
        if PAGE.fullmatch(old.name) and old.name not in names:
            old.unlink()
    return run / names[0]


def page_is_whole(run: Path) -> bool:
    """Whether `report.html`, and the pages that go on from it, stand as they were written."""
    first = _whole_text(run / "report.html")
    found = _PAGES.search(first) if first else None
    if first is None:
        return False
    return all(_whole_text(run / name) is not None for name in page_names(int(found[1]) if found else 1)[1:])


def page_names(count: int) -> list[str]:
    """File names of so many pages: `report.html`, `report_2.html` and so on."""
    return ["report.html", *(f"report_{k}.html" for k in range(2, count + 1))]


def _whole_text(page: Path) -> bytes | None:
    """The content of a page whose last line is the digest of all before it; None where it is not."""
    try:
        content = read_regular(page)
    except OSError:
        return None
    return content if content.endswith(_seal(content[: -len(_seal(b""))]).encode()) else None


def _seal(html: bytes) -> str:
    return f"<!-- sha256 {hashlib.sha256(html).hexdigest()} -->\n"


def worst_first(score: MixtureScore) -> tuple[int, float, str]:
    """In this order mixtures are listed: failed ones, then by CAPI-SDRi, then those without one."""
    if score.status == "failed":
        return 0, 0.0, score.mixture_id
    return (2, 0.0, score.mixture_id) if score.capi_sdri is None else (1, settled(score.capi_sdri), score.mixture_id)


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of the page, with what it shows in words."""

    title: str
    caption: str
    svg: Any


def render_pages(
    run: Path,
    scores: Sequence[MixtureScore],
    rows: Sequence[MixtureRow],
    sounds: Sounds,
    *,
    record: RunRecord,
    per_page: int = PER_PAGE,
    names: Sequence[str] | None = None,
) -> list[str]:
    """The pages' HTML, without their last line.

    Args:
        run: the run folder, for its summary.
        scores: in the order of the table.
        rows: the lines of the table, as long.
        sounds: what is said of audio that cannot be reached.
        record: of the run.
        per_page: see `write_page`.
        names: of the pages' files; default: `report.html`, ….
    """
    from markupsafe import Markup

    summary = read_summary(run)
    thresholds = record.decision.shown_threshold
    parts = [rows[k : k + per_page] for k in range(0, len(rows), per_page)] or [[]]
    files_ = names or page_names(len(parts))
    starts = [1 + k * per_page for k in range(len(parts))]
    pages = [
        {"href": name, "title": f"{start} to {start + len(part) - 1}"}
        for name, start, part in zip(files_, starts, parts, strict=True)
    ]
    style = stylesheet() + packaged_text("page.css")
    script = packaged_text("page.js")
    shared = {
        "name": plain(shown_name(summary)),
        "headline": plain(headline(summary), 2000),
        "decided_by": plain(summary.decided_by or "", 1000),
        "summary": summary,
        "how_many": how_many(summary),
        "predicted": predicted(summary),
        "as_written": typeset(as_written_line(summary, written)) if (written := summary.as_written) else "",
        "of_2025": typeset(ranking_of_2025(summary)),
        "notes": [plain(line, 600) for line in (*finding_lines(summary, record.findings), *flag_lines(summary))],
        "unverified": unverified(record),
        "ladder": ladder(summary.decomposition) if summary.decomposition is not None else [],
        "what_if": typeset(" ".join(what_if_lines(summary.decomposition))) if summary.decomposition is not None else "",
        "loss_titles": LOSS_TITLES,
        "secondary_titles": SECONDARY_TITLES,
        "bound_notes": BOUND_NOTES,
        "thresholds": thresholds,
        "pages": pages,
        "classes": [label for label in CLASSES if label in summary.slices.get("class", {})],
        "total": len(rows),
        "sounds_problem": plain(sounds.problem or "", 400),
        "scale_note": SCALE_NOTE,
        "made": made(record),
        "style": Markup(style),
        "script": Markup(script),
        "policy": policy(style, script),
    }
    template = environment().get_template("page.html")
    html = []
    for here, part in enumerate(parts):
        first = _first_page(scores, summary, thresholds) if here == 0 else {}
        html.append(template.render(**shared, **first, rows=part, here=here))
    return [f"{html[0]}<!-- pages {len(html)} -->\n", *html[1:]]


def _first_page(
    scores: Sequence[MixtureScore], summary: Summary, thresholds: Callable[[str], float] | None
) -> dict[str, Any]:
    """What stands on the first page alone: the charts."""
    from markupsafe import Markup

    scored = [score for score in scores if score.status == "scored"]
    mean = summary.metrics["capi_sdri"].value
    charts = []
    if summary.decomposition is not None:
        caption = "from what was reached to what the same waveforms would earn with right labels and decisions"
        charts.append(Chart("Waterfall.", f"dB, {caption}", charted.waterfall_of(summary.decomposition, _link)))
    if mean is not None:
        caption = "a line is an interval, the upright mark what silent waveforms would earn with the same labels"
        charts.append(
            Chart("By condition.", caption, charted.by_condition_of(summary.slices, _link, summary.conditions))
        )
        charts.append(Chart("Mixtures.", "how many have which CAPI-SDRi", charted.scores_of(scored, mean, _link)))
        caption = "each point an assigned source, with means over ranges; dashed, what silence would earn"
        charts.append(Chart("Sources.", caption, charted.by_snr_of(scored, _link)))
    by_class = summary.slices.get("class")
    return {
        "condition_titles": CONDITION_TITLES,
        "charts": [Chart(chart.title, chart.caption, Markup(chart.svg)) for chart in charts],
        "class_chart": Markup(charted.classes_of(by_class, thresholds, _link)) if by_class else None,
        "confusion_chart": Markup(charted.confusions_of(scored, _link)) if by_class else None,
        "contents": [
            ("result", "Result"),
            *([("charts", "Where the decibels went")] if charts else []),
            *([("classes", "By class"), ("confusions", "What was taken for what")] if by_class else []),
            ("all", "Mixtures"),
            ("made", "How it was made"),
        ],
    }


def _link(**where: str) -> str:
    """The address that the page's script filters by; the one of a single mixture leads to it without a script too."""
    from urllib.parse import quote

    return "#" + "&".join(f"{key}={quote(value, safe='', errors='backslashreplace')}" for key, value in where.items())


def made(record: RunRecord) -> str:
    """How a run was made, as a sentence; of several sittings, under all the circumstances that these had."""
    found = [sitting.provenance for sitting in record.sittings if sitting.provenance is not None] or [record.provenance]
    times = sorted(made.time for made in found)
    when = times[0] if len(found) == 1 else f"{counted(len(found), 'sitting')} from {times[0]} to {times[-1]}"
    ways = first_of(dict.fromkeys(map(_circumstances, found)), _WAYS, between=" | ")
    source = f"Rescored from {record.rescored_from}. " if record.rescored_from is not None else ""
    source += f"Merged from {counted(len(record.merged_from), 'shard')}. " if record.merged_from else ""
    energy = f"{spent[0].upper()}{spent[1:]}. " if (spent := energy_of_run(record)) is not None else ""
    return (
        f"{when}, {ways}. {source}Manifest {record.manifest_sha256[:16]}, metric version {record.metric_version}. "
        f"{energy}{' '.join(record.provenance.argv)}"
    )


def _circumstances(found: Provenance) -> str:
    git = found.git
    commit = f", commit {git.commit[:12]}{' (changed)' if git.dirty else ''}" if git else ""
    return (
        f"device {found.device}, {found.platform}, Python {found.python}, s5eval {found.packages.get('s5eval')}{commit}"
    )
