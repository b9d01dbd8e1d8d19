"""The run as one static page: numbers, bounds, slices, every mixture, and players where audio was saved."""

from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from s5eval.data_manifests.common.files import write_atomically
from s5eval.data_manifests.naming import format_source_name
from s5eval.harness.record.run_folder import read_run, read_scores, read_summary
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report.decibels import LOSS_TITLES, ladder
from s5eval.harness.report.table import BOUND_NOTES, SECONDARY_TITLES, headline


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
    html = environment.from_string(template).render(
        summary=summary,
        record=record,
        headline=headline(summary),
        ladder=ladder(summary["decomposition"]) if summary.get("decomposition") else [],
        loss_titles=LOSS_TITLES,
        secondary_titles=SECONDARY_TITLES,
        bound_notes=BOUND_NOTES,
        mixtures=[_mixture_row(run, score) for score in scores],
    )
    page = run / "report.html"
    write_atomically(page, html)
    return page


def _worst_first(score: MixtureScore) -> tuple[int, float, str]:
    if score.status == "failed":
        return 0, 0.0, score.mixture_id
    return (2, 0.0, score.mixture_id) if score.capi_sdri is None else (1, score.capi_sdri, score.mixture_id)


def _mixture_row(run: Path, score: MixtureScore) -> dict[str, Any]:
    audio = []
    for estimate in score.estimates:
        name = format_source_name(score.mixture_id, estimate["index"], estimate["label"])
        if (run / "audio" / name).is_file():
            audio.append({"label": estimate["label"], "href": f"audio/{quote(name)}"})
    improvements = [
        {"label": pair["label"], "sdri": pair["sdr"] - pair["sdr_mixture"], "sdr_mixture": pair["sdr_mixture"]}
        for pair in score.pairs
    ]
    return {
        "score": score,
        "references": ", ".join(score.reference_labels or ()) or "none",
        "estimates": ", ".join(estimate["label"] for estimate in score.estimates) or "none",
        "pairs": improvements,
        "audio": audio,
    }


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def _metric(entry: dict[str, Any] | None) -> str:
    if entry is None or entry["value"] is None:
        return "–"
    text = _number(entry["value"])
    exact = entry["ci_low"] is None or entry["ci_low"] == entry["ci_high"]
    return text if exact else f"{text} [{entry['ci_low']:.2f}, {entry['ci_high']:.2f}]"
