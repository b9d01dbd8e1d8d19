"""What comes out of mouths and keyboards with pitch: speech, coughs, and notes of a keyboard instrument."""

import numpy as np
from scipy.signal import lfilter

from s5eval.data_manifests.synthesis.foley.signals import (
    Rng,
    Samples,
    curve,
    decay,
    frames,
    harmonic_count,
    high_pass,
    line,
    log_uniform,
    low_pass,
    modes,
    noise,
    phase_of,
    ramp,
    resonances,
    scatter,
    wave,
)

# First three formants, Hz, of an adult male voice (Peterson and Barney, 1952), rounded.
_VOWELS = np.array(
    [
        [270, 2290, 3010],
        [390, 1990, 2550],
        [530, 1840, 2480],
        [660, 1720, 2410],
        [730, 1090, 2440],
        [570, 840, 2410],
        [440, 1020, 2240],
        [300, 870, 2240],
        [640, 1190, 2390],
        [490, 1350, 1690],
    ],
    dtype=np.float64,
)
_BANDWIDTHS = np.array([70.0, 100.0, 140.0, 220.0])
_BLOCK = 960


def _vocal_tract(source: Samples, formants: Samples) -> Samples:
    """A cascade of four moving formants; `formants` (blocks, 4) in Hz, one row per 30 ms."""
    out = np.empty_like(source)
    radius = np.exp(-np.pi * _BANDWIDTHS / 32000)
    denominators = np.zeros((len(formants), 9))
    denominators[:, 0] = 1.0
    for formant, bandwidth in zip(formants.T, radius, strict=True):  # one more pair of poles, for all blocks at once
        once = np.pad(denominators[:, :-1], ((0, 0), (1, 0)))
        twice = np.pad(denominators[:, :-2], ((0, 0), (2, 0)))
        turn = -2 * bandwidth * np.cos(2 * np.pi * formant / 32000)
        denominators = denominators + turn[:, None] * once + bandwidth**2 * twice
    state = np.zeros(8)
    for block, denominator in enumerate(denominators):
        part = slice(block * _BLOCK, (block + 1) * _BLOCK)
        gain = denominator.sum()  # 1 at 0 Hz, as a tube has
        out[part], state = lfilter([gain], denominator, source[part], zi=state)
    return out


def speech(rng: Rng, n: int) -> Samples:
    """A voice speaking syllables that mean nothing: pulses, formants, hiss and pops, phrases."""
    child_or_woman = rng.random() < 0.5
    pitch = log_uniform(rng, 160, 280) if child_or_woman else log_uniform(rng, 85, 150)
    size = rng.uniform(1.1, 1.25) if child_or_woman else rng.uniform(0.94, 1.06)
    blocks = -(-n // _BLOCK)
    formant_points: list[tuple[float, Samples]] = []
    voicing: list[tuple[float, float]] = [(0.0, 0.0)]
    melody: list[tuple[float, float]] = []
    hisses: list[tuple[int, Samples]] = []
    time, end, phrase_left = 0.02, n / 32000, 0.0
    while time < end - 0.06:
        if phrase_left <= 0:
            phrase_left = rng.uniform(0.9, 2.6)
            phrase_start, top = time, pitch * rng.uniform(1.05, 1.35)
            time += rng.uniform(0.05, 0.3) if melody else 0.0
        kind = rng.integers(4)
        if kind == 0:  # fricative
            length = frames(rng.uniform(0.05, 0.13))
            colour = log_uniform(rng, 2200, 6500)
            hiss = high_pass(noise(rng, length), colour) * rng.uniform(0.04, 0.16)
            hisses.append((frames(time), ramp(hiss, 0.02, 0.02)))
            time += length / 32000 * 0.9
        elif kind == 1:  # plosive: closure, then a burst
            time += rng.uniform(0.03, 0.07)
            length = frames(0.02)
            hisses.append((frames(time), noise(rng, length) * decay(length, 0.02) * rng.uniform(0.1, 0.35)))
            time += rng.uniform(0.005, 0.03)
        elif kind == 2:  # nasal or liquid
            murmur = rng.uniform(0.04, 0.08)
            formant_points.append((time, np.array([280.0, 1100.0 * rng.uniform(0.8, 1.4), 2300.0]) * size))
            voicing += [(time, 0.3), (time + murmur, 0.35)]
            time += murmur
        length_s = rng.uniform(0.07, 0.22)
        first, second = _VOWELS[rng.integers(10, size=2)] * size
        formant_points += [(time, first), (time + 0.7 * length_s, first if rng.random() < 0.6 else second)]
        stress = rng.uniform(0.5, 1.0)
        voicing += [
            (time, 0.05),
            (time + 0.03, stress),
            (time + 0.75 * length_s, 0.8 * stress),
            (time + length_s, 0.05),
        ]
        melody.append((time, top * (1 - 0.12 * (time - phrase_start)) * rng.uniform(0.94, 1.1)))
        phrase_left -= length_s + 0.05
        time += length_s
        if phrase_left <= 0:
            voicing.append((time + 0.02, 0.0))
    jitter = 1 + 0.008 * curve(rng, n, 60, -1, 1)
    f0 = line(n, melody) * jitter
    count = harmonic_count(float(f0.max()), 7500)
    glottal = wave(phase_of(f0), 1.0 / np.arange(1, count + 1) ** rng.uniform(0.8, 1.25), np.arange(count) * 0.15)
    breath = rng.uniform(0.03, 0.12) * noise(rng, n)
    source = (glottal + breath) * line(n, voicing)
    times, rows = zip(*formant_points, strict=True)
    grid = np.arange(blocks) * _BLOCK / 32000
    formants = np.column_stack(
        [*(np.interp(grid, times, [row[k] for row in rows]) for k in range(3)), np.full(blocks, 3500.0 * size)]
    )
    voice = _vocal_tract(source, formants.clip(150, 7500))
    voice = high_pass(voice, 90)
    loudness = np.abs(voice).max() or 1.0
    return ramp(voice + sum((scatter(n, [h], [at], [loudness]) for at, h in hisses), np.zeros(n)), 0.005, 0.02)


def cough(rng: Rng, n: int) -> Samples:
    """One to many coughs: an explosive opening, a rush of air shaped by the throat, sometimes a voiced end."""
    size = rng.uniform(0.85, 1.3)
    throat = [
        (rng.uniform(380, 620) * size, 3.0, 1.0),
        (rng.uniform(1100, 1700) * size, 4.0, 0.8),
        (rng.uniform(2300, 3100) * size, 5.0, 0.5),
    ]
    out = np.zeros(n)
    time = 0.0
    while time * 32000 < n - 3200:
        length = rng.uniform(0.22, 0.45)
        m = frames(length)
        opening = rng.uniform(0.03, 0.06)
        envelope = line(m, [(0, 0.0), (0.006, 1.0), (opening, 0.5), (0.55 * length, 0.22), (length, 0.0)])
        air = noise(rng, m)
        voiced = rng.uniform(0.0, 1.6)
        glide = line(m, [(0, rng.uniform(280, 420)), (length, rng.uniform(130, 220))]) / size
        rough = wave(phase_of(glide * (1 + 0.06 * curve(rng, m, 90, -1, 1))), 1 / np.arange(1, 21) ** 0.6)
        voice = rough * line(m, [(0, 0.3), (opening, 0.1), (0.6 * length, 1.0), (length, 0.0)])
        single = resonances((air + voiced * voice) * envelope, throat) + 0.08 * high_pass(air * envelope, 2000)
        out += scatter(n, [single], [frames(time) - 1], [rng.uniform(0.5, 1.0)])
        time += length + (rng.uniform(0.02, 0.15) if rng.random() < 0.6 else rng.uniform(0.4, 1.2))
    return ramp(out, 0.001, 0.02)


def musical_keyboard(rng: Rng, n: int) -> Samples:
    """Piano, electric piano or organ: notes and chords of one key, with touch, at a player's tempo."""
    kind = rng.integers(3)
    scale = np.array([0, 2, 4, 5, 7, 9, 11] if rng.random() < 0.6 else [0, 2, 3, 5, 7, 8, 10])
    tonic = int(rng.integers(45, 57))
    spacing = rng.uniform(0.16, 0.55)
    stiffness = log_uniform(rng, 1e-4, 8e-4)
    strike = rng.uniform(0.1, 0.18)
    cache: dict[int, Samples] = {}

    def note(pitch: int) -> Samples:
        if pitch in cache:
            return cache[pitch]
        f0 = 440 * 2 ** ((pitch - 69) / 12)
        k = np.arange(1, min(16, harmonic_count(f0, 12000)) + 1)
        if kind == 0:
            t60 = rng.uniform(1.5, 4.0) * (440 / f0) ** 0.5
            partials = f0 * k * np.sqrt(1 + stiffness * k**2)
            gains = np.abs(np.sin(np.pi * k * strike)) / k**0.9
            sound = modes(min(n, frames(min(1.5, t60))), partials, t60 / k**0.6, gains)
            sound[:320] += 0.15 * low_pass(noise(rng, 320), 2000) * decay(320, 0.01)
        elif kind == 1:
            length = min(n, frames(1.4))
            ring = decay(length, 2.5)
            bell = 0.15 * modes(length, [f0 * 7.1], [0.3], [1.0])
            sound = wave(phase_of(np.full(length, f0)), [1.0, 0.25, 0.12, 0.05]) * ring + bell
        else:
            length = min(n, frames(rng.uniform(1.0, 2.2) * spacing))
            drawbars = np.zeros(8)
            drawbars[[0, 1, 2, 3, 5, 7]] = rng.uniform(0.2, 1.0, 6)
            tremolo = 1 + 0.15 * wave(phase_of(np.full(length, rng.uniform(5, 7))), 1.0)
            sound = 0.6 * wave(phase_of(np.full(length, f0)), drawbars) * tremolo
        cache[pitch] = ramp(sound, 0.003, 0.06)
        return cache[pitch]

    out = np.zeros(n)
    degree = 7
    for start in np.arange(0, max(1, n - 1600), spacing * 32000):
        if start > 0 and rng.random() < 0.12:
            continue
        degree = int(np.clip(degree + rng.integers(-3, 4), 0, 17))
        chord = [0] if rng.random() < 0.65 else [0, 2, 4] if rng.random() < 0.6 else [0, 4]
        touch = rng.uniform(0.4, 1.0)
        for step in chord:
            octave, place = divmod(degree + step, 7)
            pitch = tonic + 12 * octave + int(scale[place])
            out += scatter(n, [note(pitch)], [start + rng.integers(0, 400)], [touch])
    return ramp(out, 0.002, 0.15)
