"""A folder is worked in by one process at a time, whatever its file system knows of locks."""

import errno
import os
from pathlib import Path

import pytest

from s5eval.data_manifests.common.lock import InUseError, locked, take_lock


def _without_locks(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Have the file system answer as one without locks does."""
    fcntl = pytest.importorskip("fcntl")

    def unknown(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", unknown)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_worked_on_by_one_process_at_a_time(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _without_locks(monkeypatch, code)
    with caplog.at_level("WARNING", logger="s5eval.lock"):
        held = take_lock(tmp_path)
    assert "has no locks" in caplog.text
    with pytest.raises(InUseError, match=r"remove that file if no process is"):
        take_lock(tmp_path)
    held.release()
    take_lock(tmp_path).release()


def test_a_lock_of_a_block_leaves_no_file(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(InUseError):
        take_lock(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=["locks", "no locks"])
def either_file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no locks":
        _without_locks(monkeypatch, errno.ENOLCK)


@pytest.mark.usefixtures("either_file_system")
def test_whoever_waits_gets_the_lock_when_its_holder_lets_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = take_lock(tmp_path)
    monkeypatch.setattr("time.sleep", lambda seconds: held.release())  # between two looks
    take_lock(tmp_path, wait=60.0).release()


@pytest.mark.usefixtures("either_file_system")
def test_locks_of_two_names_do_not_exclude_each_other(tmp_path: Path) -> None:
    held = take_lock(tmp_path)
    take_lock(tmp_path, name=".other").release()
    held.release()


def test_the_lock_of_a_block_is_taken_by_the_call_and_given_back_after_an_error(tmp_path: Path) -> None:
    block = locked(tmp_path)
    with pytest.raises(InUseError):
        take_lock(tmp_path)
    with pytest.raises(ZeroDivisionError), block:
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    take_lock(tmp_path).release()


def test_the_file_of_a_lock_goes_while_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gone after the release it could be that of the next holder, and a third process would make one of its own."""
    unlink = Path.unlink

    def looking(path: Path, **how: bool) -> None:
        with pytest.raises(InUseError):
            take_lock(tmp_path)
        unlink(path, **how)

    with locked(tmp_path):
        monkeypatch.setattr(Path, "unlink", looking)
    monkeypatch.undo()
    take_lock(tmp_path).release()


def test_a_place_that_cannot_be_written_is_an_error_and_not_one_without_locks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        take_lock(tmp_path / "file")
    assert caplog.text == ""


def test_where_no_file_can_stand_in_for_a_lock_the_log_asks_for_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _without_locks(monkeypatch, errno.ENOLCK)
    longest = "n" * 255  # no name of a file may be longer, and that of the other file is
    take_lock(tmp_path, name=longest).release()
    assert f"{tmp_path}: cannot be locked" in caplog.text
    assert "see that only one process works in it" in caplog.text
