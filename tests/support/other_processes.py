"""What tests ask of processes that are not their children alone: whether they are there, and what lies below them."""

import time
from collections.abc import Callable
from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether there is a process of this number that has not ended; one that nobody has waited for yet has."""
    fields = _fields(pid)
    return bool(fields) and fields[0] not in "ZX"


def children(pid: int) -> list[int]:
    """The processes that `pid` has started itself and that have not ended."""
    found = sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return [other for other in found if is_running(other) and _fields(other)[1:2] == [str(pid)]]


def descendants(pid: int) -> list[int]:
    """Its children, their children, and so on."""
    return [below for child in children(pid) for below in (child, *descendants(child))]


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Return once the condition holds; raise `AssertionError` where it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds:g} s"
        time.sleep(0.02)


def _fields(pid: int) -> list[str]:
    """State, parent and what follows in `/proc/PID/stat`; nothing where it is gone. A name may hold any sign."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
