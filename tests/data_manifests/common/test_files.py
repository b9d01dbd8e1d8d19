"""What is handed over to the disk when, and what a full one leaves."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from s5eval.data_manifests.common import files
from s5eval.data_manifests.common.files import (
    WriteError,
    atomic_folder,
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
