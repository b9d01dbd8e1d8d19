"""A crew of Ray actors, one stateful actor per worker. The only file that imports Ray."""

import contextlib
import importlib
import logging
import os
import re
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import DataError, S5Error, UsageError
from s5eval.harness.dispatch.cluster import find_cluster
from s5eval.harness.dispatch.crew import Answered, Ended, Event, Job, Ready, Refused
from s5eval.harness.dispatch.processes import LAST_LINES, quiet_threads
from s5eval.harness.dispatch.queue import Task
from s5eval.harness.dispatch.worker_process import collect_log, log_again, portable

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # its way from 2.53 on; silences a warning

try:
    import ray
    from ray.exceptions import ActorUnavailableError, AuthenticationError, RayActorError, RayError, RayTaskError
except ImportError as missing:
    raise UsageError("`engine` ray needs Ray: python -m pip install 's5eval[ray]'") from missing

GcsClient = importlib.import_module("ray._raylet").GcsClient  # which its stubs do not name

log = logging.getLogger("s5eval.run")

_NAME = "s5eval"  # of the namespace
_SECONDS_TO_LOOK = 5.0  # within which the cluster has to say which nodes are alive

_PLACING = 600.0  # seconds without any worker after which a run gives up: systems may take minutes to load
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ALIVE = 0  # a node's state, as the cluster counts


def check_cluster(address: str | None) -> None:
    """Find out whether a cluster can be talked to, before anything is begun. Raises as `RayCrew` does."""
    found = find_cluster(address)
    with _quiet():
        _check_token(found)


class Remote:
    """What runs in an actor: a job, begun and asked as a process would be."""

    def begin(self, job: Job, place: int, path: Sequence[str], threads: int | None) -> tuple[str, Any, Any]:
        """Begin the job; the driver's Python path is searched after the node's own."""
        os.environ.update(quiet_threads(threads, os.environ))
        sys.path += [entry for entry in path if entry and entry not in sys.path]
        self._records = collect_log()
        try:
            self._work = job.begin(place)
        except S5Error as error:
            return "refused", portable(error), self._records()
        return "ready", self._work.facts, self._records()

    def where(self) -> tuple[str, int]:
        """The id of the node, and the process."""
        return ray.get_runtime_context().get_node_id(), os.getpid()

    def do(self, task: Task, sent: Any) -> tuple[str, Any, Any]:
        """The answer to a task."""
        answer = self._work.do(task, sent)
        return "answered", answer, self._records()


@dataclass(slots=True)
class _Worker:
    actor: Any
    where: Any
    pending: deque[Any] = field(default_factory=deque)
    node: str = ""
    words: str = ""  # said when the connection to it was lost
    name: str = ""


class RayCrew:
    """Implements `Crew`. Ray restarts and retries nothing: who is tried again is for the queue to say."""

    def __init__(self, job: Job, size: int, *, address: str | None, gpus: float, threads: int | None = None) -> None:
        """Connect to the cluster, quietly.

        Args:
            job: what every worker is told.
            size: how many at once.
            address: of the cluster; None: `auto`.
            gpus: that each actor reserves.
            threads: of torch and BLAS in each; None: as Ray chooses.

        Raises:
            UsageError, DataError: see `find_cluster`; also a wrong token, and too little in the cluster.
        """
        self.size = size
        self._threads = threads
        self._address = find_cluster(address)
        _keep_off_the_terminal()
        try:
            with _quiet():
                _check_token(self._address)
                ray.init(
                    address=self._address, namespace=_NAME, log_to_driver=False, configure_logging=False,
                    logging_level=logging.ERROR,
                )  # fmt: skip
        except (RayError, ConnectionError, RuntimeError, ValueError) as error:
            raise DataError(
                f"the Ray cluster at {self._address} cannot be joined: {_first_line(error)}; the driver has to run on "
                "one of its machines (`ray start --address ...` makes this one of them)"
            ) from error
        self._agent = ray._private.worker.global_worker.node.raylet_socket_name
        nodes = [node for node in ray.nodes() if node["Alive"]]
        self.homes: Sequence[str] = sorted(node["NodeID"] for node in nodes)
        total = ray.cluster_resources()
        for resource, wanted in (("CPU", size), ("GPU", size * gpus)):
            if total.get(resource, 0) < wanted:
                held = f"{total.get(resource, 0):g} {resource}s, and {size} workers need {wanted:g}"
                self.close()
                raise UsageError(f"the Ray cluster at {self._address} has {held}; ask for fewer `workers`")
        options = {"num_cpus": 1, "num_gpus": gpus, "max_restarts": 0, "max_task_retries": 0}
        self._kind = ray.remote(Remote).options(scheduling_strategy="SPREAD", **options)
        self._job = ray.put(job)
        self._workers: dict[int, _Worker] = {}
        self._names: dict[int, str] = {}
        self._placed = time.monotonic()  # when a worker was last known to stand somewhere

    def home(self, place: int) -> str:
        """The id of the worker's node."""
        return self._workers[place].node if place in self._workers else ""

    def start(self, place: int) -> None:
        """Ask the cluster for an actor, and tell it the job."""
        actor = self._kind.remote()
        where = actor.where.remote()
        began = actor.begin.remote(self._job, place, sys.path, self._threads)
        self._workers[place] = _Worker(actor, where, deque([began]))
        self._names[place] = f"worker {place + 1} (Ray)"

    def send(self, place: int, task: Task, sent: Any) -> None:
        """Give an actor a task."""
        if (worker := self._workers.get(place)) is not None:
            worker.pending.append(worker.actor.do.remote(task, sent))

    def wait(self, seconds: float) -> Sequence[Event]:
        """What has happened."""
        fronts = {worker.pending[0]: place for place, worker in self._workers.items() if worker.pending}
        if not fronts:
            time.sleep(min(seconds, 0.1))
            return ()
        ready, _ = ray.wait(list(fronts), num_returns=len(fronts), timeout=0)
        if not ready:
            ready, _ = ray.wait(list(fronts), num_returns=1, timeout=seconds)
        if ready:
            self._placed = time.monotonic()
        else:
            self._check_agent()
            self._check_placed()
        return [event for reference in ready if (event := self._event(fronts[reference])) is not None]

    def stop(self, place: int) -> None:
        """Kill an actor."""
        if (worker := self._workers.pop(place, None)) is not None:
            with contextlib.suppress(RayError):
                ray.kill(worker.actor, no_restart=True)

    def name(self, place: int) -> str:
        """`worker 2 (process 4711 on node 8a7fd09c)`."""
        return self._names[place]

    def close(self, *, patience: float = 0.0) -> None:
        """Kill all actors and leave the cluster."""
        for place in list(getattr(self, "_workers", ())):
            self.stop(place)
        ray.shutdown()

    def _event(self, place: int) -> Event | None:
        worker = self._workers[place]
        try:
            kind, value, records = _three(ray.get(worker.pending.popleft()))
            if kind == "ready":
                worker.node, process = ray.get(worker.where)
                self._names[place] = f"worker {place + 1} (process {process} on node {worker.node[:8]})"
        except ActorUnavailableError as error:
            self._check_agent()
            # The connection is gone, with the worker or its node: the cluster finds out which, and the next call tells.
            worker.words = worker.words or _first_line(error)
            worker.pending = deque([worker.actor.where.remote()])
            return None
        except RayError as error:
            return self._buried(place, worker, error)
        if worker.words:  # back again, and what it was at is lost
            self.stop(place)
            return Ended(place, worker.words, blame=False)
        log_again(records)
        if kind == "ready":
            return Ready(place, value)
        return Refused(place, value) if kind == "refused" else Answered(place, value)

    def _buried(self, place: int, worker: _Worker, error: RayError) -> Ended:
        lost = isinstance(error, RayActorError) and self._is_lost(worker.node)
        self.stop(place)
        if lost:
            return Ended(place, f"its node {worker.node[:8]} was lost", blame=False)
        return Ended(place, _last_words(error))

    def _check_agent(self) -> None:
        """Raise `DataError` where Ray's agent of this machine is gone: Ray would end this process without a word."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self._agent)
            except OSError as error:
                raise DataError(
                    "Ray's agent on this machine (the raylet) has died; what is done stands. Start Ray again, then "
                    "go on with `go_on=True`"
                ) from error

    def _check_placed(self) -> None:
        """Raise `DataError` where the cluster has had no room for any worker for long."""
        if any(worker.node for worker in self._workers.values()):
            self._placed = time.monotonic()
        elif time.monotonic() - self._placed > _PLACING:
            raise DataError(
                f"no worker has begun on the Ray cluster at {self._address} for {_PLACING / 60:g} minutes: its nodes "
                "are busy or gone (`ray status`)"
            )

    def _is_lost(self, node: str) -> bool:
        """Whether a node is known to be gone; of a worker that never said where it is, no."""
        if not node:
            return False
        client = GcsClient(address=self._address)
        alive = {
            id_.hex()
            for id_, info in client.get_all_node_info(timeout=_SECONDS_TO_LOOK).items()
            if info.state == _ALIVE
        }
        return node not in alive


def _three(value: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    """The answer of an actor; of `where`, which is asked once its connection was lost, only that there is one."""
    return value if len(value) == 3 else ("back", None, ())


def _keep_off_the_terminal() -> None:
    """What Ray prints of dead workers and nodes goes to the log; there is no option for it."""
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    if hasattr(ray._private.worker, "print_to_stdstream"):

        def to_log(data: dict[str, Any], *rest: Any, **options: Any) -> None:
            log.info("Ray: %s", " ".join(map(str, data.get("lines", ()))))

        ray._private.worker.print_to_stdstream = to_log


@contextmanager
def _quiet() -> Iterator[None]:
    """While the block runs, what native code writes to standard error goes nowhere."""
    with Path(os.devnull).open("wb") as nowhere:
        kept = os.dup(2)
        try:
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _check_token(address: str) -> None:
    """Raises `UsageError` where the cluster does not take the token."""
    try:
        GcsClient(address=address)
    except AuthenticationError as error:
        raise UsageError(
            f"the Ray cluster at {address} does not take this token: RAY_AUTH_TOKEN (or the file RAY_AUTH_TOKEN_PATH, "
            "or ~/.ray/auth_token) has to be the one it was started with, and RAY_AUTH_MODE=token be set"
        ) from error
    except Exception as error:  # whatever else answers at that port
        raise DataError(f"what answers at {address} is no Ray cluster: {_first_line(error)}") from error


def _last_words(error: RayError) -> str:
    """Why a worker has ended: of what was raised in it, the end of the traceback, where the reason stands."""
    if not isinstance(error, RayTaskError):
        return _first_line(error)
    lines = [line.strip() for line in _COLOUR.sub("", str(error)).splitlines() if line.strip()]
    return " | ".join(lines[-LAST_LINES:])


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
