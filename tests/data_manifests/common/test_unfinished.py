"""Whose unfinished files are removed, and what is none."""

import errno
import os
import time
from pathlib import Path

import pytest

from s5eval.data_manifests.common.files import atomic_path
from s5eval.data_manifests.common.unfinished import is_unfinished, sweep


def unfinished(folder: Path, *, machine: str = "", pid: int | None = None, age: float = 0.0) -> Path:
    """A file that `atomic_path` has begun: here, or by a machine and a process of these numbers."""
    with pytest.raises(KeyboardInterrupt), atomic_path(folder / "table.npz") as temporary:
        raise KeyboardInterrupt
    stem, token, suffix = temporary.name[1:].split(".")
    number = token[8:16] if pid is None else f"{pid:08x}"
    path = folder / f".{stem}.{machine or token[:8]}{number}{token[16:]}.{suffix}"
    path.write_bytes(b"half")
    os.utime(path, (time.time() - age,) * 2)
    assert is_unfinished(path.name)
    return path


def test_what_another_machine_writes_is_left_alone_for_an_hour(tmp_path: Path) -> None:
    """Nothing can be known of its process: not even a number that nobody has here."""
    written = unfinished(tmp_path, machine="0" * 8, pid=0x7FFFFFFF, age=3000)
    forgotten = unfinished(tmp_path, machine="0" * 8, pid=os.getpid(), age=4000)
    assert (sweep(tmp_path), written.exists(), forgotten.exists()) == (1, True, False)
    assert (sweep(tmp_path, locked=True), written.exists()) == (1, False)


def test_what_a_process_of_another_user_writes_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(pid: int, number: int) -> None:
        raise {77: PermissionError(errno.EPERM, "not permitted"), 78: ProcessLookupError()}[pid]

    monkeypatch.setattr(os, "kill", ask)
    alive, ended = unfinished(tmp_path, pid=77), unfinished(tmp_path, pid=78)
    assert (sweep(tmp_path), alive.exists(), ended.exists()) == (1, True, False)


def test_names_of_others_are_not_unfinished_files(tmp_path: Path) -> None:
    others = [".lock", ".hidden.wav", "m_1.npz", f".m_1.{'0' * 31}.npz", f"m_1.{'0' * 32}.npz", f".m_1.{'g' * 32}.npz"]
    for name in others:
        (tmp_path / name).touch()
    assert (sweep(tmp_path, locked=True), len(list(tmp_path.iterdir()))) == (0, len(others))
