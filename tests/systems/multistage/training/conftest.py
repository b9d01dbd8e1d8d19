"""Recipes at toy size, on recordings of a miniature development set."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from s5eval.systems.multistage.training.kept_slots import Heard, SlotBatch
from s5eval.systems.training.batches import Batch
from s5eval.systems.training.loop import TrainingResult, train
from s5eval.systems.training.sitting import TrainingSitting
from s5eval.systems.training.training_plan import TrainingPlan, read_plan

SYSTEM: dict[str, Any] = {
    "classifiers": 3,
    "separator": {"width": 8, "blocks": 1, "heads": 2, "head_dim": 4},
    "mamba2": {"d_state": 4, "headdim": 8, "chunk": 8},
    "clue": {"dimension": 16, "width": 8},
    "frame_encoder": {
        "num_mel_bins": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "hidden_size": 16,
        "intermediate_size": 16,
    },
    "dpc": {"widths": [8], "strides": [[2, 2]], "attention": 4, "fusion": 16, "embedding": 8, "silence": 4},
    "m2d": {"width": 16, "depth": 1, "heads": 2, "stem": [4, 6, 8]},
}


ALONE: dict[str, dict[str, Any]] = {
    "uss": {"trains": ["uss"], "starts_from": {"uss": None}},
    "dpc": {"trains": ["uss", "dpc1"], "starts_from": {"uss": "uss", "dpc1": None}},
}
"""What lets a recipe that goes on from an earlier one be run without it."""


@pytest.fixture
def toy_plan(tiny_dev_set: SimpleNamespace) -> Callable[..., TrainingPlan]:
    """`toy_plan("uss", steps=3)`: a recipe of preset mini at toy size, half a second of two scenes a step."""

    def make(name: str, **changes: Any) -> TrainingPlan:
        changes = {**ALONE.get(name, {}), **changes}
        system = {**SYSTEM, **changes.pop("system", {})}
        data = {"folder": str(tiny_dev_set.dev), "seconds": 0.5, **changes.pop("data", {})}
        return read_plan(f"mini/{name}", {"system": system, "steps": 2, "data": data, **changes})

    return make


@pytest.fixture
def toy_train(toy_plan: Callable[..., TrainingPlan], tmp_path: Path) -> Callable[..., TrainingResult]:
    """Run a toy recipe in one folder of weights; every recipe has checkpoints of its own."""

    def run(name: str, **changes: Any) -> TrainingResult:
        sitting = TrainingSitting(
            tmp_path / "weights", tmp_path / "training" / name, device="cpu", checkpoint_minutes=60
        )
        return train(toy_plan(name, **changes), sitting)

    return run


@pytest.fixture
def system_settings(tmp_path: Path) -> list[str]:
    """`--set` words for the command line that give the trained toy system."""
    flat = [f"system.{key}={json.dumps(value)}" for key, value in SYSTEM.items()]
    return [word for value in [*flat, f"system.weights={tmp_path / 'weights'}"] for word in ("--set", value)]


@pytest.fixture
def batch() -> Batch:
    """Two scenes of 6400 samples: classes 4 (second half) and 9 (throughout), and none."""
    targets = torch.zeros(2, 3, 6400)
    targets[0, 0, 3200:] = 0.1 * torch.randn(3200)
    targets[0, 1] = 0.1 * torch.randn(6400)
    labels = torch.tensor([[4, 9, -1], [-1, -1, -1]])
    mixture = torch.randn(2, 4, 6400)
    return Batch(mixture, targets, labels, torch.zeros(2, 2, 6400), torch.zeros(2, 1, 6400))


@pytest.fixture
def made_up_slots() -> Callable[[int], Heard]:
    """So many slots of noise, and twice as many sources alone, of classes that no slot has."""

    def make(count: int) -> Heard:
        labels = torch.arange(count) % 5 - 1
        slots = SlotBatch.unmixed(torch.randn(count, 2, 16, 8), torch.randn(count, 16, 40), torch.randn(count), labels)
        return Heard(slots, torch.randn(2 * count, 16, 40), torch.arange(2 * count) % 3 + 10)

    return make
