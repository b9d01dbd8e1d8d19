"""What is said of a worker that has ended: the reason, whatever its kind."""

import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from s5eval.harness.dispatch.crew import Ended, Event
from s5eval.harness.dispatch.processes import Processes


class Falls:
    """A job whose system cannot be built."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def begin(self, place: int) -> Any:
        raise self._error


# The second is none of the driver's pipe, at whose end a worker ends without a word.
@pytest.mark.parametrize("error", [RuntimeError("out of order"), EOFError("No data left in file")])
def test_a_worker_that_falls_over_says_how_and_is_not_called_killed(tmp_path: Path, error: Exception) -> None:
    crew = Processes(Falls(error), 1, folder=tmp_path)
    try:
        crew.start(0)
        events: list[Event] = []
        until = time.monotonic() + 120
        while not events and time.monotonic() < until:
            events += crew.wait(1.0)
    finally:
        crew.close()
    (ended,) = events
    assert isinstance(ended, Ended)
    assert "exit code 1" in ended.words
    assert f"{type(error).__name__}: {error}" in ended.words


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
