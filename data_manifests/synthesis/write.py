"""Sets of scenes on disk in the official layout: `soundscape/<id>.wav`, `oracle_target/<id>_<i>_<Label>.wav`.

Every scene leaves a record with the checksums of its files when they are all there. A set that was interrupted at
any moment goes on where it stopped, and damage is noticed and repaired at the next use.
"""

import errno
import glob
import hashlib
import json
import logging
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

import numpy as np

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import write_atomically
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.common.structured import read_json
from s5eval.data_manifests.common.unfinished import sweep
from s5eval.data_manifests.common.workers import WorkerContext, begin_worker
from s5eval.data_manifests.naming import AUDIO_SUFFIXES, format_source_name, parse_source_stem
from s5eval.data_manifests.records import SAMPLE_RATE
from s5eval.data_manifests.synthesis.render import Signal, SynthesizedScene
from s5eval.data_manifests.wav_writing import wav_bytes

SOUNDSCAPE, ORACLE_TARGET, CHECKSUMS = "soundscape", "oracle_target", "checksums"

Subtype = Literal["PCM_16", "FLOAT"]

log = logging.getLogger(__name__)

_NO_SEMAPHORES = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOSYS)


class SceneJob(Protocol):
    """A scene that can be made, in any process; it is pickled."""

    @property
    def id(self) -> str:
        """The mixture id."""
        ...

    def content(self) -> bytes:
        """What the audio is a function of; other content under the same id is another scene, and is made anew."""
        ...

    def make(self) -> SynthesizedScene:
        """The audio; the same every time."""
        ...


def write_scenes(
    jobs: Sequence[SceneJob],
    folder: Path,
    *,
    suffix: str = ".wav",
    subtype: Subtype = "PCM_16",
    workers: int = 1,
    progress: CountProgress | None = None,
) -> None:
    """Make what is missing or damaged of a set, or was made from something else; audio of a scene that was not written
    with it goes.

    Args:
        jobs: the scenes.
        folder: gets `soundscape/`, `oracle_target/` and `checksums/`.
        suffix: `.wav`, or `.flac` (a quarter of the space, PCM_16 only).
        subtype: `PCM_16` (rounded, cut at full scale) or `FLOAT`, 32 bit.
        workers: processes, where the system has shared memory for several; the files are the same for any number.
        progress: is told about every scene.

    Raises:
        DataError: a scene cannot be made, the disk cannot take it, or a process was ended from outside.
    """
    try:
        for name in (SOUNDSCAPE, ORACLE_TARGET, CHECKSUMS):
            (folder / name).mkdir(parents=True, exist_ok=True)
            sweep(folder / name)
        there = _files_by_scene(folder)
        pending = [job for job in jobs if not is_intact(folder, job, suffix, subtype, there.get(job.id, set()))]
        done = len(jobs) - len(pending)
        if progress is not None:
            progress(done, len(jobs))
        for _ in _write_all(pending, folder, suffix, subtype, workers):
            done += 1
            if progress is not None:
                progress(done, len(jobs))
    except OSError as error:
        raise DataError(f"{folder}: cannot write the scenes: {error.strerror or error}") from error
    except BrokenProcessPool as error:
        raise DataError(
            f"{folder}: a process that makes scenes was ended from outside, most likely for want of memory; what is "
            "made stays, and the same call goes on"
        ) from error


def _write_all(jobs: Sequence[SceneJob], folder: Path, suffix: str, subtype: Subtype, workers: int) -> Iterable[None]:
    several = _pool(min(workers, len(jobs))) if workers > 1 and len(jobs) > 1 else None
    if several is None:
        for job in jobs:
            write_scene(job, folder, suffix, subtype)
            yield
        return
    with several as pool:
        futures = [pool.submit(write_scene, job, folder, suffix, subtype) for job in jobs]
        try:
            for future in as_completed(futures):
                future.result()
                yield
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _pool(workers: int) -> ProcessPoolExecutor | None:
    """Processes; None where the system gives them no semaphores, such as a container that may not write to /dev/shm."""
    try:
        return ProcessPoolExecutor(workers, WorkerContext(), initializer=begin_worker)
    except (OSError, ImportError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_SEMAPHORES:
            raise
        log.warning("no semaphores (%s): one process makes the scenes", error)
        return None


def write_scene(job: SceneJob, folder: Path, suffix: str, subtype: Subtype) -> None:
    """Make one scene and write its files whole: targets, mixture, and last the record of their checksums.

    What an earlier scene of this id left (other labels, another suffix) is removed first, its record before its files.
    """
    scene = job.make()
    files = {
        f"{ORACLE_TARGET}/{format_source_name(job.id, i, label, suffix=suffix)}": dry[None]
        for i, (label, dry) in enumerate(zip(scene.labels, scene.dry, strict=True))
    }
    files[f"{SOUNDSCAPE}/{job.id}{suffix}"] = scene.mixture
    _remove_scene(folder, job.id)
    checksums = {}
    for name, audio in files.items():
        kind = suffix.removeprefix(".").upper()
        content = wav_bytes(_samples(audio, subtype), sample_rate=SAMPLE_RATE, subtype=subtype, format=kind)
        checksums[name] = write_atomically(folder / name, content, sync=False)  # `is_intact` reads the checksums
    record: dict[str, object] = {"job": _digest(job, subtype), "files": checksums}
    if scene.recordings is not None:
        record["recordings"] = scene.recordings
    write_atomically(folder / CHECKSUMS / f"{job.id}.json", json.dumps(record, indent=1, sort_keys=True))


def _remove_scene(folder: Path, mixture_id: str) -> None:
    (folder / CHECKSUMS / f"{mixture_id}.json").unlink(missing_ok=True)
    for suffix in AUDIO_SUFFIXES:
        (folder / SOUNDSCAPE / f"{mixture_id}{suffix}").unlink(missing_ok=True)
    for path in (folder / ORACLE_TARGET).glob(f"{glob.escape(mixture_id)}_*"):
        name = parse_source_stem(path.stem)
        if path.suffix in AUDIO_SUFFIXES and name is not None and name.mixture_id == mixture_id:
            path.unlink(missing_ok=True)


def _files_by_scene(folder: Path) -> Mapping[str, set[str]]:
    """By mixture id, the names of what `_remove_scene` would remove of it, relative to the folder of the set."""
    found: dict[str, set[str]] = {}
    for path in (folder / SOUNDSCAPE).iterdir():
        if path.suffix in AUDIO_SUFFIXES:
            found.setdefault(path.stem, set()).add(f"{SOUNDSCAPE}/{path.name}")
    for path in (folder / ORACLE_TARGET).iterdir():
        name = parse_source_stem(path.stem)
        if path.suffix in AUDIO_SUFFIXES and name is not None:
            found.setdefault(name.mixture_id, set()).add(f"{ORACLE_TARGET}/{path.name}")
    return found


def _digest(job: SceneJob, subtype: Subtype) -> str:
    return hashlib.sha256(job.content() + f"\0{subtype}".encode()).hexdigest()


def _samples(audio: Signal, subtype: Subtype) -> np.ndarray:  # (T, C) as soundfile wants it
    if subtype == "FLOAT":
        return np.ascontiguousarray(audio.T, dtype=np.float32)
    return np.ascontiguousarray(np.clip(np.rint(audio.T * 32768.0), -32768, 32767).astype(np.int16))


@dataclass(frozen=True, slots=True)
class NotedScene:
    """What `write_scenes` noted about one scene.

    Attributes:
        job: digest of what the scene was made from, and of the subtype.
        files: SHA-256 by file, relative to the set's folder.
        recordings: see `SynthesizedScene`; None: not told, as by all records of before they told it.
    """

    job: str
    files: Mapping[str, str]
    recordings: tuple[str, ...] | None = None


def list_records(folder: Path) -> list[Path]:
    """The records of a set, one per scene, named `<mixture id>.json`; none where s5eval has not made it."""
    return sorted((folder / CHECKSUMS).glob("[!.]*.json"))


def refuse_other_scenes(folder: Path, ids: Collection[str]) -> None:
    """Refuse a folder with mixtures beside those that are to be made there: nobody could tell them apart later.

    Args:
        folder: that scenes are to be made in, whether it is there or not.
        ids: all mixtures that it may hold.

    Raises:
        UsageError: names the others, and says what to do.
    """
    there = {path.stem for path in list_records(folder)}
    there |= {path.stem for path in (folder / SOUNDSCAPE).glob("[!.]*") if path.suffix in AUDIO_SUFFIXES}
    if others := sorted(there - set(ids)):
        shown = others[0] if len(others) == 1 else f"{others[0]} to {others[-1]}, {len(others)} in all"
        raise UsageError(
            f"{folder} holds mixtures beside the {len(ids)} that are ordered ({shown}), which would be evaluated with "
            "them. Name another `out`, or remove the folder; if they are of the same set, order a larger `count` "
            "(`limit` of a run takes the first ones alone)"
        )


def read_record(path: Path) -> NotedScene:
    """Read one record.

    Raises:
        DataError: it is damaged, or names files that are not in `soundscape/` or `oracle_target/`.
    """
    try:
        content = read_json(path, what="a record of checksums")
        record = NotedScene(content["job"], dict(content["files"]), _heard(content.get("recordings")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a record of checksums: {type(error).__name__}: {error}") from error
    for name, checksum in record.files.items():
        parts = PurePosixPath(name).parts
        if len(parts) != 2 or parts[0] not in (SOUNDSCAPE, ORACLE_TARGET) or ".." in parts or "\\" in name:
            raise DataError(
                f"{path}: not a record of checksums: {name!r} is no file of {SOUNDSCAPE}/ or {ORACLE_TARGET}/"
            )
        if not isinstance(checksum, str):
            raise DataError(f"{path}: not a record of checksums: {name!r} has {checksum!r}")
    return record


def _heard(recordings: object) -> tuple[str, ...] | None:
    if recordings is None:
        return None
    if not isinstance(recordings, list) or not all(isinstance(name, str) for name in recordings):
        raise TypeError(f"recordings are {recordings!r:.60}, expected a list of names")
    return tuple(recordings)


def is_intact(folder: Path, job: SceneJob, suffix: str, subtype: Subtype, there: Collection[str]) -> bool:
    """Whether every file of this very scene is there, in this format, byte for byte as it was written, and no other.

    Args:
        folder: of the set.
        job: the scene.
        suffix: see `write_scenes`.
        subtype: likewise.
        there: names of all audio of the scene, relative to the set's folder.
    """
    try:
        record = read_record(folder / CHECKSUMS / f"{job.id}.json")
        if record.job != _digest(job, subtype) or f"{SOUNDSCAPE}/{job.id}{suffix}" not in record.files:
            return False
        if not set(there) <= record.files.keys():
            return False
        return all(file_sha256(folder / name) == checksum for name, checksum in record.files.items())
    except (OSError, DataError):
        return False


def default_workers() -> int:
    """As many processes as there are cores to run on, at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, cores)
