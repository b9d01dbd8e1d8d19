"""Settings that change a network and no tensor's shape are marks where the weights were trained with others."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from s5eval.systems.multistage.configuration import load_preset, read_settings
from s5eval.systems.multistage.encoder_by_name import FoundEncoder
from s5eval.systems.multistage.part_settings import part_settings
from s5eval.systems.multistage.system import PARTS, SHIPPED, build, new_part
from s5eval.systems.settings import dotted
from s5eval.systems.trained_settings import KEY, recorded_settings
from s5eval.systems.weight_files import file_digest

shipped = pytest.mark.skipif(not (SHIPPED / "card.json").is_file(), reason="no weights ship")

OTHERWISE = {
    "stages", "classifiers", "precision", "tau_skip", "seed",  # chosen at every run
    "objects.interference", "objects.noise", "mamba2.chunk", "separator.dropout", "dpc.dropout", "dpc.margin",
    "separator.frequency_stride", "m2d.heads",  # of no use with bands, and without blocks
    "frame_encoder", "clue.dimension", "clue.width",  # marks and shapes of the projection
}  # fmt: skip
ELSEWHERE = ("spatial_filter.", "frame_encoder_sizes.")


def missing(config: dict[str, Any]) -> Any:
    return build({"frame_encoder": "none", **config}, "cpu").fingerprint().get("missing_parts", [])


def test_every_setting_belongs_to_a_part_or_has_a_word_of_its_own() -> None:
    config = load_preset("mini")
    known = {key for name in ("uss", "tse2", "dpc1", "m2d") for key in dotted(part_settings(name, config))}
    rest = dotted(asdict(config)).keys() - known
    assert {key for key in rest if not key.startswith(ELSEWHERE)} == OTHERWISE
    assert not known & OTHERWISE


@shipped
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"separator": {"heads": 4, "head_dim": 12}}, ["separator.heads=4 (uss and tse2: 2)", "separator.head_dim=12"]),
        ({"stft": {"hop": 256}}, ["stft.hop=256 (uss and tse2: 512)"]),
        ({"stft": {"window": 2048}}, ["stft.window=2048 (uss and tse2: 1024)"]),
        ({"dpc": {"strides": [[1, 2], [2, 2], [2, 2]]}}, ["dpc.strides=[[1, 2], [2, 2], [2, 2]] (dpc1 and dpc2: [[2,"]),
        ({"dpc": {"scale": 8}}, ["dpc.scale=8.0 (dpc1 and dpc2: 16.0)"]),
        ({"m2d": {"frames": 1000}}, ["m2d.frames=1000 (m2d: 1001)"]),
        ({"objects": {"foreground": 2}}, ["objects.foreground=2 (uss: 3)"]),
        ({"objects": {"foreground": 2}, "stages": 1}, ["objects.foreground=2 (uss: 3)"]),
    ],
)
def test_a_setting_that_no_tensor_tells_is_a_mark(changes: dict[str, Any], said: list[str]) -> None:
    told = missing(changes)
    assert len(told) == len(said)
    for text, part in zip(told, said, strict=True):
        assert text.startswith(f"weights trained with {part}")


@shipped
@pytest.mark.parametrize(
    "changes",
    [
        {},
        *({"stages": stages} for stages in (1, 2)),
        {"classifiers": 3},
        {"precision": "bf16"},
        {"tau_skip": 0.5},
        {"seed": 7},
        {"spatial_filter": {"share": 0.6}},
        {"separator": {"dropout": 0.5, "frequency_stride": 4}, "dpc": {"dropout": 0.0, "margin": 0.5}},
        {"mamba2": {"chunk": 64}, "m2d": {"heads": 2}},
        {"af_source": "mixture"},  # nobody hears it without an encoder
    ],
)
def test_what_changes_no_part_is_no_mark(changes: dict[str, Any]) -> None:
    assert missing(changes) == []


@shipped
def test_the_card_of_the_weights_that_ship_tells_of_every_part() -> None:
    card = json.loads((SHIPPED / "card.json").read_text(encoding="utf-8"))
    told: dict[str, Any] = {}
    for entry in card["history"]:
        told |= {
            name: settings
            for name, settings in entry.get(KEY, {}).items()
            if entry["files"][name] == file_digest(SHIPPED / f"{name}.safetensors")
        }
    names = [path.stem for path in SHIPPED.glob("*.safetensors")]
    config = load_preset("mini")
    assert told == recorded_settings(names, lambda name: part_settings(name, config))


@pytest.mark.parametrize(("source", "said"), [("estimate", []), ("mixture", ["af_source"])])
@pytest.mark.parametrize("present", [True, False])
def test_what_an_encoder_hears_counts_where_there_is_one(
    source: str, said: list[str], present: bool, tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {**{key: value for key, value in tiny.items() if key != "weights"}, "stages": 2, "af_whisper": True}
    configuration = read_settings({**config, "af_source": "estimate"}).configuration
    files = {}
    for name in ("m2d", *PARTS[1], *PARTS[2]):
        state = new_part(name, configuration).state_dict()
        save_file(
            {k.removeprefix("backbone."): v.contiguous() for k, v in state.items()}, tmp_path / f"{name}.safetensors"
        )
        files[name] = file_digest(tmp_path / f"{name}.safetensors")
    settings = recorded_settings(files, lambda name: part_settings(name, configuration))
    (tmp_path / "card.json").write_text(json.dumps({"history": [{"files": files, KEY: settings}]}))

    class Encoder:
        digest, network = "sha256:a", None

    encoder: Any = Encoder()
    found = FoundEncoder(encoder, "sha256:a") if present else FoundEncoder(None, "null embedding")
    monkeypatch.setattr("s5eval.systems.multistage.system.find_encoder", lambda *_, **__: found)
    facts = build({**config, "weights": str(tmp_path), "af_source": source}, "cpu").fingerprint()
    told: Any = facts.get("missing_parts", [])
    assert [text.split("=")[0].split()[-1] for text in told] == (said if present else [])


def test_without_mamba_its_sizes_are_of_no_use() -> None:
    config = load_preset("mini")
    with_mamba, without = (dotted(part_settings("uss", replace(config, mamba=kind))) for kind in ("both", "none"))
    assert {"mamba2.d_state", "separator.unfold"} <= with_mamba.keys()
    assert not {"mamba2.d_state", "separator.unfold"} & without.keys()
    assert part_settings("encoder", config) == {}
