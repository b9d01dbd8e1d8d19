"""Reads runs for the viewer: as far as they go, with a word for what does not, and again when they have grown.

With `growing_journal`, all of the viewer that knows the files of a run folder.
"""

import gc
import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from s5eval.data_manifests.common.digests import file_stamp
from s5eval.data_manifests.common.errors import DataError, S5Error, UsageError
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.naming import RUN_JOURNAL
from s5eval.harness.comparing.run_list import ListedRun, list_runs, run_folders
from s5eval.harness.record.lines import Line, load_table
from s5eval.harness.record.reading import (
    facts_of,
    is_sealed,
    read_run_record,
    read_summary,
    unfinished_rescoring,
    unverified,
)
from s5eval.harness.record.run_record import About, RunRecord
from s5eval.harness.record.run_summary import Summary
from s5eval.harness.record.tables import MixtureScore, PairTable
from s5eval.harness.report.table import all_marks_of, settings_of, shown_name
from s5eval.harness.runs.derived import derive_summary
from s5eval.harness.view.filters import Index
from s5eval.harness.view.growing_journal import GrowingJournal
from s5eval.systems.decision import Decision

Stamps = tuple[list[int] | None, ...]
"""What tells one state of files from another, see `file_stamp`."""

_MANY = 4_000
"""Lines; beyond, the collector of garbage takes longer than an answer may."""


@dataclass(frozen=True)
class Snapshot:
    """A run as it stood at one moment.

    Attributes:
        key: what it is called in addresses.
        path: the run folder.
        record: `run.json`; None where it cannot be read.
        lines: by mixture id, in order of the data, then what the record does not list.
        words: what a reader has to know: damage, a missing summary, an earlier version.
    """

    key: str
    path: Path
    record: RunRecord | None
    lines: Mapping[str, Line]
    words: tuple[str, ...]

    @property
    def about(self) -> About:
        """The facts of the run."""
        if self.record is not None:
            return self.record.about
        return About(system=self.path.name, weights="not known", dataset="?", split="?", tune="forbidden")

    @property
    def name(self) -> str:
        """What the run is called."""
        return shown_name(self.about)

    @property
    def status(self) -> str:
        """As in `run.json`; `damaged` without one."""
        return "damaged" if self.record is None else self.record.status

    @property
    def running(self) -> bool:
        """More lines may come."""
        return self.status == "running"

    @property
    def n_expected(self) -> int:
        """How many mixtures were asked for, as far as that is known."""
        return len(self.lines) if self.record is None else self.record.n_expected

    @property
    def forbidden(self) -> bool:
        """The split forbids tuning, or it is not known to allow it."""
        return self.about.tune != "allowed"

    @cached_property
    def scores(self) -> tuple[MixtureScore, ...]:
        """Of all lines, in their order."""
        return tuple(line.score for line in self.lines.values())

    @cached_property
    def index(self) -> Index:
        """What filters ask of the mixtures."""
        return Index(self.scores)

    @cached_property
    def decision(self) -> Decision | None:
        """What decided; None where that is not known."""
        return None if self.record is None else self.record.decision

    @cached_property
    def summary(self) -> Summary | None:
        """`summary.json`; made here from the lines that stand where it is missing, damaged or behind them."""
        if self.record is None:
            return None
        if not self.running:
            try:
                return read_summary(self.path)
            except DataError:
                pass
        return derive_summary(self.record, {id_: line.score for id_, line in self.lines.items()})

    @cached_property
    def marks(self) -> tuple[str, ...]:
        """What must not be missed beside any number of the run."""
        if self.record is None:
            return ("DAMAGED",)
        return (*all_marks_of(facts_of(self.record)), *settings_of(self.about))

    def table(self, mixture_id: str) -> PairTable:
        """The pair table of a mixture. Raises `DataError` where it is missing or damaged."""
        return load_table(self.path, self.lines[mixture_id])


class ViewedRun:
    """A run folder that is looked at again and again; a journal that grows is read from where it ended before."""

    def __init__(self, key: str, path: Path) -> None:
        """Read nothing yet."""
        self.key, self.path = key, path
        self._lock = threading.Lock()
        self._stamps: Stamps = ()
        self._snapshot: Snapshot | None = None
        self._journal = GrowingJournal(path / RUN_JOURNAL)

    def snapshot(self) -> Snapshot:
        """The run as it stands now; the one of before where no file has changed."""
        with self._lock:
            stamps = tuple(file_stamp(self.path / name) for name in ("run.json", RUN_JOURNAL, "summary.json"))
            if self._snapshot is None or stamps != self._stamps:
                self._snapshot, self._stamps = self._read(), stamps
                if len(self._snapshot.lines) > _MANY:
                    gc.freeze()  # records make no circles: looking through them for some would halt later answers
            return self._snapshot

    def _read(self) -> Snapshot:
        words: list[str] = []
        try:
            found = read_run_record(self.path)
            doubt = unverified(found)
            words += [doubt] if doubt else []
            record: RunRecord | None = found
        except S5Error as error:
            record = None
            words.append(str(error))
        unfinished = None if record is None else unfinished_rescoring(self.path, record)
        try:
            growing = record is not None and record.status == "running"
            sealed = record is not None and is_sealed(record)
            lines = {} if unfinished else self._journal.lines(sealed=sealed, growing=growing)
        except OSError as error:
            lines = {}
            words.append(f"{RUN_JOURNAL}: cannot be read: {error.strerror or error}")
        words += [unfinished] if unfinished else []  # scores of two kinds must not pass for one
        words += self._journal.words(record)
        if record is not None and record.status != "running":
            words += self._about_the_end(record, lines)
        order = sorted(lines) if record is None else [id_ for id_ in record.mixtures if id_ in lines]
        return Snapshot(self.key, self.path, record, {id_: lines[id_] for id_ in order}, tuple(words))

    def _about_the_end(self, record: RunRecord, lines: Mapping[str, Line]) -> list[str]:
        missing = [id_ for id_ in record.mixtures if id_ not in lines]
        words = []
        if missing and record.status == "complete":
            words.append(
                f"{len(missing)} of {counted(len(record.mixtures), 'mixture')} without a line, such as {missing[0]!r}"
            )
        try:
            read_summary(self.path)
        except DataError as error:
            words += [str(error), "what is shown is made from the lines that stand"]
        return words


@dataclass(frozen=True, slots=True)
class Listed:
    """A run in the list of all: its line, its weights, and the digest of its data (both empty where not known)."""

    run: ListedRun
    weights: str = ""
    data: str = ""

    @property
    def age(self) -> tuple[str, str]:
        """What runs are ordered by."""
        return self.run.time or "", str(self.run.path)


def _list(path: Path) -> Listed:
    (run,) = list_runs([path])
    try:
        record = read_run_record(path)
    except S5Error:
        return Listed(run)
    return Listed(run, record.about.weights, record.manifest_sha256)


class Library:
    """The runs in and below some folders."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Take the folders; each is a run, or holds some."""
        self.folders = tuple(folders)
        self._lock = threading.Lock()
        self._runs: dict[str, ViewedRun] = {}
        self._listed: dict[str, tuple[Stamps, Listed]] = {}

    def listed(self) -> dict[str, "Listed"]:
        """Key → run, newest first. Those whose files have not changed are not read again; no line is read."""
        found: dict[str, Listed] = {}
        with self._lock:
            paths = {path.resolve(): path for folder in self.folders if folder.is_dir() for path in run_folders(folder)}
            for path in paths.values():
                key = key_of(path)
                stamps = tuple(file_stamp(path / name) for name in ("run.json", "summary.json"))
                if key not in self._listed or self._listed[key][0] != stamps:
                    self._listed[key] = stamps, _list(path)
                found[key] = self._listed[key][1]
                self._runs.setdefault(key, ViewedRun(key, path))
        return dict(sorted(found.items(), key=lambda item: item[1].age, reverse=True))

    def run(self, key: str) -> Snapshot:
        """The run of a key.

        Raises:
            UsageError: there is none among the folders given.
        """
        if key not in self._runs:
            self.listed()
        if key not in self._runs or not (self._runs[key].path / "run.json").exists():
            raise UsageError("no such run among the folders that were given")
        return self._runs[key].snapshot()


def key_of(path: Path) -> str:
    """What a run is called in addresses: the same for the same folder, and no path."""
    return hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:12]
