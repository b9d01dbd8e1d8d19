"""What keeps one mixture from taking a run along for good: marks of what is under way, and a limit of time.

The marks are one small file in the run folder, overwritten before every batch and not synced: a process that dies
leaves it, and so the next one knows what the last one died of. A mixture during which the process has ended is tried
again alone, so that it takes no blameless ones along; one during which it has ended three times in a row is given up.
Who ended it cannot be told: a kill from outside, by an operator or for want of memory, leaves no more trace than a
crash in native code does. So a mixture that is given up says how it is tried once more (`retry`).
"""

import contextlib
import faulthandler
import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.structured import check_shape, read_json
from s5eval.harness.dispatch.driver import last_moment
from s5eval.harness.dispatch.queue import DEATHS

log = logging.getLogger("s5eval.run")

MARKS = ".started"
"""The file of the marks, in the run folder; gone after a run whose process came to its end."""

_SHAPE = {"under_way": [str], "deaths": {"*": int}}


class OverTime(BaseException):
    """A batch took longer than it may."""


class Guard:
    """Stands beside the system while it works.

    A limit of time is kept in two ways. The alarm of the operating system interrupts Python code in the main thread;
    the mixture fails by name, the run goes on. Native code that does not return, and code that swallows the
    interruption, cannot be stopped from within: as long again after the limit (at least two seconds), a process of
    its own ends this one, and the resumed run fails the mixture by name.
    """

    def __init__(
        self, folder: Path, done: Collection[str], *, timeout: float | None = None, retry: bool = False
    ) -> None:
        """Read what an earlier process has left in `folder`.

        Args:
            folder: the run folder, an absolute path.
            done: ids of mixtures that have an outcome.
            timeout: seconds that a mixture may take; a batch may take so many times that; None: any.
            retry: begin to count anew, so that what was given up is tried again.
        """
        self._path = folder / MARKS
        self._timeout = timeout
        self._watchdog: subprocess.Popen[str] | None = None
        self._file: int | None = None
        self._size = 0
        marks = _read(self._path)
        deaths = {id_: count for id_, count in marks["deaths"].items() if id_ not in done}
        for id_ in marks["under_way"]:
            if id_ not in done:
                deaths[id_] = deaths.get(id_, 0) + 1
        self._deaths: dict[str, int] = {id_: 1 for id_ in deaths} if retry else deaths
        for id_, count in self._deaths.items():
            if not retry and count < DEATHS:
                log.warning("%s: the process has ended during it, %d of %d times: it is run alone", id_, count, DEATHS)

    def alone(self, mixture_id: str) -> bool:
        """Whether a mixture is to be tried without others beside it."""
        return mixture_id in self._deaths

    def given_up(self, mixture_id: str) -> str | None:
        """Why a mixture is not tried again; None: it is tried."""
        if self._deaths.get(mixture_id, 0) < DEATHS:
            return None
        return (
            f"{mixture_id}: the process ended while the system was at work on it, again and again: a crash in native "
            "code, os._exit, a limit of time, or a kill from outside (by hand, or for want of memory). Once more: "
            f"s5eval run --resume {shlex.quote(str(self._path.parent))} --retry-given-up"
        )

    def survived(self, mixture_id: str) -> None:
        """A mixture has an outcome: what happened before does not count any more."""
        self._deaths.pop(mixture_id, None)

    @contextmanager
    def working_on(self, ids: Sequence[str]) -> Iterator[None]:
        """Mark mixtures as under way, and watch the time.

        Raises:
            OverTime: from within the block, when it takes too long.
        """
        self._write(ids)
        if self._timeout is None:
            yield
            return
        limit = self._timeout * len(ids)
        self._tell({"after": limit + max(2.0, limit), "limit": limit, "ids": list(ids)})
        try:
            with alarm(limit):
                yield
        finally:
            self._tell(None)

    def close(self) -> None:
        """The process comes to its end: nothing is under way any more."""
        if self._watchdog is not None and self._watchdog.stdin is not None:
            with contextlib.suppress(OSError):
                self._watchdog.stdin.close()
            self._watchdog.wait(timeout=10)
            self._watchdog = None
        if self._deaths:
            self._write(())
        else:
            self._path.unlink(missing_ok=True)
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, ids: Sequence[str]) -> None:
        content = json.dumps({"under_way": list(ids), "deaths": self._deaths}).encode()
        with contextlib.suppress(OSError):  # a full disk is told by what matters more
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
                self._size = os.fstat(self._file).st_size
            # Over what is there, with blanks behind: a file that is cut and written again is flushed by some systems.
            self._size = max(self._size, len(content))
            os.pwrite(self._file, content.ljust(self._size), 0)

    def _tell(self, task: dict[str, Any] | None) -> None:
        if self._watchdog is None:
            script = Path(__file__).with_name("watchdog.py")
            self._watchdog = subprocess.Popen(
                [sys.executable, "-I", "-S", str(script), str(self._path)],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True,
            )  # fmt: skip
        if self._watchdog.stdin is not None:
            with contextlib.suppress(OSError):
                self._watchdog.stdin.write(json.dumps(task) + "\n")
                self._watchdog.stdin.flush()


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise `OverTime` in the block after so long, where the system has alarms and this is the main thread."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise OverTime(f"it took more than {seconds:g} s (mixture_timeout)")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class TimeLimit:
    """A guard for a worker: keeps the limit of time, and ends the process where it must; deaths are its driver's."""

    def __init__(self, timeout: float | None) -> None:
        """Take the seconds that a mixture may take; None: any."""
        self._timeout = timeout

    def alone(self, mixture_id: str) -> bool:
        """No: the driver has chosen what is worked on together."""
        return False

    @contextmanager
    def working_on(self, ids: Sequence[str]) -> Iterator[None]:
        """Watch the time.

        Raises:
            OverTime: from within the block, when it takes too long.
        """
        if self._timeout is None:
            yield
            return
        limit = self._timeout * len(ids)
        faulthandler.dump_traceback_later(last_moment(limit), exit=True, file=2)  # needs no lock of Python's
        try:
            with alarm(limit):
                yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def _read(path: Path) -> dict[str, Any]:
    try:
        marks: dict[str, Any] = read_json(path, what="the marks of a run")
        check_shape(marks, _SHAPE, str(path), "")
    except (FileNotFoundError, DataError):  # cut by a crash: as good as none
        return {"under_way": [], "deaths": {}}
    return marks
