"""The multichannel Wiener filter: what it computes, what it is worth, and what it leaves alone."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.records import Mixture
from s5eval.systems import spatial_filter
from s5eval.systems.interface import Candidates, Json
from s5eval.systems.multistage.system import build
from s5eval.systems.spatial_filter import SpatialFilterSettings, SpatialFilterStage, spatially_filtered

SETTINGS = SpatialFilterSettings(share=1.0, enrollment=0.0, window=256, noise=0.5, loading=0.01)
Noise = Callable[..., Mixture]


def scene(samples: int = 16_000) -> tuple[np.ndarray, np.ndarray]:
    """A mixture (4, T) of two sources that come and go, from two directions, and some noise; and the two (2, T)."""
    rng = np.random.default_rng(3)
    there = rng.random((2, -(-samples // 1000))) < 0.6
    sources = rng.standard_normal((2, samples)) * (0.05 + np.repeat(there, 1000, 1)[:, :samples])
    directions = np.array([[1, 1, 0, 0], [1, -0.5, 0.3, 0.8]])  # W, and the three figures of eight
    return directions.T @ sources + 0.02 * rng.standard_normal((4, samples)), sources


def snr(target: np.ndarray, estimate: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(target**2) / np.sum((target - estimate) ** 2)))


def filtered(mixture: np.ndarray, estimates: np.ndarray, settings: SpatialFilterSettings = SETTINGS) -> np.ndarray:
    as_tensors = (torch.from_numpy(values.astype(np.float32)) for values in (mixture, estimates))
    return spatially_filtered(*as_tensors, settings).numpy()


def slowly(mixture: np.ndarray, estimate: np.ndarray, settings: SpatialFilterSettings) -> np.ndarray:
    """The same by loops over frequencies and frames, in float64, with scipy's transform."""
    grid = {
        "window": scipy.signal.get_window("hann", settings.window),
        "nperseg": settings.window,
        "noverlap": settings.window - settings.window // 4,
    }
    _, _, channels = scipy.signal.stft(mixture, **grid)
    _, _, source = scipy.signal.stft(estimate, **grid)
    out = np.zeros_like(source)
    for f in range(channels.shape[1]):
        target, noise = np.zeros((4, 4), complex), np.zeros((4, 4), complex)
        for t in range(channels.shape[2]):
            x, s = channels[:, f, t], source[f, t]
            mask = abs(s) ** 2 / (abs(s) ** 2 + abs(x[0] - s) ** 2)
            target += mask * np.outer(x, x.conj())
            noise += (1 - mask) * np.outer(x, x.conj())
        d = settings.loading * np.trace(target + noise).real / 4
        weights = np.linalg.solve(target + settings.noise * noise + d * np.eye(4), target[:, 0])
        out[f] = weights.conj() @ channels[:, f]
    _, waveform = scipy.signal.istft(out, **grid)
    return waveform[: len(estimate)]


def test_it_computes_what_its_docstring_says() -> None:
    mixture, sources = scene(4096)
    estimates = sources + 0.3 * np.random.default_rng(1).standard_normal(sources.shape)
    for estimate, found in zip(estimates, filtered(mixture, estimates), strict=True):
        np.testing.assert_allclose(found, slowly(mixture, estimate, SETTINGS), atol=2e-4)


def test_what_came_from_elsewhere_is_turned_down() -> None:
    mixture, sources = scene()
    cut = mixture[0] * (np.abs(sources) > np.abs(sources[::-1]))  # whatever is there when the source is the louder one
    for source, before, after in zip(sources, cut, filtered(mixture, cut, replace(SETTINGS, noise=1.0)), strict=True):
        assert snr(source, after) > snr(source, before) + 1.0


def test_a_share_of_the_estimate_stays() -> None:
    mixture, sources = scene(4000)
    whole = filtered(mixture, sources)
    half = filtered(mixture, sources, replace(SETTINGS, share=0.25))
    np.testing.assert_allclose(half, 0.25 * whole + 0.75 * sources, atol=1e-5)


@pytest.mark.parametrize("level", [1e-4, 30.0])
def test_levels_stay_what_they_are(level: float) -> None:
    mixture, sources = scene(4000)
    np.testing.assert_allclose(
        filtered(level * mixture, level * sources), level * filtered(mixture, sources), atol=1e-4 * level
    )


def test_silence_stays_silent() -> None:
    mixture, sources = scene(2000)
    assert not filtered(np.zeros_like(mixture), np.zeros_like(sources)).any()
    assert not filtered(mixture, np.zeros_like(sources)).any()
    assert np.isfinite(filtered(np.zeros_like(mixture), sources)).all()
    assert filtered(mixture, np.zeros((0, 2000))).shape == (0, 2000)


@pytest.mark.parametrize("loading", [1e-6, 1e6])
def test_channels_that_are_alike_can_be_solved_for(loading: float) -> None:
    mixture = np.tile(np.random.default_rng(2).standard_normal(100), (4, 1))  # and shorter than the window
    assert np.isfinite(filtered(mixture, 0.3 * mixture[:2], replace(SETTINGS, window=8192, loading=loading))).all()


@pytest.mark.parametrize("samples", [1, 63, 999])
def test_mixtures_shorter_than_the_window(samples: int) -> None:
    mixture, sources = scene(samples)
    found = filtered(mixture, sources, replace(SETTINGS, window=8192))
    assert found.shape == sources.shape
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": 1.5}, r"x\.share is 1\.5, expected a number from 0 to 1"),
        ({"share": float("nan")}, r"x\.share is nan"),
        ({"window": 1022}, r"x\.window is 1022, expected a multiple of 4"),
        ({"noise": 0.0}, r"x\.noise is 0\.0, expected a number above 0"),
        ({"noise": 1e38}, r"x\.noise is 1e\+38, expected a number above 0, at most 1e\+06"),
        ({"loading": -1.0}, r"x\.loading is -1\.0, expected a number from 1e-06 to 1e\+06"),
        ({"loading": 0.0}, r"x\.loading is 0\.0"),
        ({"enrollment": 2.0}, r"x\.enrollment is 2\.0, expected a number from 0 to 1"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(SETTINGS, **change).check("x")


def test_what_its_result_hangs_on_is_in_its_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(settings: SpatialFilterSettings = SETTINGS, tau_skip: float = 0.97) -> Mapping[str, Json]:
        return SpatialFilterStage("filter", settings, "cpu", tau_skip=tau_skip).fingerprint()

    plain = told()
    for change in ({"share": 0.5}, {"window": 512}, {"noise": 0.6}, {"loading": 0.02}):
        assert told(replace(SETTINGS, **change)) != plain
    assert told(tau_skip=0.5) != plain
    assert told(replace(SETTINGS, enrollment=0.5)) == plain, "what extractors are told is no matter of the last stage"
    monkeypatch.setattr(spatial_filter, "REVISION", spatial_filter.REVISION + 1)
    assert told() != plain


def candidates(samples: int) -> Candidates:
    audio = np.random.default_rng(5).normal(0, 0.1, (3, samples)).astype(np.float32)
    return Candidates(audio, np.full((3, 18), 1 / 18), np.array([0.2, 0.99, 0.9]), ("Speech", "Cough", "Pour"))


def test_the_stage_changes_waveforms_alone(noise: Noise) -> None:
    stage = SpatialFilterStage("filter", SETTINGS, "cpu", tau_skip=0.97)
    before = [candidates(4000), candidates(5000)]
    after = stage.run([noise(4000), noise(5000)], before)
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old.class_scores, new.class_scores)
        assert np.array_equal(old.p_silence, new.p_silence)
        assert old.labels == new.labels
        assert [bool(np.array_equal(old.audio[k], new.audio[k])) for k in range(3)] == [False, True, False]
    assert before[0].sha256() == candidates(4000).sha256()  # the inputs stay as they were
    at_the_limit = SpatialFilterStage("filter", SETTINGS, "cpu", tau_skip=0.9)
    (limited,) = at_the_limit.run([noise(4000)], before[:1])
    assert np.array_equal(limited.audio, after[0].audio), "a slot of just that silence is filtered"
    assert not stage.run([], [])
    with pytest.raises(ValueError, match="stage filter needs the candidates"):
        stage.run([noise(4000)], None)
    with pytest.raises(ValueError, match="stage filter: candidates of 5000 samples for a mixture of 4000"):
        stage.run([noise(4000)], [candidates(5000)])


@pytest.mark.parametrize("together", [False, True])
def test_the_stage_filters_every_mixtures_estimates_by_its_own_channels(
    noise: Noise, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    """Alone as on a processor, and several at a time as on a GPU."""

    def batches(mixtures: list[Mixture], device: torch.device) -> Any:
        yield torch.from_numpy(np.stack([mixture.audio() for mixture in mixtures])), slice(0, len(mixtures))

    if together:
        monkeypatch.setattr(spatial_filter, "mixture_batches", batches)
    settings = replace(SETTINGS, share=0.7)
    mixtures = [noise(4000, 1), noise(4000, 2, level=0.3)]
    before = [candidates(4000), replace(candidates(4000), p_silence=np.array([0.99, 0.1, 0.2]))]
    after = SpatialFilterStage("filter", settings, "cpu", tau_skip=0.97).run(mixtures, before)
    for mixture, old, new, alive in zip(mixtures, before, after, ([0, 2], [1, 2]), strict=True):
        expected = old.audio.copy()
        expected[alive] = filtered(mixture.audio(), old.audio[alive], settings)
        np.testing.assert_allclose(new.audio, expected, rtol=1e-5, atol=1e-6)


def test_it_stands_behind_whatever_stage_is_the_last(noise: Noise) -> None:
    small = {
        "weights": "untrained",
        "separator": {"width": 8, "blocks": 1, "heads": 2, "head_dim": 4, "time_stride": 2},
        "mamba2": {"d_state": 4, "headdim": 8},
        "m2d": {"width": 16, "depth": 1, "heads": 2, "stem": [4, 6, 8]},
    }
    for stages in (1, 2):
        on, off = (build({**small, "stages": stages, "spatial_filter": {"share": s}}, "cpu") for s in (0.6, 0.0))
        assert [stage.name for stage in on.stages] == [*(stage.name for stage in off.stages), "filter"]
        fingerprint = on.fingerprint()["stages"]
        assert isinstance(fingerprint, dict)
        assert fingerprint.pop("filter")["share"] == 0.6  # type: ignore[call-overload, index]
        assert fingerprint == off.fingerprint()["stages"]
        ((with_filter,), (without,)) = (pipeline.propose([noise(9000)]) for pipeline in (on, off))
        assert np.array_equal(with_filter.class_scores, without.class_scores)
        assert not np.array_equal(with_filter.audio, without.audio)
