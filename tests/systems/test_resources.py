"""What a card tells of the recordings that weights have heard."""

import json
from pathlib import Path

from s5eval.systems.baseline.system import SHIPPED as OF_BASELINE
from s5eval.systems.multistage.system import SHIPPED as OF_MULTISTAGE
from s5eval.systems.resources import augmentation, heard_resources, trained_on, training_facts

FOLDER = "sha256:" + "f" * 64


def card(folder: Path, recordings: dict[str, object]) -> Path:
    history = [{"recipe": "mini/uss", "recordings": [FOLDER]}]
    (folder / "card.json").write_text(json.dumps({"history": history, "recordings": recordings}))
    return folder


def test_recordings_are_known_by_themselves_and_by_their_folder(tmp_path: Path) -> None:
    told = card(tmp_path, {FOLDER: {"folder": "mine", "contents": "aaaaaaaaaaaa bbbbbbbbbbbb"}})
    assert trained_on(told) == {"f" * 12, "a" * 12, "b" * 12}


def test_a_card_of_before_tells_the_folder_alone(tmp_path: Path) -> None:
    assert trained_on(card(tmp_path, {FOLDER: {"folder": "mine"}})) == trained_on(card(tmp_path, {})) == {"f" * 12}
    assert trained_on(None) == frozenset()


def test_what_ships_tells_every_recording() -> None:
    heard = trained_on(OF_BASELINE)
    assert trained_on(OF_MULTISTAGE) == heard
    assert len(heard) == 437 + 150 + 2


def test_recordings_behind_slots_of_another_training_are_resources_too() -> None:
    slots = {"also": [{"slots": "sha256:s", "data": "mine 1", "recordings": [FOLDER]}]}
    entry = {"recipe": "mini/names", "steps": 1, "data": "procedural (mini/train)", "slots": slots}
    origins = [{"licence": "CC0", "source": "https://example.org/mine", "files": 3}]
    told = {"history": [entry], "recordings": {FOLDER: {"folder": "mine", "origins": origins}}}
    assert [(resource["name"], resource["url"]) for resource in heard_resources(told)] == [
        ("https://example.org/mine (3 files)", "https://example.org/mine")
    ]
    assert "recordings" in augmentation(told)
    assert training_facts(told)["data"] == ["mine 1", "procedural (mini/train)"]
