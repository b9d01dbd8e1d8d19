"""What a card tells of the settings that parts were trained with, and what is said where a run has others."""

import json
from pathlib import Path
from typing import Any

import pytest

from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.trained_settings import (
    KEY,
    check_built_on,
    missing_of,
    recorded_settings,
    told_settings,
    unlike_trained,
)


def settings_of(name: str) -> dict[str, Any]:
    return {"net": {"heads": 4, "bands": ((2, 3),)}, "mode": "fast"} if name != "bare" else {}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    before = {"a": {"net.heads": 1}}
    told = {"a": {"net.heads": 2, "net.bands": [[2, 3]], "mode": "slow"}, "b": {"net.heads": 2, "mode": "fast"}}
    history = [
        {"files": {"a": "sha256:a"}, KEY: before},
        {"files": {"a": "sha256:a", "b": "sha256:b", "c": "sha256:c"}, KEY: told},
        {"files": {"a": "sha256:a"}},  # a blend of before says nothing
        {"files": {"d": "sha256:d"}, KEY: ["of another program"]},
    ]
    (tmp_path / "card.json").write_text(json.dumps({"history": history}))
    return tmp_path


def test_settings_are_recorded_by_dotted_keys_and_of_parts_that_have_some() -> None:
    told = recorded_settings(["a", "bare"], settings_of)
    assert told == {"a": {"net.heads": 4, "net.bands": [[2, 3]], "mode": "fast"}}


def test_the_last_training_that_tells_counts(folder: Path) -> None:
    assert told_settings(folder, "sha256:a")["net.heads"] == 2
    assert told_settings(folder, "sha256:c") == told_settings(folder, "sha256:d") == {}
    assert told_settings(None, "sha256:a") == {}


def test_parts_with_the_same_difference_are_told_together_and_a_shared_file_once(folder: Path) -> None:
    digests = {"a": "sha256:a", "b": "sha256:b", "c": "sha256:c", "d": "untrained", "again": "sha256:b"}
    assert missing_of(folder, digests, settings_of) == [
        "weights trained with net.heads=4 (a and b: 2)",
        'weights trained with mode="fast" (a: "slow")',
    ]
    assert unlike_trained(folder, {"c": "sha256:c"}, settings_of) == []


def test_a_training_that_would_run_a_frozen_part_otherwise_is_refused(folder: Path) -> None:
    check_built_on(folder, {"c": "sha256:c"}, settings_of)
    with pytest.raises(DataError, match=r"b\.safetensors: by the card there, .*system\.net\.heads=2, .* with 4; train"):
        check_built_on(folder, {"b": "sha256:b"}, settings_of)
