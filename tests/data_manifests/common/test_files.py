"""What is handed over to the disk when, what a full one leaves, and whose unfinished files are removed."""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from s5eval.data_manifests.common import files
from s5eval.data_manifests.common.files import (
    WriteError,
    atomic_folder,
    atomic_path,
    is_unfinished,
    sweep,
    sync_files,
    write_all,
    write_atomically,
    writing,
)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """What is synced and renamed, in order: the step, and the name that it is about; an unfinished file is `…`."""
    found: list[tuple[str, str]] = []
    replace, rename, fsync = Path.replace, Path.rename, os.fsync

    def synced(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        found.append(("sync", "…" if name.startswith(".") else name))
        fsync(descriptor)

    def replaced(path: Path, target: Path) -> Path:
        found.append(("rename", target.name))
        return replace(path, target)

    def renamed(path: Path, target: Path) -> Path:
        found.append(("rename", target.name))
        return rename(path, target)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("looks into /proc")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", synced)
        patch.setattr(Path, "replace", replaced)
        patch.setattr(Path, "rename", renamed)
        yield found


def test_content_is_on_the_disk_before_its_name_and_the_name_before_anything_else(
    tmp_path: Path, steps: list[tuple[str, str]]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write_atomically(folder / "whole", b"all of it")
    with writing(folder / "grown") as file:
        file.write(b"piece")
    for name in ("whole", "grown"):
        assert steps[:3] == [("sync", "…"), ("rename", name), ("sync", "folder")]
        del steps[:3]
    write_atomically(folder / "kept", b"made again where it is lost", sync=False)
    assert steps == [("rename", "kept")]


def test_a_folder_is_on_the_disk_whole_before_it_has_its_name(tmp_path: Path, steps: list[tuple[str, str]]) -> None:
    """Files, and the names in every folder: also in those that hold folders alone, or nothing."""
    with atomic_folder(tmp_path / "new" / "out") as draft:
        (draft / "a" / "b").mkdir(parents=True)
        (draft / "empty").mkdir()
        (draft / "a" / "b" / "file").write_bytes(b"content")
    named = steps.index(("rename", "out"))
    assert {name for step, name in steps[:named] if step == "sync"} >= {"file", "a", "b", "empty", "…"}
    assert ("sync", tmp_path.name) in steps[:named], "where a folder above it is new"
    assert steps[named + 1 :] == [("sync", "new")]


def test_files_that_are_gone_keep_no_others_from_the_disk(tmp_path: Path, steps: list[tuple[str, str]]) -> None:
    names = ("one/a", "one/gone", "two/b")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "one/gone").unlink()
    sync_files(tmp_path / name for name in names)
    assert [name for _, name in steps][:2] == ["a", "b"]
    assert {name for _, name in steps[2:]} == {"one", "two"}


class Sips:
    """An unbuffered file that takes three bytes at a time, and none at all at first."""

    def __init__(self) -> None:
        self.taken = [b""]

    def write(self, data: memoryview) -> int | None:
        self.taken.append(bytes(data[:3]) if len(self.taken) > 1 else b"")
        return len(self.taken[-1]) or None


def test_what_a_file_takes_in_parts_is_written_whole() -> None:
    file = Sips()
    write_all(file, b"0123456789")  # type: ignore[arg-type]
    assert b"".join(file.taken) == b"0123456789"


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


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_what_stood_stands_where_the_disk_refuses_the_new_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Where it is refused as late as by the sync, too: its error is the last word on what was written before."""

    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    target = tmp_path / "target"
    write_atomically(target, b"old")
    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(WriteError, match=f"target: cannot be written: {os.strerror(code)}"):
        write_atomically(target, b"new")
    assert (target.read_bytes(), [path.name for path in tmp_path.iterdir()]) == (b"old", ["target"])
