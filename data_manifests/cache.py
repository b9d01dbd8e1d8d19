"""Where s5eval keeps what it can make again, and how a file gets there whole or not at all."""

import hashlib
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """The root of everything cached; not created here.

    The environment variable `S5EVAL_CACHE` names it; otherwise it is `s5eval` in the platform's cache folder
    (`$XDG_CACHE_HOME` or `~/.cache`, `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows).
    """
    if chosen := os.environ.get("S5EVAL_CACHE"):
        return Path(chosen).expanduser().absolute()
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "s5eval"
    variable, fallback = (
        ("LOCALAPPDATA", home / "AppData" / "Local") if sys.platform == "win32" else ("XDG_CACHE_HOME", home / ".cache")
    )
    return Path(os.environ.get(variable) or fallback).expanduser() / "s5eval"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; what was written there takes the final name when the block ends well.

    Several writers of one path do not disturb each other: the last one to finish wins. The folder is created.
    After an exception nothing is left under either name.

    >>> with whole_file(Path("numbers.txt")) as unfinished:
    ...     _ = unfinished.write_text("1 2 3")
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{uuid.uuid4().hex}.part{path.suffix}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
