"""The run as one static page: numbers, bounds, slices, every mixture, and players where audio was saved."""

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from s5eval.data_manifests.common.files import read_regular, write_atomically
from s5eval.harness.record.lines import source_file
from s5eval.harness.record.reading import read_run, read_scores, read_summary, unverified
from s5eval.harness.record.run_summary import MetricValue
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report.decibels import LOSS_TITLES, ladder
from s5eval.harness.report.table import BOUND_NOTES, SECONDARY_TITLES, headline, interval_text, shown_name, whole
from s5eval.harness.report.text import ABSENT, number
from s5eval.metrics.tolerance import LAST_BITS, settled


def write_page(run: Path) -> Path:
    """Write `report.html` into a run folder, from its `run.json`, `summary.json` and journal.

    Returns:
        The page's path. It needs no server and no network; players find the wavs beside it.
    """
    from jinja2 import Environment

    record = read_run(run)
    summary = read_summary(run)
    scores = sorted(read_scores(run).values(), key=_worst_first)
    template = files("s5eval.harness.report").joinpath("page.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"metric": _metric, "number": _number}
    environment.tests["more_than_nothing"] = lambda value: value > LAST_BITS
    html = environment.from_string(template).render(
        summary=summary,
        record=record,
        name=shown_name(summary),
        headline=headline(summary),
        whole=whole(summary),
        unverified=unverified(record),
        ladder=ladder(summary.decomposition) if summary.decomposition is not None else [],
        loss_titles=LOSS_TITLES,
        secondary_titles=SECONDARY_TITLES,
        bound_notes=BOUND_NOTES,
        mixtures=[_mixture_row(run, score) for score in scores],
    )
    page = run / "report.html"
    write_atomically(page, f"{html}{_seal(html.encode())}")
    return page


def page_is_whole(run: Path) -> bool:
    """Whether `report.html` stands as it was written: its last line is the digest of all before it."""
    try:
        content = read_regular(run / "report.html")
    except OSError:
        return False
    return content.endswith(_seal(content[: -len(_seal(b""))]).encode())


def _seal(html: bytes) -> str:
    return f"<!-- sha256 {hashlib.sha256(html).hexdigest()} -->\n"


def _worst_first(score: MixtureScore) -> tuple[int, float, str]:
    if score.status == "failed":
        return 0, 0.0, score.mixture_id
    return (2, 0.0, score.mixture_id) if score.capi_sdri is None else (1, settled(score.capi_sdri), score.mixture_id)


def _mixture_row(run: Path, score: MixtureScore) -> dict[str, Any]:
    audio = []
    for estimate in score.estimates:
        name = source_file(score.mixture_id, estimate)
        if (run / "audio" / name).is_file():
            audio.append({"label": estimate.label, "href": f"audio/{quote(name)}"})
    improvements = [
        {"label": pair.label, "sdri": pair.sdri, "sdr_mixture": pair.sdr_mixture}
        for pair in (() if score.capi is None else score.capi.pairs)
    ]
    return {
        "score": score,
        "references": ", ".join(score.reference_labels or ()) or "none",
        "estimates": ", ".join(estimate.label for estimate in score.estimates) or "none",
        "pairs": improvements,
        "audio": audio,
    }


def _number(value: float | None, digits: int = 2) -> str:
    return number(value, digits)


def _metric(entry: MetricValue | None) -> str:
    return ABSENT if entry is None else interval_text(entry, 2)
