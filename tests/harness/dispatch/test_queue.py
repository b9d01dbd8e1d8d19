"""The queue with a crew that dies at any moment: every task is answered once, and the right one is blamed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from fake_crew import FakeCrew, answered, tasks_of
from hypothesis import given, settings
from hypothesis import strategies as st

from s5eval.data_manifests.common.errors import DataError
from s5eval.harness.dispatch.crew import Event, Ready, Refused
from s5eval.harness.dispatch.driver import Answer, WorkersError, dispatch
from s5eval.harness.dispatch.queue import DEATHS, Queue, Task


@settings(deadline=None, max_examples=300)
@given(
    count=st.integers(0, 30),
    size=st.integers(1, 4),
    places=st.integers(1, 5),
    seed=st.integers(0, 2**32),
    poison=st.frozensets(st.integers(0, 29), max_size=4),
    death=st.sampled_from([0.0, 0.02, 0.2]),
    node=st.sampled_from([0.0, 0.05]),
)
def test_every_mixture_is_answered_once_whoever_dies_when(
    count: int, size: int, places: int, seed: int, poison: frozenset[int], death: float, node: float
) -> None:
    poisonous = frozenset(f"m_{k}" for k in poison if k < count)
    crew = FakeCrew(places, seed, poison=poisonous, death=death, node=node)
    tasks = tasks_of(count, size)
    answers: list[Answer] = []
    try:
        answers.extend(dispatch(Queue(tasks, places=places), crew))
    except WorkersError:
        assert crew.deaths >= DEATHS * places
    else:
        assert answered(answers) == Counter(f"m_{k}" for k in range(count))
    assert max(answered(answers).values(), default=1) == 1
    given_up = {id_ for answer in answers if answer.given_up for id_ in answer.task}
    assert given_up <= poisonous or death
    assert poisonous & {id_ for answer in answers if not answer.given_up for id_ in answer.task} == set()
    assert all(answer.value == answer.task for answer in answers if not answer.given_up)
    assert crew.most_held <= 2
    assert crew.closed


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**32), places=st.integers(1, 4))
def test_the_loss_of_nodes_blames_nobody(seed: int, places: int) -> None:
    crew = FakeCrew(places, seed, node=0.3)
    answers = list(dispatch(Queue(tasks_of(12), places=places), crew))
    assert not any(answer.given_up for answer in answers)
    assert answered(answers).total() == 12


@pytest.mark.parametrize("places", [1, 2, 4])
def test_only_the_mixture_at_the_front_of_a_dead_worker_is_blamed(places: int) -> None:
    crew = FakeCrew(places, poison=frozenset({"m_3"}))
    answers = list(dispatch(Queue(tasks_of(20), places=places), crew))
    assert [answer.task for answer in answers if answer.given_up] == [("m_3",)]
    assert crew.deaths == DEATHS
    assert "m_3: it has ended 3 workers, the last with: signal 9" in str(answers[-1].given_up)
    assert max(count for id_, count in crew.begun.items() if id_ != "m_3") == 1, "no other is begun twice"


def test_a_batch_that_kills_is_split_and_blames_the_one() -> None:
    crew = FakeCrew(2, poison=frozenset({"m_5"}))
    answers = list(dispatch(Queue(tasks_of(16, 4), places=2), crew))
    assert [answer.task for answer in answers if answer.given_up] == [("m_5",)]
    assert answered(answers).total() == 16


@pytest.mark.parametrize("places", [1, 3])
def test_workers_that_die_before_their_first_result_end_the_run_with_their_last_words(places: int) -> None:
    crew = FakeCrew(places, death=1.0)
    with pytest.raises(WorkersError, match=r"before their first result.*worker \d: signal 9"):
        list(dispatch(Queue(tasks_of(9), places=places), crew))
    assert crew.deaths == DEATHS * places
    assert crew.closed


@pytest.mark.parametrize("size", [1, 3])
def test_workers_that_all_die_at_their_first_task_end_the_run_as_soon(size: int) -> None:
    crew = FakeCrew(1, poison=frozenset(f"m_{k}" for k in range(9)))
    with pytest.raises(WorkersError, match="before their first result"):
        list(dispatch(Queue(tasks_of(9, size), places=1), crew))
    assert crew.deaths == DEATHS


@pytest.mark.parametrize("node", [False, True])
def test_a_place_that_has_worked_is_closed_when_nobody_can_begin_there_any_more(node: bool) -> None:
    """As when a GPU falls off the bus in the middle of a run: new workers die before they are ready, for ever."""
    queue = Queue(tasks_of(3), places=1)
    queue.ready(0)
    assert (queue.give(0), queue.finished(0)) == (("m_0",), ("m_0",))
    assert queue.lost(0, blame=not node).replace, "it has worked"
    assert [queue.lost(0).replace for _ in range(DEATHS)] == [True, True, False]
    assert queue.stuck


def test_mixtures_that_kill_one_after_another_do_not_end_a_run_that_has_a_result() -> None:
    poison = frozenset(f"m_{k}" for k in range(1, 6))
    crew = FakeCrew(1, poison=poison)
    answers = list(dispatch(Queue(tasks_of(7), places=1), crew))
    assert {id_ for answer in answers if answer.given_up for id_ in answer.task} == poison
    assert answered(answers).total() == 7


def test_a_suspect_of_an_earlier_process_runs_last_and_alone() -> None:
    queue = Queue([("a",), ("b",)], places=1, suspects=[("s",)])
    queue.ready(0)
    assert (queue.give(0), queue.give(0)) == (("a",), ("b",))
    queue.finished(0)
    assert queue.give(0) is None
    queue.finished(0)
    assert (queue.give(0), queue.give(0), queue.front(0)) == (("s",), None, ("s",))


def test_what_waited_behind_a_task_that_killed_is_tried_after_the_others_and_alone() -> None:
    """Its answer may have died on the way: were it the one that kills, a third would be suspected with it."""
    queue = Queue(tasks_of(4), places=1)
    queue.ready(0)
    assert (queue.give(0), queue.give(0)) == (("m_0",), ("m_1",))
    queue.lost(0)
    queue.ready(0)
    assert (queue.give(0), queue.give(0)) == (("m_2",), ("m_3",))
    for task in (("m_2",), ("m_3",)):
        assert (queue.finished(0), queue.open) == (task, True)
    for task in (("m_0",), ("m_1",)):
        assert (queue.give(0), queue.give(0), queue.finished(0)) == (task, None, task)
    assert not queue.open


def test_a_suspect_stays_one_when_its_node_is_lost_and_nothing_is_put_behind_it() -> None:
    queue = Queue([("a",), ("b",)], places=2, suspects=[("s",)])
    queue.ready(0)
    assert (queue.give(0), queue.give(0), queue.finished(0)) == (("a",), ("b",), ("a",))
    queue.ready(1)
    assert queue.give(1) == ("s",)
    queue.lost(0, blame=False)  # which hands out `b` again
    assert (queue.give(1), queue.front(1)) == (None, ("s",))
    queue.lost(1, blame=False)
    queue.ready(0)
    assert (queue.give(0), queue.give(0), queue.finished(0)) == (("b",), None, ("b",))
    assert (queue.give(0), queue.give(0), queue.finished(0)) == (("s",), None, ("s",))


def test_the_last_tasks_wait_behind_nobody() -> None:
    queue = Queue(tasks_of(3), places=2)
    queue.ready(0)
    queue.ready(1)
    assert (queue.give(0), queue.give(0), queue.give(1), queue.give(1)) == (("m_0",), ("m_1",), ("m_2",), None)


class Hanging(FakeCrew):
    """Ends at `m_1` after its last moment, as a worker does that hangs."""

    def wait(self, seconds: float) -> Sequence[Event]:
        for place, worker in self.workers.items():
            if worker.held and "m_1" in worker.held[0]:
                self.now += 100.0
                return [self._end(place, blame=True)]
        return super().wait(seconds)

    now = 0.0


@pytest.mark.parametrize("size", [1, 2])
def test_a_mixture_that_takes_for_ever_costs_itself_and_its_worker(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Hanging(1)
    monkeypatch.setattr("s5eval.harness.dispatch.driver.time.monotonic", lambda: crew.now)
    answers = list(dispatch(Queue(tasks_of(6, size), places=1), crew, limit=3.0))
    assert answered(answers).total() == 6
    assert [answer.task for answer in answers if answer.given_up] == [("m_1",)]
    assert any("more than 3 s (mixture_timeout)" in str(answer.given_up) for answer in answers)


class Killed(FakeCrew):
    """Answers every two seconds; its first worker ends `after` seconds into `m_2`."""

    def __init__(self, after: float, *, blame: bool) -> None:
        super().__init__(1)
        self.now, self.after, self.blame = 0.0, after, blame

    def wait(self, seconds: float) -> Sequence[Event]:
        worker = self.workers[0]
        if worker.ready and worker.held[0] == ("m_2",) and not self.deaths:
            self.now, self.deaths = self.now + self.after, 1
            return [self._end(0, blame=self.blame)]
        self.now += 2.0
        return super().wait(seconds)


@pytest.mark.parametrize(
    ("after", "blame"),
    [(1.0, True), (4.0, True), (100.0, False)],
    ids=["soon", "before its last moment", "with its node"],
)
def test_a_worker_that_something_else_has_ended_costs_no_mixture(
    after: float, blame: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each mixture has the whole limit for itself, however long its worker has been at others before."""
    crew = Killed(after, blame=blame)
    monkeypatch.setattr("s5eval.harness.dispatch.driver.time.monotonic", lambda: crew.now)
    answers = list(dispatch(Queue(tasks_of(6), places=1), crew, limit=3.0))
    assert crew.deaths == 1
    assert [answer.task for answer in answers if answer.given_up] == []
    assert answered(answers) == Counter(f"m_{k}" for k in range(6))


def test_what_a_task_is_about_is_sent_to_workers_that_do_not_see_it_and_to_no_others() -> None:
    class Blind(FakeCrew):
        """Does not see the data until its worker has died at `m_1` for the first time."""

        def send(self, place: int, task: Task, sent: Any) -> None:
            super().send(place, task, sent)
            told.append((task, sent))

        def wait(self, seconds: float) -> Sequence[Event]:
            if (front := self.workers[0].held) and front[0] == ("m_1",) and not self.deaths:
                self.deaths = 1
                return [self._end(0, blame=True)]
            return [
                Ready(event.place, {"send": not self.deaths}) if isinstance(event, Ready) else event
                for event in super().wait(seconds)
            ]

    told: list[tuple[Task, Any]] = []
    list(dispatch(Queue(tasks_of(5), places=1), Blind(1), pack=lambda task: f"files of {task[0]}"))
    sent = {task[0]: what for task, what in told[:3]}
    assert sent == {f"m_{k}": f"files of m_{k}" for k in range(3)}
    assert {what for _, what in told[3:]} == {None} and {task[0] for task, _ in told[3:]} == {
        "m_1",
        "m_2",
        "m_3",
        "m_4",
    }


def test_a_worker_that_is_refused_ends_the_run_by_name() -> None:
    def admit(name: str, facts: Mapping[str, Any]) -> None:
        raise DataError(f"{name} has other data")

    crew = FakeCrew(2)
    with pytest.raises(DataError, match=r"worker [12] has other data"):
        list(dispatch(Queue(tasks_of(3), places=2), crew, admit=admit))
    assert crew.closed


def test_a_worker_that_cannot_begin_ends_the_run_with_its_error() -> None:
    class Unable(FakeCrew):
        def wait(self, seconds: float) -> Sequence[Event]:
            return [Refused(0, DataError("no weights here"))]

    with pytest.raises(DataError, match="worker 1: no weights here"):
        list(dispatch(Queue(tasks_of(3), places=1), Unable(1)))
