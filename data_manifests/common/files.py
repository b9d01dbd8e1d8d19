"""Writing files so that a reader never sees half of one."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError, UsageError


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


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path beside `target` that takes its place when the block ends without an error.

    A crash, a kill or a full disk leaves `target` as it was; on an error the temporary file is removed.
    The temporary name is a dot, the stem (shortened, so that it stays a possible name), a token, and the suffix.
    """
    temporary = target.with_name(f".{target.stem[:100]}.{uuid.uuid4().hex}{target.suffix}")
    try:
        yield temporary
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(target: Path, content: bytes | str) -> None:
    """Write a whole file at once; text is UTF-8."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
