"""Parts that were trained on others than those beside them: a recipe that is run again leaves the rest as it was."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import save_file

from s5eval.systems.multistage.configuration import read_settings
from s5eval.systems.multistage.encoder_by_name import FoundEncoder, has_heard
from s5eval.systems.multistage.system import PARTS, build, new_part
from s5eval.systems.weight_files import file_digest

HERE = "HERE"
"""Stands in a card for the digest of the file that lies beside it."""


def without_weights(tiny: dict[str, Any], encoder: str) -> dict[str, Any]:
    return {**{key: value for key, value in tiny.items() if key != "weights"}, "frame_encoder": encoder, "stages": 2}


def export(folder: Path, config: dict[str, Any]) -> Path:
    """A weights folder without a card."""
    folder.mkdir()
    configuration = read_settings(config).configuration
    for name in ("m2d", *PARTS[1], *PARTS[2]):
        state = new_part(name, configuration).state_dict()
        tensors = {key.removeprefix("backbone."): value.contiguous() for key, value in state.items()}
        save_file(tensors, folder / f"{name}.safetensors")
    return folder


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ({}, True),
        ({"built_on": {"m2d": HERE, "uss": "sha256:u"}}, True),
        ({"built_on": {"m2d": "sha256:another"}}, False),
        ({"built_on": {"uss": "sha256:u"}, "files": {"m2d": HERE}}, True),
        ({"files": {"m2d": "sha256:before"}}, False),
    ],
)
def test_a_classifier_that_was_trained_on_another_m2d_is_a_mark(
    tiny: dict[str, Any], tmp_path: Path, told: dict[str, dict[str, str]], known: bool
) -> None:
    config = without_weights(tiny, "none")
    folder = export(tmp_path / "w", config)
    now = file_digest(folder / "m2d.safetensors")
    entry = json.loads(json.dumps(told).replace(HERE, now))
    entry["files"] = {**entry.get("files", {}), "dpc1": file_digest(folder / "dpc1.safetensors")}
    (folder / "card.json").write_text(json.dumps({"history": [entry], "files": {"m2d.safetensors": now}}))
    facts = build({**config, "weights": str(folder)}, "cpu").fingerprint()
    assert facts.get("missing_parts") == (None if known else ["a classifier trained on this M2D"])


@pytest.mark.parametrize(("told", "known"), [("sha256:a", True), ("sha256:b", False), (None, True)])
def test_an_extractor_that_has_heard_another_af_whisper_is_a_mark_and_keeps_its_projection(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, known: bool
) -> None:
    config = without_weights(tiny, "af_whisper")
    folder = export(tmp_path / "w", config)
    entry: dict[str, Any] = {"files": {"tse2": file_digest(folder / "tse2.safetensors")}}
    (folder / "card.json").write_text(json.dumps({"history": [entry | ({"frame_embeddings": told} if told else {})]}))
    encoder: Any = SimpleNamespace(digest="sha256:a", network=None)
    found = FoundEncoder(encoder, encoder.digest)
    monkeypatch.setattr("s5eval.systems.multistage.system.find_encoder", lambda *_, **__: found)
    facts = build({**config, "weights": str(folder)}, "cpu").fingerprint()
    expected = None if known else ["an extractor trained on the frames of this AF-Whisper"]
    assert facts.get("missing_parts") == expected
    assert "projection" not in facts["stages"]["stage2"]  # type: ignore[index, call-overload]


def test_of_several_trainings_of_a_file_any_may_have_heard_the_encoder(tmp_path: Path) -> None:
    heard = {"tse2": ["sha256:b", "sha256:a"], "tse3": ["sha256:b"]}
    history = [
        {"files": {part: f"sha256:{part}"}, "frame_embeddings": digest}
        for part, digests in heard.items()
        for digest in digests
    ]
    (tmp_path / "card.json").write_text(json.dumps({"history": history}))
    encoder: Any = SimpleNamespace(digest="sha256:a")
    assert has_heard(tmp_path, "sha256:tse2", encoder)
    assert not has_heard(tmp_path, "sha256:tse3", encoder)


def test_the_parts_that_ship_were_trained_on_one_another() -> None:
    assert "missing_parts" not in build({"frame_encoder": "none"}, "cpu").fingerprint()
