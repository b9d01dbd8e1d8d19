"""The page of one mixture of a bundle: every sound of it under the other, with its spectrogram."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from s5eval.harness.record.reading import read_summary
from s5eval.harness.report.charts.svg import plain
from s5eval.harness.report.listening import NamedSound
from s5eval.harness.report.page_templates import SCALE_NOTE, environment, packaged_text, policy
from s5eval.harness.report.rows import MixtureRow
from s5eval.harness.report.style import stylesheet
from s5eval.harness.report.table import headline, shown_name
from s5eval.harness.report.text import typeset_number


@dataclass(frozen=True, slots=True)
class SoundFiles(NamedSound):
    """One sound of a mixture, in files of a bundle.

    Attributes:
        audio: its file, seen from the bundle; None: there is none, and `problem` says why.
        picture: likewise, its spectrogram.
        gain: what it was multiplied by, as all sounds of its mixture, so that none clips.
    """

    audio: str | None = None
    picture: str | None = None
    gain: float = 1.0


def mixture_page(
    run: Path, row: MixtureRow, signals: Sequence[SoundFiles], *, index: str, beside: tuple[str | None, str | None]
) -> str:
    """The page's HTML, for a folder beside `audio/` and `pictures/`.

    Args:
        run: the run folder, for what it is called.
        row: the mixture's line of the table.
        signals: its sounds, in order.
        index: the page whose table has that line.
        beside: the pages of the mixtures before and after it, seen from the bundle.
    """
    from markupsafe import Markup

    summary = read_summary(run)
    style, script = stylesheet() + packaged_text("page.css"), packaged_text("mixture.js")
    gain = min((signal.gain for signal in signals), default=1.0)
    return str(
        environment()
        .get_template("mixture.html")
        .render(
            name=plain(shown_name(summary)),
            headline=plain(headline(summary), 2000),
            mixture=row.name,
            score=row.score,
            wrong=row.wrong,
            notes=row.notes,
            anchor=row.anchor,
            index=index,
            before=_from_here(beside[0]),
            after=_from_here(beside[1]),
            signals=[_seen_from_here(signal) for signal in signals],
            level="" if gain == 1.0 else f", {typeset_number(gain, 2)} times the original so that none clips",
            scale_note=SCALE_NOTE,
            style=Markup(style),
            script=Markup(script),
            policy=policy(style, script),
        )
    )


def _from_here(page: str | None) -> str | None:
    return None if page is None else Path(page).name


def _seen_from_here(signal: SoundFiles) -> dict[str, str | None]:
    return {
        "title": plain(signal.title),
        "note": plain(signal.note, 400),
        "audio": None if signal.audio is None else f"../{signal.audio}",
        "picture": None if signal.picture is None else f"../{signal.picture}",
        "problem": plain(signal.problem, 400),
    }
