"""Files of weights as a training leaves them."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.training.exports import write_weights


def test_what_a_type_cannot_hold_keeps_its_own(tmp_path: Path) -> None:
    weights = {"large": torch.tensor([1e5, 1.0]), "small": torch.tensor([0.5]), "count": torch.tensor(70_000)}
    write_weights(tmp_path / "uss.safetensors", weights, torch.float16)
    found = load_file(tmp_path / "uss.safetensors")
    assert found["large"].tolist() == [1e5, 1.0]
    assert {name: value.dtype for name, value in found.items()} == {
        "large": torch.float32,
        "small": torch.float16,
        "count": torch.int64,
    }


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_not_exported(tmp_path: Path, value: float) -> None:
    with pytest.raises(DataError, match=r"uss\.safetensors: not written: w has values that are not finite \(1 of 2 t"):
        write_weights(tmp_path / "uss.safetensors", {"v": torch.ones(2), "w": torch.tensor(value)}, torch.float16)
    assert not (tmp_path / "uss.safetensors").exists()
