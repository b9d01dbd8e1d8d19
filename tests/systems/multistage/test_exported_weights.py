"""Exported weights: what a system makes of the files of a folder, and what it says of those that do not fit."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.records import Mixture
from s5eval.systems.decision_reading import thresholds_file
from s5eval.systems.multistage import system as module
from s5eval.systems.multistage.configuration import read_settings
from s5eval.systems.multistage.system import PARTS, build, new_part, weights_folder
from s5eval.systems.weight_files import file_digest

Noise = Callable[..., Mixture]


def export(folder: Path, config: Mapping[str, Any], stages: tuple[int, ...] = (1, 2, 3), seed: int = 7) -> Path:
    """A weights folder as training exports it."""
    folder.mkdir(parents=True)
    settings = read_settings({**config, "weights": str(folder), "seed": seed})
    for name in ("m2d", *(part for stage in stages for part in PARTS[stage])):
        state = new_part(name, settings.configuration).state_dict()
        save_file(
            {key.removeprefix("backbone."): value.contiguous() for key, value in state.items()},
            folder / f"{name}.safetensors",
        )
    return folder


def test_exported_weights(tiny: dict[str, Any], noise: Noise, tmp_path: Path) -> None:
    mixture, folder = noise(6000), export(tmp_path / "weights", tiny)
    pipeline = build({**tiny, "weights": str(folder)}, "cpu")
    assert str(pipeline.fingerprint()["weights"]).startswith("sha256:")
    (loaded,), (random,) = pipeline.propose([mixture]), build({**tiny, "seed": 7}, "cpu").propose([mixture])
    assert loaded.sha256() == random.sha256()
    assert pipeline.decision.threshold("Percussion") == 0.5
    (folder / "thresholds.yaml").write_text("silence_thresholds: {default: 0.5, Percussion: 0.8}\n")
    given = {**tiny, "weights": str(folder)}
    assert thresholds_file(weights_folder(read_settings(given))) == folder / "thresholds.yaml"
    assert build(given, "cpu").decision.threshold("Percussion") == 0.8
    assert thresholds_file(weights_folder(read_settings(tiny))) is None


def test_another_file_changes_its_own_stage_alone(tiny: dict[str, Any], tmp_path: Path) -> None:
    one = export(tmp_path / "one", tiny)
    before = build({**tiny, "weights": str(one)}, "cpu").fingerprint()
    other = new_part("tse3", read_settings({**tiny, "seed": 9}).configuration)
    save_file(other.state_dict(), one / "tse3.safetensors")
    after = build({**tiny, "weights": str(one)}, "cpu").fingerprint()
    assert before["weights"] != after["weights"]
    changed = [n for n in (1, 2, 3) if before["stages"][f"stage{n}"] != after["stages"][f"stage{n}"]]  # type: ignore[index, call-overload]
    assert changed == [3]


def test_without_an_extractor_of_its_own_stage_3_takes_stage_2s(tiny: dict[str, Any], tmp_path: Path) -> None:
    folder = export(tmp_path / "weights", tiny)
    own = build({**tiny, "weights": str(folder)}, "cpu").fingerprint()["stages"]["stage3"]  # type: ignore[index, call-overload]
    (folder / "tse3.safetensors").unlink()
    pipeline = build({**tiny, "weights": str(folder)}, "cpu")
    shared = pipeline.fingerprint()["stages"]["stage3"]  # type: ignore[index, call-overload]
    assert shared["weights"]["tse3"] == file_digest(folder / "tse2.safetensors")
    assert shared["weights"]["tse3"] != own["weights"]["tse3"]
    assert shared["weights"]["dpc3"] == own["weights"]["dpc3"]
    (folder / "dpc3.safetensors").unlink()
    whole = build({**tiny, "weights": str(folder)}, "cpu").fingerprint()["stages"]["stage3"]  # type: ignore[index, call-overload]
    assert whole["weights"]["dpc3"] == file_digest(folder / "dpc2.safetensors"), "stage 3 is stage 2 once more"
    shutil.copy(folder / "tse2.safetensors", folder / "tse3.safetensors")
    with pytest.raises(DataError, match=r"dpc3.safetensors: no such file"):  # an extractor of its own needs one
        build({**tiny, "weights": str(folder)}, "cpu")


def test_incomplete_weights_say_what_is_missing(tiny: dict[str, Any], noise: Noise, tmp_path: Path) -> None:
    folder = export(tmp_path / "weights", tiny, stages=(1,))
    config = {**tiny, "weights": str(folder)}
    build({**config, "stages": 1}, "cpu").propose([noise(6000)])
    with pytest.raises(DataError, match=r"tse2.safetensors: no such file; get it from `s5eval train`"):
        build(config, "cpu")
    (folder / "m2d.safetensors").unlink()
    with pytest.raises(DataError, match=r"`s5eval train mini/m2d` exports them there; or give `system.m2d_weights="):
        build({**config, "stages": 1}, "cpu")
    with pytest.raises(DataError, match=r"give `system.m2d_weights=FILE`; get it from https"):
        build({"preset": "paper", "weights": str(folder), "stages": 1}, "cpu")
    with pytest.raises(DataError, match="is no folder"):
        build({**tiny, "weights": str(tmp_path / "nowhere")}, "cpu")


def test_weights_of_other_sizes_name_the_tensor(tiny: dict[str, Any], tmp_path: Path) -> None:
    folder = export(tmp_path / "weights", tiny)
    wider = {**tiny, "weights": str(folder), "separator": {**tiny["separator"], "width": 16}}
    with pytest.raises(
        DataError, match=r"uss.safetensors: tensor 'encoder.body.bias' has shape .* expected \(32, 16\)"
    ):
        build(wider, "cpu")


def test_shipped_weights_serve_mini_alone(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export(tmp_path / "shipped", tiny)
    (folder / "card.json").write_text("{}")
    monkeypatch.setattr(module, "SHIPPED", folder)
    default = {key: value for key, value in tiny.items() if key != "weights"}
    assert build(default, "cpu").fingerprint()["weights"] != "untrained"
    assert build({**default, "weights": "untrained"}, "cpu").fingerprint()["weights"] == "untrained"
    assert build({**default, "preset": "paper"}, "cpu").fingerprint()["weights"] == "untrained"
