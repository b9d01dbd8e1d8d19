"""Pruning the stage store beside runs that use it and beside another pruning."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

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
