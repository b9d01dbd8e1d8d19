"""The factory and the stages: what is carried on, what is skipped, what a fingerprint depends on."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.records import Mixture
from s5eval.systems.interface import Candidates, Json
from s5eval.systems.multistage.configuration import load_preset, read_settings
from s5eval.systems.multistage.stages import ExtractionStage
from s5eval.systems.multistage.system import PARTS, build, new_part
from s5eval.systems.registry import load_factory

Noise = Callable[..., Mixture]


class _Store:
    """A stage store in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Candidates] = {}

    def get(self, key: Mapping[str, Json]) -> Candidates | None:
        return self.kept.get(repr(key))

    def put(self, key: Mapping[str, Json], candidates: Candidates) -> None:
        self.kept[repr(key)] = candidates


def equal(a: Candidates, b: Candidates) -> bool:
    return a.sha256() == b.sha256()


def test_it_is_installed_under_its_name() -> None:
    assert load_factory("multistage") is build


@pytest.mark.parametrize("samples", [1, 999, 12_345])
def test_candidates_of_any_length(tiny: dict[str, Any], noise: Noise, samples: int) -> None:
    (candidates,) = build(tiny, "cpu").propose([noise(samples)])
    assert candidates.audio.shape == (3, samples)
    assert candidates.audio.dtype == np.float32
    assert np.isfinite(candidates.audio).all()
    assert candidates.class_scores.dtype == candidates.p_silence.dtype == np.float64
    assert np.allclose(candidates.class_scores.sum(1), 1.0)
    assert ((candidates.p_silence >= 0) & (candidates.p_silence <= 1)).all()
    assert candidates.labels is None


def test_random_weights_are_the_same_every_time(tiny: dict[str, Any], noise: Noise) -> None:
    mixture = noise(8000)
    torch.manual_seed(1)
    first = build(tiny, "cpu")
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = build(tiny, "cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert first.fingerprint() == second.fingerprint()
    assert first.fingerprint()["weights"] == "untrained"
    (a,), (b,) = first.propose([mixture]), second.propose([mixture])
    assert equal(a, b)
    (c,) = build({**tiny, "seed": 1}, "cpu").propose([mixture])
    assert not equal(a, c)


def test_a_batch_gives_what_each_alone_gives(tiny: dict[str, Any], noise: Noise) -> None:
    mixtures = [noise(6000, 1), noise(6000, 2), noise(7001, 3)]
    pipeline = build(tiny, "cpu")
    together = pipeline.propose(mixtures)
    for mixture, candidates in zip(mixtures, together, strict=True):
        (alone,) = pipeline.propose([mixture])
        assert np.allclose(candidates.audio, alone.audio, atol=1e-5)
        assert np.allclose(candidates.class_scores, alone.class_scores, atol=1e-5)


def test_fewer_stages_share_their_prefix(tiny: dict[str, Any], noise: Noise) -> None:
    store, mixture = _Store(), noise(6000)
    counts = []
    for config in (
        {"stages": 1},
        {"stages": 2},
        {"stages": 3},
        {"stages": 3, "af_whisper": False},
        {"stages": 2, "af_whisper": False},
    ):
        pipeline = build({**tiny, **config}, "cpu")
        pipeline.store = store
        pipeline.propose([mixture])
        counts.append([(tally.executed, tally.reused) for tally in pipeline.tally.values()])
    assert counts == [
        [(1, 0)],
        [(0, 1), (1, 0)],
        [(0, 1), (0, 1), (1, 0)],
        # the switch is part of what stages 2 and 3 are asked for, though both embed nothing here
        [(0, 1), (1, 0), (1, 0)],
        [(0, 1), (0, 1)],
    ]


def test_the_requested_switch_shows_even_where_the_encoder_is_absent(tiny: dict[str, Any]) -> None:
    on, off = build(tiny, "cpu").fingerprint(), build({**tiny, "af_whisper": False}, "cpu").fingerprint()
    assert on["af_whisper"] == "null embedding"
    assert off["af_whisper"] == "off"
    assert on["stages"]["stage2"]["af_whisper"] == {"requested": True, "encoder": "null embedding"}  # type: ignore[index, call-overload]
    assert off["stages"]["stage2"]["af_whisper"] == {"requested": False, "encoder": "off"}  # type: ignore[index, call-overload]


def inputs(samples: int, p_silence: list[float], label: int = 4) -> Candidates:
    scores = np.full((3, 18), 0.01)
    scores[:, label] = 0.83
    audio = np.random.default_rng(5).normal(0, 0.1, (3, samples)).astype(np.float32)
    return Candidates(audio, scores, np.array(p_silence))


def test_slots_beyond_tau_skip_pass_unchanged(tiny: dict[str, Any], noise: Noise) -> None:
    stage = build(tiny, "cpu").stages[1]
    before = inputs(6000, [0.2, 0.98, 0.97])
    (after,) = stage.run([noise(6000)], [before])
    for k, kept in ((0, False), (1, True), (2, False)):
        assert np.array_equal(before.audio[k], after.audio[k]) is kept
        assert bool(before.p_silence[k] == after.p_silence[k]) is kept
    silent = inputs(6000, [0.99, 0.98, 1.0])
    assert equal(next(iter(stage.run([noise(6000)], [silent]))), silent)
    assert equal(before, inputs(6000, [0.2, 0.98, 0.97]))  # the inputs themselves stay as they were


def test_a_silent_looking_slot_can_be_revived(tiny: dict[str, Any], noise: Noise) -> None:
    stage = build(tiny, "cpu").stages[1]
    assert isinstance(stage, ExtractionStage)
    with torch.no_grad():
        stage.classifier.dpc.silence[-1].bias.fill_(-20.0)  # type: ignore[union-attr, operator]
    (after,) = stage.run([noise(6000)], [inputs(6000, [0.9, 0.9, 0.96])])
    assert (after.p_silence < 0.01).all()


def test_the_carried_class_is_the_arg_max_of_the_scores(tiny: dict[str, Any], noise: Noise) -> None:
    stage = build(tiny, "cpu").stages[1]
    assert isinstance(stage, ExtractionStage)
    seen: list[torch.Tensor] = []
    stage.extractor.register_forward_pre_hook(lambda _module, arguments: seen.append(arguments[2]))
    stage.run([noise(6000)], [inputs(6000, [0.1, 0.1, 0.99], label=13)])
    assert seen[0].argmax(1).tolist() == [13, 13]
    assert seen[0].sum(1).tolist() == [1.0, 1.0]


def test_inputs_that_do_not_belong_are_refused(tiny: dict[str, Any], noise: Noise) -> None:
    first, second, _ = build(tiny, "cpu").stages
    with pytest.raises(ValueError, match="takes no inputs"):
        first.run([noise(6000)], [inputs(6000, [0.0, 0.0, 0.0])])
    with pytest.raises(ValueError, match="needs the candidates"):
        second.run([noise(6000)], None)
    with pytest.raises(ValueError, match="candidates of 5000 samples for a mixture of 6000"):
        second.run([noise(6000)], [inputs(5000, [0.0, 0.0, 0.0])])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"preset": "huge"}, "system.preset is 'huge'; expected mini or paper"),
        ({"stagse": 2}, "no key system.stagse; did you mean 'stages'"),
        ({"stft": {"hopp": 2}}, "no key system.stft.hopp; did you mean 'hop'"),
        ({"stft": 3}, "system.stft is 3, expected a mapping"),
        ({"stages": 4}, "system.stages is 4, expected 1, 2 or 3"),
        ({"stages": "two"}, "system.stages is 'two', expected a whole number"),
        ({"stages": True}, "system.stages is True, expected a whole number"),
        ({"af_whisper": 1}, "system.af_whisper is 1, expected true or false"),
        ({"mamba": "all"}, "system.mamba is 'all'; expected both or time_only or none"),
        ({"tau_skip": 2}, "system.tau_skip is 2.0, expected a number from 0 to 1"),
        ({"stft": {"hop": 600}}, "system.stft.hop is 600"),
        ({"separator": {"width": 0}}, "system.separator.width is 0, expected a positive number"),
        ({"separator": {"kernel": 4}}, "system.separator.kernel is 4, expected an odd number"),
        ({"mamba2": {"headdim": 7}}, "system.mamba2.headdim is 7, expected a divisor"),
        ({"dpc": {"strides": [[1, 2, 3]]}}, r"system.dpc.strides is \[1, 2, 3\], expected a list"),
        ({"weights": 3}, "system.weights is 3, expected a path"),
        ({"separator": {"dropout": 2}}, "system.separator.dropout is 2.0, expected a number from 0 to 1"),
        ({"dpc": {"dropout": -0.5}}, "system.dpc.dropout is -0.5, expected a number from 0 to 1"),
        ({"dpc": {"scale": -16}}, "system.dpc.scale is -16.0, expected a number above 0"),
        ({"dpc": {"margin": 30}}, "system.dpc.margin is 30.0, expected an angle in radians, from 0 to pi"),
        ({"m2d": {"frames": 8}}, "system.m2d.frames is 8, expected at least its patch 16"),
        ({"m2d": {"mels": 8, "stem": [], "depth": 1}}, "system.m2d.mels is 8, expected at least its patch 16"),
    ],
)
def test_impossible_keys(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(config, "cpu")


def test_weights_may_lie_below_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No shell opens `~` behind an equals sign."""
    monkeypatch.setenv("HOME", str(tmp_path))
    keys = ("weights", "m2d_weights", "af_whisper_weights", "whisper_weights")
    settings = read_settings({"frame_encoder": "whisper", **{key: f"~/{key}" for key in keys}})
    assert [getattr(settings, key) for key in keys] == [tmp_path / key for key in keys]


def test_both_presets_are_complete() -> None:
    assert load_preset("paper").separator.width == 64
    assert load_preset("paper", {"stft": {"hop": 320}}).stft.hop == 320
    assert load_preset("mini").mamba == "time_only"
    assert load_preset("paper").mamba == "both"


def test_bfloat16_gives_nearly_the_same(tiny: dict[str, Any], noise: Noise) -> None:
    mixture = noise(6000)
    # by random weights all clusters of directions are about as likely, and rounding would choose among them
    tiny = {**tiny, "separator": {**tiny["separator"], "directions": 0}}
    (exact,) = build({**tiny, "stages": 1}, "cpu").propose([mixture])
    (half,) = build({**tiny, "stages": 1, "precision": "bf16"}, "cpu").propose([mixture])
    assert half.audio.dtype == np.float32
    assert np.abs(half.audio - exact.audio).max() < 0.1 * np.abs(exact.audio).max()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_mixtures(noise: Noise) -> None:
    from s5eval.systems.profiling import high_water, reset_high_water

    pipeline = build({"weights": "untrained", "stages": 2}, "cpu")
    mixture = noise(320_000)
    peaks = []
    for _ in range(6):
        reset_high_water()
        pipeline.propose([mixture])
        peaks.append(high_water())
    assert max(peaks[3:]) < 1.1 * max(peaks[:3])


@pytest.mark.shared
@pytest.mark.slow
def test_a_real_mixture_through_mini(shared: Path) -> None:
    path = sorted((shared / "audio" / "realtest" / "soundscape").iterdir())[0]
    (candidates,) = build({"weights": "untrained"}, "cpu").propose([Mixture(path.stem, path)])
    assert candidates.audio.shape == (3, 320_000)
    assert np.isfinite(candidates.audio).all()


def test_the_fingerprint_counts_the_parameters_in_use() -> None:
    settings = read_settings({})

    def size(*names: str) -> int:
        parts = [new_part(name, settings.configuration) for name in names]
        return sum(value.numel() for part in parts for value in part.parameters())

    assert build({"stages": 1}, "cpu").fingerprint()["parameters"] == size("m2d", *PARTS[1])
    two = build({"stages": 2, "af_whisper": False}, "cpu").fingerprint()["parameters"]
    assert two == size("m2d", *PARTS[1], *PARTS[2])
