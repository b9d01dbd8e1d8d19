"""Pruning the stage store beside runs that use it and beside another pruning."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.files import atomic_path
from s5eval.systems import stage_store
from s5eval.systems.interface import Candidates
from s5eval.systems.stage_store import DiskStore

KEY = {"stage": "one", "weights": "none"}


def candidates() -> Candidates:
    return Candidates(np.zeros((1, 8), np.float32), np.zeros((1, 18)), np.array([0.5]))


def test_an_entry_that_is_pruned_while_it_is_read_leaves_no_empty_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DiskStore(tmp_path)
    store.put(KEY, candidates())
    (entry,) = store.entries()
    load = np.load

    def loaded_and_pruned(*arguments: object, **options: object) -> object:
        entry.path.unlink()  # it is open already
        return load(*arguments, **options)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr(np, "load", loaded_and_pruned)
        store.get(KEY)
    assert not entry.path.exists()
    assert store.get(KEY) is None
    assert list(store.entries()) == []


def test_two_prunings_at_once_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DiskStore(tmp_path)
    for number in range(3):
        store.put({**KEY, "number": number}, candidates())
    glob = Path.glob

    def raced(folder: Path, pattern: str) -> Iterator[Path]:
        for number, path in enumerate(list(glob(folder, pattern))):
            if number == 1:
                path.unlink()  # the other one was here
            yield path

    monkeypatch.setattr(Path, "glob", raced)
    removed, freed = store.prune(keep_bytes=0)
    assert removed == 2 and freed > 0
    monkeypatch.undo()
    assert list(store.entries()) == []


def _refused(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_a_store_of_somebody_else_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may read an entry and not write it cannot set its times either."""
    store, told = DiskStore(tmp_path), []
    store.put(KEY, candidates())
    monkeypatch.setattr(stage_store.os, "utime", _refused)
    monkeypatch.setattr(stage_store.log, "warning", lambda *words: told.append(words))
    found = store.get(KEY)
    assert found is not None and found.sha256() == candidates().sha256()
    assert not told


def test_an_entry_that_cannot_be_removed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DiskStore(tmp_path)
    store.put(KEY, candidates())
    (entry,) = store.entries()
    monkeypatch.setattr(Path, "unlink", _refused)
    with pytest.raises(DataError, match=f"{entry.path}: cannot be removed: Operation not permitted"):
        store.prune(keep_bytes=0)


def test_pruning_takes_what_killed_processes_had_begun(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    store.put(KEY, candidates())
    (entry,) = store.entries()
    script = f"""
import os
from pathlib import Path
from s5eval.data_manifests.common.files import atomic_path
with atomic_path(Path({str(entry.path)!r})) as temporary:
    temporary.write_bytes(b"half an entry")
    os._exit(1)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    with atomic_path(entry.path.with_name("other.npz")) as ours:
        ours.write_bytes(b"being written")
        assert len(list(entry.path.parent.iterdir())) == 3
        assert store.prune(keep_bytes=10**9) == (0, 0)
        assert sorted(entry.path.parent.iterdir()) == sorted([ours, entry.path])
