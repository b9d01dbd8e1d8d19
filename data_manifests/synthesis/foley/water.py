"""Pouring: bubbles that ring at their Minnaert resonance, a splash of noise, a vessel that fills."""

import numpy as np

from s5eval.data_manifests.synthesis.foley.signals import (
    Rng,
    Samples,
    band_pass,
    curve,
    decay,
    frames,
    high_pass,
    log_uniform,
    poisson,
    ramp,
    scatter,
    tilted_noise,
    unit,
)


def _bubble(rng: Rng, frequency: float) -> Samples:
    """One bubble: a sinusoid whose pitch rises while it dies; large bubbles ring longer."""
    t60 = rng.uniform(0.9, 1.6) * 60 / (0.13 * frequency + 0.0072 * frequency**1.5) * 6.9
    n = frames(min(0.12, max(0.006, t60)))
    time = np.arange(n) / 32000
    rise = rng.uniform(0.0, 12.0)
    loudness = min(1.0, float(np.sqrt(700 / frequency)))
    ring: Samples = loudness * np.sin(2 * np.pi * frequency * (time + rise * time**2)) * decay(n, n / 32000)
    return ring


def pour(rng: Rng, n: int) -> Samples:
    """Liquid into a glass, a cup or a bucket; the air column above it shortens and its resonance climbs."""
    low, high = log_uniform(rng, 350, 700), log_uniform(rng, 1800, 5000)
    bubbles = [_bubble(rng, log_uniform(rng, low, high)) for _ in range(24)]
    starts = poisson(rng, n, log_uniform(rng, 50, 160))
    gains = np.exp(rng.normal(-0.7, 0.7, len(starts))) * rng.choice([-1, 1], len(starts))
    flow = curve(rng, n, 5, 0.55, 1.0)
    gurgle = unit(scatter(n, bubbles, starts, gains))
    splash = unit(high_pass(tilted_noise(rng, n, log_uniform(rng, 1500, 5000)), 500)) * flow
    filling = log_uniform(rng, 250, 600)
    block = 3200
    window = np.hanning(2 * block + 1)
    column = np.zeros(n)
    climb = rng.uniform(1.3, 3.5)
    for start in range(0, n, block):  # overlapping windows, one resonance each
        part = splash[start : start + 2 * block]
        column[start : start + 2 * block] += band_pass(part * window[: len(part)], filling * climb ** (start / n), 9.0)
    mix = gurgle * flow + rng.uniform(0.1, 0.45) * splash + rng.uniform(0.2, 0.8) * unit(column)
    return ramp(mix, 0.04, 0.08)
