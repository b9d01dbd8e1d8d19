"""Sets of scenes on disk in the official layout: `soundscape/<id>.wav`, `oracle_target/<id>_<i>_<Label>.wav`.

Every scene leaves a record with the checksums of its files when they are all there. A set that was interrupted at
any moment goes on where it stopped, and damage is noticed and repaired at the next use.
"""

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import soundfile

from s5eval.data_manifests.cache import file_sha256
from s5eval.data_manifests.errors import DataError
from s5eval.data_manifests.files import atomic_path, write_atomically
from s5eval.data_manifests.naming import format_source_name
from s5eval.data_manifests.records import SAMPLE_RATE
from s5eval.data_manifests.synthesis.foley.signals import keep_freed_memory
from s5eval.data_manifests.synthesis.render import Signal, SynthesizedScene

SOUNDSCAPE, ORACLE_TARGET, CHECKSUMS = "soundscape", "oracle_target", "checksums"

Subtype = Literal["PCM_16", "FLOAT"]
Progress = Callable[[int, int], None]
"""Called with how many scenes are done, and how many there are."""


class SceneJob(Protocol):
    """A scene that can be made, in any process; it is pickled."""

    @property
    def id(self) -> str:
        """The mixture id."""
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
    progress: Progress | None = None,
) -> None:
    """Make what is missing or damaged of a set.

    Args:
        jobs: the scenes.
        folder: gets `soundscape/`, `oracle_target/` and `checksums/`.
        suffix: `.wav`, or `.flac` (a quarter of the space, PCM_16 only).
        subtype: `PCM_16` (rounded, cut at full scale) or `FLOAT`, 32 bit.
        workers: processes; the files are the same for any number.
        progress: is told about every scene.

    Raises:
        DataError: a scene cannot be made, or the disk cannot take it.
    """
    try:
        for name in (SOUNDSCAPE, ORACLE_TARGET, CHECKSUMS):
            (folder / name).mkdir(parents=True, exist_ok=True)
            _remove_leftovers(folder / name)
        pending = [job for job in jobs if not is_intact(folder, job.id, suffix)]
        done = len(jobs) - len(pending)
        if progress is not None:
            progress(done, len(jobs))
        for _ in _write_all(pending, folder, suffix, subtype, workers):
            done += 1
            if progress is not None:
                progress(done, len(jobs))
    except OSError as error:
        raise DataError(f"{folder}: cannot write the scenes: {error.strerror or error}") from error


def _write_all(jobs: Sequence[SceneJob], folder: Path, suffix: str, subtype: Subtype, workers: int) -> Iterable[None]:
    if workers <= 1 or len(jobs) < 2:
        for job in jobs:
            write_scene(job, folder, suffix, subtype)
            yield
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=keep_freed_memory) as pool:
        futures = [pool.submit(write_scene, job, folder, suffix, subtype) for job in jobs]
        try:
            for future in as_completed(futures):
                future.result()
                yield
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def write_scene(job: SceneJob, folder: Path, suffix: str, subtype: Subtype) -> None:
    """Make one scene and write its files whole: targets, mixture, and last the record of their checksums."""
    scene = job.make()
    files = {
        f"{ORACLE_TARGET}/{format_source_name(job.id, i, label, suffix=suffix)}": dry[None]
        for i, (label, dry) in enumerate(zip(scene.labels, scene.dry, strict=True))
    }
    files[f"{SOUNDSCAPE}/{job.id}{suffix}"] = scene.mixture
    checksums = {}
    for name, audio in files.items():
        with atomic_path(folder / name) as unfinished:
            soundfile.write(unfinished, _samples(audio, subtype), SAMPLE_RATE, subtype=subtype)
            checksums[name] = file_sha256(unfinished)
    write_atomically(folder / CHECKSUMS / f"{job.id}.json", json.dumps(checksums, indent=1, sort_keys=True))


def _samples(audio: Signal, subtype: Subtype) -> np.ndarray:  # (T, C) as soundfile wants it
    if subtype == "FLOAT":
        return np.ascontiguousarray(audio.T, dtype=np.float32)
    return np.ascontiguousarray(np.clip(np.rint(audio.T * 32768.0), -32768, 32767).astype(np.int16))


def read_checksums(folder: Path) -> dict[str, dict[str, str]]:
    """What `write_scenes` recorded: file (relative to `folder`) and SHA-256 by mixture id; empty without records."""
    records = {}
    for path in sorted((folder / CHECKSUMS).glob("[!.]*.json")):
        try:
            records[path.stem] = dict(json.loads(path.read_text()))
        except ValueError as error:
            raise DataError(f"{path}: not a record of checksums: {error}; delete it and make the set again") from error
    return records


def is_intact(folder: Path, mixture_id: str, suffix: str) -> bool:
    """Whether every file of a scene is there, in this format, byte for byte as it was written."""
    try:
        recorded = json.loads((folder / CHECKSUMS / f"{mixture_id}.json").read_text())
        wanted = f"{SOUNDSCAPE}/{mixture_id}{suffix}" in recorded
        return wanted and all(file_sha256(folder / name) == checksum for name, checksum in recorded.items())
    except (OSError, ValueError, AttributeError):
        return False


def _remove_leftovers(folder: Path) -> None:
    """Delete temporary files of processes that were killed; an hour old, so that no writer loses its own."""
    for path in folder.glob(".*"):
        if path.is_file() and time.time() - path.stat().st_mtime > 3600:
            path.unlink(missing_ok=True)


def default_workers() -> int:
    """As many processes as there are cores to run on, at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, cores)
