"""What is said of a worker that has ended: the reason, whatever its kind."""

import time
import traceback
from pathlib import Path

import pytest
from obeying import Obeys

from s5eval.harness.dispatch.crew import Ended, Event, Ready
from s5eval.harness.dispatch.processes import Processes


# The others are none of the driver's pipe, at whose end a worker ends without a word.
@pytest.mark.parametrize(
    ("error", "working"),
    [
        ("RuntimeError: out of order", False),
        ("EOFError: No data left in file", False),
        ("EOFError: No data left in file", True),
    ],
)
def test_a_worker_that_falls_over_says_how_and_is_not_called_killed(tmp_path: Path, error: str, working: bool) -> None:
    kind, words = error.split(": ")
    fall = f"raise {kind}({words!r})"
    crew = Processes(Obeys() if working else Obeys(fall), 1, folder=tmp_path)
    try:
        crew.start(0)
        crew.send(0, (fall,), None)
        events: list[Event] = []
        until = time.monotonic() + 120
        while not any(isinstance(event, Ended) for event in events) and time.monotonic() < until:
            events += crew.wait(1.0)
    finally:
        crew.close()
    assert [type(event) for event in events] == ([Ready, Ended] if working else [Ended])
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert "exit code 1" in ended.words
    assert error in ended.words


def test_what_was_raised_in_an_actor_is_said_and_not_only_where() -> None:
    exceptions = pytest.importorskip("ray.exceptions")
    from s5eval.harness.dispatch.ray_crew import _last_words

    try:
        raise ValueError("the weights are upside down")
    except ValueError as error:
        raised = exceptions.RayTaskError("ray::Remote.begin", traceback.format_exc(), error, pid=7, ip="10.0.0.1")
    said = _last_words(raised.as_instanceof_cause())
    assert said.endswith("| ValueError: the weights are upside down")
    assert "\x1b" not in said and "\n" not in said
    assert _last_words(exceptions.RayActorError(error_msg="The actor died.\nIts node is gone.")) == "The actor died."
