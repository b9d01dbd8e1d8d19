"""Disks that fail: what a power loss leaves of what was not synced, full disks, and disks that report errors.

`Recorder` stands between the process and `os.fsync` and remembers which content and which names were handed over; from
that and what stands now, `crash` makes one of the states that a power loss could leave, chosen by a seed.
"""

import errno
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class Recorder:
    """What of the files below `root` was handed over to the disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.content: dict[int, bytes] = {}
        self.names: dict[Path, dict[str, int]] = {}
        self._kept: list[int] = []  # open descriptors: a number must not be given to another file
        self._fsync = os.fsync

    def fsync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_relative_to(self.root) or self.root.is_relative_to(path):
            number = os.fstat(descriptor).st_ino
            if path.is_dir():
                self.names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}
            else:
                self._kept.append(os.dup(descriptor))
                self.content[number] = path.read_bytes()

    def close(self) -> None:
        for descriptor in self._kept:
            os.close(descriptor)

    def crash(self, target: Path, rng: random.Random) -> Path:
        """Make `target` what a power loss now could leave of `root`."""
        self._folder(self.root, target, rng)
        return target

    def _folder(self, folder: Path, target: Path, rng: random.Random) -> None:
        target.mkdir(parents=True)
        live = {entry.name: entry.inode() for entry in os.scandir(folder)}
        synced = self.names.get(folder, {})
        for name in sorted(live.keys() | synced.keys()):
            choices = {number for number in (live.get(name), synced.get(name)) if number is not None}
            if live.get(name) != synced.get(name):
                chosen = rng.choice([live.get(name), synced.get(name)])
            else:
                (chosen,) = choices
            if chosen is None:
                continue
            here = folder / name
            if here.is_dir():
                self._folder(here, target / name, rng)
                continue
            content = here.read_bytes() if chosen == live.get(name) else None
            (target / name).write_bytes(self._choose(self.content.get(chosen), content, rng))

    @staticmethod
    def _choose(synced: bytes | None, live: bytes | None, rng: random.Random) -> bytes:
        if live is None or live == synced:
            return synced or b""
        cut = rng.randrange(len(live) + 1)
        hole = bytearray(live)
        hole[cut:] = bytes(len(live) - cut)
        if synced is not None and live.startswith(synced):  # appended to: what was synced stays
            cut = rng.randrange(len(synced), len(live) + 1)
            hole = bytearray(live[:cut] + bytes(len(live) - cut))
        return rng.choice([synced or b"", live[:cut], bytes(hole), live])


@contextmanager
def recording(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Watch `os.fsync` for files below `root`."""
    recorder = Recorder(root)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", recorder.fsync)
        yield recorder
    recorder.close()


@contextmanager
def failing(at: int, code: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The `at`-th operation on a disk fails with the error `code`, and so do all later ones; writes leave half.

    Yields a list whose only number counts operations.
    """
    from s5eval.data_manifests.common import files
    from s5eval.harness.record import run_folder as journal

    count = [0]

    def wrap(function: Callable[..., Any], half: Callable[..., Any] | None = None) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            count[0] += 1
            if count[0] > at:
                if half is not None:
                    half(*arguments)
                raise OSError(code, os.strerror(code))
            return function(*arguments, **options)

        return call

    write_bytes, write_all = Path.write_bytes, files.write_all
    with monkeypatch.context() as patch:
        patch.setattr(
            Path, "write_bytes", wrap(write_bytes, lambda path, data: write_bytes(path, data[: len(data) // 2]))
        )
        for module in (journal, files):
            patch.setattr(
                module, "write_all", wrap(write_all, lambda file, data: write_all(file, data[: len(data) // 2]))
            )
        patch.setattr(os, "fsync", wrap(os.fsync))
        if code != errno.ENOSPC:  # a rename needs no room
            patch.setattr(Path, "replace", wrap(Path.replace))
        yield count
