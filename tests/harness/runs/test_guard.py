"""Marks of what is under way, and limits of time: what a process leaves that is ended, and who is blamed for it."""

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from other_processes import is_running, wait_until

from s5eval.harness.runs.guard import MARKS, Guard, OverTime, TimeLimit, alarm

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="alarms of a POSIX system")

WATCHDOG = Path(sys.modules[Guard.__module__].__file__ or "").with_name("watchdog.py")


def marks(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / MARKS).read_text())
    return content


def leave(folder: Path, under_way: list[str], **deaths: int) -> None:
    (folder / MARKS).write_text(json.dumps({"under_way": under_way, "deaths": deaths}))


def test_every_process_that_ends_during_a_mixture_counts_once_and_the_third_gives_it_up(tmp_path: Path) -> None:
    for death in (1, 2, 3):
        guard = Guard(tmp_path, ())
        assert (guard.alone("m_1"), guard.given_up("m_1")) == (death > 1, None)
        with guard.working_on(["m_1"] if death > 1 else ["m_1", "a_longer_name", "m_2"]):
            pass  # no `close`: as a process that ends here leaves it
        assert marks(tmp_path)["under_way"][0] == "m_1", "marks that are shorter leave no rest of longer ones"
    guard = Guard(tmp_path, ())
    assert str(guard.given_up("m_1")).startswith("m_1: the process ended while the system was at work on it")
    assert (guard.given_up("m_2"), guard.alone("m_2"), guard.alone("m_3")) == (None, True, False)


def test_what_has_an_outcome_is_blamed_for_nothing(tmp_path: Path) -> None:
    """A process may end between the line of a mixture and the marks of the next."""
    leave(tmp_path, ["m_1", "m_2"], m_1=2, m_3=2, m_4=1)
    guard = Guard(tmp_path, {"m_1", "m_3"})
    assert [guard.alone(f"m_{k}") for k in (1, 2, 3, 4)] == [False, True, False, True]
    guard.survived("m_2")
    guard.close()
    assert marks(tmp_path) == {"under_way": [], "deaths": {"m_4": 1}}
    guard = Guard(tmp_path, ())
    guard.survived("m_4")
    guard.close()
    assert not (tmp_path / MARKS).exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"under_way": ["m_1"',
        "[]",
        '{"under_way": "m_1", "deaths": {}}',
        '{"under_way": [], "deaths": {"m_1": "3"}}',
    ],
)
def test_marks_that_are_no_marks_are_as_good_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / MARKS).write_text(content)
    guard = Guard(tmp_path, ())
    assert (guard.alone("m_1"), guard.given_up("m_1")) == (False, None)


@pytest.mark.parametrize("kind", ["guard", "worker"])
def test_a_batch_may_take_the_time_of_its_mixtures_together(tmp_path: Path, kind: str) -> None:
    guard = Guard(tmp_path, (), timeout=0.3) if kind == "guard" else TimeLimit(0.3)
    with guard.working_on(["m_1", "m_2", "m_3", "m_4"]):
        time.sleep(0.5)
    with pytest.raises(OverTime, match=r"more than 0\.3 s"), guard.working_on(["m_1"]):
        time.sleep(5)
    if isinstance(guard, Guard):
        guard.close()


def test_an_alarm_rings_in_its_block_alone_and_leaves_those_of_others(tmp_path: Path) -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        with alarm(0.2):
            pass
        time.sleep(0.4)
        assert rung == [], "what was done in time is not interrupted afterwards"
        signal.raise_signal(signal.SIGALRM)
        assert rung == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, before)


class Listener:
    """In place of the watchdog's process: keeps what it is told."""

    def __init__(self, *_: object, **options: object) -> None:
        self.stdin = io.StringIO()

    def wait(self, timeout: float) -> None:
        pass


@pytest.mark.parametrize(("timeout", "ids", "after"), [(0.2, ["m_1", "m_2"], 2.4), (60.0, ["m_1", "m_2"], 240.0)])
def test_a_watchdog_ends_nobody_whose_work_is_done_or_may_still_be_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timeout: float, ids: list[str], after: float
) -> None:
    """It is told of every batch when that begins and when it ends: scoring and writing follow, with no limit."""
    monkeypatch.setattr("s5eval.harness.runs.guard.subprocess.Popen", Listener)
    guard = Guard(tmp_path, (), timeout=timeout)
    told: list[str] = []
    with guard.working_on(ids):
        pass
    with pytest.raises(OverTime), guard.working_on(ids):
        assert isinstance(guard._watchdog, Listener)
        told = guard._watchdog.stdin.getvalue().splitlines()
        raise OverTime
    task = {"after": pytest.approx(after), "limit": pytest.approx(2 * timeout), "ids": ids}
    assert [json.loads(line) for line in told] == [task, None, task]
    assert guard._watchdog.stdin.getvalue().splitlines() == [*told, "null"]
    guard.close()


_IN_TIME = """
import time
from s5eval.harness.runs.guard import TimeLimit
with TimeLimit(0.1).working_on(["m_1"]):
    pass
time.sleep(2.6)  # scores, answers, waits for another task: beyond the last moment of what is done
print("goes on")
"""


def test_a_worker_that_was_in_time_is_not_ended_later() -> None:
    done = subprocess.run([sys.executable, "-c", _IN_TIME], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "goes on\n"), done.stderr


_HANGS = """
import json, subprocess, sys, time
watchdog = subprocess.Popen([sys.executable, sys.argv[1], sys.argv[2]], stdin=subprocess.PIPE, text=True)
for ids in ([], json.loads(sys.argv[3])):
    watchdog.stdin.write(json.dumps({"after": 0.2 if ids else 60, "limit": 0.1, "ids": ids}) + "\\n")
    watchdog.stdin.flush()
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("ids", "deaths"),
    [(["m_1"], {"m_1": 3, "m_4": 1}), (["m_1", "m_2", "m_4"], {"m_1": 1, "m_2": 1, "m_4": 2})],
    ids=["a mixture", "a batch"],
)
def test_a_watchdog_blames_a_mixture_for_good_and_those_of_a_batch_once(
    tmp_path: Path, ids: list[str], deaths: dict[str, int]
) -> None:
    """Of a batch all but one are blameless: each is tried alone, and those that an earlier process died of count on."""
    leave(tmp_path, ids, m_4=1)
    words = [sys.executable, "-c", _HANGS, str(WATCHDOG), str(tmp_path / MARKS), json.dumps(ids)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == -signal.SIGKILL, "a signal that native code cannot pass over"
    assert marks(tmp_path) == {"under_way": [], "deaths": deaths}
    assert f"mixture '{', '.join(ids)}' took more than 0.1 s and cannot be interrupted" in done.stderr
    guard = Guard(tmp_path, ())
    assert [id_ for id_ in ids if guard.given_up(id_)] == [id_ for id_ in ids if deaths[id_] == 3]
    assert all(guard.alone(id_) for id_ in ids)


_IS_KILLED = """
import os, signal, subprocess, sys
watchdog = subprocess.Popen([sys.executable, *sys.argv[1:]], stdin=subprocess.PIPE, text=True)
print(watchdog.pid, flush=True)
watchdog.stdin.write('{"after": 60, "limit": 60, "ids": ["m_1"]}\\n')
watchdog.stdin.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_a_watchdog_ends_with_the_process_that_it_watches(tmp_path: Path) -> None:
    """And touches nobody: the number of a process that has ended may be another's by now."""
    leave(tmp_path, ["m_1"])
    done = subprocess.run(
        [sys.executable, "-c", _IS_KILLED, str(WATCHDOG), str(tmp_path / MARKS)],
        capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    wait_until(lambda: not is_running(int(done.stdout)), seconds=20)
    assert marks(tmp_path) == {"under_way": ["m_1"], "deaths": {}}
