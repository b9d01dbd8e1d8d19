"""System `folder`: the output of any other system, as a folder or zip of `<mixture>_<i>_<Label>.wav` files."""

import hashlib
import io
import stat
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from s5eval.data_manifests.audio import BLOCK_FRAMES, read_audio, read_blocks
from s5eval.data_manifests.common.errors import AudioError, DataError, UsageError
from s5eval.data_manifests.common.files import expanded
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.zips import ZIP_ERRORS
from s5eval.data_manifests.in_step import in_step
from s5eval.data_manifests.naming import AUDIO_SUFFIXES, SourceFile, match_sources, sources_problem
from s5eval.data_manifests.records import Mixture
from s5eval.systems.decision import KEEP_ALL
from s5eval.systems.estimates import list_estimates, nothing_matches, place_of_estimates
from s5eval.systems.interface import Candidates, Json, Proposal, Rows, StreamedCandidates, sure_scores
from s5eval.systems.registry import check_keys

_MAX_ESTIMATES = 100  # of one mixture; all of them are open at once, and those of an archive in memory
_HEADER_BYTES = 1 << 20  # more than any header of an audio file takes

AVERAGING = "; the official evaluator averages them, and so does `downmix` (or `system.downmix=true`)"
"""What an estimate of several channels is refused with, for whoever can set that."""

_opened = threading.local()


@dataclass(frozen=True, slots=True)
class FileMarks:
    """What a reader of a run's numbers has to know of the files that were scored.

    Attributes:
        answered: mixtures with a file, or listed as silent in `eval_results.json`.
        listed: whether there is such a list.
        downmix: estimates of several channels were averaged.
    """

    answered: int
    listed: bool
    downmix: bool


class FolderSystem:
    """Reads what is there and decides nothing: every file is an estimate, a mixture without files has none.

    Archives are read in place, nothing is unpacked to disk.
    """

    decision = KEEP_ALL

    def __init__(self, path: Path, *, downmix: bool = False) -> None:
        """List the files below `path` (a folder or zip archive).

        Args:
            path: what there is.
            downmix: average the channels of an estimate that has several, as the official evaluator does; without it
                such an estimate fails its mixture.

        Raises:
            UsageError: there is no such folder or archive.
            DataError: the archive cannot be read, or there are the outputs of several submissions.
        """
        self._path = path
        self._downmix = downmix
        found = list_estimates(path)
        self._files, self._members, self._findings = found.files, found.members, found.findings
        self._listed_silent = found.listed_silent
        listed = [path / file for file in self._files] if path.is_dir() else []
        self._stamps = {file: _stamp(file) for file in listed or [path]}
        self._matched: Mapping[str, Sequence[SourceFile]] = {}
        self._answered = 0

    def fingerprint(self) -> Mapping[str, Json]:
        """Where the files are and how many; their content is not a network's result and is never cached."""
        stamps = [(path.name, *stamp) for path, stamp in self._stamps.items()]
        digest = hashlib.sha256(repr(stamps).encode()).hexdigest()
        facts: dict[str, Json] = {
            "weights": "none",
            "path": str(self._path),
            "files": len(self._files),
            "state": digest,
        }
        return {**facts, "downmix": True} if self._downmix else facts

    def inspect(self, mixture_ids: Sequence[str], expected: Sequence[str]) -> list[Finding]:
        """Assign the files to mixtures, before anything is proposed.

        Args:
            mixture_ids: all ids of the split.
            expected: the ids that are to be scored, a part of them.

        Returns:
            A warning for every name that belongs to no mixture (`no-estimate` for every expected mixture that has
            neither a file nor a line in `eval_results.json` that says that nothing was heard).

        Raises:
            DataError: not one file belongs to a mixture, and no `eval_results.json` says that this is meant.
        """
        self._matched, findings = match_sources(self._files, mixture_ids)
        silent = self._listed_silent or frozenset()
        heard = any(PurePosixPath(file).suffix.lower() in AUDIO_SUFFIXES for file in self._files)
        if not self._matched and (heard or silent.isdisjoint(mixture_ids)):
            raise DataError(nothing_matches(self._path, self._files, mixture_ids, self._findings))
        unanswered = [id_ for id_ in expected if id_ not in self._matched and id_ not in silent]
        self._answered = len(expected) - len(unanswered)
        return [
            *self._findings,
            *findings,
            *(
                Finding("no-estimate", "warning", mixture_id, "no file: read as 'no target heard'")
                for mixture_id in unanswered
            ),
        ]

    def marks(self) -> FileMarks:
        """What a reader of the run's numbers has to know of the files, after `inspect`."""
        return FileMarks(self._answered, self._listed_silent is not None, self._downmix)

    def propose(self, mixtures: Sequence[Mixture]) -> Sequence[Proposal]:
        """Read the estimates of each mixture.

        Raises:
            DataError: an unknown label, one source twice, or an audio file that cannot be used, by name.
        """
        return [self._read(mixture) for mixture in mixtures]

    def _read(self, mixture: Mixture) -> Proposal:
        sources = self._matched.get(mixture.id, ())
        if problem := sources_problem(sources):
            raise DataError(problem)
        if len(sources) > _MAX_ESTIMATES:
            raise DataError(f"{len(sources)} files for one mixture; at most {_MAX_ESTIMATES} are scored")
        length = mixture.length()
        files = [source.file for source in sources]
        labels = tuple(source.name.label for source in sources)
        if length <= BLOCK_FRAMES:  # what is wrong with a file is then known at once
            audio = np.empty((len(files), length), np.float32)
            for row, file in zip(audio, files, strict=True):
                read_audio(self._open(file, length), out=row[None], **self._expected(file, mixture))
            return Candidates(audio, *sure_scores(labels), labels)

        def read() -> Iterator[Rows]:
            signals = [(file, read_blocks(self._open(file, length), **self._expected(file, mixture))) for file in files]
            return in_step(signals, length)

        return StreamedCandidates(read, length, *sure_scores(labels), labels)

    def _expected(self, file: str, mixture: Mixture) -> dict[str, Any]:
        """What an estimate has to be, as it is said to whoever reads it."""
        return {
            "channels": 1,
            "sample_rate": mixture.sample_rate,
            "downmix": self._downmix,
            "advice": AVERAGING,
            "name": file,
        }

    def _open(self, file: str, length: int) -> Path | BinaryIO:
        place = self._path / file if self._path.is_dir() else self._path
        if self._has_changed(place):
            raise AudioError(f"{file}: has changed since the files were listed; score them once nothing writes there")
        if place is not self._path:
            return place
        limit = length * 8 + _HEADER_BYTES  # 64-bit samples are the largest there are
        try:
            archive, member = _archive(self._path), self._members[file]
            info = archive.getinfo(member)
            if stat.S_ISLNK(info.external_attr >> 16):
                raise AudioError(f"{file}: a symbolic link; put the file itself into the archive")
            if info.file_size > limit:
                raise AudioError(f"{file}: unpacks to more than {limit} bytes; not an estimate of {length} samples")
            return io.BytesIO(archive.read(member))
        except (*ZIP_ERRORS, KeyError) as error:
            raise AudioError(f"{file}: cannot be read from {self._path.name}: {error}") from error

    def _has_changed(self, place: Path) -> bool:
        """Whether a file is not the one that was listed; of one that is gone its reader tells."""
        try:
            return _stamp(place) != self._stamps.get(place)
        except OSError:
            return False


def build(config: Mapping[str, Any], device: str) -> FolderSystem:
    """Entry point. The keys are `path`, the folder or zip of estimates or a run folder, and `downmix`."""
    check_keys(config, ("path", "downmix"), system="folder")
    if not config.get("path"):
        raise UsageError("system 'folder' needs `system.path=DIR`, a folder or zip of estimates")
    downmix = config.get("downmix", False)
    if not isinstance(downmix, bool):
        raise UsageError(f"system.downmix is {downmix!r}: expected true or false")
    return FolderSystem(place_of_estimates(expanded(config["path"])), downmix=downmix)


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file, or of the link that stands in its place."""
    state = path.stat() if path.exists() else path.lstat()
    return state.st_size, state.st_mtime_ns


def _archive(path: Path) -> zipfile.ZipFile:
    """The archive, opened once per thread: reading the directory for every member takes longer than the audio."""
    state = path.stat()
    key = (path, state.st_mtime_ns, state.st_size)
    if getattr(_opened, "key", None) != key:
        if hasattr(_opened, "archive"):
            _opened.archive.close()
            del _opened.archive, _opened.key
        _opened.archive = zipfile.ZipFile(path)
        _opened.key = key
    found: zipfile.ZipFile = _opened.archive
    return found
