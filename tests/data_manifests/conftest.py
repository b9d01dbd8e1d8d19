"""Simulated rooms and caches of a test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from s5eval.data_manifests.synthesis.rooms import RoomBank


@pytest.fixture
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for one test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("S5EVAL_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def one_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoomBank]:
    """A bank of two small simulated rooms."""
    yield RoomBank(seed=77, n_rooms=2, n_positions=8, folder=tmp_path_factory.mktemp("rooms"))
