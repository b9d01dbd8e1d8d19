"""Real mixtures through three stages: whoever works, the journal is the same. Slow; skipped without recordings."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from ray_cluster import Cluster
from whole_run import numbers

pytestmark = pytest.mark.slow

Call = Callable[..., Any]
COUNT = 4


@pytest.fixture
def call(shared: Path) -> tuple[object, ...]:
    data = shared / "audio" / "realtest"
    return ("run", "--system", "multistage", "--data", data, "--limit", COUNT, "--no-cache", "--save-audio")


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As a user says it: everybody has one thread. By more threads, sums differ in their last bits."""
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def wavs(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "audio").iterdir()}


def test_workers_and_merged_shards_write_what_one_process_writes(
    call: tuple[object, ...], tmp_path: Path, s5eval: Call
) -> None:
    alone = tmp_path / "alone"
    assert s5eval(*call, "--out", alone).code == 0
    assert len(numbers(alone)[0]) == COUNT
    for workers in (1, 2, 4):
        out = tmp_path / f"by_{workers}"
        assert s5eval(*call, "--workers", workers, "--out", out).code == 0
        assert numbers(out) == numbers(alone)
        assert wavs(out) == wavs(alone)
    shards = [tmp_path / f"shard_{k}" for k in (1, 2, 3)]
    for k, out in enumerate(shards, start=1):
        assert s5eval(*call, "--shard", f"{k}/3", "--out", out).code == 0
    assert s5eval("merge", *shards, "--out", tmp_path / "merged").code == 0
    assert numbers(tmp_path / "merged") == numbers(alone)
    assert wavs(tmp_path / "merged") == wavs(alone)


def test_actors_of_ray_write_what_one_process_writes(
    call: tuple[object, ...], cluster: Cluster, tmp_path: Path, s5eval: Call
) -> None:
    assert s5eval(*call, "--out", tmp_path / "alone").code == 0
    result = cluster.run(*call[1:], "--workers", 2, "--out", tmp_path / "ray", OMP_NUM_THREADS="1")
    assert result.returncode == 0, result.stderr
    assert numbers(tmp_path / "ray") == numbers(tmp_path / "alone")
    assert wavs(tmp_path / "ray") == wavs(tmp_path / "alone")
