"""What the queue's driver and the two kinds of crews agree on: jobs, events, and the crew itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from s5eval.data_manifests.common.errors import S5Error
from s5eval.harness.dispatch.queue import Task


class Work(Protocol):
    """A job that a worker has begun: what it needs is built, and it waits for tasks."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the worker says of itself before it gets a task; the driver decides whether it will do.

        With `send` true, every task comes with what it is about: the worker's machine does not see the data.
        """
        ...

    def do(self, task: Task, sent: Any) -> Any:
        """The answer to a task. `sent` is what came with it, where the worker's facts ask for it; else None."""
        ...


class Job(Protocol):
    """What a worker is told when it starts. Can be pickled."""

    def begin(self, place: int) -> Work:
        """Build what is needed, in the worker; `place` is its number from 0.

        Raises:
            S5Error: it cannot be done here; the driver ends with this error, and names the worker.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has begun; `facts` is what it says of itself."""

    place: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """A worker says why it cannot do the job."""

    place: int
    error: S5Error


@dataclass(frozen=True, slots=True)
class Answered:
    """A worker has answered the task that it was sent first."""

    place: int
    value: Any


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker has died.

    Attributes:
        place: its number.
        words: what is known of why: a signal or exit code, and the last it printed.
        blame: False: its node was lost, and with it the worker.
    """

    place: int
    words: str
    blame: bool = True


Event = Ready | Refused | Answered | Ended


class Crew(Protocol):
    """Workers of one kind, each at a numbered place. Retries nothing: who is tried again is for the queue to say."""

    size: int

    @property
    def homes(self) -> Sequence[str]:
        """The machines that workers may stand on, where results are kept per machine; empty: one, or it is the same."""
        ...

    def home(self, place: int) -> str:
        """The machine of a worker that is ready; empty where `homes` is."""
        ...

    def start(self, place: int) -> None:
        """Have a worker take a place; returns at once, and `Ready`, `Refused` or `Ended` follows."""
        ...

    def send(self, place: int, task: Task, sent: Any) -> None:
        """Give a worker a task, and what comes with it. It answers in order; its end, if it is dead, `wait` tells."""
        ...

    def wait(self, seconds: float) -> Sequence[Event]:
        """What has happened, as soon as something has; empty after so long."""
        ...

    def stop(self, place: int) -> None:
        """End a worker at once; no event follows."""
        ...

    def name(self, place: int) -> str:
        """What to call a worker in messages."""
        ...

    def close(self, *, patience: float = 0.0) -> None:
        """End all workers and leave nothing running: idle ones may end by themselves for so many seconds."""
        ...
