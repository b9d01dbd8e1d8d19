"""System `folder`: the output of any other system, as a directory or zip of `<mixture>_<i>_<Label>.wav` files."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from s5eval.data_manifests.audio import read_audio
from s5eval.data_manifests.errors import AudioError, DataError, UsageError
from s5eval.data_manifests.findings import Finding
from s5eval.data_manifests.labels import CLASS_INDEX, CLASSES
from s5eval.data_manifests.naming import SourceFile, match_sources, sources_problem
from s5eval.data_manifests.records import Mixture
from s5eval.systems.decision import KEEP_ALL
from s5eval.systems.interface import Candidates, Json
from s5eval.systems.registry import check_keys

_MEMBER_LIMIT = 1 << 28  # bytes; no estimate is larger, an archive bomb is


class FolderSystem:
    """Reads what is there and decides nothing: every file is an estimate, a mixture without files has none.

    Safe to call from several threads; archives are read in place, nothing is unpacked to disk.
    """

    decision = KEEP_ALL
    thread_safe = True

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
        return {"weights": "none", "path": str(self._path), "files": len(self._files)}

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
        length = _frames(mixture)
        audio = np.empty((len(sources), length), np.float32)
        scores = np.zeros((len(sources), len(CLASSES)))
        for row, source in enumerate(sources):
            samples = read_audio(
                self._open(source.file), channels=1, sample_rate=mixture.sample_rate, name=source.file
            )[0]
            if len(samples) != length:
                raise AudioError(f"{source.file}: {len(samples)} samples, the mixture has {length}")
            audio[row] = samples
            scores[row, CLASS_INDEX[source.name.label]] = 1.0
        return Candidates(audio, scores, np.zeros(len(sources)), tuple(source.name.label for source in sources))

    def _open(self, file: str) -> Path | BinaryIO:
        if self._path.is_dir():
            return self._path / file
        try:
            with zipfile.ZipFile(self._path) as archive:
                if archive.getinfo(file).file_size > _MEMBER_LIMIT:
                    raise AudioError(f"{file}: unpacks to more than {_MEMBER_LIMIT >> 20} MiB; not an estimate")
                return io.BytesIO(archive.read(file))
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
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
    return [file.as_posix() for file in files if not _hidden(file.parts)]


def _list_archive(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path}: not a readable zip archive: {error}") from error
    return [name for name in names if not _hidden(name.split("/"))]


def _hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _frames(mixture: Mixture) -> int:
    try:
        return int(soundfile.info(str(mixture.path)).frames)
    except soundfile.SoundFileError as error:
        raise AudioError(f"{mixture.path}: cannot be read as audio: {error}") from error
