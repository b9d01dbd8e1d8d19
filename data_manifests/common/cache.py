"""Where s5eval keeps what it can make again."""

import hashlib
import os
import sys
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


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
