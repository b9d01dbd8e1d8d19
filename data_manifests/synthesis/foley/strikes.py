"""Things that hit things: claps, doors, dishes, steps, keys, drums. Short excitations of resonating bodies."""

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
    low_pass,
    modes,
    noise,
    phase_of,
    ramp,
    resonances,
    rhythm,
    scatter,
    tilted_noise,
    wave,
)


def _burst(rng: Rng, seconds: float, t60: float) -> Samples:
    n = frames(seconds)
    return noise(rng, n) * decay(n, t60)


def clapping(rng: Rng, n: int) -> Samples:
    """One pair of hands, or an audience: bursts of some 10 ms through the cavity between the palms."""
    people = 1 if rng.random() < 0.55 else int(rng.integers(3, 25))
    out = np.zeros(n)
    for person in range(people):
        cavity = log_uniform(rng, 700, 2200)
        peaks = [(cavity, rng.uniform(1.5, 4), 2.0), (cavity * rng.uniform(1.8, 2.6), rng.uniform(1.5, 3), 1.0)]
        tail = rng.uniform(0.025, 0.08)
        hands = [resonances(_burst(rng, 0.09, tail), peaks) + 0.2 * _burst(rng, 0.09, 0.012) for _ in range(2)]
        rate = rng.uniform(2.2, 5.5)
        starts = rhythm(rng, n, rate, 0.05) + (0 if person == 0 else int(rng.integers(0, 16000)))
        level = 1.0 if person == 0 else log_uniform(rng, 0.2, 1.0)
        out += scatter(n, hands, starts, level * rng.uniform(0.5, 1.0, len(starts)))
    return out


def cupboard_open_close(rng: Rng, n: int) -> Samples:
    """A latch, a hinge or a sliding drawer, the thud of wood on wood and what rattles after it."""
    wood = log_uniform(rng, 70, 190) * np.sort(rng.uniform(1, 7, 9))
    thud = modes(frames(0.4), wood, rng.uniform(0.06, 0.3, 9), rng.uniform(0.3, 1, 9) / np.sqrt(wood / wood[0]))
    thud[: frames(0.03)] += low_pass(_burst(rng, 0.03, 0.03), 1500) * 1.5
    latch = modes(frames(0.05), rng.uniform(900, 4500, 5), rng.uniform(0.01, 0.04, 5), rng.uniform(0.2, 0.6, 5))
    out = np.zeros(n)
    cycle = frames(rng.uniform(0.9, 2.2))
    for start in range(0, max(1, n - cycle // 2), cycle):
        travel = frames(rng.uniform(0.35, 0.9))
        out += scatter(n, [latch], start + np.array([0, frames(rng.uniform(0.02, 0.06))]), rng.uniform(0.3, 1.0))
        slide = tilted_noise(rng, travel, 400) * curve(rng, travel, 12, 0.1, 1.0) * 0.12
        if rng.random() < 0.5:
            pulses = (rng.random(travel) < curve(rng, travel, 5, 0.001, 0.008)).astype(np.float64)
            hinge = [(log_uniform(rng, 300, 1800), rng.uniform(8, 20), 1.0) for _ in range(3)]
            slide = slide + 1.5 * resonances(pulses, hinge)
        at = start + frames(0.08)
        out += scatter(n, [ramp(slide, 0.05, 0.05)], [at], [rng.uniform(0.4, 1.2)])
        close = at + travel
        out += scatter(n, [thud], [close], [rng.uniform(0.7, 1.3)])
        bounces = close + np.cumsum(rng.uniform(0.03, 0.09, 4)) * 32000
        out += scatter(
            n, [thud * 0.3 + np.pad(latch, (0, len(thud) - len(latch)))], bounces, 0.35 * 0.6 ** np.arange(4)
        )
    return ramp(out, 0.001, 0.03)


def dishes(rng: Rng, n: int) -> Samples:
    """Plates, cups and cutlery: clusters of bright clinks, each piece with its own modes, and some scraping."""
    pieces = []
    for _ in range(int(rng.integers(3, 7))):
        base = log_uniform(rng, 900, 3200)
        partials = base * np.cumsum(np.concatenate([[1.0], rng.uniform(0.35, 1.1, 7)]))
        ring = rng.uniform(0.04, 0.4) / np.sqrt(partials / base)
        clink = modes(frames(0.45), partials, ring, rng.uniform(0.2, 1, 8), rng.uniform(0, 6.28, 8))
        clink[:128] += 0.6 * noise(rng, 128) * decay(128, 0.004)
        pieces.append(clink)
    clusters = rhythm(rng, n, rng.uniform(1.2, 3.5), 0.45)
    hits = np.concatenate([start + np.cumsum(rng.exponential(0.05, rng.integers(1, 6))) * 32000 for start in clusters])
    order = rng.integers(0, len(pieces), len(hits))
    out = scatter(n, [pieces[i] for i in order], hits, rng.uniform(0.15, 1.0, len(hits)) ** 1.5)
    if rng.random() < 0.5:
        scrape = band_pass(noise(rng, n), log_uniform(rng, 2500, 6000), 3) * curve(rng, n, 6, -1.5, 0.5).clip(0)
        out = out + rng.uniform(0.2, 0.6) * scrape
    return ramp(out, 0.001, 0.03)


def foot_steps(rng: Rng, n: int) -> Samples:
    """Heel and ball of the foot on wood, stone, or gravel, at a walker's or runner's pace."""
    surface = rng.integers(3)
    floor = log_uniform(rng, 60, 140) * np.array([1.0, 1.9, 3.1, 4.6]) * rng.uniform(0.9, 1.1, 4)
    grains = []
    for _ in range(6):
        step = modes(frames(0.25), floor, rng.uniform(0.05, 0.16, 4), [1.0, 0.7, 0.5, 0.3])
        if surface == 0:
            sole = low_pass(_burst(rng, 0.25, 0.05), log_uniform(rng, 700, 1500))
        elif surface == 1:
            step *= 0.5
            sole = band_pass(_burst(rng, 0.25, rng.uniform(0.02, 0.05)), log_uniform(rng, 1500, 3500), 1.0)
        else:
            step *= 0.3
            crunch = noise(rng, 8000) * (rng.random(8000) < 0.03) * np.hanning(8000)
            sole = 3 * high_pass(low_pass(crunch, 7000), 900) + 0.1 * high_pass(_burst(rng, 0.25, 0.2), 1500)
        grains.append(step + rng.uniform(0.6, 1.1) * sole)
    pace = rng.uniform(1.5, 2.3) if rng.random() < 0.8 else rng.uniform(2.5, 3.2)
    heels = rhythm(rng, n, pace, 0.04)
    level = rng.uniform(0.7, 1.0, len(heels)) * np.where(np.arange(len(heels)) % 2, 1.0, rng.uniform(0.75, 1.0))
    balls = heels + frames(rng.uniform(0.06, 0.13))
    out = scatter(n, grains, heels, level) + scatter(n, grains[1:], balls, level * rng.uniform(0.25, 0.7))
    return ramp(out, 0.001, 0.02)


def typing(rng: Rng, n: int) -> Samples:
    """Keys going down and up: clicks of a few milliseconds in bursts with pauses; a deeper one for the space bar."""
    base = log_uniform(rng, 1400, 3400)
    case = log_uniform(rng, 250, 600)
    mechanical = rng.uniform(0.2, 1.0)
    keys = []
    for _ in range(7):
        partials = np.concatenate([base * rng.uniform(0.7, 2.6, 5), case * rng.uniform(0.9, 1.1, 1)])
        key = modes(frames(0.04), partials, rng.uniform(0.006, 0.02, 6), np.array([1, 1, 0.7, 0.7, 0.5, 0.6]))
        key[:80] += mechanical * noise(rng, 80) * decay(80, 0.003)
        keys.append(key)
    keys.append(
        1.5 * modes(frames(0.06), case * np.array([1, 1.7, 2.9]), 0.03, [1, 0.6, 0.4]) + np.pad(keys[0], (0, 640)) * 0.6
    )
    starts = rhythm(rng, n, rng.uniform(4.5, 10.5), 0.35)
    pause = curve(rng, n, 1.2, -0.25, 1.0)
    starts = starts[(pause[starts] > 0) | (np.arange(len(starts)) < 3)]
    order = rng.integers(0, len(keys), len(starts))
    down = scatter(n, [keys[i] for i in order], starts, rng.uniform(0.4, 1.0, len(starts)))
    up_at = starts + (rng.uniform(0.05, 0.12, len(starts)) * 32000).astype(int)
    up = scatter(n, [high_pass(keys[i], 1500) for i in range(3)], up_at, rng.uniform(0.1, 0.35, len(starts)))
    return ramp(down + up, 0.0005, 0.01)


def _drum(rng: Rng, kind: str) -> Samples:
    if kind == "kick":
        n = frames(0.45)
        sweep = log_uniform(rng, 42, 70) * (1 + rng.uniform(2, 5) * decay(n, 0.12))
        return wave(phase_of(sweep), [1.0, 0.15]) * decay(n, rng.uniform(0.2, 0.45)) + np.pad(
            0.3 * _burst(rng, 0.01, 0.01), (0, n - frames(0.01))
        )
    if kind in ("tom", "conga"):
        n = frames(0.5)
        base = log_uniform(rng, 80, 200) if kind == "tom" else log_uniform(rng, 180, 420)
        skin = base * np.array([1.0, 1.59, 2.14, 2.3, 2.65])  # modes of a circular membrane
        body = modes(n, skin, rng.uniform(0.15, 0.5) / np.sqrt(skin / base), [1, 0.6, 0.4, 0.3, 0.2])
        return body + 0.3 * low_pass(_burst(rng, 0.5, 0.02), 3000)
    if kind == "snare":
        n = frames(0.35)
        wires = high_pass(_burst(rng, 0.35, rng.uniform(0.12, 0.3)), rng.uniform(800, 1800))
        return modes(n, [rng.uniform(160, 240), rng.uniform(280, 360)], 0.12, [1, 0.6]) + rng.uniform(0.4, 0.9) * wires
    if kind in ("hat", "shaker"):
        t60 = rng.uniform(0.04, 0.12) if rng.random() < 0.7 else rng.uniform(0.3, 0.6)
        return 0.6 * high_pass(_burst(rng, 1.2 * t60, t60), rng.uniform(5000, 8000) if kind == "hat" else 3500)
    if kind == "cymbal":
        t60 = rng.uniform(0.8, 2.2)
        metal = modes(frames(t60), log_uniform(rng, 300, 500) * np.sort(rng.uniform(1, 16, 24)), t60, 0.12)
        return metal + 0.5 * high_pass(_burst(rng, t60, 0.7 * t60), 4000)
    clave = log_uniform(rng, 800, 2600)
    return modes(frames(0.15), [clave, clave * 2.7], [rng.uniform(0.05, 0.14), 0.03], [1.0, 0.4])


def percussion(rng: Rng, n: int) -> Samples:
    """A drum pattern of one to four instruments on a grid, or single strokes of one instrument."""
    kinds = ["kick", "snare", "tom", "conga", "hat", "shaker", "cymbal", "clave"]
    chosen = rng.choice(kinds, size=1 if n < 32000 or rng.random() < 0.35 else int(rng.integers(2, 5)), replace=False)
    beat = 60 / rng.uniform(75, 160)
    swing = rng.uniform(0, 0.25) * beat / 4 if rng.random() < 0.4 else 0.0
    out = np.zeros(n)
    for voice, kind in enumerate(chosen):
        strokes = [_drum(rng, str(kind)) for _ in range(2)] if kind in ("hat", "shaker") else [_drum(rng, str(kind))]
        density = {"hat": 0.7, "shaker": 0.8, "cymbal": 0.08}.get(str(kind), 0.35)
        pattern = rng.random(16) < density
        pattern[0 if voice == 0 else int(rng.integers(0, 4)) * 4] = True
        grid = np.arange(0, n / 32000, beat / 4)
        played = np.flatnonzero(np.resize(pattern, len(grid)))
        human = rng.normal(0, 0.004, len(played))
        starts = (grid[played] + np.where(played % 2, swing, 0.0) + np.abs(human)) * 32000
        accents = np.where(played % 4 == 0, 1.0, 0.7) * rng.uniform(0.75, 1.0, len(played))
        out += rng.uniform(0.6, 1.0) * scatter(n, strokes, starts.astype(int), accents)
    return ramp(out, 0.0005, 0.02)
