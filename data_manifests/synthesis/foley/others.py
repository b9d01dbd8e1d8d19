"""Sounds outside the 18 classes, for interference: animals, weather, traffic, tools."""

from collections.abc import Callable, Mapping

import numpy as np

from s5eval.data_manifests.synthesis.foley.signals import (
    Rng,
    Samples,
    band_pass,
    cascade,
    curve,
    decay,
    frames,
    harmonic_count,
    high_pass,
    line,
    log_uniform,
    low_pass,
    noise,
    phase_of,
    poisson,
    ramp,
    resonances,
    rhythm,
    scatter,
    section,
    smooth,
    tilted_noise,
    unit,
    wave,
)


def bird_song(rng: Rng, n: int) -> Samples:
    """Phrases of short whistled sweeps."""
    notes = []
    for _ in range(5):
        m = frames(rng.uniform(0.05, 0.18))
        glide = line(
            m,
            [(0, rng.uniform(2500, 6500)), (m / 64000, rng.uniform(2500, 6500)), (m / 32000, rng.uniform(2500, 6500))],
        )
        notes.append(ramp(wave(phase_of(glide), [1.0, 0.08]), 0.01, 0.02))
    starts = rhythm(rng, n, rng.uniform(3, 8), 0.2)
    starts = starts[curve(rng, n, 0.9, -0.35, 1.0)[starts] > 0] if len(starts) > 4 else starts
    return scatter(n, notes, np.append(starts, 0), rng.uniform(0.4, 1.0, len(starts) + 1))


def dog_bark(rng: Rng, n: int) -> Samples:
    """Rough voiced bursts through a wide-open muzzle."""
    pitch = log_uniform(rng, 220, 650)
    barks = []
    for _ in range(3):
        m = frames(rng.uniform(0.12, 0.25))
        glide = pitch * line(m, [(0, 0.7), (0.04, 1.15), (m / 32000, 0.75)]) * (1 + 0.1 * curve(rng, m, 150, -1, 1))
        voice = wave(phase_of(glide), 1 / np.arange(1, 15) ** 0.5) + 0.6 * noise(rng, m)
        muzzle = [(rng.uniform(700, 1100), 2.5, 1.0), (rng.uniform(1700, 2600), 3.0, 0.7)]
        barks.append(resonances(voice * np.hanning(m) ** 0.6, muzzle))
    starts = rhythm(rng, n, rng.uniform(1.2, 3.0), 0.25)
    return scatter(n, barks, starts, rng.uniform(0.6, 1.0, len(starts)))


def cricket(rng: Rng, n: int) -> Samples:
    """A steady train of chirps, each of a few pulses."""
    m = frames(rng.uniform(0.012, 0.02))
    pulse = wave(phase_of(np.full(m, log_uniform(rng, 3800, 5600))), 1.0) * np.hanning(m)
    chirps = np.arange(0, n / 32000, rng.uniform(0.3, 0.7))
    starts = (chirps[:, None] + np.arange(int(rng.integers(2, 5))) * rng.uniform(0.025, 0.04)).ravel() * 32000
    return scatter(n, [pulse], starts, 1.0)


def car_engine(rng: Rng, n: int) -> Samples:
    """Firing pulses of an engine that idles or revs, and the road under it."""
    revolutions = curve(rng, n, rng.uniform(0.3, 1.0), *np.sort(rng.uniform(18, 75, 2)))
    firing = wave(phase_of(revolutions), 1 / np.arange(1, 41) ** 0.4, rng.uniform(0, 6.28, 40))
    pipe = resonances(firing, [(log_uniform(rng, 70, 400), 2.0, 1.0) for _ in range(3)])
    return ramp(unit(pipe) + 0.5 * unit(tilted_noise(rng, n, 90)), 0.2, 0.3)


def siren(rng: Rng, n: int) -> Samples:
    """An emergency vehicle: a slow wail or two alternating notes."""
    period, low = rng.uniform(0.8, 4.0), log_uniform(rng, 420, 700)
    cycle = (np.arange(n) / 32000 / period) % 1.0
    high = low * rng.uniform(1.3, 2.2)
    frequency = np.where(cycle < 0.5, low, high) if rng.random() < 0.5 else low + (high - low) * np.sin(np.pi * cycle)
    count = harmonic_count(high, 5000)
    return ramp(low_pass(wave(phase_of(frequency), 1 / np.arange(1, count + 1)), 2500), 0.3, 0.3)


def thunder(rng: Rng, n: int) -> Samples:
    """A crack and a long low roll."""
    roll = low_pass(tilted_noise(rng, n, 40), 180) * (0.15 + curve(rng, n, 3, 0, 1) ** 2) * decay(n, n / 32000)
    crack = band_pass(noise(rng, n) * decay(n, 0.5), rng.uniform(300, 900), 0.7)
    return ramp(unit(roll) + rng.uniform(0.0, 0.6) * unit(crack), 0.02, 0.2)


def crumpling_paper(rng: Rng, n: int) -> Samples:
    """Crackles of all sizes, their density following the hand."""
    crackles = [high_pass(noise(rng, 160) * decay(160, 0.004), rng.uniform(1200, 4500)) for _ in range(6)]
    starts = poisson(rng, n, rng.uniform(150, 350))
    hand = curve(rng, n, 3, -0.4, 1.0).clip(0)
    return scatter(n, crackles, starts, rng.pareto(1.8, len(starts)).clip(0.02, 5) * hand[starts])


def zipper(rng: Rng, n: int) -> Samples:
    """Teeth passing faster and slower: a buzz of clicks that sweeps."""
    teeth = phase_of(curve(rng, n, 2.5, 60, 260))
    clicks = np.diff(np.floor(teeth), prepend=0.0) * rng.uniform(0.5, 1.0, n)
    cloth = 0.02 * noise(rng, n)
    return ramp(resonances(clicks + cloth, [(log_uniform(rng, 2500, 7000), 2.0, 1.0) for _ in range(3)]), 0.02, 0.02)


def sawing(rng: Rng, n: int) -> Samples:
    """A hand saw: to and fro, each stroke a rasp with its own pitch."""
    stroke = phase_of(np.full(n, rng.uniform(1.0, 2.2)))
    pressure = np.abs(np.sin(np.pi * stroke)) ** 0.7 * np.where(stroke % 2 < 1, 1.0, rng.uniform(0.3, 0.7))
    teeth = wave(phase_of(60 + 160 * pressure), 1 / np.arange(1, 25) ** 0.3)
    rasp = (teeth + 2 * noise(rng, n)) * pressure
    return resonances(rasp, [(log_uniform(rng, 700, 3500), 2.5, 1.0) for _ in range(3)])


def whistling(rng: Rng, n: int) -> Samples:
    """A person whistling a few held notes."""
    notes = 1100 * 2 ** (rng.integers(-4, 10, 30) / 12)
    length = frames(rng.uniform(0.2, 0.5))
    held = np.repeat(notes, length)[:n] if n <= 30 * length else np.resize(np.repeat(notes, length), n)
    glide = smooth(held, 800)
    vibrato = 1 + 0.008 * np.sin(2 * np.pi * 5.5 * np.arange(n) / 32000)
    tone = wave(phase_of(glide * vibrato), [1.0, 0.03])
    breath = band_pass(noise(rng, n), 1500, 1.5)
    return ramp((tone + 0.1 * breath) * curve(rng, n, 4, 0.4, 1.0), 0.03, 0.05)


def wind(rng: Rng, n: int) -> Samples:
    """Gusts: noise whose band moves and swells."""
    gust = curve(rng, n, 0.8, 0.1, 1.0)
    low = cascade(noise(rng, n), [section("band", log_uniform(rng, 150, 350), 1.2)])
    howl = band_pass(noise(rng, n), log_uniform(rng, 500, 900), 8.0)
    return ramp(low * gust + 0.6 * howl * gust * gust * gust, 0.3, 0.3)


def frog(rng: Rng, n: int) -> Samples:
    """Croaks: a low pulse train through a vocal sac."""
    sac = [(log_uniform(rng, 400, 1100), 5.0, 1.0), (log_uniform(rng, 1400, 2400), 6.0, 0.5)]
    m = frames(rng.uniform(0.2, 0.5))
    croak = resonances(wave(phase_of(np.full(m, rng.uniform(25, 60))), np.ones(40)) * np.hanning(m), sac)
    starts = rhythm(rng, n, rng.uniform(0.8, 1.8), 0.2)
    return scatter(n, [croak], starts, rng.uniform(0.6, 1.0, len(starts)))


INTERFERENCE: Mapping[str, tuple[Callable[[Rng, int], Samples], tuple[float, float]]] = {
    "BirdSong": (bird_song, (0.8, 6)),
    "DogBark": (dog_bark, (0.3, 5)),
    "Cricket": (cricket, (2, 10)),
    "CarEngine": (car_engine, (2, 10)),
    "Siren": (siren, (3, 10)),
    "Thunder": (thunder, (2, 8)),
    "CrumplingPaper": (crumpling_paper, (0.6, 5)),
    "Zipper": (zipper, (0.4, 2)),
    "Sawing": (sawing, (1.5, 8)),
    "Whistling": (whistling, (1, 7)),
    "Wind": (wind, (3, 10)),
    "Frog": (frog, (0.4, 6)),
}
"""Kinds outside the 18 classes: generator, and natural durations in seconds."""
