"""A full disk ends a run with a clear word and loses nothing that stood; a full cache disk ends nothing."""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from s5eval.harness.record.tables import PairTable
from s5eval.systems import stage_store
from s5eval.systems.interface import Candidates

Call = Callable[..., Any]


pytestmark = pytest.mark.usefixtures("systems_on_path")


def test_a_full_disk_is_said_and_the_run_resumes(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch, lines: Call
) -> None:
    out = tmp_path / "run"
    save = PairTable.save

    def full(table: PairTable, path: Path, *, sync: bool = True) -> str:
        if path.stem == "m_3":
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(table, path, sync=sync)

    with monkeypatch.context() as patch:
        patch.setattr(PairTable, "save", full)
        result = s5eval("run", "--system", "plugins:build", "--data", small_set, "--out", out)
    assert result.code == 1
    assert "the disk is full" in result.err
    assert f"--resume {out}" in result.err
    assert len(lines(out)) == 3
    assert s5eval("run", "--system", "plugins:build", "--resume", out).code == 0
    assert len(lines(out)) == 5


def test_an_output_place_that_cannot_be_written_is_said_before_anything_is_run(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    (tmp_path / "file").write_text("")
    log = tmp_path / "log"
    result = s5eval(
        "run", "--system", "plugins:build", "--data", small_set, "--out", tmp_path / "file" / "run",
        "--set", f"system.log={log}",
    )  # fmt: skip
    assert (result.code, "cannot write in" in result.err) == (1, True)
    assert not log.exists()


def test_estimates_that_cannot_be_written_end_the_run(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s5eval.data_manifests.common import files

    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write_all", full)
    result = s5eval("run", "--system", "plugins:build", "--data", small_set, "--out", tmp_path / "run", "--save-audio")
    assert result.code == 1
    assert "m_1_0_Speech.wav" in result.err
    assert not list((tmp_path / "run" / "audio").iterdir())


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a table", None])
def test_rescoring_says_which_table_is_damaged_or_missing(
    small_set: Path, tmp_path: Path, s5eval: Call, damage: bytes | None
) -> None:
    out = tmp_path / "run"
    s5eval("run", "--system", "plugins:build", "--data", small_set, "--out", out)
    table = out / "pairs" / "m_2.npz"
    if damage is None:
        table.unlink()
    else:
        table.write_bytes(damage)
    result = s5eval("rescore", out)
    assert (result.code, "m_2.npz: not a readable pair table" in result.err) == (3, True)


@pytest.mark.parametrize("workers", [(), ("--workers", 2)], ids=["alone", "workers"])
def test_a_full_cache_disk_ends_nothing_and_is_said_once(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch, workers: tuple[object, ...]
) -> None:
    (tmp_path / "cache").write_text("")  # no folder can be made below it, in workers neither
    monkeypatch.setenv("S5EVAL_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "run"
    result = s5eval("run", "--system", "staged:build", "--data", small_set, "--out", out, *workers)
    assert result.code == 0
    assert result.err.count("stage store: results are not kept below") == 1
    assert "results are not kept" in (out / "log.txt").read_text()
    grid = s5eval(
        "ablate", "--system", "staged:build", "--axes", "stages", "--data", small_set, "--out", tmp_path / "g"
    )
    assert (grid.code, grid.err.count("results are not kept")) == (0, 1)


def test_less_than_a_gibibyte_is_left_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_store.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**30 - 1))
    store, told = stage_store.DiskStore(tmp_path), []
    monkeypatch.setattr(stage_store.log, "warning", lambda text, *values: told.append(text % values))
    for number in range(2):
        candidates = Candidates(np.zeros((1, 8), np.float32), np.zeros((1, 18)), np.array([0.5]))
        store.put({"stage": "one", "number": number}, candidates)
    assert list(store.entries()) == []
    assert len(told) == 1 and "less than 1 GiB is free; `s5eval cache prune` makes room" in told[0]


def test_tables_hold_no_pickles(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    s5eval("run", "--system", "plugins:build", "--data", small_set, "--out", out)
    hostile = out / "pairs" / "m_2.npz"
    with hostile.open("wb") as file:
        np.savez(file, sdr=np.array([{"any": "object"}], dtype=object))
    assert s5eval("rescore", out).code == 3
    assert json.loads((out / "summary.json").read_text())["status"] == "complete"
