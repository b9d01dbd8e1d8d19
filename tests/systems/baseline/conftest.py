"""Sizes small enough for tests, the published key tables, and files as the published ones are laid out."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from s5eval.systems.baseline.configuration import BaselineConfiguration, load_preset

TINY: dict[str, Any] = {
    "m2d": {"width": 16, "depth": 1, "heads": 2, "stem": []},
    "head": {"track": 8, "hidden": 6},
    "separator": {
        "window": 64,
        "hop": 16,
        "condition": 8,
        "widths": [4, 6, 64],
        "pools": [[2, 2], [2, 2], [1, 2]],
    },
}


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Changes to a preset, as `system.*` keys."""
    return {**TINY, "weights": "untrained"}


@pytest.fixture
def tiny_configuration() -> BaselineConfiguration:
    return load_preset("mini", TINY)


@pytest.fixture
def unsettle() -> Callable[[torch.nn.Module], torch.nn.Module]:
    """Give every normalisation statistics and factors of its own, as training does."""

    def unsettle(network: torch.nn.Module) -> torch.nn.Module:
        for module in network.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(0, 0.3)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
                if module.affine:
                    module.weight.data.uniform_(0.5, 1.5)
                    module.bias.data.normal_(0, 0.2)
        return network

    return unsettle


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
