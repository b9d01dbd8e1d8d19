"""Seconds of stages: measured by the clock, and what of them other work took."""

import time
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from s5eval.data_manifests.records import Mixture
from s5eval.systems.interface import Candidates
from s5eval.systems.profiling import Profile, StageProfile, time_stages


class Waiting:
    """A stage that has no processor for a while."""

    name = "waiting"

    def fingerprint(self) -> dict[str, str]:
        return {}

    def run(self, mixtures: Sequence[Mixture], inputs: Sequence[Candidates] | None) -> list[Candidates]:
        time.sleep(0.2)
        return [Candidates(np.zeros((1, 8), np.float32), np.zeros((1, 18)), np.zeros(1))]


def test_what_went_by_without_a_processor_is_told_apart() -> None:
    (stage,) = time_stages([Waiting()], torch.device("cpu"), seconds=0.1)
    assert stage.waited is not None
    assert 0.15 < stage.waited <= stage.seconds
    said = Profile((), (stage,), 0).held_up()
    assert said is not None
    assert "went by without a processor" in said


@pytest.mark.parametrize(
    ("waited", "said"),
    [
        ((0.8, 0.2), None),
        ((0.9, 0.2), "other work held the machine up: 1.1 of 5 s went by without a processor"),
        ((None, None), None),  # a device was waited for
    ],
)
def test_a_fifth_of_all_stages_together_is_said(waited: tuple[float | None, ...], said: str | None) -> None:
    first, second = waited
    stages = (StageProfile("one", 1.0, 1.0, 0.1, first), StageProfile("two", 4.0, 1.0, 0.4, second))
    assert Profile((), stages, 0).held_up() == said
