"""Workers that are processes: what they are given, what is heard of them, how they end, and that nothing is left."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import Any

import pytest
from obeying import Obeys
from other_processes import is_running, wait_until

from s5eval.data_manifests.common.errors import DataError
from s5eval.harness.dispatch.crew import Answered, Ended, Event, Ready, Refused
from s5eval.harness.dispatch.processes import LAST_LINES, Processes, _Worker, quiet_threads

Ask = Callable[..., Any]
CrewOf = Callable[..., Processes]


def next_of(crew: Processes, seconds: float = 60.0) -> list[Event]:
    """What happens next."""
    until = time.monotonic() + seconds
    while not (events := crew.wait(1.0)):
        assert time.monotonic() < until, "it took too long"
    return list(events)


def last_of(crew: Processes, *lines: str) -> str:
    """The last words of a worker, which begins, and ends with these lines."""
    crew.start(0)
    assert next_of(crew) == [Ready(0, {"place": 0})]
    crew.send(0, lines, None)
    (ended,) = next_of(crew)
    assert isinstance(ended, Ended)
    return ended.words


def pid_of(crew: Processes) -> int:
    return int(crew.name(0).removeprefix("worker 1 (process ").removesuffix(")"))


@pytest.fixture
def crew_of(tmp_path: Path) -> Iterator[CrewOf]:
    """`crew_of(lines…)`: a crew of one worker that begins by these lines."""
    with ExitStack() as open_ones:

        def make(*begins: str, **how: Any) -> Processes:
            crew = Processes(Obeys(*begins), 1, folder=tmp_path, **how)
            open_ones.callback(crew.close)
            return crew

        yield make


@pytest.fixture(scope="module")
def heard() -> list[tuple[str, str]]:
    return []


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory, heard: list[tuple[str, str]]) -> Iterator[Ask]:
    """`ask(lines…, sent=…)`: the answer of a worker, the second of a crew."""
    folder = tmp_path_factory.mktemp("at work")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OMP_NUM_THREADS", raising=False)
        crew = Processes(Obeys(), 2, folder=folder, threads=3, heard=lambda *words: heard.append(words))
    crew.start(1)
    assert next_of(crew) == [Ready(1, {"place": 1})]

    def ask(*lines: str, sent: Any = None) -> Any:
        crew.send(1, lines, sent)
        (event,) = next_of(crew)
        assert isinstance(event, Answered) and event.place == 1
        return event.value

    try:
        yield ask
    finally:
        crew.close()


def test_a_worker_is_where_it_was_told_with_what_it_was_sent(ask: Ask) -> None:
    assert ask("answer = sent", sent={"a": b"wav"}) == {"a": b"wav"}
    assert Path(ask("import os; answer = os.getcwd()")).name.startswith("at work")
    assert ask("import os; answer = os.environ.get('OMP_NUM_THREADS')") == "3"


def test_signals_of_a_terminal_and_of_a_batch_system_are_left_to_the_driver(ask: Ask) -> None:
    for name in ("SIGINT", "SIGTERM"):
        end = f"import os, signal; os.kill(os.getpid(), signal.{name})"
        assert ask(end, f"answer = signal.getsignal(signal.{name}) == signal.SIG_IGN") is False, "children inherit that"
    assert ask("import os; answer = os.getsid(0) == os.getpid()"), "the terminal does not reach it"


def test_the_log_of_a_worker_is_logged_here_and_what_it_prints_is_heard(
    ask: Ask, heard: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    lines = "import logging; logging.basicConfig(); log = logging.getLogger('s5eval.some')"
    with caplog.at_level("INFO", logger="s5eval"):
        ask(lines, "log.info('50 %% of %d', 2)", "log.debug('too much')")
        ask(lines, "try: 1 / 0", "except Exception: log.exception('it fell')")
        ask("print('a\\rb')", "print('ends')")
    told = [(record.name, record.levelno, record.getMessage().splitlines()) for record in caplog.records]
    assert told[0] == ("s5eval.some", logging.INFO, ["50 % of 2"])
    (name, level, (first, *_, last)) = told[1]
    assert (name, level, first) == ("s5eval.some", logging.ERROR, "it fell")
    assert last == "ZeroDivisionError: division by zero"
    assert len(told) == 2, "once each"
    pid = ask("import os; answer = os.getpid()")
    assert heard == [(f"worker 2 (process {pid})", line) for line in ("a", "b", "ends")]


@pytest.mark.skipif(sys.platform != "linux", reason="the system tells of a parent's death on Linux alone")
def test_the_system_ends_a_worker_whose_driver_is_gone(ask: Ask) -> None:
    """A thread that watches could not while a library holds the interpreter."""
    number = ask("import ctypes; number = ctypes.c_int()", "ctypes.CDLL(None).prctl(2, ctypes.byref(number))",
                 "answer = number.value")  # fmt: skip
    assert number == signal.SIGKILL
    code = "import os; from s5eval.harness.dispatch.worker_process import main; main(0, os.getppid() + 1, 0)"
    gone = subprocess.run([sys.executable, "-c", code], stdin=subprocess.PIPE, check=False)
    assert gone.returncode == 1, "it was gone before the system could be told"


def test_a_worker_ends_with_its_input(crew_of: CrewOf) -> None:
    crew = crew_of("import os; os.close(1); os.close(2)")
    crew.start(0)
    next_of(crew)
    begun = time.monotonic()
    assert crew.wait(0.2) == crew.wait(0.2) == []
    assert time.monotonic() - begun > 0.35, "what it has closed is not listened to without end"
    crew._workers[0].life.close()
    assert next_of(crew) == [Ended(0, "exit code 1")]


def test_the_last_that_a_worker_printed_is_quoted_and_no_more_of_it_than_fits(crew_of: CrewOf) -> None:
    heard: list[str] = []
    crew = crew_of(heard=lambda name, line: heard.append(line))
    lines = [f"print('line {k}')" for k in range(LAST_LINES)]
    endless = "sys.stdout.buffer.write(b'\\xff' + 'é'.encode() * 1000 + b'\\n' + 'ü'.encode() * 500_000)"
    words = last_of(crew, "import os, sys", *lines, "sys.stdout.flush()", endless, "sys.stdout.flush()", "os._exit(3)")
    kept = ["\ufffd" + "é" * 299, "ü" * 300]
    assert heard == [f"line {k}" for k in range(LAST_LINES)] + kept
    assert words == f"exit code 3; {' | '.join(heard[-LAST_LINES:])}"


def test_a_signal_is_named_and_that_of_the_memory_explained(crew_of: CrewOf) -> None:
    crew = crew_of()
    end = "import os, signal; os.kill(os.getpid(), signal.{})"
    assert last_of(crew, end.format("SIGKILL")) == "signal 9 (SIGKILL), as when memory runs out"
    assert last_of(crew, end.format("SIGUSR1")) == f"signal {signal.SIGUSR1} (SIGUSR1)"
    if hasattr(signal, "SIGRTMIN"):  # of those after it only the last has a name
        assert last_of(crew, end.format("SIGRTMIN + 1")) == f"signal {signal.SIGRTMIN + 1}"


def test_a_worker_that_is_stopped_is_gone_at_once_and_heard_to_the_end(crew_of: CrewOf, tmp_path: Path) -> None:
    heard: list[str] = []
    crew = crew_of(heard=lambda name, line: heard.append(line))
    lines = (
        "import pathlib, time",
        "print('o' * 9000, end='', flush=True); pathlib.Path('said').touch()",
        "while not pathlib.Path('go').exists(): time.sleep(0.01)",
        "print('\\nthe end', flush=True); pathlib.Path('over').touch()",
        "time.sleep(120)",
    )
    crew.start(0)
    next_of(crew)
    crew.send(0, lines, None)
    wait_until((tmp_path / "said").exists)
    assert crew.wait(0.0) == []
    assert len(crew._workers[0].rest) <= 2000, "no more is kept than may be shown"
    (tmp_path / "go").touch()
    wait_until((tmp_path / "over").exists)
    pid = pid_of(crew)
    crew.stop(0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert heard == ["o" * 300, "the end"]


def test_what_is_sent_to_a_worker_that_has_just_died_goes_nowhere(crew_of: CrewOf) -> None:
    crew = crew_of()
    crew.start(0)
    next_of(crew)
    pid = pid_of(crew)
    crew.send(0, ("import os; os._exit(3)",), None)
    wait_until(lambda: not is_running(pid))
    crew.send(0, ("more",), None)
    assert next_of(crew) == [Ended(0, "exit code 3")]


def test_a_worker_is_missed_though_what_it_has_started_holds_its_pipe_and_that_ends_too(crew_of: CrewOf) -> None:
    crew = crew_of()
    lines = ("import os, time", "child = os.fork()", "time.sleep(120) if not child else print(child)")
    child = int(last_of(crew, *lines, "import sys; sys.stdout.flush(); os._exit(4)").removeprefix("exit code 4; "))
    wait_until(lambda: not is_running(child), seconds=20)
    crew.send(0, ("more",), None)  # to nobody: no error
    assert crew.wait(0.0) == []


@pytest.mark.parametrize("patience", [20.0, 0.0])
def test_an_idle_worker_ends_by_itself_while_there_is_patience(
    crew_of: CrewOf, tmp_path: Path, patience: float
) -> None:
    heard: list[str] = []
    takes = 0 if patience else 60  # seconds: a worker that ends at once may be quicker than its driver kills it
    end = f"time.sleep({takes}), pathlib.Path('in_order').touch()"
    crew = crew_of(
        f"import atexit, pathlib, time; atexit.register(lambda: ({end}))", heard=lambda _, line: heard.append(line)
    )
    open_before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - the same way twice
    crew.start(0)
    next_of(crew)
    begun = time.monotonic()
    crew.close(patience=patience)
    assert ((tmp_path / "in_order").exists(), heard) == (patience > 0, [])
    assert time.monotonic() - begun < 15, "as soon as it has ended"
    assert len(os.listdir("/dev/fd")) == open_before  # noqa: PTH208


def test_a_worker_that_cannot_do_the_job_says_so_once_and_in_the_drivers_words(crew_of: CrewOf) -> None:
    raising = "from s5eval.data_manifests.common.errors import DataError; raise DataError('no such data')"
    crew = crew_of(raising)
    crew.start(0)
    (event,) = next_of(crew)
    assert isinstance(event, Refused)
    assert (type(event.error), str(event.error)) == (DataError, "no such data")
    assert crew.wait(0.0) == []


def test_a_worker_that_cannot_be_started_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", none)
    open_before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    with pytest.raises(DataError, match="worker 2 of 3 cannot be started: Resource temporarily unavailable") as caught:
        Processes(Obeys(), 3, folder=tmp_path).start(1)
    assert len(os.listdir("/dev/fd")) == open_before, caught  # noqa: PTH208


class Sudden(subprocess.Popen[bytes]):
    """A process that answers and ends just when it is looked at for the n-th time."""

    looks: int
    last_words: Any = None

    def poll(self) -> int | None:
        self.looks -= 1
        if self.looks == 0:
            self.last_words.send(("answered", "at last", []))
            self.last_words.close()
            self.wait()
        return self.returncode


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_what_a_worker_says_between_two_looks_is_not_lost_with_it(crew_of: CrewOf, looks: int) -> None:
    crew = crew_of()
    ours, theirs = Pipe()
    process = Sudden([sys.executable, "-c", ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None and process.stdout is not None
    process.last_words, process.looks = theirs, looks
    crew._workers[0], crew._names[0] = _Worker(process, process.stdin, process.stdout, ours), "worker 1"
    theirs.send(("ready", {}, []))
    events: list[Event] = []
    while not any(isinstance(event, Ended) for event in events):
        events += crew.wait(0.0)
    assert events == [Ready(0, {}), Answered(0, "at last"), Ended(0, "exit code 0")]


def test_threads_are_few_and_sleep_unless_the_environment_says_otherwise() -> None:
    always = {"OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1"}
    assert quiet_threads(None, {}) == always
    assert quiet_threads(2, {"HOME": "/"}) == {**always, "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    assert quiet_threads(2, {"OMP_NUM_THREADS": "4"}) == always, "MKL asks OpenMP next"
    assert quiet_threads(2, {"MKL_NUM_THREADS": "4"}) == {**always, "OMP_NUM_THREADS": "2"}
    assert quiet_threads(2, {"OMP_WAIT_POLICY": "active", "OMP_NUM_THREADS": "1"}) == {"OPENBLAS_NUM_THREADS": "1"}
