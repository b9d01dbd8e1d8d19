"""Clusters of directions: on plane waves, against a literal twin, and where there is nothing to cluster."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from s5eval.systems.multistage.models import direction_clusters as directions
from s5eval.systems.multistage.models.band_split import BandEncoder

Array = npt.NDArray[np.float64]
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


def test_a_source_has_one_cluster_however_many_there_might_be(two_sources: Tensor) -> None:
    shares = direction_shares(two_sources, as_it_is, 5)
    assert (shares[0, :8, :, 0] > 0.9).all()
    assert (shares[0, 8:, :, 1] > 0.9).all()
    assert (shares[..., 2:-1] == 0).all()


@pytest.mark.parametrize("clusters", [1, 2, 4])
def test_as_a_literal_twin(two_sources: Tensor, clusters: int) -> None:
    """Cell by cell and cluster by cluster, in float64; cells are two frames and three bands of the encoder."""
    torch.manual_seed(3)
    third = wave((0.0, 0.0, -1.0), 0.7 * torch.ones(12, 10))
    scene = two_sources + third * (torch.rand(12, 10) < 0.3)
    pool = BandEncoder(3, 4, 2, [(2, 2), (1, 6)]).pool
    fast, weight = directions.direction_shares(scene, pool, clusters)
    spectrum = scene[0].numpy().astype(complex)
    units, weights = [], []
    for t in range(0, 12, 2):
        for low, high in ((0, 2), (2, 4), (4, 10)):
            cell = spectrum[:, t : t + 2, low:high].reshape(4, -1)
            vector = np.array([(cell[0].conjugate() * channel).real.mean() for channel in cell[1:]])
            power = float((np.abs(cell) ** 2).sum(0).mean() / 2)
            units.append(vector / np.linalg.norm(vector))
            weights.append(power**directions.LOUDNESS * np.linalg.norm(vector) / power)
    slow = twin(np.array(units), np.array(weights), clusters)
    np.testing.assert_allclose(fast[0].reshape(-1, clusters + 1).numpy(), slow, atol=1e-3)
    np.testing.assert_allclose(weight[0].flatten().numpy(), np.array(weights) / np.mean(weights), rtol=1e-4)


def twin(units: Array, weights: Array, clusters: int) -> Array:
    """Posteriors (cells, K + 1), everything written out."""
    kappa, count = directions.CONCENTRATION, clusters + directions._SPARE
    places = []
    for k in range(directions._GRID):
        z = 1 - (2 * k + 1) / directions._GRID
        angle = math.pi * (1 + math.sqrt(5)) * (k + 0.5)
        places.append(np.array([math.cos(angle) * math.sqrt(1 - z * z), math.sin(angle) * math.sqrt(1 - z * z), z]))
    height = [
        sum(w * math.exp(directions._PEAK * (u @ p - 1)) for u, w in zip(units, weights, strict=True)) for p in places
    ]
    centres = []
    for _ in range(count):
        top = places[int(np.argmax(height))]
        centres.append(top)
        height = [h * (1 - math.exp(directions._MASKED * (p @ top - 1))) for h, p in zip(height, places, strict=True)]
    prior = [1 / (count + 1)] * (count + 1)

    def posterior(unit: Array) -> Array:
        density = [
            kappa / (2 * math.pi * (1 - math.exp(-2 * kappa))) * math.exp(kappa * (unit @ c - 1)) for c in centres
        ]
        joint = np.array([p * d for p, d in zip(prior, [*density, 1 / (4 * math.pi)], strict=True)])
        return joint / joint.sum()

    def fit(times: int) -> None:
        nonlocal centres, prior
        for _ in range(times):
            counts = [w * posterior(u) for u, w in zip(units, weights, strict=True)]
            prior = [sum(c[k] for c in counts) / sum(weights) for k in range(len(prior))]
            sums = [sum(c[k] * u for c, u in zip(counts, units, strict=True)) for k in range(len(centres))]
            centres = [total / max(np.linalg.norm(total), 1e-12) for total in sums]

    def sort() -> None:
        nonlocal centres, prior
        order = sorted(range(len(centres)), key=lambda k: -prior[k])
        centres, prior = [centres[k] for k in order], [*(prior[k] for k in order), prior[-1]]

    fit(directions.ITERATIONS)
    sort()
    for i in range(count):
        for j in range(i + 1, count):
            if prior[i] > 0 and centres[i] @ centres[j] > math.cos(math.radians(directions.NEAR_DEGREES)):
                prior[i], prior[j] = prior[i] + prior[j], 0.0
    sort()
    centres, prior = centres[:clusters], [*prior[:clusters], prior[-1]]
    fit(directions._AFTERWARDS)
    sort()
    return np.array([posterior(u) for u in units])


def test_cells_count_by_their_level_and_direction(two_sources: Tensor) -> None:
    _, weight = directions.direction_shares(two_sources, as_it_is, 2)
    assert weight.shape == (1, 12, 10)
    assert weight.mean() == pytest.approx(1.0)
    quiet = two_sources.clone()
    quiet[:, :, 0] *= 0.1
    _, quieter = directions.direction_shares(quiet, as_it_is, 2)
    ratio = (quieter[0, 0] / quieter[0, 1]) / (weight[0, 0] / weight[0, 1])
    torch.testing.assert_close(ratio, torch.full((10,), 0.01**directions.LOUDNESS))
