"""The run folder on disk: made and probed before a model loads, appended per mixture, resumable after a kill.

run.json          what was asked and under which circumstances; its presence says that the run has begun
mixtures.jsonl    one MixtureScore a line, appended and flushed: the resume journal
pairs/<id>.npz    the pair table of each mixture, written before its line
audio/            estimates, with --save-audio
summary.json      derived from the above, rebuilt by `rescore`
log.txt           tracebacks and messages

Nothing here is trusted unread. `run.json`, `summary.json` and every line close with their own digest
(`s5eval.data_manifests.common.sealed`), and a line holds the digests of its table and wavs. So whatever a kill, a
power loss or a faulty disk leaves is told apart from what was written: `--resume` and `s5eval check --repair` redo it,
everything else refuses it. Tables, wavs and lines are handed over to the disk together, every few seconds and at the
end, before `run.json` says that the run is complete.
"""

import errno
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from s5eval.data_manifests.common.errors import DataError, S5Error, UsageError
from s5eval.data_manifests.common.files import (
    make_lasting_folder,
    sync_files,
    sync_folder,
    write_all,
    write_atomically,
)
from s5eval.data_manifests.common.lock import FolderLock, InUseError, take_lock
from s5eval.data_manifests.common.sealed import seal
from s5eval.data_manifests.common.unfinished import sweep
from s5eval.data_manifests.naming import RUN_AUDIO, RUN_JOURNAL
from s5eval.harness.errors import RunFolderError
from s5eval.harness.record.codec import to_json
from s5eval.harness.record.lines import Line, pairs_path
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.record.run_summary import Summary
from s5eval.harness.record.tables import MixtureScore, PairTable

SYNC_SECONDS = 5.0
"""A power loss costs what was computed in this time; every sync costs some milliseconds a file (bench `durability`)."""

_WRITTEN = ("pairs", RUN_AUDIO, RUN_JOURNAL, "log.txt", ".lock", ".started")
"""What a run that goes on writes into, rather than anew."""

PAGE = re.compile(r"report(_[0-9]+)?\.html")
"""The pages of a run: the first, and those that a long table of mixtures goes on in."""

_OURS = re.compile(r"pairs|log\.txt|\.lock(\.held)?|\.{1,2}(probe|run|summary|mixtures)(\.[0-9a-f]+)?(\.jsonl?)?")


class RunFolder:
    """A run's folder, opened for writing by one process at a time; a context manager that releases it."""

    def __init__(self, path: Path) -> None:
        """Use `open_new` or `open_existing` instead."""
        self.path = path
        self._made = False
        self._lock: FolderLock | None = None
        self._journal: IO[bytes] | None = None
        self._lines: int | None = None  # of the journal; None: not counted yet
        self._pending: list[Path] = []
        self._synced = time.monotonic()

    @staticmethod
    def open_new(path: Path) -> "RunFolder":
        """Make the folder and probe that it can be written.

        Raises:
            UsageError: the path holds a run, or anything else, already.
            RunFolderError: it cannot be made or written.
        """
        if (path / "run.json").is_file():
            raise UsageError(f"{path} holds a run already; go on there with `go_on=True`, or choose another `out`")
        if path.exists() and (not path.is_dir() or not _only_ours(path)):
            raise UsageError(f"{path} exists and is not an empty folder; choose another `out`")
        return _prepared(path, made=not path.exists())

    @staticmethod
    def open_existing(path: Path) -> "RunFolder":
        """Open a folder to continue in it; one that was killed before `run.json` stood is as good as new.

        Raises:
            UsageError: there is no such run.
            DataError: a part of it is a link to somewhere else.
            RunFolderError: another process is at work in it, or it cannot be written.
        """
        if not path.is_dir():
            raise UsageError(f"no run folder at {path}")
        for name in _WRITTEN:
            if (path / name).is_symlink():
                raise DataError(
                    f"{path / name} is a link, and would be written through; put what it names in its place"
                )
        if not (path / "run.json").is_file() and not _only_ours(path):
            raise UsageError(f"{path} is not a run folder (it has no run.json)")
        return _prepared(path)

    def __enter__(self) -> Self:
        """Nothing but itself: opening has taken the lock."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hand over what is written, close journal and lock; a run that could not begin leaves no folder."""
        if isinstance(error, S5Error):
            with suppress(OSError):
                self._discard()
        try:
            if error is None:
                self.sync()
        finally:
            if self._journal is not None:
                self._journal.close()
            if self._lock is not None:
                self._lock.release()

    @property
    def audio(self) -> Path:
        """Folder of the written estimates."""
        return self.path / RUN_AUDIO

    @property
    def log(self) -> Path:
        """The log file."""
        return self.path / "log.txt"

    def has_begun(self) -> bool:
        """Whether `run.json` stands."""
        return (self.path / "run.json").is_file()

    def write_run(self, record: RunRecord) -> None:
        """Write `run.json`, atomically and synced; where a sitting begins, what was derived of earlier lines goes.

        A summary and pages beside other lines than they were made of would pass for theirs after a kill.
        """
        if record.status == "running":
            try:
                for entry in self.path.iterdir():
                    if entry.name == "summary.json" or PAGE.fullmatch(entry.name):
                        entry.unlink(missing_ok=True)
            except OSError as error:
                raise _unwritable(self.path, error) from error
        self._write(self.path / "run.json", record)

    def write_summary(self, summary: Summary) -> None:
        """Write `summary.json`, atomically and synced."""
        self._write(self.path / "summary.json", summary)

    def make_audio(self) -> None:
        """Make the folder of estimates.

        Raises:
            RunFolderError: the disk does not allow it.
        """
        try:
            self.audio.mkdir(exist_ok=True)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def append(self, score: MixtureScore, table: PairTable | None, audio: Mapping[str, str] | None = None) -> None:
        """Record a mixture: first its table, then its line, which holds the digests of the table and of its wavs.

        Args:
            score: of the mixture.
            table: its pair table; None: it failed.
            audio: its wavs, which stand already: path below the run folder → hexadecimal SHA-256.

        Raises:
            RunFolderError: the disk is full, or the folder is not writable; what stands can be resumed.
        """
        files = dict(audio or {})
        try:
            if table is not None:
                path = pairs_path(self.path, score.mixture_id)
                files[str(path.relative_to(self.path))] = table.save(path, sync=False)
            if self._journal is None:
                self._journal = (self.path / RUN_JOURNAL).open("ab", buffering=0)
            if self._lines is None:
                self._lines = (self.path / RUN_JOURNAL).read_bytes().count(b"\n")
            self._lines += 1
            write_all(self._journal, Line(score, files, number=self._lines).text().encode())
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._pending += [self.path / name for name in files]
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Hand over to the disk what was appended since the last time: tables and wavs, then the lines.

        Raises:
            RunFolderError: the disk could not take it.
        """
        if self._journal is not None:
            self._hand_over(self._pending, [self.path / RUN_JOURNAL])
        self._pending.clear()
        self._synced = time.monotonic()

    def keep(self) -> None:
        """Let the journal stand as it is, and hand over to the disk what a sitting that was killed has left to do.

        Raises:
            RunFolderError: the disk could not take it.
        """
        self._hand_over([self.path / RUN_JOURNAL])

    def _hand_over(self, *groups: Sequence[Path]) -> None:
        """Have the disk take the files of one group after those of the other."""
        try:
            for group in groups:
                sync_files(group)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def rewrite(self, lines: Iterable[Line]) -> None:
        """Replace the journal's lines, atomically (a resumed run drops torn, damaged and failed ones)."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        try:
            numbered = [replace(line, number=number).text() for number, line in enumerate(lines, start=1)]
            write_atomically(self.path / RUN_JOURNAL, "".join(numbered))
            self._lines = len(numbered)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _write(self, path: Path, record: RunRecord | Summary) -> None:
        try:
            write_atomically(path, seal(to_json(record), indent=1) + "\n")
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _discard(self) -> None:
        """Take back what opening has made, and the folder too if it was not there before; nothing else is touched."""
        if self.has_begun() or not _only_ours(self.path):
            return
        for entry in [*self.path.glob("pairs/*"), *self.path.iterdir()]:
            if entry.is_file():
                entry.unlink()
        (self.path / "pairs").rmdir()
        if self._made:
            self.path.rmdir()

    def lock(self) -> None:
        """Take the folder for this process; released when it ends, however it ends."""
        try:
            self._lock = take_lock(self.path)
        except InUseError as error:
            raise RunFolderError(
                f"another process is at work in {self.path}; wait for it, or end it ({error})"
            ) from error


def _prepared(path: Path, *, made: bool = False) -> RunFolder:
    folder = RunFolder(path)
    folder._made = made
    try:
        make_lasting_folder(path / "pairs")
        folder.lock()
        sync_folder(path.parent)
        for left in (path, path / "pairs", folder.audio):
            sweep(left, locked=True)
        write_atomically(path / ".probe", b"s5eval")
        (path / ".probe").unlink()
    except OSError as error:
        problem = _unwritable(path, error)
        folder.__exit__(type(problem), problem, None)
        raise problem from error
    return folder


def _only_ours(path: Path) -> bool:
    """Nothing but what a run leaves that was killed before it began."""
    return all(_OURS.fullmatch(entry.name) for entry in path.iterdir())


def _unwritable(path: Path, error: OSError) -> RunFolderError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunFolderError(
            f"the disk is full: cannot write in {path}; free some space, then s5eval run --resume {path}"
        )
    if error.errno == errno.EIO:
        return RunFolderError(
            f"the disk reports an error: cannot write in {path}; s5eval run --resume {path} goes on from what stands"
        )
    return RunFolderError(f"cannot write in {path}: {os.strerror(error.errno) if error.errno else error}")
