"""The queue: which worker gets which task, and what follows from a worker's death. Knows no process and no clock.

A worker holds two tasks at most: the one at its front is running, the other waits, so that no worker idles while its
answer is on the way. When a worker dies, the task at its front is blamed, and nothing else; when its node is lost,
nobody is. Blamed tasks are tried again after all others and alone, with nothing waiting behind them.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

Task = tuple[str, ...]
"""The ids of what is worked on together: one, or a batch."""

DEATHS = 3
"""So many workers a task may end before it is given up; so many in succession a place may lose without a result."""

_HELD = 2
_LOOKED_AT = 200  # tasks from the front among which a worker's own are looked for


@dataclass(frozen=True, slots=True)
class Consequence:
    """What follows from the loss of a worker.

    Attributes:
        given_up: the task that has now ended too many workers, and counts as answered; None: none has.
        replace: another worker is to take its place.
    """

    given_up: Task | None
    replace: bool


@dataclass(slots=True)
class _Place:
    """Where one worker after the other stands."""

    held: deque[Task] = field(default_factory=deque)
    ready: bool = False
    proven: bool = False
    barren: int = 0
    closed: bool = False

    def vacate(self) -> None:
        """Forget a worker: what it has proven says nothing of the next one, which may end before it is ready."""
        self.held.clear()
        self.ready = self.proven = False


class Queue:
    """Every task is answered once: with a result, or by being given up.

    >>> queue = Queue([("a",), ("b",)], places=1)
    >>> queue.ready(0)
    >>> queue.give(0), queue.give(0), queue.give(0)
    (('a',), ('b',), None)
    >>> queue.finished(0), queue.finished(0), queue.open
    (('a',), ('b',), False)
    """

    def __init__(self, tasks: Iterable[Task], *, places: int, suspects: Iterable[Task] = ()) -> None:
        """Take the tasks in order.

        Args:
            tasks: in order; all ids are different.
            places: how many workers there are to be at once.
            suspects: tasks that are tried after the others and alone, because an earlier process ended during them.
        """
        self._fresh = deque(tasks)
        self._suspects = deque(suspects)
        self._alone = set(self._suspects)
        self._left = len(self._fresh) + len(self._suspects)
        self._deaths: dict[Task, int] = {}
        self._places = [_Place() for _ in range(places)]
        self._any_result = False

    @property
    def open(self) -> bool:
        """Whether a task is not answered yet."""
        return self._left > 0

    @property
    def stuck(self) -> bool:
        """Whether tasks are left, and no place that a worker could take."""
        return self.open and all(place.closed for place in self._places)

    def front(self, place: int) -> Task | None:
        """The task that the worker is at; None: none."""
        held = self._places[place].held
        return held[0] if held else None

    def ready(self, place: int) -> None:
        """A worker has taken its place, and can be given tasks."""
        self._places[place].ready = True

    def give(self, place: int, likes: Callable[[Task], bool] | None = None) -> Task | None:
        """The next task for a worker; None: it has enough, or nothing is left to hand out.

        Args:
            place: the worker's.
            likes: which tasks are rather its than others'; it gets any where there is none of these.
        """
        taken = self._places[place]
        if not taken.ready or len(taken.held) >= _HELD:
            return None
        source = self._fresh
        if not taken.held:
            source = self._fresh or self._suspects
        elif taken.held[0] in self._alone or len(self._fresh) < self._workers():
            return None  # what waited behind the last tasks of others would be done sooner by whoever is free
        if not source:
            return None
        chosen = 0
        if likes is not None:
            chosen = next((k for k, task in enumerate(islice(source, _LOOKED_AT)) if likes(task)), 0)
        task = source[chosen]
        del source[chosen]
        taken.held.append(task)
        return task

    def finished(self, place: int) -> Task:
        """A worker has answered the task at its front, which is returned."""
        taken = self._places[place]
        taken.proven, taken.barren = True, 0
        self._any_result = True
        self._left -= 1
        return taken.held.popleft()

    def drop(self, place: int) -> Task:
        """The task at a worker's front is given up, and the worker ended; what waited behind it is handed out again."""
        taken = self._places[place]
        task = taken.held.popleft()
        self._left -= 1
        self._return(place)
        return task

    def lost(self, place: int, *, blame: bool = True) -> Consequence:
        """A worker has died.

        Args:
            place: where it stood.
            blame: False: its node was lost, which is nobody's doing.
        """
        taken = self._places[place]
        if not blame:
            self._return(place)
            return Consequence(None, replace=True)
        front = taken.held.popleft() if taken.held else None
        given_up, first = None, False
        if front is not None and len(front) > 1:  # which one of them it was will show: none is blamed yet
            singles = [(id_,) for id_ in front]
            self._left += len(singles) - 1
            self._suspect(*singles)
            first = True
        elif front is not None:
            self._deaths[front] = self._deaths.get(front, 0) + 1
            first = self._deaths[front] == 1
            if self._deaths[front] >= DEATHS:
                given_up, self._left = front, self._left - 1
            else:
                self._suspect(front)
        self._suspect(*taken.held)  # an answer may die on its way with the worker: it waits behind nothing next time
        if taken.proven:
            taken.barren = 0
        elif front is None or (first and not self._any_result):
            taken.barren += 1
        taken.vacate()
        taken.closed = taken.barren >= DEATHS
        return Consequence(given_up, replace=not taken.closed)

    def _workers(self) -> int:
        return sum(place.ready for place in self._places)

    def _suspect(self, *tasks: Task) -> None:
        self._suspects.extend(tasks)
        self._alone.update(tasks)

    def _return(self, place: int) -> None:
        """What a place holds goes back to where it came from."""
        taken = self._places[place]
        for task in reversed(taken.held):
            (self._suspects if task in self._alone else self._fresh).appendleft(task)
        taken.vacate()
