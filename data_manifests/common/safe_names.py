"""Names and paths that come from a file: checked before a path is made of them, as names in an archive are."""

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

from s5eval.data_manifests.common.errors import DataError

_LONGEST = 200  # bytes; with what we append, a file's name has at most 255


def name_problem(name: object) -> str | None:
    """Why a name (an id of a mixture) cannot stand in a file's name without leading elsewhere; None: it can."""
    if not isinstance(name, str):
        return f"{name!r:.60} is no text"
    if not name or name in (".", ".."):
        return f"{name!r} is no name"
    separators = {"/", os.sep, os.altsep or "/"}
    if any(separator in name for separator in separators) or "\0" in name:
        return f"{name[:60]!r} is a path, expected a plain name"
    try:
        size = len(os.fsencode(name))
    except UnicodeEncodeError:
        return f"{name[:60]!r} cannot stand in a file's name"
    return f"{name[:60]!r}… has {size} bytes, at most {_LONGEST} are allowed" if size > _LONGEST else None


def check_name(name: object, where: str) -> str:
    """The name, if it is a plain one.

    Raises:
        DataError: see `name_problem`; `where` says which file it is from.
    """
    if (problem := name_problem(name)) is not None:
        raise DataError(f"{where}: {problem}; nothing is read or written there")
    return str(name)


def path_below(root: Path, name: str, where: str) -> Path:
    """`root / name`, if that is below `root` by its steps: relative, without `..`, on any system.

    Links inside `root` are its owner's business and are followed.

    Raises:
        DataError: the path leads elsewhere; `where` says which file, or key, it is from.
    """
    steps, windows = PurePosixPath(name), PureWindowsPath(name)
    if "\0" in name or steps.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise DataError(f"{where}: {name[:120]!r} leads out of {root}; expected a path below it")
    return root / name
