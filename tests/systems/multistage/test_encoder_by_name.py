"""The frame encoder is a named part: the names, what each gives, and what of old results stays as it was."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.records import Mixture
from s5eval.systems.interface import Json
from s5eval.systems.multistage.configuration import load_preset, read_settings, recorded
from s5eval.systems.multistage.encoder_by_name import was_trained_with
from s5eval.systems.multistage.models.dpc import normalise_level
from s5eval.systems.multistage.models.frame_encoders import M2DFrames, place
from s5eval.systems.multistage.profile import profile
from s5eval.systems.multistage.system import PARTS, REVISION, build, new_part
from s5eval.systems.networks.m2d import M2D
from s5eval.systems.training.training_plan import read_plan
from s5eval.systems.weight_files import file_digest
from s5eval.systems.weights import typed

Noise = Callable[..., Mixture]


def narrow(tiny: dict[str, Any], width: int | None = None) -> dict[str, Any]:
    return {**tiny, "clue": {"width": 8} if width is None else {"width": 8, "dimension": width}}


def test_the_switch_of_before_means_a_name() -> None:
    assert load_preset("mini").frame_encoder == "af_whisper"
    assert load_preset("mini", {"af_whisper": False}) == load_preset("mini", {"frame_encoder": "none"})
    assert load_preset("mini", {"af_whisper": True}) == load_preset("mini")
    assert load_preset("mini", {"af_whisper": True, "frame_encoder": "af_whisper"}) == load_preset("mini")
    sizes = load_preset("mini", {"frame_encoder": {"hidden_size": 32}})
    assert (sizes.frame_encoder, sizes.frame_encoder_sizes.hidden_size) == ("af_whisper", 32), (
        "as runs of before have it"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"af_whisper": False, "frame_encoder": "m2d"}, "af_whisper is false, which means system.frame_encoder=none"),
        (
            {"af_whisper": True, "frame_encoder": "none"},
            "af_whisper is true, which means system.frame_encoder=af_whisp",
        ),
        ({"af_whisper": 1}, "system.af_whisper is 1, expected true or false"),
        ({"frame_encoder": "m2"}, "did you mean 'm2d'"),
        ({"frame_encoder": "a b:c"}, "module:factory"),
        ({"frame_encoder": False}, "system.frame_encoder is False, expected a word"),
        ({"frame_encoder": "m2d", "clue": {"dimension": 32}}, r"dimension is 32, and frames of M2D have 192 values"),
        ({"frame_encoder": {}, "frame_encoder_sizes": {}}, "keep the latter"),
        ({"whisper_weights": "x"}, "say system.frame_encoder=whisper too"),
    ],
)
def test_contradictions_are_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_settings(changes)


def test_plans_and_kept_slots_of_before_have_the_digest_that_they_had() -> None:
    content = recorded(load_preset("mini"), extracts=False)
    assert content["af_whisper"] is True
    assert set(content["frame_encoder"]) >= {"num_mel_bins", "hidden_size"}
    assert not {"encoder", "frame_encoder_sizes"} & content.keys()
    assert recorded(load_preset("mini", {"af_whisper": False}), extracts=False) == {**content, "af_whisper": False}
    other = recorded(load_preset("mini", {"frame_encoder": "m2d"}), extracts=False)
    assert read_plan("paper/uss").digest()[7:15] == "fbe91e42", "trainings that were begun then go on"
    clue = {**content["clue"], "dimension": 192}
    assert other == {**content, "af_whisper": False, "encoder": "m2d", "clue": clue}


def test_fingerprints_of_before_stay_and_others_differ_in_the_stages_that_hear_frames(tiny: dict[str, Any]) -> None:
    shared: dict[str, Json] = {"clue": {"dimension": 32, "width": 8}, "tau_skip": 0.97}
    stage2 = build(tiny, "cpu").fingerprint()["stages"]["stage2"]  # type: ignore[index, call-overload]
    assert set(stage2) == {
        "revision", "weights", "seed", "precision", "mamba", "decoder", "stft", "objects", "separator", "mamba2", "dpc",
        "m2d", "clue", "tau_skip", "af_whisper",
    }  # fmt: skip
    assert {key: stage2[key] for key in shared} == shared
    assert stage2["af_whisper"] == {"requested": True, "encoder": "null embedding"}
    none = build({**tiny, "frame_encoder": "none"}, "cpu").fingerprint()
    assert none == build({**tiny, "af_whisper": False}, "cpu").fingerprint()
    m2d = build({**narrow(tiny), "frame_encoder": "m2d"}, "cpu").fingerprint()
    assert m2d["stages"]["stage1"] == none["stages"]["stage1"]  # type: ignore[index, call-overload]
    assert m2d["stages"]["stage2"]["frame_encoder"] == {  # type: ignore[index, call-overload]
        "name": "m2d", "encoder": "untrained", "source": "estimate",
    }  # fmt: skip
    assert "af_whisper" not in {**m2d, **m2d["stages"]["stage2"]}  # type: ignore[index, call-overload, dict-item]


@pytest.mark.parametrize(("change", "digest"), [({}, "0c8a6eefeaf625ec"), ({"af_whisper": False}, "9a38fedda0069ff1")])
def test_fingerprints_are_those_of_before_encoders_had_names(
    tiny: dict[str, Any], change: dict[str, Any], digest: str
) -> None:
    assert REVISION == 5, "a new revision has new fingerprints: write their digests here"
    before = {
        "m2d": {**tiny["m2d"], "stem": []},
        "dpc": {**tiny["dpc"], "token_rows": "mean", "token_peaks": False, "dropout": 0.1},
    }
    found = json.dumps(build({**tiny, **before, **change}, "cpu").fingerprint(), sort_keys=True)
    assert hashlib.sha256(found.encode()).hexdigest()[:16] == digest


@pytest.fixture
def m2d() -> M2D:
    return typed(new_part("m2d", load_preset("mini")), M2D).eval()


def slow_frames(m2d: M2D, audio: Tensor) -> Tensor:
    """The rule as it reads: a column's middle is 75 ms after it begins; frames between two middles are their mean,
    weighted by nearness.
    """
    tokens = m2d(normalise_level(audio)).mean(1)
    starts, piece = [], 1001
    mel_frames = audio.shape[1] // 320 + 1
    padded = -(-mel_frames // 16) * 16
    for first in range(0, mel_frames, piece):
        last = min(first + piece, padded)
        starts += [start for start in range(first, last - 15, 16)]
    middles = [10.0 * start + 75.0 for start in starts]
    out = []
    for j in range(-(-audio.shape[1] // 640)):
        at = 20.0 * j
        if at <= middles[0]:
            out.append(tokens[:, 0])
        elif at >= middles[-1]:
            out.append(tokens[:, len(middles) - 1])
        else:
            k = max(i for i, middle in enumerate(middles) if middle <= at)
            share = (at - middles[k]) / (middles[k + 1] - middles[k])
            out.append((1 - share) * tokens[:, k] + share * tokens[:, k + 1])
    return torch.stack(out, 1)


@pytest.mark.parametrize("samples", [1, 5_000, 64_001, 340_000])
def test_frames_of_m2d_lie_where_its_columns_do(m2d: M2D, samples: int) -> None:
    audio = 0.1 * torch.randn(2, samples)
    with torch.no_grad():
        found, expected = M2DFrames(m2d, "d").embed(audio), slow_frames(m2d, audio)
    assert found.shape == (2, -(-samples // 640), 192)
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=1e-5)


def test_an_impulse_in_one_column_moves_only_frames_near_it() -> None:
    values = torch.zeros(1, 10, 1)
    values[0, 4] = 1.0
    centres = 320.0 * (16 * torch.arange(10) + 7.5)
    moved = torch.nonzero(place(values, centres, 80)[0, :, 0])[:, 0] * 20
    assert (int(moved.min()), int(moved.max())) == (560, 860)  # its middle is at 715 ms, its neighbours' 160 ms away


def test_m2d_frames_run_and_a_projection_that_never_heard_them_is_marked(tiny: dict[str, Any], noise: Noise) -> None:
    pipeline = build({**narrow(tiny), "frame_encoder": "m2d", "stages": 2}, "cpu")
    (candidates,) = pipeline.propose([noise(8000)])
    assert np.isfinite(candidates.audio).all()
    facts = pipeline.fingerprint()
    assert facts["missing_parts"] == ["a trained projection of frames of m2d"]
    alone = build({**narrow(tiny, 16), "frame_encoder": "none", "stages": 2}, "cpu").fingerprint()
    assert facts["parameters"] == alone["parameters"], "M2D counts once"
    costs = {part.name: part for part in profile({**narrow(tiny), "frame_encoder": "m2d"}, "cpu", seconds=0.5).parts}
    assert sum(part.parameters for part in costs.values()) > 0
    assert (costs["m2d"].calls, "af_whisper" in costs) == (9 + 6, False), "nine slots classified, six embedded"


def export(folder: Path, config: dict[str, Any], frame_embeddings: str | None) -> Path:
    """A weights folder whose card says what `tse2` was trained on."""
    folder.mkdir()
    configuration = read_settings({**config, "seed": 7}).configuration
    for name in ("m2d", *PARTS[1], *PARTS[2]):
        state = new_part(name, configuration).state_dict()
        tensors = {key.removeprefix("backbone."): value.contiguous() for key, value in state.items()}
        save_file(tensors, folder / f"{name}.safetensors")
    if frame_embeddings is not None:
        entry = {
            "files": {"tse2": file_digest(folder / "tse2.safetensors")},
            "frame_embeddings": frame_embeddings.replace("M2D", file_digest(folder / "m2d.safetensors")),
        }
        (folder / "card.json").write_text(json.dumps({"history": [entry]}))
    return folder


@pytest.mark.parametrize(("card", "trained"), [("M2D", True), ("sha256:another", False), (None, False)])
def test_the_card_says_whose_frames_an_extractor_was_trained_on(
    tiny: dict[str, Any], tmp_path: Path, card: str | None, trained: bool
) -> None:
    config = {key: value for key, value in narrow(tiny).items() if key != "weights"}
    config |= {"frame_encoder": "m2d", "stages": 2}
    folder = export(tmp_path / "w", config, card)
    pipeline = build({**config, "weights": str(folder)}, "cpu")
    facts = pipeline.fingerprint()
    assert ("missing_parts" not in facts) == trained
    stage2 = facts["stages"]["stage2"]  # type: ignore[index, call-overload]
    assert ("projection" not in stage2) == trained
    reseeded = build({**config, "weights": str(folder), "seed": 1}, "cpu").fingerprint()["stages"]["stage2"]  # type: ignore[index, call-overload]
    assert (reseeded == stage2) == trained, "a random projection is known by its seed"
    file = load_file(folder / "tse2.safetensors")
    kept = pipeline.stages[1].extractor.state_dict()  # type: ignore[attr-defined]
    same = {name: torch.equal(kept[name], value) for name, value in file.items()}
    assert all(same[name] for name in file if not name.startswith("frame_clue."))
    assert same["frame_clue.projection.weight"] == trained


@pytest.mark.parametrize(
    ("told", "named", "fits"),
    [
        ({}, "af_whisper", True),
        ({"frame_embeddings": "none: the null embedding alone"}, "af_whisper", False),
        ({"frame_encoder": "m2d"}, "af_whisper", False),
        ({"frame_encoder": "m2d"}, "m2d", True),
        ({"frame_encoder": "whisper", "frame_embeddings": "sha256:b"}, "m2d", False),
    ],
)
def test_an_extractor_is_of_the_encoder_that_its_card_names_and_else_of_af_whisper(
    tmp_path: Path, told: dict[str, str], named: str, fits: bool
) -> None:
    entry = {"files": {"tse2": "sha256:e"}, "frame_embeddings": "sha256:a", **told}
    (tmp_path / "card.json").write_text(json.dumps({"history": [entry]}))
    encoder: Any = SimpleNamespace(digest="sha256:a")
    assert was_trained_with(tmp_path, "sha256:e", named, encoder) == fits


def test_whisper_that_is_asked_for_and_absent_is_an_error(tiny: dict[str, Any]) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(
        DataError, match=r"Whisper, which was asked for, is not there: no weights of it; give system\.wh"
    ):
        build({**tiny, "frame_encoder": "whisper"}, "cpu")
