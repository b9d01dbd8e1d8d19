"""Clusters of directions: on plane waves, against a literal twin, and where there is nothing to cluster."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from s5eval.systems.multistage.models import directions

EAST, NORTH = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)


def wave(direction: tuple[float, float, float], level: Tensor) -> Tensor:
    """A plane wave from a direction (x, y, z): (W, Y, Z, X) spectra with magnitudes `level` (frames, bins)."""
    x, y, z = direction
    sound = torch.polar(level, torch.rand(level.shape) * 2 * math.pi)
    return torch.stack([sound, y * sound, z * sound, x * sound])


def as_it_is(power: Tensor) -> Tensor:
    return power


def direction_shares(spectrum: Tensor, pool: Callable[[Tensor], Tensor], clusters: int) -> Tensor:
    return directions.direction_shares(spectrum, pool, clusters)[0]


@pytest.fixture
def two_sources() -> Tensor:
    """One from the east in the first two thirds of the frames, one from the north in the rest, and some noise."""
    torch.manual_seed(1)
    level = torch.ones(12, 10)
    east, north = level.clone(), level.clone()
    east[8:], north[:8] = 0.0, 0.0
    noise = 0.1 * torch.randn(4, 12, 10, dtype=torch.complex64)
    return (wave(EAST, east) + wave(NORTH, north) + noise)[None]


def test_cells_of_one_place_share_a_cluster_and_the_larger_comes_first(two_sources: Tensor) -> None:
    shares = direction_shares(two_sources, as_it_is, 2)
    assert shares.shape == (1, 12, 10, 3)
    torch.testing.assert_close(shares.sum(-1), torch.ones(1, 12, 10))
    assert (shares[0, :8, :, 0] > 0.9).all()
    assert (shares[0, 8:, :, 1] > 0.9).all()


def test_level_and_further_channels_change_nothing(two_sources: Tensor) -> None:
    shares = direction_shares(two_sources, as_it_is, 3)
    torch.testing.assert_close(direction_shares(30 * two_sources, as_it_is, 3), shares, atol=1e-4, rtol=0)
    enrolled = torch.cat([two_sources, torch.randn(1, 1, 12, 10, dtype=torch.complex64)], 1)
    assert torch.equal(direction_shares(enrolled, as_it_is, 3), shares)


def test_what_comes_from_everywhere_is_the_uniform_part() -> None:
    torch.manual_seed(2)
    noise = torch.randn(1, 4, 40, 30, dtype=torch.complex64) / torch.tensor([1, 3, 3, 3]).sqrt().view(1, 4, 1, 1)
    shares = direction_shares(noise, as_it_is, 2)
    assert shares[..., -1].mean() > 0.5


def test_silence_is_finite_and_scenes_do_not_mix(two_sources: Tensor) -> None:
    silence = torch.zeros_like(two_sources)
    both = direction_shares(torch.cat([silence, two_sources]), as_it_is, 2)
    assert (both[0, ..., -1] > 0.97).all()
    torch.testing.assert_close(both[1:], direction_shares(two_sources, as_it_is, 2))


def test_as_a_literal_twin(two_sources: Tensor) -> None:
    """Cell by cell and cluster by cluster, in float64, from the same first centres."""
    k = 2
    fast = direction_shares(two_sources, as_it_is, k)[0].reshape(-1, k + 1).numpy()
    spectrum = two_sources[0].numpy().astype(complex)
    units, weights = [], []
    for t in range(12):
        for f in range(10):
            w, *rest = spectrum[:, t, f]
            vector = np.array([(w.conjugate() * channel).real for channel in rest])
            power = sum(abs(channel) ** 2 for channel in spectrum[:, t, f]) / 2
            units.append(vector / np.linalg.norm(vector))
            weights.append(power**directions.LOUDNESS * np.linalg.norm(vector) / power)
    start = torch.tensor(np.array(units), dtype=torch.float32)[None]
    centres = directions._peaks(start, torch.tensor(weights, dtype=torch.float32)[None], k)[0].numpy().astype(float)
    kappa, prior = directions.CONCENTRATION, [1 / (k + 1)] * (k + 1)

    def posterior(unit: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        density = [
            kappa / (2 * math.pi * (1 - math.exp(-2 * kappa))) * math.exp(kappa * (unit @ c - 1)) for c in centres
        ]
        joint = np.array([p * d for p, d in zip(prior, [*density, 1 / (4 * math.pi)], strict=True)])
        return joint / joint.sum()

    for _ in range(directions.ITERATIONS):
        counts = np.array([w * posterior(u) for u, w in zip(units, weights, strict=True)])
        prior = list(counts.sum(0) / sum(weights))
        sums = counts[:, :k].T @ np.array(units)
        centres = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    order = [*np.argsort([-p for p in prior[:k]]), k]
    slow = np.array([posterior(u) for u in units])[:, order]
    np.testing.assert_allclose(fast, slow, atol=1e-4)


def test_cells_count_by_their_level_and_direction(two_sources: Tensor) -> None:
    _, weight = directions.direction_shares(two_sources, as_it_is, 2)
    assert weight.shape == (1, 12, 10)
    assert weight.mean() == pytest.approx(1.0)
    quiet = two_sources.clone()
    quiet[:, :, 0] *= 0.1
    _, quieter = directions.direction_shares(quiet, as_it_is, 2)
    ratio = (quieter[0, 0] / quieter[0, 1]) / (weight[0, 0] / weight[0, 1])
    torch.testing.assert_close(ratio, torch.full((10,), 0.01**directions.LOUDNESS))
