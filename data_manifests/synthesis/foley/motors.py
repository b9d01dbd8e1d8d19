"""Machines that run: blender, hair dryer, fan, vacuum cleaner. Rotation harmonics, air noise, speed and load."""

import numpy as np

from s5eval.data_manifests.synthesis.foley.signals import (
    NYQUIST,
    Rng,
    Samples,
    band_pass,
    cascade,
    curve,
    harmonic_count,
    high_pass,
    line,
    log_uniform,
    noise,
    phase_of,
    ramp,
    resonances,
    section,
    smooth,
    tilted_noise,
    unit,
    wave,
)


def _speed(rng: Rng, n: int, rise: tuple[float, float], fall: tuple[float, float]) -> Samples:
    """Relative speed of a motor over the clip: run-up and run-down are in the recording, or cut away."""
    seconds = n / 32000
    points = [(0.0, 1.0), (seconds, 1.0)]
    if rng.random() < 0.6:
        up = min(rng.uniform(*rise), 0.4 * seconds)
        points[:1] = [(0.0, rng.uniform(0.15, 0.4)), (0.4 * up, 0.8), (up, 1.0)]
    if rng.random() < 0.5:
        down = min(rng.uniform(*fall), 0.4 * seconds)
        points[-1:] = [(seconds - down, 1.0), (seconds - 0.4 * down, 0.6), (seconds, 0.2)]
    return line(n, points)


def _harmonics(rng: Rng, highest_f0: float, slope: float, spread: float) -> Samples:
    count = harmonic_count(highest_f0, 0.75 * NYQUIST)
    amplitudes: Samples = np.exp(rng.normal(0, spread, count)) / np.arange(1, count + 1) ** slope
    return amplitudes


def _tone(rng: Rng, frequency: Samples, slope: float, spread: float) -> Samples:
    amplitudes = _harmonics(rng, float(frequency.max()), slope, spread)
    return unit(wave(phase_of(frequency), amplitudes, rng.uniform(0, 6.28, len(amplitudes))))


def blender(rng: Rng, n: int) -> Samples:
    """A screaming universal motor whose pitch sags under load, with chunks beating against the jar."""
    speed = _speed(rng, n, (0.2, 0.7), (0.2, 0.6))
    if rng.random() < 0.5:
        pulses = (np.arange(n) / 32000 / rng.uniform(0.6, 1.6) + rng.random()) % 1.0 < rng.uniform(0.55, 0.8)
        speed = speed * smooth(np.where(pulses, 1.0, 0.45), 1600)
    load = curve(rng, n, rng.uniform(4, 9), 0.0, rng.uniform(0.05, 0.16))
    base = log_uniform(rng, 170, 380)
    motor = _tone(rng, base * speed * (1 - load), rng.uniform(0.3, 0.7), 0.7)
    jar = resonances(noise(rng, n), [(log_uniform(rng, 700, 3500), rng.uniform(1, 3), 1.0) for _ in range(3)])
    chop = curve(rng, n, rng.uniform(18, 45), 0.0, 1.0)
    chop *= chop * chop
    churn = unit(jar * (0.15 + chop))
    return ramp((rng.uniform(0.9, 1.5) * motor + rng.uniform(0.5, 1.1) * churn) * speed**2, 0.01, 0.03)


def hair_dryer(rng: Rng, n: int) -> Samples:
    """A jet of air, bright and even, over the thin whine of a small fan."""
    speed = _speed(rng, n, (0.4, 1.2), (0.5, 1.2))
    air = cascade(
        noise(rng, n),
        [section("high", log_uniform(rng, 500, 1100), 0.6), section("low", log_uniform(rng, 6000, 12000), 0.6)],
    )
    nozzle = band_pass(air, log_uniform(rng, 1800, 4500), rng.uniform(1.0, 2.5))
    rotation = log_uniform(rng, 260, 420)
    whine = _tone(rng, rotation * speed * (1 + curve(rng, n, 3, -0.003, 0.003)), rng.uniform(0.5, 0.9), 0.6)
    blades = int(rng.integers(5, 12))
    siren = wave(phase_of(rotation * blades * speed), [1.0, 0.3])
    mix = unit(air + rng.uniform(0.5, 1.5) * nozzle) + rng.uniform(0.08, 0.3) * whine + rng.uniform(0.05, 0.35) * siren
    return ramp(mix * (speed * speed * np.sqrt(speed)), 0.02, 0.05)


def mechanical_fans(rng: Rng, n: int) -> Samples:
    """Slow blades: a low rumble and hum that swells with every turn, sometimes with a tick or a rattle."""
    turns = log_uniform(rng, 3.5, 22)
    blades = int(rng.integers(3, 8))
    speed = turns * (1 + curve(rng, n, 0.7, -0.01, 0.01))
    turn = phase_of(speed)
    modulation = np.zeros(3 * blades)
    modulation[[blades - 1, 2 * blades - 1, 3 * blades - 1]] = rng.uniform(0.1, 0.4) * np.array([1.0, 0.4, 0.2])
    modulation[0] = rng.uniform(0, 0.25)
    swell = 1 + wave(turn, modulation)
    rush = unit(tilted_noise(rng, n, log_uniform(rng, 120, 450)))
    body = resonances(rush, [(log_uniform(rng, 90, 700), rng.uniform(2, 6), rng.uniform(0.5, 1.5)) for _ in range(2)])
    mains = rng.choice([100.0, 120.0]) * rng.uniform(0.97, 1.0)
    amplitudes = 1.0 / np.arange(1, 9) ** rng.uniform(1.0, 2.0)
    hum = unit(wave(phase_of(np.full(n, mains)), amplitudes, rng.uniform(0, 6.28, 8)))
    mix = (rush + body) * swell + rng.uniform(0.15, 0.8) * hum
    if rng.random() < 0.4:
        tick = (turn % 1.0 < 0.02).astype(np.float64)
        mix = mix + rng.uniform(0.3, 1.0) * band_pass(tick, log_uniform(rng, 500, 2000), 4) * 4
    return ramp(mix, 0.08, 0.12)


def vacuum_cleaner(rng: Rng, n: int) -> Samples:
    """A roar of suction around one strong turbine tone; the nozzle moves over the floor."""
    speed = _speed(rng, n, (0.5, 1.3), (0.6, 1.5))
    stroke = curve(rng, n, rng.uniform(0.7, 1.8), 0.0, 1.0)
    base = log_uniform(rng, 420, 900)
    turbine = _tone(rng, base * speed * (1 + 0.035 * stroke), rng.uniform(1.0, 1.5), 0.4)
    roar = unit(tilted_noise(rng, n, log_uniform(rng, 500, 1300)))
    hose = resonances(roar, [(log_uniform(rng, 250, 1600), rng.uniform(2, 5), rng.uniform(0.8, 2.0)) for _ in range(3)])
    hiss = high_pass(noise(rng, n), 3500) * (0.2 + 0.8 * stroke)
    mix = unit(roar + hose) + rng.uniform(0.25, 0.7) * turbine + rng.uniform(0.08, 0.25) * hiss
    return ramp(mix * speed**2, 0.03, 0.06)
