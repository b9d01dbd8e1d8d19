"""Files of weights as a training leaves them."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.training.exports import exported, update_card, write_weights


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


def test_a_file_that_is_written_again_has_its_new_digest_on_the_card_and_the_others_theirs(tmp_path: Path) -> None:
    for digest, name in (("sha256:1", "uss"), ("sha256:2", "dpc1"), ("sha256:3", "uss")):
        update_card(tmp_path, {"recipe": name, "plan": digest}, written={f"{name}.safetensors": digest})
    files = json.loads((tmp_path / "card.json").read_text())["files"]
    assert files == {"uss.safetensors": "sha256:3", "dpc1.safetensors": "sha256:2"}


def test_of_a_plan_that_stands_on_an_early_card_twice_the_later_one_counts(tmp_path: Path) -> None:
    """Early cards do not say what a plan was begun with: it went on from its own result, and both were told."""
    history = [{"recipe": "uss", "plan": "1", "steps": steps} for steps in (3, 5)]
    (tmp_path / "card.json").write_text(json.dumps({"history": history}))
    assert exported(tmp_path, "uss", "1") == history[1]
    update_card(tmp_path, {"recipe": "uss", "plan": "1", "steps": 8}, written={})
    told = json.loads((tmp_path / "card.json").read_text())["history"]
    assert [entry["steps"] for entry in told] == [3, 8]


def test_recordings_are_described_by_their_digest_alone(tmp_path: Path) -> None:
    """What share of a training they were is that training's, and stands in its entry."""
    heard = [{"share": 0.5, "digest": "sha256:a", "folder": "mine", "files": 3}, {"share": 0.5, "folder": "foley"}]
    update_card(tmp_path, {"recipe": "uss", "plan": "1"}, heard, written={})
    told = json.loads((tmp_path / "card.json").read_text())["recordings"]
    assert told == {"sha256:a": {"folder": "mine", "files": 3}}
