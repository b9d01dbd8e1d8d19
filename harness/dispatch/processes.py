"""A crew of processes on this machine: spawned, a pipe each, of the standard library alone."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import IO, Any

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.harness.dispatch.crew import Answered, Ended, Event, Job, Ready, Refused
from s5eval.harness.dispatch.queue import Task
from s5eval.harness.dispatch.worker_process import log_again

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from s5eval.harness.dispatch.worker_process import main; main(*map(int, sys.argv[2:]))"
)
LAST_LINES = 6
"""So many lines of what a dead worker has printed, or of its traceback, are quoted."""

_LAST = 5.0  # seconds in which a worker whose pipe has ended may end by itself
_LINE = 300  # characters of a line that are kept


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    life: IO[bytes]  # its standard input: ends when the driver does
    output: IO[bytes]
    pipe: Connection
    printed: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    rest: bytes = b""

    def close(self) -> None:
        for end in (self.pipe, self.life, self.output):
            end.close()


class Processes:
    """Implements `Crew`.

    Workers are in sessions of their own, so that Ctrl-C reaches the driver alone, which ends them; and they end when
    the driver does, however it ends. What they print becomes lines for `heard`.
    """

    def __init__(
        self,
        job: Job,
        size: int,
        *,
        folder: Path,
        threads: int | None = None,
        heard: Callable[[str, str], None] = lambda name, line: None,
    ) -> None:
        """Start nothing yet.

        Args:
            job: what every worker is told.
            size: how many at once.
            folder: where they are at work, as the driver was when it was called.
            threads: of torch and BLAS in each, unless the environment says it; None: as they choose.
            heard: is told the name of a worker and a line that it has printed.
        """
        if os.name != "posix":
            raise UsageError("`workers` needs a POSIX system (Linux, macOS); leave it out")
        self.size = size
        self._job, self._folder, self._heard = job, folder, heard
        self._environment = {**os.environ, **quiet_threads(threads, os.environ)}
        self._workers: dict[int, _Worker] = {}
        self._names: dict[int, str] = {}

    def start(self, place: int) -> None:
        """Spawn a process, and tell it the job. Raises `DataError` where the machine has no room for another."""
        try:
            process, ours = self._spawn(place)
        except OSError as error:
            raise DataError(
                f"worker {place + 1} of {self.size} cannot be started: {error.strerror or error}; ask for fewer "
                "`workers`, or have the limits of this machine raised (`ulimit -n`, `ulimit -u`)"
            ) from error
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a process was started with pipes, and has none")
        os.set_blocking(process.stdout.fileno(), False)
        self._workers[place] = _Worker(process, process.stdin, process.stdout, ours)
        self._names[place] = f"worker {place + 1} (process {process.pid})"
        self._tell(place, self._job)

    def _spawn(self, place: int) -> tuple[subprocess.Popen[bytes], Connection]:
        ours, theirs = Pipe()
        with theirs:
            told = (str(number) for number in (theirs.fileno(), os.getpid(), place))
            try:
                process = subprocess.Popen(
                    [sys.executable, "-c", _BOOT, json.dumps(sys.path), *told],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=[theirs.fileno()],
                    start_new_session=True, env=self._environment, cwd=self._folder,
                )  # fmt: skip
            except OSError:
                ours.close()
                raise
        return process, ours

    @property
    def homes(self) -> Sequence[str]:
        """None: all are on this machine."""
        return ()

    def home(self, place: int) -> str:
        """Nothing to tell."""
        return ""

    def send(self, place: int, task: Task, sent: Any) -> None:
        """Give a worker a task."""
        self._tell(place, (task, sent))

    def wait(self, seconds: float) -> Sequence[Event]:
        """What has happened, in order; what a worker said before it died comes before its end."""
        pipes = [worker.pipe for worker in self._workers.values()]
        outputs = [worker.output.fileno() for worker in self._workers.values() if not worker.output.closed]
        ready = wait([*pipes, *outputs], seconds)
        for place, worker in self._workers.items():
            self._listen(place, worker)
        events: list[Event] = []
        for place, worker in list(self._workers.items()):
            if worker.pipe in ready or worker.process.poll() is not None:
                events += self._read(place, worker)
        return events

    def stop(self, place: int) -> None:
        """Kill a worker and what it has started."""
        if (worker := self._workers.pop(place, None)) is not None:
            with contextlib.suppress(OSError):
                os.killpg(worker.process.pid, signal.SIGKILL)
            worker.process.wait()
            self._listen(place, worker)
            self._hear(place, worker, b"\n")  # a line that it did not come to the end of is its last
            worker.close()

    def name(self, place: int) -> str:
        """`worker 2 (process 4711)`."""
        return self._names[place]

    def close(self, *, patience: float = 0.0) -> None:
        """Let workers that are idle end by themselves for so many seconds, and kill those that are left."""
        for worker in self._workers.values():
            worker.pipe.close()  # the end of its work
        until = time.monotonic() + patience
        for worker in self._workers.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.0, until - time.monotonic()))
        for place in list(self._workers):
            self.stop(place)

    def _tell(self, place: int, message: object) -> None:
        with contextlib.suppress(OSError):  # it has died: its end is told by `wait`
            if (worker := self._workers.get(place)) is not None:
                worker.pipe.send(message)

    def _read(self, place: int, worker: _Worker) -> list[Event]:
        events: list[Event] = []
        ended = worker.process.poll() is not None  # asked first: what it has said by then is in the pipe
        try:
            while worker.pipe.poll():
                events.append(_event(place, worker.pipe.recv()))
            if not ended:
                return events
        except (EOFError, OSError):  # its pipe ends before it does: killed now, it could not say how
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(_LAST)
        self.stop(place)
        if not any(isinstance(event, Refused) for event in events):
            events.append(Ended(place, _last_words(worker)))
        return events

    def _listen(self, place: int, worker: _Worker) -> None:
        """Take what a worker has printed."""
        while not worker.output.closed:
            try:
                chunk = os.read(worker.output.fileno(), 1 << 16)
            except OSError:  # nothing to read now
                return
            self._hear(place, worker, chunk)
            if not chunk:
                worker.output.close()

    def _hear(self, place: int, worker: _Worker, chunk: bytes) -> None:
        *lines, rest = (worker.rest + chunk).replace(b"\r", b"\n").split(b"\n")
        worker.rest = rest[: 4 * _LINE]  # a character has four bytes at most, and the line may never end
        for line in filter(None, lines):
            text = line.decode("utf-8", "replace")[:_LINE]
            worker.printed.append(text)
            self._heard(self._names[place], text)


def quiet_threads(threads: int | None, environment: Mapping[str, str]) -> dict[str, str]:
    """Environment for a worker beside others: threads that wait asleep, and no more than its share of them.

    Threads that spin at barriers, as OpenMP's do by default, cost several times the time where cores are shared.
    What the environment says already stays; who says it for OpenMP says it for MKL, which asks there next.
    """
    wanted = {"OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1"}
    if threads is not None and "OMP_NUM_THREADS" not in environment:
        wanted |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    return {name: value for name, value in wanted.items() if name not in environment}


def _event(place: int, message: tuple[str, Any, Any]) -> Event:
    kind, value, records = message
    log_again(records)
    if kind == "ready":
        return Ready(place, value)
    return Refused(place, value) if kind == "refused" else Answered(place, value)


def _last_words(worker: _Worker) -> str:
    code = worker.process.returncode
    how = f"exit code {code}"
    if code < 0:
        name = next((f" ({known.name})" for known in signal.Signals if known == -code), "")  # not all have one
        how = f"signal {-code}{name}"
        how += ", as when memory runs out" if -code == signal.SIGKILL else ""
    return f"{how}; {' | '.join(worker.printed)}" if worker.printed else how
