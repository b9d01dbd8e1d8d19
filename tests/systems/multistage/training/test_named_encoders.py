"""Stages 2 and 3 are trained on the frames of whichever encoder is named, and the card says whose they were."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planted import Plant

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.systems.multistage.system import build
from s5eval.systems.training.loop import TrainingResult
from s5eval.systems.training.training_plan import TrainingPlan

ToyTrain = Callable[..., TrainingResult]
ToyPlan = Callable[..., TrainingPlan]

OWN = """
import torch

class Encoder(torch.nn.Module):
    width = 16

    def __init__(self):
        super().__init__()
        self.shade = torch.nn.Parameter(torch.linspace(0, 1, 16))

    def forward(self, audio):
        frames = -(-audio.shape[1] // 640)
        level = torch.nn.functional.pad(audio, (0, frames * 640 - audio.shape[1])).view(len(audio), frames, 640)
        return level.abs().mean(-1, keepdim=True) * self.shade

def make(device):
    return Encoder()
"""


def history(weights: Path) -> list[dict[str, Any]]:
    return list(json.loads((weights / "card.json").read_text())["history"])


@pytest.mark.parametrize("name", ["m2d", "trained_own_frames:make"])
def test_stages_are_trained_on_the_frames_of_the_encoder_that_is_named(
    toy_train: ToyTrain, toy_plan: ToyPlan, tmp_path: Path, plant: Plant, name: str
) -> None:
    plant("trained_own_frames", OWN)
    for part in ("m2d", "uss", "dpc"):
        toy_train(part, steps=1)
    weights, named = tmp_path / "weights", {"system": {"frame_encoder": name}}
    toy_train("tse2", steps=1, **named)
    last = history(weights)[-1]
    assert (last["frame_encoder"], last["frame_embeddings"]) == (name, last["built_on"]["encoder"])
    toy_train("tse3", steps=1, **named)
    plan = toy_plan("tse3", **named)
    system = {**plan.as_dict()["system"], "weights": str(weights)}
    facts = build(system, "cpu").fingerprint()
    assert "missing_parts" not in facts, "its projection was trained on these frames"
    other = {**system, "frame_encoder": "m2d" if name != "m2d" else "none"}
    assert ("missing_parts" in build(other, "cpu").fingerprint()) == (name != "m2d")


def test_a_later_stage_is_not_trained_behind_an_extractor_that_heard_another_encoder(toy_train: ToyTrain) -> None:
    for part in ("m2d", "uss", "dpc", "tse2"):
        toy_train(part, steps=1)
    with pytest.raises(DataError, match=r"tse2\.safetensors: by the card there, it was not trained on frames of m2d"):
        toy_train("tse3", steps=1, system={"frame_encoder": "m2d"})


def test_recipe_encoder_trains_what_it_is_told(toy_train: ToyTrain, toy_plan: ToyPlan, tmp_path: Path) -> None:
    toy_train("encoder", steps=1, system={"frame_encoder": "whisper"})
    assert (tmp_path / "weights" / "whisper" / "model.safetensors").is_file()
    with pytest.raises(UsageError, match=r"system\.frame_encoder is m2d, which mini/m2d trains"):
        toy_plan("encoder", system={"frame_encoder": "m2d"})
