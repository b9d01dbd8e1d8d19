"""Ends the process that started it when that one does not say in time that it goes on. A script of its own.

Reads lines from standard input: `{"after": seconds, "limit": seconds, "ids": [...]}` when work begins, `null` when it
is done; the end of the input ends it. Its argument is the file of marks (see `s5eval.harness.runs.guard`), where
mixtures that run out of time are counted before the process is ended. Imports nothing of s5eval, so it starts at once.
"""

import contextlib
import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

_GIVEN_UP = 3  # deaths, as s5eval.harness.runs.guard counts them


def main() -> None:
    """Watch until the input ends."""
    marks, parent = Path(sys.argv[1]), os.getppid()
    task: dict[str, Any] | None = None
    while True:
        ready, _, _ = select.select([sys.stdin.fileno()], [], [], None if task is None else task["after"])
        if not ready and task is not None:
            _end(parent, marks, task)
            return
        line = _next_line()
        if line is None:
            return
        task = json.loads(line)


def _next_line() -> bytes | None:
    """One line, read byte by byte: what a buffer holds, `select` does not see."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(sys.stdin.fileno(), 1)
        if not byte:
            return None
        line += byte
    return line


def _end(parent: int, marks: Path, task: dict[str, Any]) -> None:
    if os.getppid() != parent:
        return
    ids: list[str] = task["ids"]
    try:
        deaths = json.loads(marks.read_text(encoding="utf-8"))["deaths"]
    except (OSError, ValueError, KeyError):
        deaths = {}
    for id_ in ids:
        deaths[id_] = _GIVEN_UP if len(ids) == 1 else deaths.get(id_, 0) + 1
    with contextlib.suppress(OSError):
        marks.write_text(json.dumps({"under_way": [], "deaths": deaths}), encoding="utf-8")
    shown = ascii(", ".join(ids))
    sys.stderr.write(
        f"\nmixture {shown} took more than {task['limit']:g} s and cannot be interrupted, so the process is ended; "
        f"what is done stands, and --resume {str(marks.parent)!a} goes on without it\n"
    )
    sys.stderr.flush()
    os.kill(parent, signal.SIGKILL)


if __name__ == "__main__":
    main()
