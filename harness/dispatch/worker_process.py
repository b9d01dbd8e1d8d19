"""A worker as a process of its own: gets its job and tasks through a pipe, answers, and dies with its driver."""

import contextlib
import ctypes
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from s5eval.data_manifests.common.errors import DataError, S5Error, UsageError

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_GONE = (EOFError, BrokenPipeError, ConnectionResetError)  # what a pipe says whose other end is


def main(descriptor: int, parent: int, place: int) -> None:
    """Work until the pipe ends.

    Args:
        descriptor: of the pipe; standard input is a second one, on which nothing ever comes but its end.
        parent: process id of the driver.
        place: the worker's number.
    """
    _die_with(parent)
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal and a batch system tell all processes; the driver acts
        signal.signal(number, _left_to_the_driver)
    os.set_inheritable(descriptor, False)
    pipe = Connection(descriptor)
    with contextlib.suppress(*_GONE):
        _work(pipe, place)


def _work(pipe: Connection, place: int) -> None:
    records = collect_log()
    job = pipe.recv()
    try:
        with _with_words():
            work = job.begin(place)
    except S5Error as error:
        pipe.send(("refused", portable(error), records()))
        return
    pipe.send(("ready", work.facts, records()))
    while (message := pipe.recv()) is not None:
        task, sent = message
        with _with_words():
            answer = work.do(task, sent)
        pipe.send(("answered", answer, records()))


@contextlib.contextmanager
def _with_words() -> Iterator[None]:
    """What a job raises as an ended pipe does, such as over a file that is cut off, ends no worker without a word."""
    try:
        yield
    except _GONE as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


def _left_to_the_driver(number: int, frame: FrameType | None) -> None:
    """Nothing. A handler rather than SIG_IGN, which processes that a system starts would inherit."""


def _die_with(parent: int) -> None:
    """End when the driver does, however that ends: told by the system where it can, else by the end of the input."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_watch_input, daemon=True).start()


def _watch_input() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    os._exit(1)


def portable(error: S5Error) -> S5Error:
    """The error as one that can be pickled and that the driver knows: of its exit code, with its text alone."""
    kinds = {UsageError.exit_code: UsageError, DataError.exit_code: DataError}
    return kinds.get(error.exit_code, S5Error)(str(error))


LogEntry = tuple[str, int, str]
"""Of a log: the logger's name, the level, the text."""


def collect_log() -> Any:
    """Keep what is logged in this process; the function returned takes what there is since the last call."""
    kept: list[LogEntry] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append((record.name, record.levelno, self.format(record)))

    logger = logging.getLogger("s5eval")
    logger.addHandler(Keep())
    logger.setLevel(logging.INFO)
    logger.propagate = False

    def take() -> list[LogEntry]:
        taken, kept[:] = list(kept), []
        return taken

    return take


def log_again(records: list[LogEntry]) -> None:
    """Log in the driver what a worker has logged."""
    for name, level, text in records:
        logging.getLogger(name).log(level, "%s", text)
