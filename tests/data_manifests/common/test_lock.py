"""A folder is worked in by one process at a time, whatever its file system knows of locks."""

import errno
import os
from pathlib import Path

import pytest

from s5eval.data_manifests.common.lock import InUseError, locked, take_lock


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_worked_on_by_one_process_at_a_time(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def unknown(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", unknown)
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
