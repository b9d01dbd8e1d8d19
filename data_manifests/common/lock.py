"""One process at a time in a folder: a lock that goes with its process, also where the file system knows none."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

log = logging.getLogger("s5eval.lock")

_NAME = ".lock"


class InUseError(Exception):
    """Another process holds the lock; the message names the file that stands for it."""


class FolderLock:
    """The lock of a folder, held from `take_lock` until `release` or until the process ends, however it ends."""

    def __init__(self, held: Any | None) -> None:
        """Use `take_lock`; None stands for a folder that could not be locked."""
        self._held = held

    def release(self) -> None:
        """Give the folder free; again does nothing."""
        if self._held is not None:
            self._held.release()
            self._held = None


def take_lock(folder: Path, *, name: str = _NAME, wait: float = 0.0) -> FolderLock:
    """Lock an existing folder for this process.

    Args:
        folder: that is locked.
        name: of the file that stands for the lock; one folder may have several.
        wait: seconds to wait for another process.

    The lock is the operating system's (`flock`, which dies with the process). A file system without it, as some
    network file systems of clusters are, gets a file with the holder's process number in its place, which a later
    process of the same machine removes when the holder is gone. Where that cannot be written either, the folder is
    used without a lock, and the log says so.

    Raises:
        InUseError: another process holds it.
        OSError: the folder cannot be written.
    """
    from filelock import FileLock, SoftFileLock, Timeout

    try:
        lock: Any = FileLock(folder / name, timeout=wait, fallback_to_soft=False)
        try:
            return _taken(lock)
        except Timeout as error:
            raise InUseError(str(folder / name)) from error
    except (OSError, NotImplementedError) as error:
        (folder / name).touch()  # a folder that cannot be written is an error, and not one of locking
        log.warning("%s: the file system has no locks (%s); a file stands in for one", folder, error)
    held = folder / f"{name}.held"
    try:
        return _taken(SoftFileLock(held, timeout=wait))
    except Timeout as error:
        raise InUseError(f"{held}; remove that file if no process is") from error
    except OSError as error:
        log.warning("%s: cannot be locked (%s); see that only one process works in it", folder, error)
        return FolderLock(None)


def locked(folder: Path) -> AbstractContextManager[None]:
    """Take the lock of a folder, hold it within a block, and leave no file of it.

    Arguments and errors are those of `take_lock`. The lock is taken by the call itself, so that a caller who has words
    of its own for `InUseError` puts the `try` around the call alone, and errors of the block pass by it.
    """
    return _held(folder, take_lock(folder))


@contextmanager
def _held(folder: Path, lock: FolderLock) -> Iterator[None]:
    try:
        yield
    finally:
        (folder / _NAME).unlink(missing_ok=True)  # while it is held: whoever opened it meanwhile sees that it is gone
        lock.release()


def _taken(lock: Any) -> FolderLock:
    lock.acquire()
    return FolderLock(lock)
