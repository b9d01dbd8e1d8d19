"""Where s5eval keeps what it can make again."""

import hashlib
import os
import sys
from pathlib import Path

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.files import expanded


def cache_folder() -> Path:
    """The root of everything cached; not created here.

    The environment variable `S5EVAL_CACHE` names it; otherwise it is `s5eval` in the platform's cache folder
    (`$XDG_CACHE_HOME` or `~/.cache`, `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows). Those of the platform
    count where they are absolute, as the XDG base directories have it.

    Raises:
        UsageError: no variable names it, and the user has no home folder (a container's bare user number); or
            `S5EVAL_CACHE` is in a home folder that is not there.
    """
    if chosen := os.environ.get("S5EVAL_CACHE"):
        if str(folder := expanded(chosen)).startswith("~"):
            raise UsageError(f"S5EVAL_CACHE is {chosen!r}: there is no such home folder; name an absolute path")
        return folder.absolute()
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "s5eval"
    windows = sys.platform == "win32"
    variable, *below = ("LOCALAPPDATA", "AppData", "Local") if windows else ("XDG_CACHE_HOME", ".cache")
    named = expanded(os.environ.get(variable, ""))
    return (named if named.is_absolute() else _home().joinpath(*below)) / "s5eval"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:  # neither $HOME nor an entry in the list of users
        raise UsageError("there is no home folder to keep the cache in: set S5EVAL_CACHE to a folder") from error


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
