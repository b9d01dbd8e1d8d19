"""Verifies everything in a run folder, and redoes what can be redone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.naming import RUN_AUDIO
from s5eval.harness.errors import EXIT_DONE
from s5eval.harness.record.codec import to_json
from s5eval.harness.record.inspection import Damage, inspect_run
from s5eval.harness.record.reading import (
    coherent,
    is_sealed,
    read_run_record,
    read_summary,
    unfinished_rescoring,
    unverified,
)
from s5eval.harness.record.run_folder import RunFolder
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.record.unpacked import refuse_in_place
from s5eval.harness.report.page import page_is_whole, write_page
from s5eval.harness.runs.derived import derive_summary
from s5eval.harness.runs.resume import resume
from s5eval.harness.runs.run import MixtureProgress
from s5eval.metrics.version import METRIC_VERSION

TOLERANCE = 1e-9
"""Of numbers that are derived again: another machine may add in another order."""


@dataclass(frozen=True, slots=True)
class Check:
    """What a check has found.

    Attributes:
        run: the run folder.
        status: what the run says of itself.
        mixtures: how many it is to have.
        whole: how many have a line that is as it was written, with all their files.
        not_reached: how many the run was interrupted before; damaged lines are none of them.
        damage: what is not as it was written.
        notes: what is no damage, and worth a word.
        repaired: what was redone; `damage` holds what is left.
    """

    run: Path
    status: str
    mixtures: int
    whole: int
    damage: tuple[Damage, ...]
    notes: tuple[str, ...] = ()
    repaired: tuple[Damage, ...] = ()
    not_reached: int = 0

    @property
    def exit_code(self) -> int:
        """0, or 3 when something is wrong."""
        return DataError.exit_code if self.damage else EXIT_DONE

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        listed = {
            name: [{"kind": d.kind, "file": d.file, "message": d.message, "mixture": d.mixture_id} for d in found]
            for name, found in (("damage", self.damage), ("repaired", self.repaired))
        }
        return {
            "run": str(self.run),
            "ok": not self.damage,
            "status": self.status,
            "mixtures": self.mixtures,
            "whole": self.whole,
            "not_reached": self.not_reached,
            "notes": list(self.notes),
            **listed,
        }


def check_run(run: Path) -> Check:
    """Verify lines, pair tables, wavs, summary and page of a run; changes nothing.

    Raises:
        UsageError: no run folder, or one whose rescoring was ended before it was done.
        DataError: `run.json` itself is damaged: nothing else can be judged without it.
    """
    record = read_run_record(run)
    if unfinished := unfinished_rescoring(run, record):
        raise UsageError(unfinished)
    found = inspect_run(run, record)
    damage = list(found.damage)
    notes = [] if (doubt := unverified(record)) is None else [doubt]
    # Of a merged run `lines` was that of one part once: what stands is not waited for.
    waiting = 0 if record.lines is None else max(0, len(record.mixtures) - max(record.lines, len(found.whole)))
    if record.status == "running":
        notes.append(f"the run has not ended; s5eval run --resume {run} goes on with it")
    elif waiting:
        notes.append(f"the run was interrupted; s5eval run --resume {run} goes on with it")
    if record.status != "running" and not damage:
        with coherent(run):
            scores = {id_: line.score for id_, line in found.whole.items()}
            damage += _derived_damage(run, record, scores, interrupted=waiting > 0)
    notes += _strangers(run, {name for line in found.whole.values() for name in line.files})
    return Check(
        run, record.status, len(record.mixtures), len(found.whole), tuple(damage), tuple(notes), not_reached=waiting
    )


def repair_run(run: Path, *, given: Mapping[str, Any] | None = None, progress: MixtureProgress | None = None) -> Check:
    """Redo what is not whole: mixtures by running them, summary and page by deriving them.

    Args:
        run: the run folder.
        given: options of the run that are given again, as for `resume`.
        progress: see `start_run`.

    Returns:
        A check of what stands now; `repaired` says what was redone.

    Raises:
        UsageError, DataError: see `check_run` and `resume`.
    """
    refuse_in_place(run, "`s5eval unpack` makes a run folder of it, which can be mended")
    shown, run = run, run.absolute()  # a system may change the working folder
    before = check_run(run)
    if not before.damage:
        return replace(before, run=shown)
    if any(damage.kind in ("line", "table", "audio") for damage in before.damage):
        resume(run, given=given or {}, fresh=None, progress=progress)
    else:
        _derive(run)
    after = check_run(run)
    left = {str(damage) for damage in after.damage}
    repaired = tuple(damage for damage in before.damage if str(damage) not in left)
    return replace(after, run=shown, repaired=repaired)


def _derive(run: Path) -> None:
    with RunFolder.open_existing(run) as folder:
        record = read_run_record(run)
        whole = inspect_run(run, record).whole
        folder.write_summary(derive_summary(record, {id_: line.score for id_, line in whole.items()}))
        write_page(run)


def _derived_damage(
    run: Path, record: RunRecord, scores: Mapping[str, MixtureScore], *, interrupted: bool
) -> list[Damage]:
    damage = []
    try:
        summary = read_summary(run)
    except DataError as error:
        message = str(error).removeprefix(f"{run / 'summary.json'}: ").partition("; `s5eval")[0]
        damage.append(Damage("summary", "summary.json", message))
    else:
        fresh = derive_summary(record, scores)
        if record.metric_version == METRIC_VERSION and not _alike(
            *({key: to_json(getattr(side, key)) for key in _COMPARED} for side in (fresh, summary))
        ):
            damage.append(Damage("summary", "summary.json", "is not what the lines come to"))
    page = (run / "report.html").is_file() or not interrupted  # which leaves none
    if page and not page_is_whole(run) and (is_sealed(record) or not (run / "report.html").is_file()):
        damage.append(Damage("page", "report.html", "is missing, or not what was written"))
    return damage


_COMPARED = ("status", "n_expected", "n_scored", "n_failed", "metrics", "bounds", "slices", "conditions", "as_written")


def _alike(a: Any, b: Any) -> bool:
    """Equal, but for the last bits of numbers."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_alike, a, b))
    if isinstance(a, float) and isinstance(b, float | int):
        return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(a == b)


def _strangers(run: Path, listed: set[str]) -> list[str]:
    """Files that no line lists: of mixtures that were run again, or somebody else's."""
    here = {f"{folder}/{path.name}" for folder in ("pairs", RUN_AUDIO) for path in (run / folder).glob("*")}
    strange = sorted(here - listed) if listed else []
    return [f"{counted(len(strange), 'file')} of no line that is whole, such as {strange[0]}"] if strange else []
