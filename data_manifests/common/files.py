"""The one way files are written: to the end under their name and safe from a power loss, or not at all and said so.

A file is written under a temporary name beside its place, handed to the disk, and renamed; then the folder, which holds
the new name, is handed to the disk as well. Readers never see half of one, and no crash leaves one. Where many small
files belong together (`sync=False`), `sync_files` hands them over at once, which costs a fraction; until then their
readers tell a lost one by its digest.
"""

import contextlib
import errno
import hashlib
import io
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, ClassVar

from s5eval.data_manifests.common.errors import DataError, S5Error, UsageError
from s5eval.data_manifests.common.unfinished import remove_abandoned_drafts, unfinished_name

_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EISDIR)
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM)


class WriteError(S5Error, OSError):
    """A file could not be written; what stood under its name still stands. Carries `errno`; its text names the file."""

    exit_code: ClassVar[int] = 1

    def __init__(self, target: Path, error: OSError) -> None:
        super().__init__(error.errno, error.strerror)
        self.target = target

    def __str__(self) -> str:
        reason = os.strerror(self.errno) if self.errno else self.strerror
        advice = "; free some space, and call again" if self.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return f"{self.target}: cannot be written: {reason}{advice}"


def expanded(path: str | PathLike[str]) -> Path:
    """A path with `~` as the home folder; `~name` of nobody, which a shell leaves as well, is a name like any other."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - that of `Path` raises RuntimeError


def make_folder(folder: Path) -> None:
    """Create a folder and those above it; one that is there is fine.

    Raises:
        UsageError: a file is in the way.
        DataError: the disk does not allow it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{folder}: a file is in the way; name another folder") from error
    except OSError as error:
        raise DataError(f"{folder}: cannot be created: {error.strerror or error}") from error


def make_lasting_folder(folder: Path) -> None:
    """Create a folder and those above it that are missing, and hand their names over to the disk.

    What is synced below a folder whose own name is not on the disk may be gone after a power loss. One that is there is
    fine, and left to whoever made it.

    Raises:
        OSError: a file is in the way, or the disk does not allow it.
    """
    missing = [made for made in (folder, *folder.parents) if not made.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync_folder(made.parent)


@contextmanager
def no_empty_folder(folder: Path) -> Iterator[None]:
    """A block that makes a folder: where it fails and has left nothing there, the folder is gone again.

    So are those above it that were made for it; what was there before stays.
    """
    new = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        yield
    except BaseException:
        for place in new:
            with contextlib.suppress(OSError):  # one that holds something stays
                place.rmdir()
        raise


@contextmanager
def atomic_path(target: Path, *, sync: bool = True) -> Iterator[Path]:
    """A temporary path beside `target` that takes its place when the block ends without an error.

    A crash, a kill, a power loss or a full disk leaves `target` as it was; on an error the temporary file is removed.
    The temporary name tells who writes, see `unfinished_name`.

    Args:
        target: the file that is to be.
        sync: hand file and name over to the disk before the block is left. False: for what is not missed after a power
            loss, such as a cache whose reader checks digests, and for what `sync_files` will hand over.

    Raises:
        WriteError: the disk is full, read-only or faulty, or a folder has the name.
    """
    temporary = target.with_name(unfinished_name(target.stem, target.suffix))
    try:
        yield temporary
        if sync:
            _sync(temporary)
        temporary.replace(target)
        if sync:
            sync_folder(target.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, S5Error) and error.errno in _CANNOT_WRITE:
            raise WriteError(target, error) from error
        raise


def utf_8(text: str) -> bytes:
    r"""A text as files have it; what no UTF-8 has, such as a byte of a name on a disk, is an escape.

    >>> utf_8("caf\udce9")
    b'caf\\udce9'
    """
    return text.encode("utf-8", "backslashreplace")


def write_atomically(target: Path, content: bytes | str, *, sync: bool = True) -> str:
    """Write a whole file at once; text is UTF-8.

    Returns:
        The hexadecimal SHA-256 of what was written.

    Raises:
        WriteError: see `atomic_path`; a folder that is missing or closed is one as well.
    """
    data = utf_8(content) if isinstance(content, str) else content
    with atomic_path(target, sync=sync) as temporary:
        try:
            temporary.write_bytes(data)
        except OSError as error:
            raise WriteError(target, error) from error
    return hashlib.sha256(data).hexdigest()


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file for reading that somebody else may have made: a pipe in its place would be waited for, for ever.

    Raises:
        OSError: there is none, or it is a pipe, a device or a folder.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # looked at before it is opened: a device may act on that
        raise OSError(errno.EINVAL, "it is no regular file")
    file = open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")  # noqa: SIM115, PTH123
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no regular file")
    return file


def read_regular(path: Path) -> bytes:
    """All of a file that `open_regular` opens; raises as that does."""
    with open_regular(path) as file:
        return file.read()


class GrowingFile:
    """A file of `writing`: it takes pieces, and knows the digest of all of them."""

    def __init__(self, target: Path, file: IO[bytes]) -> None:
        """Use `writing` instead."""
        self._target = target
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, piece: bytes) -> None:
        """Append a piece. Raises `WriteError`."""
        try:
            write_all(self._file, piece)
        except OSError as error:
            raise WriteError(self._target, error) from error
        self._digest.update(piece)

    def sha256(self) -> str:
        """Hexadecimal SHA-256 of what was written until now."""
        return self._digest.hexdigest()


@contextmanager
def writing(target: Path, *, sync: bool = True) -> Iterator[GrowingFile]:
    """`write_atomically` for a file that need not be in memory; it takes its place when the block ends without error.

    Raises:
        WriteError: see `atomic_path`.
    """
    with atomic_path(target, sync=sync) as temporary:
        try:
            file = temporary.open("wb", buffering=0)
        except OSError as error:
            raise WriteError(target, error) from error
        with file:
            yield GrowingFile(target, file)


def write_all(file: IO[bytes], data: bytes) -> None:
    """An unbuffered file may take a part only; nothing may be left to its end, when no error can be told any more."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) or 0 :]


@contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place, whole and on the disk, when the block ends without an error.

    Else nothing of it stays; what processes of this machine that were killed had begun of it goes as well. At `out`
    there may be an empty folder and nothing else, which the caller has looked at.

    Raises:
        OSError: it cannot be made, or not be moved there.
        WriteError: the disk is full, read-only or faulty.
    """
    draft = out.absolute().with_name(unfinished_name(out.name))
    try:
        remove_abandoned_drafts(out)
        make_lasting_folder(draft.parent)
        draft.mkdir()
        yield draft
        found = list(draft.rglob("*"))
        sync_files((path for path in found if path.is_file()), folders=(draft, *filter(Path.is_dir, found)))
        draft.rename(out)
        sync_folder(out.absolute().parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def sync_files(paths: Iterable[Path], *, folders: Iterable[Path] = ()) -> None:
    """Hand files and the folders that hold them over to the disk; ones that are gone by now are passed over.

    Args:
        paths: the files.
        folders: others that are handed over as well, such as those that hold folders alone.

    Raises:
        WriteError: the disk could not take one.
    """
    holding = set(folders)
    for path in paths:
        holding.add(path.parent)
        try:
            _sync(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise WriteError(path, error) from error
    for folder in holding:
        try:
            sync_folder(folder)
        except OSError as error:
            raise WriteError(folder, error) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Hand the names in a folder over to the disk; some file systems cannot, and then need not."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
