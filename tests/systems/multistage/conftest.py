"""Sizes small enough for tests, and files as the published ones are laid out."""

from typing import Any

import pytest
import torch

from s5eval.systems.multistage.configuration import MultistageConfiguration, load_preset

TINY: dict[str, Any] = {
    "classifiers": 3,
    "spatial_filter": {"share": 0.0, "enrollment": 0.0},
    "separator": {
        "width": 8,
        "blocks": 1,
        "heads": 2,
        "head_dim": 4,
        "frequency_stride": 16,
        "time_stride": 2,
    },
    "mamba2": {"d_state": 4, "headdim": 8, "chunk": 8},
    "clue": {"dimension": 32, "width": 8},
    "dpc": {"widths": [8], "strides": [[2, 2]], "attention": 4, "fusion": 16, "embedding": 8, "silence": 4},
    "m2d": {"width": 16, "depth": 1, "heads": 2, "stem": [4, 6, 8]},
}


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Changes to a preset, as `system.*` keys."""
    return {**TINY, "weights": "untrained"}


@pytest.fixture
def tiny_configuration() -> MultistageConfiguration:
    return load_preset("mini", TINY)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
