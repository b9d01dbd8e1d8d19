"""What is said of a worker that has ended: the reason, whatever its kind."""

import traceback

import pytest


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
