"""System `folder`: the output of any other system, as a directory or zip of `<mixture>_<i>_<Label>.wav` files."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from s5eval.data_manifests.audio import audio_length, read_audio
from s5eval.data_manifests.common.errors import AudioError, DataError, UsageError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.zips import ZIP_ERRORS
from s5eval.data_manifests.labels import CLASS_INDEX, CLASSES
from s5eval.data_manifests.naming import (
    SUBMISSION_AUDIO,
    SUBMISSION_RESULTS,
    SourceFile,
    match_sources,
    sources_problem,
)
from s5eval.data_manifests.records import Mixture
from s5eval.systems.decision import KEEP_ALL
from s5eval.systems.interface import Candidates, Json
from s5eval.systems.registry import check_keys

_MAX_ESTIMATES = 100  # of one mixture; all of them are in memory at once
_HEADER_BYTES = 1 << 20  # more than any header of an audio file takes

_opened = threading.local()


class FolderSystem:
    """Reads what is there and decides nothing: every file is an estimate, a mixture without files has none.

    Archives are read in place, nothing is unpacked to disk.
    """

    decision = KEEP_ALL

    def __init__(self, path: Path) -> None:
        """List the files below `path` (a directory or zip archive).

        Raises:
            UsageError: there is no such directory or archive.
            DataError: the archive cannot be read.
        """
        self._path = path
        self._files = _list_archive(path) if path.is_file() else _list_directory(path)
        self._matched: Mapping[str, Sequence[SourceFile]] = {}

    def fingerprint(self) -> Mapping[str, Json]:
        """Where the files are and how many; their content is not a network's result and is never cached."""
        state = [self._path, *(self._path / file for file in self._files)] if self._path.is_dir() else [self._path]
        stamps = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in state[1:] or state]
        digest = hashlib.sha256(repr(stamps).encode()).hexdigest()
        return {"weights": "none", "path": str(self._path), "files": len(self._files), "state": digest}

    def inspect(self, mixture_ids: Sequence[str], expected: Sequence[str]) -> list[Finding]:
        """Assign the files to mixtures, before anything is proposed.

        Args:
            mixture_ids: all ids of the split.
            expected: the ids that are to be scored, a part of them.

        Returns:
            A warning for every file that belongs to no mixture, and for every expected mixture without a file.
        """
        self._matched, findings = match_sources(self._files, mixture_ids)
        findings += [
            Finding("no-estimate", "warning", mixture_id, "no file: read as 'no target heard'")
            for mixture_id in expected
            if mixture_id not in self._matched
        ]
        return findings

    def propose(self, mixtures: Sequence[Mixture]) -> Sequence[Candidates]:
        """Read the estimates of each mixture.

        Raises:
            DataError: an unknown label, one source twice, or an audio file that cannot be used, by name.
        """
        return [self._read(mixture) for mixture in mixtures]

    def _read(self, mixture: Mixture) -> Candidates:
        sources = self._matched.get(mixture.id, ())
        if problem := sources_problem(sources):
            raise DataError(problem)
        if len(sources) > _MAX_ESTIMATES:
            raise DataError(f"{len(sources)} files for one mixture; at most {_MAX_ESTIMATES} are scored")
        length = audio_length(mixture.path)
        audio = np.empty((len(sources), length), np.float32)
        scores = np.zeros((len(sources), len(CLASSES)))
        for row, source in enumerate(sources):
            opened = self._open(source.file, length)
            read_audio(opened, channels=1, sample_rate=mixture.sample_rate, out=audio[row : row + 1], name=source.file)
            scores[row, CLASS_INDEX[source.name.label]] = 1.0
        return Candidates(audio, scores, np.zeros(len(sources)), tuple(source.name.label for source in sources))

    def _open(self, file: str, length: int) -> Path | BinaryIO:
        if self._path.is_dir():
            return self._path / file
        limit = length * 8 + _HEADER_BYTES  # 64-bit samples are the largest there are
        try:
            archive = _archive(self._path)
            if archive.getinfo(file).file_size > limit:
                raise AudioError(f"{file}: unpacks to more than {limit} bytes; not an estimate of {length} samples")
            return io.BytesIO(archive.read(file))
        except (*ZIP_ERRORS, KeyError) as error:
            raise AudioError(f"{file}: cannot be read from {self._path.name}: {error}") from error


def build(config: Mapping[str, Any], device: str) -> FolderSystem:
    """Entry point. The one key is `path`: the directory or zip of estimates."""
    check_keys(config, ("path",), system="folder")
    if not config.get("path"):
        raise UsageError("system 'folder' needs --set system.path=DIR, a directory or zip of estimates")
    return FolderSystem(Path(config["path"]).expanduser())


def _list_directory(path: Path) -> list[str]:
    if not path.is_dir():
        raise UsageError(f"no directory or zip of estimates at {path}")
    files = (entry.relative_to(path) for entry in sorted(path.rglob("*")) if entry.is_file())
    return _estimates([file.as_posix() for file in files if not _hidden(file.parts)])


def _list_archive(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
    except ZIP_ERRORS as error:
        raise DataError(f"{path}: not a readable zip archive: {error}") from error
    return _estimates([name for name in names if not _hidden(name.split("/"))])


def _estimates(files: Sequence[str]) -> list[str]:
    """Of a submission what stands in its `eval_out`, of anything else all files."""
    inside = [file for file in files if PurePosixPath(file).parent.name == SUBMISSION_AUDIO]
    return inside or [file for file in files if PurePosixPath(file).name not in SUBMISSION_RESULTS]


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


def _hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)
