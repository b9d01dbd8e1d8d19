"""A crew without processes: its workers begin, answer and die by a seeded chance."""

import dataclasses
import random
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from s5eval.harness.dispatch.crew import Answered, Ended, Event, Ready
from s5eval.harness.dispatch.driver import Answer
from s5eval.harness.dispatch.queue import Task


@dataclasses.dataclass
class Worker:
    ready: bool = False
    held: deque[Task] = dataclasses.field(default_factory=deque)


class FakeCrew:
    """Does what a seeded chance decides: begins, answers, dies at a task, dies beforehand, is lost with its node."""

    def __init__(
        self, size: int, seed: int = 0, *, poison: frozenset[str] = frozenset(), death: float = 0.0, node: float = 0.0
    ) -> None:
        self.size, self.rng, self.poison, self.death, self.node = size, random.Random(seed), poison, death, node
        self.workers: dict[int, Worker] = {}
        self.begun: Counter[str] = Counter()
        self.deaths = self.lost = 0
        self.most_held = 0
        self.closed = False

    def start(self, place: int) -> None:
        assert place not in self.workers, "a place has one worker"
        self.workers[place] = Worker()

    homes: Sequence[str] = ()

    def home(self, place: int) -> str:
        return self.homes[place % len(self.homes)]

    def send(self, place: int, task: Task, sent: Any) -> None:
        worker = self.workers[place]
        assert worker.ready
        worker.held.append(task)
        self.most_held = max(self.most_held, len(worker.held))
        if len(worker.held) == 1:
            self.begun.update(task)

    def wait(self, seconds: float) -> Sequence[Event]:
        place = self.rng.choice(sorted(self.workers))
        worker, chance = self.workers[place], self.rng.random()
        if chance < self.node:
            self.lost += 1
            return [self._end(place, blame=False)]
        if (worker.held and self.poison & set(worker.held[0])) or chance < self.node + self.death:
            self.deaths += 1
            return [self._end(place, blame=True)]
        if not worker.ready:
            worker.ready = True
            return [Ready(place, {"place": place})]
        if not worker.held:
            return []
        task = worker.held.popleft()
        if worker.held:
            self.begun.update(worker.held[0])
        return [Answered(place, task)]

    def _end(self, place: int, *, blame: bool) -> Ended:
        del self.workers[place]
        return Ended(place, "signal 9", blame)

    def stop(self, place: int) -> None:
        self.workers.pop(place, None)

    def name(self, place: int) -> str:
        return f"worker {place + 1}"

    def close(self, *, patience: float = 0.0) -> None:
        self.closed = True


def tasks_of(count: int, size: int = 1) -> list[Task]:
    ids = [f"m_{k}" for k in range(count)]
    return [tuple(ids[k : k + size]) for k in range(0, count, size)]


def answered(answers: list[Answer]) -> Counter[str]:
    return Counter(id_ for answer in answers for id_ in answer.task)
