"""Bells, buzzers and alarms: struck metal, and electric oscillators in a pattern."""

import numpy as np

from s5eval.data_manifests.synthesis.foley.signals import (
    Rng,
    Samples,
    curve,
    frames,
    harmonic_count,
    high_pass,
    log_uniform,
    modes,
    noise,
    phase_of,
    ramp,
    resonances,
    rhythm,
    scatter,
    smooth,
    wave,
)


def _bell(rng: Rng, n: int, fundamental: float, t60: float, count: int) -> Samples:
    """A small bell: inharmonic partials, each a doublet that beats, the higher ones dying sooner."""
    ratios = np.array([1.0, 2.0, 2.76, 3.9, 5.4, 6.8])[:count] * rng.uniform(0.96, 1.04, count)
    partials = np.concatenate([fundamental * ratios, fundamental * ratios * (1 + rng.uniform(5e-4, 4e-3, count))])
    gains = np.tile(rng.uniform(0.3, 1.0, count) / np.sqrt(ratios), 2)
    return modes(n, partials, t60 / np.sqrt(np.tile(ratios, 2)), gains, rng.uniform(0, 6.28, 2 * count))


def alarm_clock(rng: Rng, n: int) -> Samples:
    """Beeps in groups, a two-tone alarm, or a hammer running between two bells."""
    kind = rng.integers(3)
    if kind == 2:
        rate = rng.uniform(13, 26)
        fundamental = log_uniform(rng, 1500, 2800)
        bells = [
            _bell(rng, frames(0.5), fundamental * detune, rng.uniform(0.25, 0.5), 5)
            for detune in (1.0, rng.uniform(1.03, 1.2))
        ]
        starts = rhythm(rng, n, rate, 0.02)
        rattle = scatter(n, [high_pass(noise(rng, 200), 3000)], starts, 0.15)
        return ramp(scatter(n, bells, starts, rng.uniform(0.7, 1.0, len(starts))) + rattle, 0.002, 0.02)
    frequency = log_uniform(rng, 1800, 3600)
    beep, gap = rng.uniform(0.05, 0.12), rng.uniform(0.04, 0.09)
    group = int(rng.integers(2, 5)) if kind == 0 else 1
    pause = rng.uniform(0.3, 0.6) if kind == 0 else 0.0
    beep = beep if kind == 0 else rng.uniform(0.12, 0.3)
    amplitudes = np.zeros(harmonic_count(frequency))
    amplitudes[::2] = 1.0 / np.arange(1, len(amplitudes) + 1)[::2] ** rng.uniform(1.0, 2.0)
    tones = [frequency, frequency * (1.0 if kind == 0 else rng.choice([0.75, 0.8, 1.25 * 0.75]))]
    phase = np.arange(frames(beep))
    grains = [ramp(wave(phase * tone / 32000, amplitudes), 0.002, 0.004) for tone in tones]
    period = group * (beep + gap) + pause if kind == 0 else beep
    times = np.arange(0, n / 32000, period)
    starts = (times[:, None] + np.arange(group) * (beep + gap)).ravel() * 32000
    return scatter(n, grains, starts.astype(int), 1.0)


def bicycle_bell(rng: Rng, n: int) -> Samples:
    """One thumb lever: a ding, or a quick trill of strokes on one dome that rings on."""
    fundamental, t60 = log_uniform(rng, 1700, 4200), rng.uniform(0.7, 2.2)
    dome = _bell(rng, min(n, frames(1.2 * t60)), fundamental, t60, 4)
    strokes: list[float] = []
    start = 0.0
    while start < 0.75 * n or not strokes:
        trill = int(rng.integers(1, 9))
        strokes.extend(start + np.cumsum(rng.uniform(0.03, 0.055, trill)) * 32000)
        start = strokes[-1] + rng.uniform(0.25, 0.9) * 32000
    times = np.asarray(strokes, dtype=int)
    clicks = scatter(n, [high_pass(noise(rng, 96), 2500)], times, 0.25)
    return ramp(scatter(n, [dome], times, rng.uniform(0.4, 1.0, len(times))) + clicks, 0.001, 0.05)


def buzzer(rng: Rng, n: int) -> Samples:
    """A steady rasp: a harmonic-rich low oscillator through the resonances of a small case, in one or more pushes."""
    fundamental = log_uniform(rng, 90, 420)
    wobble = curve(rng, n, 8, -0.004, 0.004)
    count = harmonic_count(fundamental * 1.01, 9000)
    amplitudes = 1.0 / np.arange(1, count + 1) ** rng.uniform(0.2, 0.9)
    if rng.random() < 0.5:
        amplitudes[1::2] *= rng.uniform(0.0, 0.3)
    rasp = wave(phase_of(fundamental * (1 + wobble)), amplitudes, rng.uniform(0, 6.28, count))
    case = [(log_uniform(rng, 400, 4000), rng.uniform(1.5, 5), rng.uniform(0.6, 1.5)) for _ in range(3)]
    tone = 0.4 * rasp + resonances(rasp, case)
    if rng.random() < 0.5:
        on, off = rng.uniform(0.2, 0.7), rng.uniform(0.08, 0.3)
        gate = ((np.arange(n) / 32000) % (on + off) < on).astype(np.float64)
        tone = tone * smooth(gate, 64)
    return ramp(tone, 0.004, 0.01)


def doorbell(rng: Rng, n: int) -> Samples:
    """Chime bars: ding-dong, a single bar, or a short melody; bars ring for a second or more."""
    root = log_uniform(rng, 380, 950)
    melodies = ((4, 0), (3, 0), (0,), (4, 0, 4, 0), (4, 2, 0, -5), (-5, 2, 4, 0), (7, 4, 0), (0, 4, 7, 12))
    melody = melodies[rng.integers(len(melodies))]
    electronic = rng.random() < 0.35
    spacing = rng.uniform(0.35, 0.8)
    t60 = rng.uniform(0.8, 1.4) if electronic else rng.uniform(1.2, 3.0)
    ratios = np.array([1, 2, 3, 4]) if electronic else np.array([1.0, 2.76, 5.4, 8.93]) * rng.uniform(0.98, 1.02, 4)
    gains = np.array([1, 0.4, 0.25, 0.1]) * rng.uniform(0.5, 1.5, 4)
    bars = []
    for step in melody:
        bar = modes(min(n, frames(1.15 * t60)), root * 2 ** (step / 12) * ratios, t60 / ratios**0.7, gains)
        if not electronic:
            bar[:160] += rng.uniform(0.05, 0.25) * noise(rng, 160) * np.linspace(1, 0, 160)
        bars.append(ramp(bar, 0.001, 0.03))
    repeats = 1 + int(rng.integers(0, 3))
    pause = rng.uniform(0.4, 1.2)
    times = [
        round * (len(melody) * spacing + pause) + i * spacing for round in range(repeats) for i in range(len(melody))
    ]
    starts = np.asarray(times) * 32000
    return ramp(scatter(n, bars, starts.astype(int), rng.uniform(0.8, 1.0, len(starts))), 0.001, 0.1)
