"""A frame encoder of one's own is heard, known by what it depends on, and named where it breaks its contract."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from planted import Plant
from torch import nn

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.records import Mixture
from s5eval.systems.multistage.models.frame_encoders import OwnEncoder, load_own
from s5eval.systems.multistage.system import build

Noise = Callable[..., Mixture]
OWN = """
import torch

class Encoder(torch.nn.Module):
    def __init__(self, problem):
        super().__init__()
        self.width, self.problem = 3, problem
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, audio):
        frames = -(-audio.shape[1] // 640)
        padded = torch.nn.functional.pad(audio, (0, frames * 640 - audio.shape[1]))
        level = padded.view(len(audio), frames, 640).abs().mean(-1, keepdim=True)
        given = (self.scale * level).expand(-1, -1, 3)
        if self.problem == "shape":
            return given[:, 1:]
        if self.problem == "dtype":
            return given.double()
        if self.problem == "finite":
            return given / 0
        return {"array": given.numpy(), "raises": None}.get(self.problem, given) if self.problem else given

def good(device):
    return Encoder(None)

def bad_shape(device): return Encoder("shape")
def bad_dtype(device): return Encoder("dtype")
def bad_finite(device): return Encoder("finite")
def bad_array(device): return Encoder("raises")
def no_module(device): return [1]
def no_arguments(): return Encoder(None)
def no_width(device): return torch.nn.Linear(2, 2)
def nameless(device):
    made = torch.nn.Identity()
    made.width = 3
    return made
"""


@pytest.fixture
def own(plant: Plant) -> str:
    plant("own_frames", OWN)
    return "own_frames:good"


def test_an_encoder_of_ones_own_is_heard(own: str, tiny: dict[str, Any], noise: Noise) -> None:
    config = {**tiny, "clue": {"width": 8, "dimension": 3}, "stages": 2}
    pipeline = build({**config, "frame_encoder": own}, "cpu")
    (candidates,) = pipeline.propose([noise(8000)])
    assert np.isfinite(candidates.audio).all()
    without = build({**config, "frame_encoder": "none"}, "cpu").fingerprint()
    facts = pipeline.fingerprint()
    assert facts["parameters"] == int(str(without["parameters"])) + 1
    assert facts["stages"]["stage2"]["frame_encoder"]["name"] == own  # type: ignore[index, call-overload]
    with pytest.raises(UsageError, match=r"gives embeddings of 3 values, system\.clue\.dimension is 32"):
        build({**tiny, "frame_encoder": own}, "cpu")


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("bad_shape", r"gave the shape \(2, 49, 3\) where \(2, 50, 3\) was due; the contract"),
        ("bad_dtype", r"gave torch\.float64; the contract"),
        ("bad_finite", r"values that are not finite; the contract"),
        ("bad_array", r"gave a NoneType; the contract"),
        ("no_module", r"its factory gave a list; the contract"),
        ("no_arguments", r"TypeError.*; the contract"),
        ("no_width", r"has the width None; the contract"),
        ("nameless", r"neither weights nor fingerprint\(\)"),
        ("nothing", r"system\.frame_encoder 'own_frames:nothing' cannot be imported"),
    ],
)
def test_what_breaks_the_contract_of_ones_own_encoder_is_named(own: str, factory: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_own(f"{own.partition(':')[0]}:{factory}", "cpu")


def test_the_digest_of_ones_own_encoder_follows_weights_and_fingerprint() -> None:
    class Told(nn.Module):
        width = 2

        def __init__(self, version: int, value: float) -> None:
            super().__init__()
            self.version, self.value = version, nn.Parameter(torch.full((2,), value))

        def fingerprint(self) -> dict[str, int]:
            return {"version": self.version}

    digests = {OwnEncoder("a:b", Told(*given)).digest for given in ((1, 0.5), (1, 0.5), (2, 0.5), (1, 0.25))}
    assert len(digests) == 3
