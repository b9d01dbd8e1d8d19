"""The command itself: its address, its port, a machine without a browser, and how it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from viewing import Made

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(made: Made, tmp_path: Path) -> Iterator[Start]:
    """Start the viewer on the runs; it is ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(*options: object, **environment: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "s5eval.harness.cli", "view", str(made.runs), *map(str, options)]
        changed = {**os.environ, "S5EVAL_CACHE": str(tmp_path / "cache"), **environment}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=changed)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def address_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_and_without_a_word_when_it_is_told_to(start: Start, way: int) -> None:
    process = start("--no-open")
    assert address_of(process).startswith("http://127.0.0.1:")
    assert process.stdout is not None
    assert process.stdout.readline() == "ctrl-C ends it\n"
    process.send_signal(way)
    out, err = process.communicate(timeout=60)
    assert (out, err) == ("", "")
    assert process.returncode == 0


def test_a_second_viewer_on_the_same_port_says_that_it_is_taken(start: Start) -> None:
    port = address_of(start()).partition("/?")[0].rpartition(":")[2]
    second = start("--port", port)
    out, err = second.communicate(timeout=120)
    assert (second.returncode, out) == (2, "")
    assert f"--port {port}" in err
    assert "in use; leave it out, and any that is free is taken" in err
    assert "Traceback" not in err


def test_without_a_browser_the_address_is_served_all_the_same(start: Start, tmp_path: Path) -> None:
    empty = tmp_path / "no-programs"
    empty.mkdir()
    process = start("--open", PATH=str(empty), BROWSER="", DISPLAY="", WAYLAND_DISPLAY="")
    assert address_of(process).startswith("http://127.0.0.1:")
    assert process.stderr is not None
    assert process.stderr.readline() == "no browser could be opened here; open the address yourself\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_an_interruption_while_the_server_is_being_made_is_no_fault(made: Made) -> None:
    code = f"""
import asyncio, os, signal
from pathlib import Path
from s5eval.harness.view.serve import serve
class Interrupted(asyncio.SelectorEventLoop):
    def __init__(self, *arguments):
        os.kill(os.getpid(), signal.SIGINT)
        super().__init__(*arguments)
class Policy(asyncio.DefaultEventLoopPolicy):
    _loop_factory = Interrupted
asyncio.set_event_loop_policy(Policy())
asyncio.SelectorEventLoop = Interrupted
serve([Path({str(made.runs)!r})])
print("ended")
"""
    quiet = "-Wignore::DeprecationWarning"  # Python 3.14 warns of the policies that this code sets
    command = [sys.executable, quiet, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr, done.stdout.splitlines()[1:]) == (0, "", ["ended"])
