"""Looks at everything in a run folder: which mixtures are whole, and what is not as it was written."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from s5eval.data_manifests.audio import audio_length
from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.files import open_regular
from s5eval.data_manifests.naming import RUN_AUDIO, RUN_JOURNAL
from s5eval.harness.record.lines import Line, pairs_path, read_journal, source_file
from s5eval.harness.record.reading import is_sealed, lost_lines
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.record.tables import PairTable

DamagedPart = Literal["line", "table", "audio", "summary", "page"]


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it was written.

    Attributes:
        kind: a line, a pair table and a wav are redone by running the mixture; a summary and a page are derived.
        file: path below the run folder.
        message: what is wrong with it.
        mixture_id: whose it is; None: of no mixture, or of one that cannot be told.
    """

    kind: DamagedPart
    file: str
    message: str
    mixture_id: str | None = None

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a look at the mixtures of a run has found.

    Attributes:
        whole: lines that are as they were written, with all their files, by mixture id in order of writing. Lines of
            failed mixtures are among them: they have no files.
        damage: the rest. A mixture that has no line is no damage unless the run says that it is complete.
        nothing_else: the journal holds these lines, each once in its place and in the form of today, and no more.
    """

    whole: Mapping[str, Line]
    damage: tuple[Damage, ...]
    nothing_else: bool = False


def inspect_run(run: Path, record: RunRecord) -> Inspection:
    """Check every line, pair table and wav of a run against the digests that were recorded with them.

    Of a run without digests (version 1) only what is missing or cannot be read is noticed.

    Args:
        run: the run folder.
        record: its `run.json`, as `read_run_record` returned it.

    Raises:
        DataError: the journal cannot be read.
    """
    try:
        journal = read_journal(run, sealed=is_sealed(record))
    except OSError as error:
        raise DataError(f"{run / RUN_JOURNAL}: cannot be read: {error.strerror or error}") from error
    damage = [Damage("line", RUN_JOURNAL, f"line {number} is not what was written") for number in journal.damaged]
    if problem := journal.order_problem or lost_lines(journal, record):
        damage.append(Damage("line", RUN_JOURNAL, problem))
    if record.status == "complete":
        damage += [
            Damage("line", RUN_JOURNAL, f"no line of {id_}, although the run was complete", id_)
            for id_ in record.mixtures
            if id_ not in journal.lines
        ]
    with_audio = record.config.save_audio and record.rescored_from is None
    whole = {}
    for id_, line in journal.lines.items():
        found = list(_damaged_files(run, line, with_audio=with_audio))
        if not found:
            whole[id_] = line
        damage += found
    in_place = not journal.torn and not journal.blank and journal.misplaced is None and journal.count == len(whole)
    nothing_else = in_place and all(line.sealed and line.number is not None for line in whole.values())
    return Inspection(whole, tuple(damage), nothing_else)


def file_problem(path: Path, digest: str) -> str | None:
    """Why a file is not the one whose hexadecimal SHA-256 was recorded; None: it is."""
    try:
        with open_regular(path) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return "is gone"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return None if found == digest else "is not what was written: its digest is another one"


def _damaged_files(run: Path, line: Line, *, with_audio: bool) -> Iterator[Damage]:
    score = line.score
    if score.status == "failed":
        return
    table = f"pairs/{score.mixture_id}.npz"
    wavs = [f"audio/{source_file(score.mixture_id, estimate)}" for estimate in score.estimates]
    wavs = wavs if with_audio else []
    if not line.sealed:
        yield from _unreadable_files(run, score.mixture_id, wavs)
        return
    for name in dict.fromkeys([table, *wavs, *line.files]):
        kind: DamagedPart = "table" if name == table else "audio"
        digest = line.files.get(name)
        if digest is None:
            problem: str | None = "is not listed in its line"
        elif PurePosixPath(name).parts[:-1] not in (("pairs",), (RUN_AUDIO,)):
            problem = "is no file of a run, but its line lists it"
        else:
            problem = file_problem(run / name, digest)
        if problem is not None:
            yield Damage(kind, name, problem, score.mixture_id)


def _unreadable_files(run: Path, mixture_id: str, wavs: list[str]) -> Iterator[Damage]:
    """Without digests: what is missing, cannot be read, or has no samples."""
    path = pairs_path(run, mixture_id)
    try:
        PairTable.load(path)
    except DataError as error:
        yield Damage("table", str(path.relative_to(run)), str(error).removeprefix(f"{path}: "), mixture_id)
    for name in wavs:
        try:
            problem = None if audio_length(run / name) else "has no samples"
        except DataError as error:
            problem = str(error).removeprefix(f"{run / name}: ")
        if problem is not None:
            yield Damage("audio", name, problem, mixture_id)
