"""The decision that ships is for the system that ships, and for no other that has its weights."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from s5eval.harness.record.same_system import system_digest
from s5eval.harness.runs.chosen_decision import choose_decision
from s5eval.harness.runs.contract import read_fingerprint
from s5eval.systems.card import record_file
from s5eval.systems.multistage.system import SHIPPED, build

pytestmark = pytest.mark.skipif(not (SHIPPED / "thresholds.yaml").is_file(), reason="no decision ships")


def decided_by(settings: Mapping[str, Any]) -> str:
    system = build(settings, "cpu")
    said = read_fingerprint("multistage", system)
    digest = system_digest("multistage", said)
    return choose_decision(system.decision, {}, weights=said["weights"], fingerprint=digest).decided_by


def test_it_fits_what_ships_and_says_so_of_fewer_stages() -> None:
    pytest.importorskip("transformers")  # without AF-Whisper it is another system
    assert "for other" not in decided_by({})
    assert " for other weights or stages" in decided_by({"stages": 1})


@pytest.mark.parametrize("settings", [{"af_whisper": False}, {"spatial_filter": {"share": 0.6}}])
def test_it_is_another_systems_without_the_encoder_or_behind_a_filter(settings: dict[str, Any]) -> None:
    assert " for other weights or settings" in decided_by(settings)


def test_it_is_another_systems_with_another_m2d(tmp_path: Path) -> None:
    """M2D is trained with the classifiers, and is no part of the digest that tables call weights."""
    folder = tmp_path / "weights"
    shutil.copytree(SHIPPED, folder)
    tensors = load_file(folder / "m2d.safetensors")
    moved = {name: tensor * 1.01 if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    save_file(moved, folder / "m2d.safetensors")
    record_file(folder, "m2d.safetensors")
    assert " for other weights or settings" in decided_by({"weights": str(folder)})
