"""An interrupted training ends after the step under way, with a checkpoint: no step is lost, and none is half done."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")

_OF_CHILDREN = "SIGCHLD"
"""By its handler torch raises, wherever the program is, when a loader's process has died."""


@dataclass(slots=True)
class Stop:
    """Whether somebody has asked for the end."""

    asked: bool = False


@contextmanager
def stopping(say: Callable[[str], None] | None = None) -> Iterator[Stop]:
    """Take note of the first Ctrl-C, SIGTERM or SIGHUP within the block; a second one interrupts at once.

    One that is ignored, as behind `nohup`, stays ignored. Where the signals cannot be taken, as in another thread than
    the first, the block is interrupted as ever. A loader's processes are often sent the signal too, and SIGTERM ends
    them: once it has been noted, that does not break the step under way; whoever waits for the next batch is told.

    Args:
        say: is told that the step under way is ended first.
    """
    stop = Stop()
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    found: dict[int, Any] = {number: signal.getsignal(number) for number in numbers}
    # the system's own handler is none that Python could call: it would end a program that does not come by the command
    before = {number: handler for number, handler in found.items() if callable(handler) or handler is signal.SIG_DFL}
    of_children = getattr(signal, _OF_CHILDREN, None)

    def note(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True
        if of_children is not None and callable(handler := signal.getsignal(of_children)):
            before[of_children] = handler
            signal.signal(of_children, _pass_over)
        if say is not None:
            say("the step under way is ended and saved; once more ends at once")

    for number in before:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pass_over(number: int, frame: FrameType | None) -> None:
    pass
