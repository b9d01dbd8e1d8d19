"""What a worker process does at its start, so that it ends with its parent, and only with it."""

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait

from s5eval.data_manifests.common.memory import keep_freed_memory


def begin_worker() -> None:
    """For the initializer of a pool, or `worker_init_fn` of a loader; does nothing in a process that is no worker.

    A terminal sends Ctrl-C and its own end to every process of its group, a batch system SIGTERM: the parent decides
    what becomes of them, so workers pass these over. A parent that is killed can decide nothing: a worker notices
    that it is gone, by the pipe that the system closes, and ends at once, rather than hold the terminal's pipe for
    ever.
    """
    keep_freed_memory()
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
