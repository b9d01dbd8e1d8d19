"""What runs, comparisons and mixtures show of themselves in a notebook: HTML that stands alone, in the pages' style."""

import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
import soundfile

from s5eval.data_manifests.records import SAMPLE_RATE, Scene
from s5eval.harness.record.lines import Line
from s5eval.harness.record.run_summary import BoundMetricName, MetricName, MetricValue, Summary
from s5eval.harness.report.charted import waterfall_of
from s5eval.harness.report.charts.svg import plain
from s5eval.harness.report.footnotes import failure_lines, finding_lines, flag_lines, undefined_lines
from s5eval.harness.report.listening import Sound, common_gain, sounds_of
from s5eval.harness.report.spectrogram import inline, picture
from s5eval.harness.report.style import stylesheet
from s5eval.harness.report.table import (
    BOUND_NOTES,
    headline,
    interval_text,
    lines_beside,
    predicted,
    result_of,
    shown_name,
)
from s5eval.harness.report.text import number, typeset

_HEADINGS = ("", "CAPI-SDRi, dB", "zero floor, dB", "mixture acc., %", "source acc., %", "n (defined)")


def run_html(summary: Summary, findings: Sequence[str] = ()) -> str:
    """A run: its headline with every mark, who decided, the table with bounds, what is in no number of it and why, and
    where the decibels went.

    Args:
        summary: of the run.
        findings: about its files, as `run.json` has them; empty: they are counted alone.
    """
    rows = [_metrics_row(shown_name(summary), summary.metrics, "system", summary.metrics["capi_sdri_zero_floor"])]
    if summary.n_scored:
        rows += [_metrics_row(f"{name}: {note}", summary.bounds[name], "bound") for name, note in BOUND_NOTES.items()]
    parts = [paragraph(headline(summary))]
    parts += [paragraph(f"decision: {summary.decided_by}")] if summary.decided_by else []
    parts += [paragraph(found) if (found := predicted(summary)) else _table(_HEADINGS, rows)]
    lines = [
        *map(typeset, lines_beside(summary)),
        *undefined_lines(summary),
        *failure_lines(summary),
        *finding_lines(summary, findings),
        *flag_lines(summary),
    ]
    parts += [paragraph(line) for line in lines]
    parts += [waterfall_of(summary.decomposition)] if summary.decomposition is not None else []
    return framed("".join(parts))


def mixture_html(run: Path, line: Line, scene: Scene | None) -> str:
    """A mixture of a run: its score, and a player and a spectrogram of each of its sounds."""
    score = line.score
    said = typeset(result_of(score))
    notes = score.outcome.error or ", ".join(map(str, score.flags))
    head = f"<b>{escape(plain(score.mixture_id))}</b> {escape(said)} {escape(plain(notes, 400))}"
    sounds = sounds_of(run, line, scene)
    gain = common_gain(sounds)
    rows = [(sound.key, _sound_cells(sound, gain)) for sound in sounds]
    body = "".join(f"<tr>{cells}</tr>" for _, cells in rows)
    return framed(f"<p>{head}</p><table><tbody>{body}</tbody></table>")


def framed(content: str) -> str:
    """Content with the style of the pages, which reaches nothing else of the notebook."""
    return f'<div class="s5eval"><style>{scoped_style()}</style>{content}</div>'


def scoped_style() -> str:
    """The style sheet for what stands within an element of class `s5eval` alone."""
    from s5eval.harness.report.palette import DARK, LIGHT

    light, dark = ("; ".join(f"--{role}: {colour}" for role, colour in theme.items()) for theme in (LIGHT, DARK))
    rules = stylesheet().split("/* Type", 1)[1]
    return (
        f".s5eval {{ {light}; background: var(--paper); color: var(--ink); font: 14px/1.45 system-ui, sans-serif; "
        f"overflow-x: auto; padding: .6rem }} "
        f"@media (prefers-color-scheme: dark) {{ .s5eval {{ {dark} }} }} .s5eval {{ /* Type{rules} "
        ".chart { max-width: 460px } audio { height: 2rem; width: 16rem } }"
    )


def html_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of plain text as a table."""
    return _table(headings, [("", row) for row in rows])


def _metrics_row(
    name: str,
    metrics: Mapping[MetricName, MetricValue] | Mapping[BoundMetricName, MetricValue],
    kind: str,
    floor: MetricValue | None = None,
) -> tuple[str, list[str]]:
    capi = metrics["capi_sdri"]
    accuracies = [interval_text(metrics["mixture_accuracy"], 2), interval_text(metrics["source_accuracy"], 2)]
    counts = f"{capi.n} ({capi.n_defined})"
    return kind, [name, interval_text(capi, 2), "" if floor is None else number(floor.value, 2), *accuracies, counts]


def _table(headings: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    head = "".join(f"<th>{escape(plain(heading))}</th>" for heading in headings)
    body = "".join(f'<tr class="{kind}">{_cells(cells)}</tr>' for kind, cells in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(cells: Sequence[str]) -> str:
    """The first one is a name, which stands as it is; of the others minus signs are typeset."""
    name, *values = [plain(cell, 300) for cell in cells]
    return "".join(f"<td>{escape(text)}</td>" for text in (name, *map(typeset, values)))


def paragraph(text: str) -> str:
    """A line of plain text."""
    return f'<p class="about">{escape(plain(text, 2000))}</p>'


def _sound_cells(sound: Sound, gain: np.float32) -> str:
    title = f"{escape(plain(sound.title))}<br><small>{escape(plain(sound.note, 300))}</small>"
    if sound.audio is None:
        return f'<td>{title}</td><td class="text" colspan="2">{escape(plain(sound.problem, 300))}</td>'
    file = io.BytesIO()
    soundfile.write(file, (sound.audio * gain).T, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    one = sound.audio if sound.audio.ndim == 1 else sound.audio.mean(axis=0)
    image = inline(picture(one, width=400, height=64, colours=64))
    player = f'<audio controls preload="metadata" src="{inline(file.getvalue(), "audio/flac")}"></audio>'
    return f'<td>{title}</td><td>{player}</td><td><img alt="spectrogram" width="400" height="64" src="{image}"></td>'
