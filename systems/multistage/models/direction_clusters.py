"""Which of a few directions the sound of a cell comes from: the one thing about a mixture that needs no learning.

Sources in different places differ in the direction of their active intensity, whatever they sound like. Cells are
clustered by it, scene by scene: expectation-maximisation of a mixture of von Mises-Fisher distributions (Banerjee et
al., 2005) of one concentration, with a uniform part for what comes from everywhere. Intensity in first-order
Ambisonics: Merimaa & Pulkki, "Spatial impulse response rendering I", 2005.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from s5eval.data_manifests.records import MIXTURE_CHANNELS
from s5eval.systems.networks.precision import full_precision

CONCENTRATION = 8.0
"""Of every cluster: cells of one source scatter by some 30 degrees in a room."""

ITERATIONS = 15
LOUDNESS = 0.3
"""A cell counts by its power to this power, or one loud source would draw all clusters."""

NEAR_DEGREES = 25.0
"""Centres that come nearer to each other than this are of one source."""

_SPARE = 3
_AFTERWARDS = 5
_GRID = 192
_PEAK = 20.0
_MASKED = 6.0
_SMALL = 1e-12


def direction_shares(spectrum: Tensor, pool: Callable[[Tensor], Tensor], clusters: int) -> tuple[Tensor, Tensor]:
    """Posterior probabilities of the clusters in every cell, and how much the cell counts.

    Args:
        spectrum: (B, channels, frames, bins) complex, the first four of them Ambisonics (W, Y, Z, X), SN3D.
        pool: (N, frames, bins) → (N, T', F'), mean of a cell.
        clusters: K, how many directions are told apart.

    Returns:
        (B, T', F', K + 1) without gradient, adding up to 1: clusters by falling weight, zero for those that a scene
        does not need, then the uniform part, to which silence belongs. (B, T', F'), weights of the cells, of mean 1
        in a scene with sound.
    """
    with torch.no_grad(), full_precision(spectrum):
        omni, rest = spectrum[:, :1], spectrum[:, 1:MIXTURE_CHANNELS]
        intensity = omni.real * rest.real + omni.imag * rest.imag
        energy = spectrum[:, :MIXTURE_CHANNELS].abs().square().sum(1) / 2
        cells = pool(energy)
        power = cells.flatten(1)
        vectors = pool(intensity.flatten(0, 1)).view(len(cells), -1, power.shape[1])
        length = vectors.norm(dim=1)
        unit = vectors / length.clamp_min(_SMALL).unsqueeze(1)
        weight = power.pow(LOUDNESS) * (length / power.clamp_min(_SMALL)).clamp_max(1.0)
        shares = _cluster(unit.transpose(1, 2), weight, clusters)
        weight = weight / weight.mean(1, keepdim=True).clamp_min(_SMALL)
        return shares.view(*cells.shape, clusters + 1), weight.view(cells.shape)


def _cluster(unit: Tensor, weight: Tensor, clusters: int) -> Tensor:
    """Directions (B, N, 3) with weights (B, N) → posteriors (B, N, K + 1); clusters that are not needed have none."""
    centres = _peaks(unit, weight, clusters + _SPARE)
    prior = unit.new_full((len(unit), centres.shape[1] + 1), 1 / (centres.shape[1] + 1))
    centres, prior = _merge(*_heaviest(*_fit(unit, weight, centres, prior, ITERATIONS)))
    centres, prior = _fit(unit, weight, *_heaviest(centres, prior, clusters), _AFTERWARDS)
    return _posterior(unit, *_heaviest(centres, prior))


def _heaviest(centres: Tensor, prior: Tensor, count: int | None = None) -> tuple[Tensor, Tensor]:
    """So many of the clusters, or all, by falling prior."""
    order = prior[:, :-1].argsort(dim=1, descending=True, stable=True)[:, :count]
    centres = centres.gather(1, order.unsqueeze(-1).expand(-1, -1, centres.shape[-1]))
    return centres, torch.cat([prior.gather(1, order), prior[:, -1:]], 1)


def _fit(unit: Tensor, weight: Tensor, centres: Tensor, prior: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Centres (B, K, 3) and priors (B, K + 1) after so many steps; a prior of zero stays."""
    total = weight.sum(1, keepdim=True).clamp_min(_SMALL)
    for _ in range(iterations):
        counts = _posterior(unit, centres, prior) * weight.unsqueeze(-1)
        prior = counts.sum(1) / total
        prior = torch.cat([prior[:, :-1], prior[:, -1:].clamp_min(_SMALL)], 1)  # silence has to belong somewhere
        centres = F.normalize(counts[..., :-1].transpose(1, 2) @ unit, dim=-1)
    return centres, prior


def _merge(centres: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
    """Join to every centre, the heaviest first, those that are near it: two of one source would share its cells."""
    weights = list(prior[:, :-1].unbind(1))
    near = centres @ centres.transpose(1, 2) > math.cos(math.radians(NEAR_DEGREES))
    for i in range(len(weights)):
        for j in range(i + 1, len(weights)):
            joined = torch.where(near[:, i, j] & (weights[i] > 0), weights[j], torch.zeros_like(weights[j]))
            weights[i], weights[j] = weights[i] + joined, weights[j] - joined
    return centres, torch.cat([torch.stack(weights, 1), prior[:, -1:]], 1)


def _posterior(unit: Tensor, centres: Tensor, prior: Tensor) -> Tensor:
    """(B, N, K + 1) under the mixture with `centres` (B, K, 3) and `prior` (B, K + 1)."""
    # A von Mises-Fisher density over the uniform one is 2κ / (1 − e^−2κ) · e^{κ(cos − 1)}.
    height = 2 * CONCENTRATION / (1 - math.exp(-2 * CONCENTRATION))
    ratio = height * (CONCENTRATION * (unit @ centres.transpose(1, 2) - 1)).exp()
    joint = prior.unsqueeze(1) * F.pad(ratio, (0, 1), value=1.0)
    return joint / joint.sum(-1, keepdim=True)


def _peaks(unit: Tensor, weight: Tensor, clusters: int) -> Tensor:
    """Where most comes from, (B, K, 3): the highest point of a histogram on the sphere, away from those before."""
    grid = _sphere(unit.device).to(unit.dtype)
    height = ((_PEAK * (unit @ grid.t() - 1)).exp() * weight.unsqueeze(-1)).sum(1)
    near = 1 - (_MASKED * (grid @ grid.t() - 1)).exp()
    found = []
    for _ in range(clusters):
        best = height.argmax(1)
        found.append(grid[best])
        height = height * near[best]
    return torch.stack(found, 1)


def _sphere(device: torch.device) -> Tensor:
    """Evenly spread directions (_GRID, 3) on a Fibonacci lattice (González, 2010)."""
    index = torch.arange(_GRID, device=device, dtype=torch.float32) + 0.5
    height = 1 - 2 * index / _GRID
    angle = math.pi * (1 + 5**0.5) * index
    radius = (1 - height.square()).sqrt()
    return torch.stack([radius * angle.cos(), radius * angle.sin(), height], 1)
