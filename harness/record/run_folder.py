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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from s5eval.data_manifests.common.errors import DataError, S5Error, UsageError
from s5eval.data_manifests.common.files import sweep, sync_files, sync_folder, write_atomically
from s5eval.data_manifests.common.lock import FolderLock, InUseError, take_lock
from s5eval.data_manifests.common.safe_names import check_name
from s5eval.data_manifests.common.sealed import DamagedError, Unsealed, seal, unseal
from s5eval.data_manifests.common.structured import check_shape
from s5eval.harness.errors import RunFolderError
from s5eval.harness.record.lines import JOURNAL, Journal, Line, pairs_path, read_journal
from s5eval.harness.record.shapes import RUN, SUMMARY
from s5eval.harness.record.tables import MixtureScore, PairTable

SCHEMA_VERSION = 2
"""Of run folders; stands in `run.json` and `summary.json`. It goes up when a reader of the version before would misread
what is written now, or trust what it should not; keys that old readers may ignore do not raise it. A folder of a later
version is refused; one of an earlier version is read, and what it cannot vouch for is said.

1: no digests. What is on disk is taken as it is, marked unverified.
2: `run.json`, `summary.json` and lines close with their digest, which may not be absent; lines hold `files`;
   `manifest_sha256` covers the content of the data, and `manifest_sizes_sha256` is what version 1 called by that name.
"""

SYNC_SECONDS = 5.0
"""A power loss costs what was computed in this time; every sync costs some milliseconds a file (bench `durability`)."""

_WRITTEN = ("pairs", "audio", "mixtures.jsonl", "log.txt", ".lock", ".started")
"""What a run that goes on writes into, rather than anew."""

_OURS = re.compile(r"pairs|log\.txt|\.lock(\.held)?|\.{1,2}(probe|run|summary|mixtures)(\.[0-9a-f]+)?(\.jsonl?)?")


class RunFolder:
    """A run's folder, opened for writing by one process at a time; a context manager that releases it."""

    def __init__(self, path: Path) -> None:
        """Use `open_new` or `open_existing` instead."""
        self.path = path
        self._made = False
        self._lock: FolderLock | None = None
        self._journal: IO[bytes] | None = None
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
            raise UsageError(f"{path} holds a run already; go on with --resume {path}, or choose another --out")
        if path.exists() and (not path.is_dir() or not _only_ours(path)):
            raise UsageError(f"{path} exists and is not an empty folder; choose another --out")
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
            raise UsageError(f"--resume: no run folder at {path}")
        for name in _WRITTEN:
            if (path / name).is_symlink():
                raise DataError(
                    f"{path / name} is a link, and would be written through; put what it names in its place"
                )
        if not (path / "run.json").is_file() and not _only_ours(path):
            raise UsageError(f"--resume: {path} is not a run folder (it has no run.json)")
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
        return self.path / "audio"

    @property
    def log(self) -> Path:
        """The log file."""
        return self.path / "log.txt"

    def has_begun(self) -> bool:
        """Whether `run.json` stands."""
        return (self.path / "run.json").is_file()

    def write_run(self, content: Mapping[str, Any]) -> None:
        """Write `run.json`, atomically and synced."""
        self._write(self.path / "run.json", content)

    def write_summary(self, content: Mapping[str, Any]) -> None:
        """Write `summary.json`, atomically and synced."""
        self._write(self.path / "summary.json", content)

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
                self._journal = (self.path / JOURNAL).open("ab", buffering=0)
            _write_all(self._journal, Line(score, files).text().encode())
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
        try:
            if self._journal is not None and self._pending:
                sync_files(self._pending)
                sync_files([self.path / JOURNAL])
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._pending.clear()
        self._synced = time.monotonic()

    def rewrite(self, lines: Iterable[Line]) -> None:
        """Replace the journal's lines, atomically (a resumed run drops torn, damaged and failed ones)."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        try:
            write_atomically(self.path / JOURNAL, "".join(line.text() for line in lines))
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _write(self, path: Path, content: Mapping[str, Any]) -> None:
        try:
            write_atomically(path, seal(content, indent=1) + "\n")
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


def read_run(path: Path) -> dict[str, Any]:
    """Read `run.json`.

    Raises:
        UsageError: `path` is no run folder.
        DataError: the file is damaged, of a later version, or a mixture's id leads elsewhere; names the key.
    """
    file, advice = path / "run.json", "not what a run writes; start a new run"
    try:
        found = _unsealed(file)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{path} is not a run folder (it has no run.json)") from error
    except (OSError, DamagedError) as error:
        raise DataError(f"{file}: {error}. It cannot be made again from the rest: start a new run") from error
    content = found.content
    check_shape(content, {"schema_version?": int}, str(file), advice)
    if content.get("schema_version", 0) > SCHEMA_VERSION:
        raise DataError(f"{file}: of a later version of s5eval; update it to read this run")
    if is_sealed(content) and not found.sealed:
        raise DataError(f"{file}: its digest is gone: not what was written, or edited since; start a new run")
    check_shape(content, RUN, str(file), advice)
    for id_ in content["mixtures"]:
        check_name(id_, str(file))
    return content


def is_sealed(record: Mapping[str, Any]) -> bool:
    """Whether the files of a run carry digests: from version 2 of `SCHEMA_VERSION` on."""
    return int(record.get("schema_version", 0)) >= 2


def unverified(record: Mapping[str, Any]) -> str | None:
    """What of a run cannot be told from damage, as a phrase; None: everything is vouched for by digests."""
    if not is_sealed(record):
        return "made by an earlier version, without digests: unverified"
    adopted = record.get("adopted_unverified")
    return f"{adopted} mixtures of it were made by an earlier version, without digests: unverified" if adopted else None


def summary_facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a summary repeats of its `run.json`: the facts of `about`, and a doubt about what it rests on."""
    doubt = unverified(record)
    return {**record["about"], **({} if doubt is None else {"unverified": doubt})}


def read_summary(path: Path) -> dict[str, Any]:
    """Read `summary.json`.

    Raises:
        DataError: it is missing or damaged; it is derived, and `rescore` makes it again.
    """
    file, advice = path / "summary.json", f"`s5eval rescore {path}` makes it again"
    try:
        found = _unsealed(file)
        if is_sealed(found.content) and not found.sealed:
            raise DamagedError("its digest is gone")
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{file}: not readable ({error}); {advice}") from error
    check_shape(found.content, SUMMARY, str(file), advice)
    return found.content


def read_scores(path: Path) -> dict[str, MixtureScore]:
    """Read the journal of a run folder: mixture id → score, in order of writing.

    A torn last line of a run that has not ended (the process was killed while writing) is left out.

    Raises:
        UsageError: `path` is no run folder.
        DataError: a line is not what was written, or is gone although the run says that it is complete; or it names a
            mixture or a class by which a path would lead elsewhere.
    """
    return {id_: line.score for id_, line in read_lines(path, read_run(path)).items()}


def read_lines(path: Path, record: Mapping[str, Any]) -> Mapping[str, Line]:
    """The lines behind `read_scores`, with the digests of tables and wavs; `record` is what `read_run` returned.

    Raises:
        UsageError: a rescoring was ended before it was done.
        DataError: as `read_scores`.
    """
    if unfinished := unfinished_rescoring(path, record):
        raise UsageError(unfinished)
    try:
        journal = read_journal(path, sealed=is_sealed(record))
    except OSError as error:
        raise DataError(f"{path / JOURNAL}: cannot be read: {error.strerror or error}") from error
    if problem := journal_problem(journal, record):
        raise DataError(f"{path / JOURNAL}: {problem}; `s5eval check {path} --repair` redoes what is not whole")
    return journal.lines


def unfinished_rescoring(path: Path, record: Mapping[str, Any]) -> str | None:
    """What to say of a folder in which `rescore --out` was killed, so that nothing in it counts; None: it is none."""
    if "rescored_from" not in record or record["status"] != "running":
        return None
    source = record["rescored_from"]
    return (
        f"{path}: its rescoring from {source} was ended before it was done; "
        f"repeat it: s5eval rescore {source} --out {path}, with the same --decision"
    )


def journal_problem(journal: Journal, record: Mapping[str, Any]) -> str | None:
    """What keeps a journal from being used, as a phrase; None: nothing."""
    if journal.damaged:
        return f"line {journal.damaged[0]} is not what was written ({len(journal.damaged)} lines in all)"
    missing = [id_ for id_ in record["mixtures"] if id_ not in journal.lines]
    if record["status"] == "complete" and missing:
        torn = ", the last line is torn" if journal.torn else ""
        return f"{len(missing)} mixtures have no line, such as {missing[0]!r}, but the run was complete{torn}"
    return None


@contextmanager
def coherent(*runs: Path) -> Iterator[None]:
    """For work on the records of finished runs: where they do not fit together, that is said, once and clearly.

    Every file by itself has been checked when it was read; here what one says contradicts what another says.

    Raises:
        DataError: in place of whatever came of the contradiction.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, _OF_RECORDS) and type(error).__module__.partition(".")[0] != "jinja2":
            raise
        named = " and ".join(map(str, dict.fromkeys(runs)))
        raise DataError(
            f"{named}: the records do not fit together ({type(error).__name__}: {error}); they were damaged or edited. "
            "Make the run again; --debug shows where they part"
        ) from error


_OF_RECORDS = (KeyError, TypeError, ValueError, AttributeError, IndexError, ZeroDivisionError, OverflowError)


def _unsealed(file: Path) -> Unsealed:
    return unseal(file.read_bytes())


def _prepared(path: Path, *, made: bool = False) -> RunFolder:
    folder = RunFolder(path)
    folder._made = made
    try:
        (path / "pairs").mkdir(parents=True, exist_ok=True)
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


def _write_all(file: IO[bytes], data: bytes) -> None:
    """An unbuffered file may take a part only; nothing may be left to its end, when no error can be told any more."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) or 0 :]
