import json
from pathlib import Path

import numpy as np
import pytest

from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.synthesis.foley import INTERFERENCE_KINDS, draw_event, natural_seconds
from s5eval.data_manifests.synthesis.foley.ambience import ambience, plane_wave
from s5eval.data_manifests.synthesis.foley.signals import decay, modes, smooth, wave

RECORDED = Path(__file__).parents[3] / "parity" / "foley_samples.json"
KINDS = (*CLASSES, *INTERFERENCE_KINDS)


def draw(kind: str, seed: int, seconds: float | None = None) -> np.ndarray:
    return draw_event(kind, np.random.Generator(np.random.PCG64(seed)), seconds)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_makes_sound_of_natural_length(kind: str) -> None:
    shortest, longest = natural_seconds(kind)
    for seed in range(3):
        sound = draw(kind, seed)
        assert sound.dtype == np.float32 and np.isfinite(sound).all()
        assert np.abs(sound).max() == pytest.approx(1.0)
        assert shortest - 1e-3 <= len(sound) / 32000 <= longest + 1e-3 <= 10.01
    for seconds in (0.2, 1.25, 10.0):
        sound = draw(kind, 0, seconds)
        assert len(sound) == seconds * 32_000 and np.isfinite(sound).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_samples_are_those_of_every_machine(kind: str) -> None:
    recorded = json.loads(RECORDED.read_text())[kind]
    sound = draw(kind, 11)
    assert len(sound) == recorded["length"]
    assert np.abs(sound[recorded["at"]] - recorded["values"]).max() < 1e-6


@pytest.mark.parametrize("kind", CLASSES)
def test_two_draws_are_two_recordings(kind: str) -> None:
    first, second = draw(kind, 1, 2.0), draw(kind, 2, 2.0)
    correlation = np.abs(np.corrcoef(first, second)[0, 1])
    assert correlation < 0.5
    assert np.array_equal(first, draw(kind, 1, 2.0))


def test_no_interference_is_a_target_class() -> None:
    assert not set(INTERFERENCE_KINDS) & set(CLASSES)


def test_an_unknown_kind() -> None:
    with pytest.raises(ValueError, match="Trumpet"):
        draw("Trumpet", 0)
    with pytest.raises(ValueError, match="shortest possible"):
        draw("Speech", 0, 0.1)


def test_percussion_is_short_and_long() -> None:
    shortest, longest = natural_seconds("Percussion")
    assert shortest < 1 and longest > 8


def test_a_mode_decays_by_60_db_in_its_time() -> None:
    mode = modes(32_000, [1000.0], 0.5, 1.0, np.pi / 2)
    assert mode[0] == pytest.approx(1.0)
    assert mode[16_000] == pytest.approx(1e-3 * np.cos(2 * np.pi * 500), rel=1e-3)
    assert np.allclose(decay(32_000, 0.5)[[0, 8000, 16_000]], [1, 10**-1.5, 1e-3], rtol=1e-3)
    assert not modes(100, [20_000.0], 1.0, 1.0).any()


def test_a_wave_is_its_harmonics() -> None:
    phase = np.arange(32_000) * 100 / 32_000
    expected = np.sin(2 * np.pi * phase) + 0.5 * np.sin(6 * np.pi * phase + 1.0)
    assert np.allclose(wave(phase, [1.0, 0.0, 0.5], [0.0, 0.0, 1.0]), expected, atol=1e-4)


def test_smooth_is_a_running_mean() -> None:
    signal = np.random.default_rng(0).standard_normal(500)
    assert smooth(signal, 10)[200] == pytest.approx(signal[191:201].mean())


def test_ambience_is_near_diffuse_and_of_unit_power() -> None:
    recording = ambience(np.random.default_rng(4), 4.0)
    assert recording.shape == (4, 128_000)
    assert np.mean(recording**2) == pytest.approx(1.0)
    power = np.mean(recording**2, axis=1)
    assert all(0.1 < ratio < 0.9 for ratio in power[1:] / power[0])
    assert np.allclose(plane_wave(np.pi / 2, 0), [1, 1, 0, 0])
