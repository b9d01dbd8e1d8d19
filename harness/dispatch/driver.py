"""Drives a queue through a crew: starts and replaces workers, hands out tasks, keeps the limit of time."""

import logging
import time
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from s5eval.data_manifests.common.errors import S5Error
from s5eval.harness.dispatch.crew import Answered, Crew, Ended, Event, Ready, Refused
from s5eval.harness.dispatch.queue import DEATHS, Queue, Task

log = logging.getLogger("s5eval.run")

_LOOK = 1.0  # seconds at most between two looks at the clock
_PATIENCE = 5.0  # seconds in which a worker that has nothing left to do may end by itself


class WorkersError(S5Error):
    """No worker can be kept alive: the run ends, with the last words of one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a task: its value, or why it was given up."""

    task: Task
    value: Any = None
    given_up: str | None = None


def dispatch(
    queue: Queue,
    crew: Crew,
    *,
    admit: Callable[[str, Mapping[str, Any]], None] = lambda name, facts: None,
    pack: Callable[[Task], Any] = lambda task: None,
    limit: float | None = None,
) -> Generator[Answer, None, None]:
    """Answers of all tasks, as they come; the crew is closed at the end, whatever that is.

    Args:
        queue: the tasks, with as many places as the crew has.
        crew: who does them.
        admit: is told the name of every worker that begins and what it says of itself; raises to refuse it.
        pack: what to send with a task to a worker whose facts ask for it (`send`).
        limit: seconds that one id of a task may take. Workers interrupt themselves, and where that does not help end
            at the `last_moment`: such a task is given up at once.

    Raises:
        WorkersError: workers die before their first answer, again and again.
        S5Error: a worker cannot begin, or is refused.
    """
    return _Drive(queue, crew, admit, pack, limit).answers()


def last_moment(limit: float) -> float:
    """Seconds after which a worker ends itself: what could be interrupted has been, when its limit was over."""
    return limit + max(2.0, limit)


class _Drive:
    def __init__(
        self,
        queue: Queue,
        crew: Crew,
        admit: Callable[[str, Mapping[str, Any]], None],
        pack: Callable[[Task], Any],
        limit: float | None,
    ) -> None:
        self._queue, self._crew, self._admit, self._pack, self._limit = queue, crew, admit, pack, limit
        self._blind: set[int] = set()  # places whose workers do not see the data
        self._since: dict[int, float] = {}  # place → when its worker came to the task at its front
        self._last_words = "no worker has said anything"

    def answers(self) -> Generator[Answer, None, None]:
        patience = 0.0
        try:
            for place in range(self._crew.size):
                self._crew.start(place)
            while self._queue.open:
                if self._queue.stuck:
                    raise WorkersError(
                        f"workers end before their first result, {DEATHS} in succession at every place; log.txt has "
                        f"more. The last one: {self._last_words}"
                    )
                answers = [answer for event in self._crew.wait(_LOOK) for answer in self._follow(event)]
                self._feed()  # after all that has happened: nothing is sent to a worker whose end is known
                yield from answers
            patience = _PATIENCE
        finally:
            self._crew.close(patience=patience)

    def _follow(self, event: Event) -> Iterator[Answer]:
        place = event.place
        match event:
            case Ready(facts=facts):
                self._admit(self._crew.name(place), facts)
                self._queue.ready(place)
                (self._blind.add if facts.get("send") else self._blind.discard)(place)
            case Refused(error=error):
                raise type(error)(f"{self._crew.name(place)}: {error}") from error
            case Answered(value=value):
                task = self._queue.finished(place)
                self._since[place] = time.monotonic()
                yield Answer(task, value)
            case Ended():
                yield from self._bury(event)

    def _bury(self, event: Ended) -> Iterator[Answer]:
        place, task = event.place, self._queue.front(event.place)
        name = self._crew.name(place)
        self._last_words = f"{name}: {event.words}"
        at = f" at {', '.join(task)}" if task else ""
        log.warning("%s ended%s: %s", name, at, event.words)
        replace = True
        if task is not None and event.blame and self._is_over_time(place, task):
            self._queue.drop(place)
            reason = f"it took more than {self._limit:g} s (mixture_timeout) and could not be interrupted"
            yield Answer(task, given_up=f"{task[0]}: {reason}; its worker was ended")
        else:
            verdict = self._queue.lost(place, blame=event.blame)
            replace = verdict.replace
            if verdict.given_up is not None:
                reason = f"it has ended {DEATHS} workers, the last with: {event.words}"
                yield Answer(verdict.given_up, given_up=f"{', '.join(verdict.given_up)}: {reason}")
        if replace and self._queue.open:
            self._crew.start(place)

    def _is_over_time(self, place: int, task: Task) -> bool:
        """Whether a worker has ended because its task took too long; of a batch, it will show by which one."""
        if self._limit is None or len(task) > 1:
            return False
        return time.monotonic() - self._since[place] >= last_moment(self._limit)

    def _feed(self) -> None:
        for place in range(self._crew.size):
            while (task := self._queue.give(place, self._likes(place))) is not None:
                if self._queue.front(place) is task:
                    self._since[place] = time.monotonic()
                self._crew.send(place, task, self._pack(task) if place in self._blind else None)

    def _likes(self, place: int) -> Callable[[Task], bool] | None:
        """Which tasks have results on a worker's machine, if any has: those that fall to it by their names."""
        homes = self._crew.homes
        if len(homes) < 2:
            return None
        mine = self._crew.home(place)
        return lambda task: max(homes, key=lambda home: zlib.crc32(f"{home} {task[0]}".encode())) == mine
