"""How worker processes begin: without the program that asks for them; and that they end with it, and only with it."""

import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType

from s5eval.data_manifests.common.memory import keep_freed_memory


def begin_worker() -> None:
    """For the initializer of a pool, or `worker_init_fn` of a loader; does nothing in a process that is no worker.

    A terminal sends Ctrl-C and its own end to every process of its group: the parent decides what becomes of them, so
    workers pass these over. SIGTERM ends a worker: by it a pool ends the others when one has died, and waits for them.
    A parent that is killed can decide nothing: a worker notices that it is gone, by the pipe that the system closes,
    and ends at once, rather than hold the terminal's pipe for ever.
    """
    keep_freed_memory()
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


class _Worker(SpawnProcess):
    """A spawned process that does not run the program of its parent again."""

    def start(self) -> None:
        """Start, while it looks as if there were no program to run."""
        with _HIDING:
            program = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                super().start()
            finally:
                sys.modules["__main__"] = program


_HIDING = threading.Lock()


class WorkerContext(SpawnContext):
    """Spawned processes for work of s5eval's own; nothing that they are given may be defined in the program itself.

    Python's own run the program from its first line once more, which ends in `RuntimeError` where that does not say
    `if __name__ == "__main__":`, and cannot be done at all where it came from standard input. A few lines of Python
    that ask for data need neither.
    """

    Process = _Worker


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
