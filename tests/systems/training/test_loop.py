"""What a sitting does by its clock, and where it goes on."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from s5eval.systems.hooks import Hooks
from s5eval.systems.training import loop
from s5eval.systems.training.sitting import TrainingSitting

STEP = 50.0
"""Seconds that a step takes."""


class Learner:
    """One that has done four steps in 1000 seconds, and keeps what is asked of it."""

    def __init__(self, clock: list[float]) -> None:
        recipe = SimpleNamespace(steps=20, accumulate=3)
        self.plan = SimpleNamespace(recipe=recipe, name="toy", as_dict=dict)
        self.fabric = SimpleNamespace(world_size=1, global_rank=0, loggers=[])
        self.job = SimpleNamespace(batches=self.batches)
        self.meter = SimpleNamespace(means=dict)
        self.power = None
        self.step, self.seconds, self.clock = 4, 1000.0, clock
        self.saved: list[tuple[int, float]] = []
        self.heard: list[list[int]] = []

    def batches(self, out: Path, *, first: int, last: int, **_: Any) -> Iterator[int]:
        return iter(range(first, last))

    def advance(self, batches: list[int]) -> None:
        self.heard.append(batches)
        self.step += 1
        self.clock[0] += STEP

    def save(self, folder: Path) -> None:
        self.saved.append((self.step, self.seconds))


def test_a_sitting_saves_by_the_minute_ends_by_the_minute_and_goes_on_with_the_next_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [7.0]
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    learner = Learner(clock)
    sitting = TrainingSitting(tmp_path, tmp_path, checkpoint_minutes=2, max_minutes=5.5)
    loop._Sitting(learner, sitting, Hooks(), None).run()  # type: ignore[arg-type]
    assert learner.heard == [[12 + 3 * k, 13 + 3 * k, 14 + 3 * k] for k in range(7)], "three batches a step"
    assert learner.saved == [(7, 1150.0), (10, 1300.0), (11, 1350.0)], "after 150, 300 and, at the end, 350 seconds"


def test_the_last_step_is_saved_whatever_the_clock_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [7.0]
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    learner = Learner(clock)
    loop._Sitting(learner, TrainingSitting(tmp_path, tmp_path, checkpoint_minutes=60), Hooks(), None).run()  # type: ignore[arg-type]
    assert learner.saved == [(20, 1000.0 + 16 * STEP)]
    assert learner.heard[-1] == [57, 58, 59]
