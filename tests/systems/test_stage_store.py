"""The stage store: what comes back, under which key, and what goes first."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s5eval.data_manifests.common.files import atomic_path
from s5eval.systems.interface import Candidates
from s5eval.systems.stage_store import DiskStore

KEY: dict[str, Any] = {"stage": "one", "fingerprint": {"weights": "w", "seed": 1}, "input": None, "mixture": "m"}


def candidates() -> Candidates:
    rng = np.random.default_rng(0)
    return Candidates(rng.normal(size=(2, 50)).astype(np.float32), rng.random((2, 18)), np.array([0.25, 0.75]))


CHANGES: dict[str, dict[str, Any]] = {
    "audio": {"audio": candidates().audio[::-1]},
    "scores": {"class_scores": candidates().class_scores[::-1]},
    "silence": {"p_silence": np.array([0.25, 0.5])},
    "labels": {"labels": ("Speech", "Cough")},
    "lengths": {"audio": candidates().audio.reshape(2, -1)[:, :49]},
}


@pytest.mark.parametrize("labels", [None, ("Speech", "Cough")])
def test_all_of_a_result_comes_back(tmp_path: Path, labels: tuple[str, ...] | None) -> None:
    store, kept = DiskStore(tmp_path), replace(candidates(), labels=labels)
    store.put(KEY, kept)
    found = store.get(KEY)
    assert found is not None
    assert found.labels == labels
    for name in ("audio", "class_scores", "p_silence"):
        assert np.array_equal(getattr(found, name), getattr(kept, name))
        assert getattr(found, name).dtype == getattr(kept, name).dtype


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_the_digest_of_candidates_tells_all_that_the_next_stage_sees(change: dict[str, Any]) -> None:
    assert replace(candidates()).sha256() == candidates().sha256()
    assert replace(candidates(), **change).sha256() != candidates().sha256()


def test_every_part_of_a_key_counts_and_their_order_does_not(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    store.put(KEY, candidates())
    for part, other in (("stage", "two"), ("fingerprint", {"weights": "w"}), ("input", "i"), ("mixture", "n")):
        assert store.get({**KEY, part: other}) is None
    backwards = {part: KEY[part] for part in reversed(KEY)}
    assert store.get({**backwards, "fingerprint": {"seed": 1, "weights": "w"}}) is not None


@pytest.mark.parametrize("name", ["audio", "class_scores", "p_silence"])
def test_an_entry_of_other_content_than_its_digest_says_is_none(tmp_path: Path, name: str) -> None:
    """Whole by the archive's own checksums: such as of a version that wrote arrays that it had not summed up."""
    store = DiskStore(tmp_path)
    store.put(KEY, candidates())
    (entry,) = store.entries()
    with np.load(entry.path) as stored:
        arrays = dict(stored)
    arrays[name] = np.flip(arrays[name])
    np.savez(entry.path, **arrays)
    assert store.get(KEY) is None


def test_what_was_read_last_is_pruned_last(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    for mixture, time in (("n", 1e9), ("m", 9e8)):
        before = {entry.path for entry in store.entries()}
        store.put({**KEY, "mixture": mixture}, candidates())
        (path,) = {entry.path for entry in store.entries()} - before
        os.utime(path, (time, time))
    assert store.get(KEY) is not None
    (size,) = {entry.size for entry in store.entries()}
    assert store.prune(keep_bytes=size) == (1, size)
    assert store.get(KEY) is not None
    assert store.get({**KEY, "mixture": "n"}) is None


def test_an_entry_under_the_name_of_another_key_is_none(tmp_path: Path) -> None:
    """As a copy or a faulty disk may put it there: whole, and of another mixture."""
    store = DiskStore(tmp_path)
    store.put(KEY, candidates())
    (mine,) = store.entries()
    store.put({**KEY, "mixture": "n"}, replace(candidates(), p_silence=np.array([0.5, 0.5])))
    (other,) = [entry for entry in store.entries() if entry.path != mine.path]
    mine.path.write_bytes(other.path.read_bytes())
    assert store.get(KEY) is None
    assert store.get({**KEY, "mixture": "n"}) is not None


def test_an_entry_runs_no_code(tmp_path: Path) -> None:
    class Exploit:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "was-run"),)

    store = DiskStore(tmp_path / "store")
    store.put(KEY, candidates())
    (entry,) = store.entries()
    with np.load(entry.path) as stored:
        arrays = dict(stored)
    np.savez(entry.path, **{**arrays, "labels": np.array([Exploit(), Exploit()], dtype=object)})
    assert store.get(KEY) is None
    assert not (tmp_path / "was-run").exists()


def test_what_is_being_written_is_no_entry_and_is_not_pruned(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    store.put(KEY, candidates())
    (entry,) = store.entries()
    with atomic_path(entry.path.with_name("other.npz")) as temporary:
        temporary.write_bytes(b"half")
        assert [found.path for found in store.entries()] == [entry.path]
        assert store.prune(keep_bytes=0) == (1, entry.size)
        assert temporary.exists()


@pytest.mark.parametrize("name", ["sep/tse", "../one", "ROOT/one", "", ".", "..", "x" * 300, "Stufe 1: Trennung"])
def test_results_of_a_stage_of_any_name_lie_where_they_are_pruned(tmp_path: Path, name: str) -> None:
    root, name = tmp_path / "a" / "stages", name.replace("ROOT", str(tmp_path))
    store, key = DiskStore(root), {**KEY, "stage": name}
    store.put(key, candidates())
    assert store.get(key) is not None
    assert store.get({**KEY, "stage": f"{name}_"}) is None
    assert [entry.path for entry in store.entries()] == list(tmp_path.rglob("*.npz"))
    assert store.prune(keep_bytes=0)[0] == 1
    assert not list(tmp_path.rglob("*.npz"))


def test_a_stage_with_the_name_of_a_folder_has_that_folder(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    for name in ("stage1", "tagger", "own-stage_2.0"):
        store.put({**KEY, "stage": name}, candidates())
    assert sorted(entry.stage for entry in store.entries()) == ["own-stage_2.0", "stage1", "tagger"]
