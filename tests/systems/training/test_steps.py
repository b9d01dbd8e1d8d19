"""The figures that steps leave: running means of what there was something to say of."""

import math

import pytest
import torch
from torch import Tensor

from s5eval.systems.training.steps import RunningMeans, seed_step

_UNDEFINED = torch.tensor(math.nan, dtype=torch.float64)


def _number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def test_a_figure_that_is_undefined_at_first_begins_with_the_first_value_there_is() -> None:
    means = RunningMeans({})
    for value in (_UNDEFINED, _UNDEFINED, _number(0.5), _UNDEFINED, _number(1.0)):
        means.add({"_accuracy": value})
    assert means.means() == pytest.approx({"accuracy": 0.5 + 0.02 * 0.5})


def test_means_that_go_on_from_a_checkpoint_are_those_of_one_sitting() -> None:
    values = [_UNDEFINED, _number(0.25), _number(1.0), _UNDEFINED, _number(0.0)]
    whole, before = RunningMeans({}), RunningMeans({})
    for value in values:
        whole.add({"_accuracy": value})
    for number, value in enumerate(values):
        before = RunningMeans(before.means()) if number in (1, 2, 4) else before
        before.add({"_accuracy": value})
    assert before.means() == whole.means()


def test_what_chance_decides_depends_on_seed_step_part_and_device_and_on_nothing_else() -> None:
    asked = [(seed, step, part, rank) for seed in (1, 2) for step in (0, 1, 12) for part in (0, 2) for rank in (0, 1)]

    def draws() -> list[float]:
        found = []
        for numbers in asked:
            seed_step(*numbers)
            found.append(float(torch.rand((), dtype=torch.float64)))
        return found

    first = draws()
    assert len(set(first)) == len(asked)
    torch.rand(3)
    assert draws() == first
