"""The lines of the page's table of mixtures: what each shows, and what it can be found by."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from s5eval.data_manifests.naming import RUN_AUDIO
from s5eval.data_manifests.records import Scene
from s5eval.harness.record.lines import source_file
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report.charted import cells_of, pairs_of
from s5eval.harness.report.charts.confusion import FALSE_ALARM, MISSED
from s5eval.harness.report.charts.svg import plain
from s5eval.harness.report.text import typeset_number
from s5eval.metrics.tolerance import settled


@dataclass(frozen=True, slots=True)
class Heard:
    """A source as the table names it: label, where its audio can be reached, and the SDRi of its pair."""

    label: str
    href: str | None = None
    sdri: str = ""


@dataclass(frozen=True, slots=True)
class MixtureRow:
    """One line of the table.

    Attributes:
        anchor: its address within the page.
        name: the mixture, as text.
        score: its CAPI-SDRi, dB, as text; `failed` where it failed.
        mixture: where its audio is.
        picture: base64 of its small spectrogram.
        references: None where the set has none.
        estimates: what the system answered.
        wrong: what went wrong with labels, in words.
        notes: why it failed, or its flags.
        failed: whether it failed.
        found_by: attributes `data-…` for the page's script: `v` the score, `w` the cells of the confusion matrix, `k`
            the kinds of losses, `n` the SNRs of its sources, `r` whether a class repeats.
        more: a page of its own.
        chosen: why it has one: `worst`, `best` or `random`.
    """

    anchor: str
    name: str
    score: str
    mixture: str | None
    picture: str | None
    references: tuple[Heard, ...] | None
    estimates: tuple[Heard, ...]
    wrong: str
    notes: str
    failed: bool
    found_by: Mapping[str, str]
    more: str | None = None
    chosen: str = ""


def mixture_row(
    run: Path, score: MixtureScore, *, scene: Scene | None, picture: str | None, sounds: Mapping[str, str] | None = None
) -> MixtureRow:
    """The line of a mixture.

    Args:
        run: the folder of the run, below which the page stands.
        score: its score.
        scene: where the audio of mixture and references is; None: it cannot be reached.
        picture: see `MixtureRow`.
        sounds: in place of all that: `mixture`, `reference-0`, `estimate-2` → address. For pages that stand elsewhere.
    """
    if sounds is None:
        sounds = _sounds(run, score, scene)
    labels = score.reference_labels
    sdri = {pair.estimate: typeset_number(pair.sdri, 2) for pair in pairs_of(score)}
    cells = cells_of(score) if score.status == "scored" else {}
    wrong = [_in_words(row, column, n) for (row, column), n in sorted(cells.items()) if row != column and n]
    kinds: set[str] = {loss.kind for loss in score.decomposition.losses} if score.decomposition is not None else set()
    kinds |= {"false_alarm" for row, _ in cells if row == FALSE_ALARM}
    found_by = {
        "v": "" if score.capi_sdri is None else str(settled(score.capi_sdri)),
        "w": "|".join(sorted(f"{row}>{column}" for row, column in cells)),
        "k": " ".join(sorted(kinds)),
        "n": " ".join(str(settled(pair.sdr_mixture)) for pair in pairs_of(score)),
        "r": "yes" if labels and len(set(labels)) < len(labels) else "no",
    }
    return MixtureRow(
        anchor=f"mixture={score.mixture_id}",
        name=plain(score.mixture_id, 300),
        score="failed" if score.status == "failed" else typeset_number(score.capi_sdri, 2),
        mixture=sounds.get("mixture"),
        picture=picture,
        references=None
        if labels is None
        else tuple(Heard(label, sounds.get(f"reference-{r}")) for r, label in enumerate(labels)),
        estimates=tuple(
            Heard(e.label, sounds.get(f"estimate-{e.index}"), sdri.get(e.index, "")) for e in score.estimates
        ),
        wrong=", ".join(wrong),
        notes=plain(score.outcome.error or ", ".join(map(str, score.flags)), 600),
        failed=score.status == "failed",
        found_by={key: value for key, value in found_by.items() if value and value != "no"},
    )


def _in_words(row: str, column: str, n: int) -> str:
    times = f" ({n})" if n > 1 else ""
    if column == MISSED:
        return f"{row} missed{times}"
    return f"{column} false alarm{times}" if row == FALSE_ALARM else f"{row} as {column}{times}"


def _sounds(run: Path, score: MixtureScore, scene: Scene | None) -> dict[str, str]:
    """Addresses relative to the run folder, of what is there."""
    found = {}
    for estimate in score.estimates:
        name = source_file(score.mixture_id, estimate)
        if (run / RUN_AUDIO / name).is_file():
            found[f"estimate-{estimate.index}"] = f"{RUN_AUDIO}/{_address(name)}"
    if scene is not None:
        files = {"mixture": scene.mixture.path}
        if scene.labels == score.reference_labels:
            files |= {f"reference-{r}": reference.path for r, reference in enumerate(scene.references or ())}
        found |= {name: href for name, path in files.items() if (href := relative_address(path, run)) is not None}
    return found


def relative_address(path: Path, folder: Path) -> str | None:
    """A file's address from a page in a folder; None where no relative one leads there (another drive)."""
    way = _way(path.parent, folder)
    return None if way is None else _address(f"{way}/{path.name}".removeprefix("./"))


def _address(path: str) -> str:
    """A path within an address, byte by byte: names on a disk need not be UTF-8."""
    return quote(os.fsencode(path))


@lru_cache(maxsize=64)
def _way(there: Path, folder: Path) -> str | None:
    """From one folder to another, both with their links followed: a browser would not come back over one."""
    try:
        return Path(os.path.relpath(there.resolve(), folder.resolve())).as_posix()
    except (ValueError, OSError):
        return None
