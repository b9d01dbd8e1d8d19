"""The names of what is being written, and the removal of what killed processes have left under such names."""

import contextlib
import functools
import os
import platform
import re
import shutil
import time
import uuid
import zlib
from pathlib import Path

_TEMPORARY = re.compile(r"^\..*\.(?P<maker>[0-9a-f]{8})(?P<pid>[0-9a-f]{8})[0-9a-f]{16}(\.[^.]*)?$")
_STEM = 100
_FORGOTTEN = 3600  # seconds since the last byte: nobody writes it any more


def unfinished_name(stem: str, suffix: str = "") -> str:
    """A name that nobody else gives, for what will be called `stem` and `suffix`.

    It is a dot, the stem (shortened, so that it stays a possible name), a token that tells who writes, and the suffix.
    """
    return f".{stem[:_STEM]}.{_machine()}{os.getpid():08x}{uuid.uuid4().hex[:16]}{suffix}"


def is_unfinished(name: str) -> bool:
    """Whether a file's name is such a one, so that somebody writes it still, or was killed writing it."""
    return _TEMPORARY.match(name) is not None


def sweep(folder: Path, *, locked: bool = False) -> int:
    """Remove the temporary files that killed processes have left in a folder, not below it; returns how many.

    Args:
        folder: that files are written in; it need not exist.
        locked: nobody else writes there now, so that none is in use. Otherwise those go whose process was one of this
            machine and has ended, and those that nobody has written to for an hour.
    """
    removed = 0
    with contextlib.suppress(OSError):
        for path, match in _temporaries(folder):
            if locked or _is_abandoned(path, match):
                with contextlib.suppress(OSError):
                    path.unlink()
                    removed += 1
    return removed


def remove_abandoned_drafts(out: Path) -> None:
    """Remove the drafts of a folder that killed processes of this machine have left beside it.

    Of whom nothing is known, such as a process of another machine, may still be writing for hours: those stay.
    """
    for path, match in _temporaries(out.absolute().parent):
        ours = path.name.startswith(f".{out.name[:_STEM]}.")
        if ours and _has_ended(match) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def _temporaries(folder: Path) -> list[tuple[Path, re.Match[str]]]:
    """What has a temporary name in a folder; nothing where that cannot be read."""
    with contextlib.suppress(OSError):
        return [(Path(entry.path), match) for entry in os.scandir(folder) if (match := _TEMPORARY.match(entry.name))]
    return []


def _is_abandoned(path: Path, match: re.Match[str]) -> bool:
    return _has_ended(match) or time.time() - path.stat().st_mtime > _FORGOTTEN


def _has_ended(match: re.Match[str]) -> bool:
    """Whether a temporary name was given by a process of this machine that is no more."""
    return match["maker"] == _machine() and not _is_alive(int(match["pid"], 16))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


@functools.cache
def _machine() -> str:
    """Eight digits that processes share which see each other's numbers: of one start, one name, one container."""
    facts = [platform.node()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with contextlib.suppress(OSError):
            facts.append(str(Path(path).readlink()) if path.endswith("pid") else Path(path).read_text("ascii"))
    return f"{zlib.crc32(' '.join(facts).encode()):08x}"
