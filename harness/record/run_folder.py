"""The run folder on disk: made and probed before a model loads, appended per mixture, resumable after a kill.

run.json          what was asked and under which circumstances; its presence says that the run has begun
mixtures.jsonl    one MixtureScore a line, appended and flushed: the resume journal
pairs/<id>.npz    the pair table of each mixture, written before its line
audio/            estimates, with --save-audio
summary.json      derived from the above, rebuilt by `rescore`
log.txt           tracebacks and messages
"""

import errno
import fcntl
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from s5eval.data_manifests.common.errors import DataError, S5Error, UsageError
from s5eval.data_manifests.common.files import write_atomically
from s5eval.harness.errors import RunFolderError
from s5eval.harness.record.tables import MixtureScore, PairTable

SCHEMA_VERSION = 1

_OURS = re.compile(r"pairs|log\.txt|\.lock|\.{1,2}(probe|run|summary|mixtures)(\.[0-9a-f]+)?(\.jsonl?)?")


class RunFolder:
    """A run's folder, opened for writing by one process at a time; a context manager that releases it."""

    def __init__(self, path: Path) -> None:
        """Use `open_new` or `open_existing` instead."""
        self.path = path
        self._made = False
        self._lock: IO[str] | None = None
        self._journal: IO[str] | None = None

    @staticmethod
    def open_new(path: Path) -> "RunFolder":
        """Make the folder and probe that it can be written.

        Raises:
            UsageError: the path holds a run, or anything else, already.
            RunFolderError: it cannot be made or written.
        """
        if (path / "run.json").is_file():
            raise UsageError(f"{path} holds a run already; go on with --resume {path}, or choose another --out")
        if path.exists() and (not path.is_dir() or not _only_ours(path)):
            raise UsageError(f"{path} exists and is not an empty folder; choose another --out")
        made = not path.exists()
        folder = _prepared(path)
        folder._made = made
        return folder

    @staticmethod
    def open_existing(path: Path) -> "RunFolder":
        """Open a folder to continue in it; one that was killed before `run.json` stood is as good as new.

        Raises:
            UsageError: there is no such run.
            RunFolderError: another process is at work in it, or it cannot be written.
        """
        if not path.is_dir():
            raise UsageError(f"--resume: no run folder at {path}")
        if not (path / "run.json").is_file() and not _only_ours(path):
            raise UsageError(f"--resume: {path} is not a run folder (it has no run.json)")
        return _prepared(path)

    def __enter__(self) -> Self:
        """Nothing but itself: opening has taken the lock."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the journal and release the lock; a run that could not begin leaves no folder."""
        if isinstance(error, S5Error):
            self._discard()
        for file in (self._journal, self._lock):
            if file is not None:
                file.close()

    @property
    def audio(self) -> Path:
        """Folder of the written estimates."""
        return self.path / "audio"

    @property
    def log(self) -> Path:
        """The log file."""
        return self.path / "log.txt"

    def has_begun(self) -> bool:
        """Whether `run.json` stands."""
        return (self.path / "run.json").is_file()

    def write_run(self, content: Mapping[str, Any]) -> None:
        """Write `run.json`, atomically."""
        self._write(self.path / "run.json", content)

    def write_summary(self, content: Mapping[str, Any]) -> None:
        """Write `summary.json`, atomically."""
        self._write(self.path / "summary.json", content)

    def append(self, score: MixtureScore, table: PairTable | None) -> None:
        """Record a mixture: first its table, then its line, so that a line never stands without its table.

        Raises:
            RunFolderError: the disk is full, or the folder is not writable; what stands can be resumed.
        """
        try:
            if table is not None:
                table.save(pairs_path(self.path, score.mixture_id))
            if self._journal is None:
                self._journal = (self.path / "mixtures.jsonl").open("a", encoding="utf-8")
            self._journal.write(json.dumps(score.as_dict(), allow_nan=False) + "\n")
            self._journal.flush()
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def rewrite(self, scores: Iterable[MixtureScore]) -> None:
        """Replace the journal's lines, atomically (a resumed run drops torn and failed ones)."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        lines = "".join(json.dumps(score.as_dict(), allow_nan=False) + "\n" for score in scores)
        try:
            write_atomically(self.path / "mixtures.jsonl", lines)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _write(self, path: Path, content: Mapping[str, Any]) -> None:
        try:
            write_atomically(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
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
        self._lock = (self.path / ".lock").open("a", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise RunFolderError(f"another process is at work in {self.path}; wait for it, or end it") from error


def pairs_path(run: Path, mixture_id: str) -> Path:
    """Where the pair table of a mixture is kept."""
    return run / "pairs" / f"{mixture_id}.npz"


def read_run(path: Path) -> dict[str, Any]:
    """Read `run.json`.

    Raises:
        UsageError: `path` is no run folder.
        DataError: the file is damaged.
    """
    try:
        content = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path} is not a run folder (it has no run.json)") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path / 'run.json'}: not readable: {error}") from error
    if not isinstance(content, dict) or not {"config", "about", "mixtures", "status"} <= content.keys():
        raise DataError(f"{path / 'run.json'}: not what a run writes; start a new run")
    if content.get("schema_version", 0) > SCHEMA_VERSION:
        raise DataError(f"{path / 'run.json'}: of a later version of s5eval; update it to read this run")
    return content


def read_summary(path: Path) -> dict[str, Any]:
    """Read `summary.json`.

    Raises:
        DataError: it is missing or damaged; it is derived, and `rescore` makes it again.
    """
    try:
        content: dict[str, Any] = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path / 'summary.json'}: not readable ({error}); `s5eval rescore {path}` makes it") from error
    return content


def read_scores(path: Path) -> dict[str, MixtureScore]:
    """Read the journal of a run folder: mixture id → score, in order of writing.

    A torn last line (the process was killed while writing) is left out; so is any line that cannot be read.
    """
    journal = path / "mixtures.jsonl"
    scores: dict[str, MixtureScore] = {}
    if not journal.is_file():
        return scores
    for line in journal.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            score = MixtureScore.from_dict(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        scores[score.mixture_id] = score
    return scores


def _prepared(path: Path) -> RunFolder:
    folder = RunFolder(path)
    try:
        (path / "pairs").mkdir(parents=True, exist_ok=True)
        folder.lock()
        write_atomically(path / ".probe", b"s5eval")
        (path / ".probe").unlink()
    except OSError as error:
        raise _unwritable(path, error) from error
    return folder


def _only_ours(path: Path) -> bool:
    """Nothing but what a run leaves that was killed before it began."""
    return all(_OURS.fullmatch(entry.name) for entry in path.iterdir())


def _unwritable(path: Path, error: OSError) -> RunFolderError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunFolderError(f"the disk is full: cannot write in {path}; free some space, then --resume {path}")
    return RunFolderError(f"cannot write in {path}: {os.strerror(error.errno) if error.errno else error}")
