"""Room tone in first-order Ambisonics: a diffuse bed, ventilation or mains hum, far-away sources, slow changes."""

import numpy as np

from s5eval.data_manifests.synthesis.foley.signals import (
    Rng,
    Samples,
    curve,
    frames,
    log_uniform,
    noise,
    phase_of,
    resonances,
    tilted_noise,
    unit,
    wave,
)


def plane_wave(azimuth: float, elevation: float) -> Samples:
    """First-order gains (W, Y, Z, X), SN3D, of a plane wave; angles in radians."""
    return np.array([1.0, np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])


DIFFUSE = np.array([1.0, 3**-0.5, 3**-0.5, 3**-0.5])
"""Gains (W, Y, Z, X), SN3D, of independent noises that make an isotropic diffuse field."""


def ambience(rng: Rng, seconds: float) -> Samples:
    """A background recording, float64 (4, S), mean power 1 over all channels."""
    n = frames(seconds)
    corner = log_uniform(rng, 60, 700)
    bed = np.stack([unit(tilted_noise(rng, n, corner)) for _ in range(4)])
    hiss = rng.uniform(0.02, 0.15)
    bed = (bed + hiss * np.stack([noise(rng, n) for _ in range(4)])) * DIFFUSE[:, None] * curve(rng, n, 0.5, 0.7, 1.0)
    for _ in range(int(rng.integers(1, 4))):
        direction = plane_wave(rng.uniform(-np.pi, np.pi), rng.uniform(-0.6, 0.6))
        peaks = [(log_uniform(rng, 100, 2500), rng.uniform(0.7, 3), rng.uniform(0.3, 1)) for _ in range(2)]
        far = unit(resonances(noise(rng, n), peaks)) * curve(rng, n, 0.4, 0.0, 1.0) ** 2
        bed += rng.uniform(0.1, 0.5) * direction[:, None] * far
    if rng.random() < 0.5:
        mains = rng.choice([50.0, 60.0]) * np.arange(1, 3)[rng.integers(2)]
        hum = wave(phase_of(np.full(n, mains)), 1 / np.arange(1, 9) ** rng.uniform(0.8, 2), rng.uniform(0, 6.28, 8))
        direction = plane_wave(rng.uniform(-np.pi, np.pi), rng.uniform(-0.3, 0.3))
        bed += rng.uniform(0.03, 0.25) * direction[:, None] * unit(hum)
    recording: Samples = bed / np.sqrt(np.mean(bed**2))
    return recording
