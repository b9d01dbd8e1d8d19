"""The baseline as a system: weights, settings, fingerprints, the stage store, and the command line."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.records import Mixture
from s5eval.systems.baseline import system as module
from s5eval.systems.baseline.configuration import BaselineConfiguration, load_preset
from s5eval.systems.baseline.models.frozen import trained_tensors
from s5eval.systems.baseline.system import CHECKPOINTS, build_1c, build_4c, new_part
from s5eval.systems.pipeline import Pipeline
from s5eval.systems.registry import load_factory
from s5eval.systems.stage_store import DiskStore

Noise = Callable[..., Mixture]


def checkpoints(folder: Path, config: BaselineConfiguration) -> Path:
    folder.mkdir()
    for part, name in CHECKPOINTS.items():
        state = new_part(part, config).state_dict()
        torch.save({"state_dict": {f"model.{key}": value for key, value in state.items()}}, folder / name)
    return folder


def export(folder: Path, config: BaselineConfiguration) -> Path:
    folder.mkdir()
    for role, part in (("tagger", "tagger-4c"), ("separator", "separator")):
        tensors = {name: value.contiguous() for name, value in trained_tensors(new_part(part, config)).items()}
        save_file(tensors, folder / f"{role}.safetensors")
    (folder / "card.json").write_text("{}")
    return folder


def without(config: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in names}


def differing(first: Pipeline, second: Pipeline) -> list[str]:
    pairs = zip(first.stages, second.stages, strict=True)
    return [one.name for one, other in pairs if one.fingerprint() != other.fingerprint()]


def test_they_are_installed_under_their_names() -> None:
    assert load_factory("baseline-1c") is build_1c
    assert load_factory("baseline-4c") is build_4c


@pytest.mark.parametrize("build", [build_1c, build_4c])
@pytest.mark.parametrize("samples", [1, 999, 12_345])
def test_candidates_of_any_length(tiny: dict[str, Any], noise: Noise, samples: int, build: Any) -> None:
    (candidates,) = build(tiny, "cpu").propose([noise(samples)])
    assert candidates.audio.shape == (3, samples)
    assert candidates.audio.dtype == np.float32
    assert np.isfinite(candidates.audio).all()
    assert ((candidates.class_scores >= 0) & (candidates.class_scores <= 1)).all()
    assert ((candidates.p_silence >= 0) & (candidates.p_silence <= 1)).all()


def test_the_store_shares_the_tagger(tiny: dict[str, Any], noise: Noise, tmp_path: Path) -> None:
    mixture, counts, results = noise(4000), [], []
    for change in ({}, {}, {"silent_slots": "zeros"}, {"separator": {**tiny["separator"], "condition": 6}}):
        pipeline = build_4c({**tiny, **change}, "cpu")
        pipeline.store = DiskStore(tmp_path / "store")
        results += pipeline.propose([mixture])
        counts.append([(tally.executed, tally.reused) for tally in pipeline.tally.values()])
    assert counts == [[(1, 0), (1, 0)], [(0, 1), (0, 1)], [(0, 1), (1, 0)], [(0, 1), (1, 0)]]
    assert results[0].sha256() == results[1].sha256()


def test_random_weights_are_the_same_every_time(tiny: dict[str, Any], noise: Noise) -> None:
    first, second, other = (build_4c({**tiny, "seed": seed}, "cpu") for seed in (0, 0, 1))
    assert first.fingerprint() == second.fingerprint() != other.fingerprint()
    assert first.fingerprint()["weights"] == "untrained"
    mixture = noise(2000)
    digests = [pipeline.propose([mixture])[0].sha256() for pipeline in (first, second, other)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"m2d": {"width": 32}}, ["tagger"]),
        ({"head": {"hidden": 7}}, ["tagger"]),
        ({"separator": {"condition": 6}}, ["separator"]),
        ({"silent_slots": "zeros"}, ["separator"]),
        ({"tracks": 2}, ["tagger", "separator"]),
        ({"seed": 3}, ["tagger", "separator"]),
        ({}, []),
    ],
)
def test_fingerprints_carry_what_changes_a_stage(
    tiny: dict[str, Any], change: dict[str, Any], stages: list[str]
) -> None:
    changed = {**tiny, **{key: {**tiny[key], **value} if key in tiny else value for key, value in change.items()}}
    assert differing(build_4c(tiny, "cpu"), build_4c(changed, "cpu")) == stages


def test_the_other_tagger_and_other_code_have_other_fingerprints(
    tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = build_4c(tiny, "cpu")
    assert differing(before, build_1c(tiny, "cpu")) == ["tagger"]
    monkeypatch.setattr(module, "REVISION", module.REVISION + 1)
    assert differing(before, build_4c(tiny, "cpu")) == ["tagger", "separator"]


def test_the_decision_is_the_official_one(tiny: dict[str, Any]) -> None:
    decision = build_4c(tiny, "cpu").decision
    assert decision.as_dict() == {
        "silence_thresholds": {"default": 0.5},
        "max_sources": 3,
        "duplicate_correlation": None,
    }
    assert build_4c({**tiny, "tracks": 2}, "cpu").decision.max_sources == 2


@pytest.mark.parametrize("build", [build_1c, build_4c])
def test_checkpoints(
    tiny: dict[str, Any], tiny_configuration: BaselineConfiguration, noise: Noise, tmp_path: Path, build: Any
) -> None:
    folder = checkpoints(tmp_path / "checkpoint", tiny_configuration)
    loaded = build({**without(tiny, "weights"), "checkpoint_dir": str(folder)}, "cpu")
    facts = loaded.fingerprint()
    assert str(facts["weights"]).startswith("sha256:")
    assert [entry["url"][:8] for entry in facts["external_resources"]] == ["https://"] * 2
    mixture = noise(3000)
    assert loaded.propose([mixture])[0].sha256() == build(tiny, "cpu").propose([mixture])[0].sha256()


def test_a_missing_checkpoint_says_where_it_comes_from(tiny: dict[str, Any], tmp_path: Path) -> None:
    rest = without(tiny, "weights")
    with pytest.raises(UsageError, match=r"checkpoint_dir=FOLDER`, with m2dat_4c.ckpt and resunetk.ckpt.*v1.0.0"):
        build_4c(rest, "cpu")
    with pytest.raises(DataError, match=r"m2dat_1c.ckpt: no such file; get it from .*baseline_checkpoint.zip"):
        build_1c({**rest, "checkpoint_dir": str(tmp_path)}, "cpu")
    with pytest.raises(DataError, match="is no folder"):
        build_1c({**rest, "checkpoint_dir": str(tmp_path / "nowhere")}, "cpu")


def test_exported_weights(
    tiny: dict[str, Any], tiny_configuration: BaselineConfiguration, noise: Noise, tmp_path: Path
) -> None:
    folder, mixture = export(tmp_path / "weights", tiny_configuration), noise(3000)
    given = {**tiny, "preset": "mini", "weights": str(folder)}
    pipeline = build_4c(given, "cpu")
    assert str(pipeline.fingerprint()["weights"]).startswith("sha256:")
    assert pipeline.propose([mixture])[0].sha256() == build_4c(tiny, "cpu").propose([mixture])[0].sha256()
    (folder / "thresholds.yaml").write_text(yaml.safe_dump({"silence_thresholds": {"default": 0.4}}))
    assert build_4c(given, "cpu").decision.threshold("Cough") == 0.4
    (folder / "separator.safetensors").unlink()
    with pytest.raises(DataError, match=r"separator.safetensors: no such file; get it from `s5eval train`"):
        build_4c(given, "cpu")


def test_shipped_weights_serve_mini_with_four_channels_alone(
    tiny: dict[str, Any], tiny_configuration: BaselineConfiguration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHIPPED", tmp_path / "absent")
    mini = {**without(tiny, "weights"), "preset": "mini"}
    assert build_4c(mini, "cpu").fingerprint()["weights"] == "untrained"
    monkeypatch.setattr(module, "SHIPPED", export(tmp_path / "shipped", tiny_configuration))
    assert build_4c(mini, "cpu").fingerprint()["weights"] != "untrained"
    assert build_1c(mini, "cpu").fingerprint()["weights"] == "untrained"
    assert build_4c({**mini, "weights": "untrained"}, "cpu").fingerprint()["weights"] == "untrained"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"preset": "huge"}, "system.preset is 'huge'; expected official or mini"),
        ({"chekpoint_dir": "x"}, "system 'baseline-4c' has no key system.chekpoint_dir; did you mean 'checkpoint_dir'"),
        ({"checkpoint_dir": "x", "weights": "y"}, "both say where weights come from"),
        ({"trust_checkpoint": "yes"}, "system.trust_checkpoint is 'yes', expected true or false"),
        ({"silent_slots": "none"}, "system.silent_slots is 'none'; expected queried or zeros"),
        ({"separator": {"hop": 512}}, "system.separator.hop is 512, expected at most a third"),
        ({"separator": {"widths": [8]}}, "must be equally long"),
        ({"separator": {"window": 1000}}, "system.separator.window is 1000, expected a multiple of 128"),
        ({"separator": {"widths": [8, 8, 0, 8, 8, 8]}}, "expected positive numbers"),
        ({"m2d": {"heads": 5}}, "system.m2d.heads is 5, expected a divisor"),
        (
            {"m2d": {"depth": 0, "stem": []}},
            "system.m2d.depth is 0, expected a positive number, or 0 where .*stem has convolutions",
        ),
        ({"tracks": 0}, "system.tracks is 0, expected a positive number"),
        ({"weights": 3}, "system.weights is 3, expected a path"),
    ],
)
def test_impossible_keys(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_4c(config, "cpu")


def test_both_presets_are_complete() -> None:
    assert load_preset("official").separator.frame_multiple == 32
    assert load_preset("mini").separator.hop == 320
    with pytest.raises(ValueError, match="no part 'tse'"):
        new_part("tse", load_preset("mini"))


def test_a_tagger_of_convolutions_alone(tiny: dict[str, Any], noise: Noise) -> None:
    convolutions = {"width": 16, "depth": 0, "heads": 2, "stem": [4, 8, 8]}
    (estimates,) = build_4c({**tiny, "m2d": convolutions}, "cpu").propose([noise(3000)])
    assert estimates.sha256() != build_4c(tiny, "cpu").propose([noise(3000)])[0].sha256()


def test_from_the_command_line(small_set: Path, s5eval: Callable[..., Any], tmp_path: Path) -> None:
    settings = ["--set", "system.preset=mini", "--set", "system.weights=untrained"]
    result = s5eval(
        "run", "--system", "baseline-4c", *settings, "--data", small_set, "--out", tmp_path / "run", "--json"
    )
    assert result.code == 0
    assert result.json["weights"] == "untrained"
    assert result.json["n_scored"] == 5


def test_trust_is_a_flag(s5eval: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def load(network: Any, path: Path, *, trusted: bool, chosen: str | None) -> None:
        seen.append(trusted)
        raise DataError("stop")

    monkeypatch.setattr(module, "load_checkpoint", load)
    settings = ["--system", "baseline-1c", "--set", "system.preset=mini", "--set", f"system.checkpoint_dir={tmp_path}"]
    for flag in ([], ["--trust-checkpoint"]):
        assert s5eval("profile", *settings, *flag).code == 3
        assert s5eval("run", *settings, *flag, "--data", tmp_path, "--out", tmp_path / "run").code == 3
    assert seen[0] is False
    assert True in seen
