"""Processes that make scenes do so for any program, and end with the process that began them, whatever ends it."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest
from obeying import Obeys
from other_processes import descendants, is_running, wait_until

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.workers import WorkerContext, begin_worker
from s5eval.data_manifests.sets.mini import make_mini
from s5eval.data_manifests.synthesis.render import SynthesizedScene
from s5eval.data_manifests.synthesis.write import write_scenes


@pytest.fixture
def semaphores() -> None:
    """Where there are none, this process makes the scenes: one that dies of them would end the tests."""
    try:
        WorkerContext().Lock()
    except OSError as error:
        pytest.skip(f"no semaphores: {error}")


@pytest.mark.usefixtures("semaphores")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_making_a_set_leaves_no_process_and_no_open_pipe(tmp_path: Path, number: signal.Signals) -> None:
    words = [sys.executable, "-m", "s5eval.harness.cli", "data", "make", "mini", "--split", "test"]
    words += ["--out", str(tmp_path / "set"), "--workers", "2"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ.copy())
    # two that make, and the one that keeps their resources
    wait_until(lambda: process.poll() is not None or len(descendants(process.pid)) >= 3, seconds=120)
    assert process.poll() is None
    time.sleep(1)
    below = descendants(process.pid)
    process.send_signal(number)
    said = process.communicate(timeout=60)[0].decode()  # returns when nobody holds the pipe any more
    if number is signal.SIGHUP:
        assert process.returncode == 130
        assert "this goes on: s5eval data make mini --split test" in said
        assert "Traceback" not in said
    wait_until(lambda: not any(map(is_running, below)))


_LINES = """
from pathlib import Path
from s5eval.data_manifests.sets.mini import make_mini
print("begins")
make_mini("test", out=Path("made"), count=2, workers=2)
print(len(list(Path("made/soundscape").iterdir())))
"""


@pytest.mark.parametrize("place", ["file", "standard input"])
def test_a_program_without_a_guard_makes_scenes_and_runs_once(tmp_path: Path, place: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(_LINES)
    words = [sys.executable, str(program) if place == "file" else "-"]
    done = subprocess.run(words, input=_LINES, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["begins", "2"]), done.stderr


class Deadly:
    """A scene by which whoever makes it dies, as of a system that wants its memory back."""

    def __init__(self, id_: str) -> None:
        self.id = id_

    def content(self) -> bytes:
        return b""

    def make(self) -> SynthesizedScene:
        os._exit(9)


@pytest.mark.usefixtures("semaphores")
def test_a_process_that_dies_over_a_scene_is_an_expected_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="was ended from outside"):
        write_scenes([Deadly("a"), Deadly("b")], tmp_path / "made", workers=2)


def test_where_the_system_has_no_semaphores_one_process_makes_the_scenes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A container whose user may not write to /dev/shm: the folder of the scenes was said to be the one that cannot."""

    def refused(*wanted: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("_multiprocessing.SemLock", refused)
    made = make_mini("test", out=tmp_path / "made", count=2, workers=2)
    assert len(list((made / "soundscape").iterdir())) == 2
    assert "no semaphores ([Errno 13] Permission denied): one process makes the scenes" in caplog.text


def test_too_many_open_files_are_an_error_and_no_want_of_semaphores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*wanted: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("_multiprocessing.SemLock", refused)
    with pytest.raises(DataError, match="cannot write the scenes: Too many open files"):
        make_mini("test", out=tmp_path / "made", count=2, workers=2)


_BEGINS = """
import signal
from s5eval.data_manifests.common import workers
told = []
workers.keep_freed_memory = lambda: told.append("memory is kept")
workers.begin_worker()
names = ("SIGINT", "SIGHUP", "SIGTERM")
sent.send(told + [name for name in names if signal.getsignal(getattr(signal, name)) is signal.SIG_IGN])
"""


def test_a_worker_passes_over_what_a_terminal_sends_and_ends_with_its_work() -> None:
    context = WorkerContext()
    ours, theirs = context.Pipe()
    worker = context.Process(target=Obeys().do, args=((_BEGINS,), theirs))
    worker.start()
    theirs.close()
    try:
        assert ours.recv() == ["memory is kept", "SIGINT", "SIGHUP"], "SIGTERM ends it"
        worker.join(60)
        assert worker.exitcode == 0
    finally:
        worker.kill()


def test_a_process_that_is_no_worker_goes_on_as_it_was() -> None:
    before = signal.getsignal(signal.SIGINT), threading.active_count()
    begin_worker()
    assert (signal.getsignal(signal.SIGINT), threading.active_count()) == before


def test_the_program_is_itself_again_when_workers_have_been_started(monkeypatch: pytest.MonkeyPatch) -> None:
    program = sys.modules["__main__"]
    hidden: list[bool] = []
    another = threading.Event()

    def slowly(worker: object) -> None:
        hidden.append(sys.modules["__main__"] is not program)
        if len(hidden) == 1:
            another.wait(0.3)  # it would come now, if it were let in, and put back what this one has put there
        else:
            another.set()
            time.sleep(0.05)

    monkeypatch.setattr(SpawnProcess, "start", slowly)
    starting = [threading.Thread(target=WorkerContext().Process().start) for _ in range(2)]
    for each in starting:
        each.start()
    for each in starting:
        each.join()
    assert (hidden, sys.modules["__main__"]) == ([True] * 2, program)

    def fails(worker: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(SpawnProcess, "start", fails)
    with pytest.raises(OSError, match="temporarily"):
        WorkerContext().Process().start()
    assert sys.modules["__main__"] is program
