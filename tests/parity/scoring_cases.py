"""Seeded scoring cases: 31 scenarios of right, wrong, missing, extra, silent and perfect estimates.

The random draws, and so every sample, are those of the series that the official evaluator was recorded on
(`official_scores.json`), for any number of mixtures: each is seeded with (seed, number). numpy and scipy only.

    python tests/parity/scoring_cases.py OUT -n 400
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import lfilter

from s5eval.data_manifests.labels import CLASSES

RATE, SECONDS = 32_000, 10
LENGTH = RATE * SECONDS

SCENARIOS = (
    "zero_clean",
    "zero_fp1",
    "zero_fp2",
    "one_ok",
    "one_missing",
    "one_wrong",
    "one_extra_same",
    "one_extra_other",
    "one_perfect",
    "one_silent",
    "one_loud",
    "two_ok",
    "two_same_ok",
    "two_same_one_missing",
    "two_same_swapped",
    "two_one_wrong",
    "two_same_silent_one",
    "three_ok",
    "three_same_ok",
    "three_same_two_missing",
    "three_same_perfect",
    "three_dup2_extra",
    "three_all_missing",
    "three_all_wrong",
    "two_est_is_mixture",
    "one_negated",
    "two_same_identical_est",
)
OVERFULL = ("over4_same", "over4_mixed", "over4_dup", "over4_zero")

Signal = np.ndarray
Sources = list[tuple[str, Signal]]


def write_cases(out: Path, count: int, *, seed: int = 2026, subtype: str = "PCM_16") -> None:
    """Write mixtures, references and estimates as `out/{soundscape,oracle_target,estimate}`."""
    for folder in ("soundscape", "oracle_target", "estimate"):
        (out / folder).mkdir(parents=True, exist_ok=True)

    def write(folder: str, name: str, signal: Signal) -> None:
        soundfile.write(out / folder / f"{name}.wav", signal.T.astype(np.float32), RATE, subtype=subtype)

    for number in range(count):
        name = f"soundscape_{number:04d}"
        mixture, references, estimates = make_case(number, count, seed)
        write("soundscape", name, mixture)
        for folder, sources in (("oracle_target", references), ("estimate", estimates)):
            for index, (label, signal) in enumerate(sources):
                write(folder, f"{name}_{index}_{label}", signal)


def make_case(number: int, count: int, seed: int) -> tuple[Signal, Sources, Sources]:
    """One mixture (4, T), its references and its estimates."""
    rng = np.random.default_rng([seed, number])
    scenario = _scenario(rng, number, count)
    names = [str(label) for label in rng.permutation(CLASSES)]
    labels = _reference_labels(scenario, *names[:3])
    dry = [_event(rng) for _ in labels]
    noise = rng.standard_normal((4, LENGTH)) * 10 ** (rng.uniform(-50, -38) / 20)
    mixture = noise.copy()
    for signal in dry:
        mixture += _spatialise(rng, signal)
    if rng.random() < 0.5:
        mixture += _spatialise(rng, _event(rng) * 0.7)

    def false_alarm() -> Signal:
        return mixture[0] * rng.uniform(0.1, 0.6) + _event(rng) * 0.3

    good: Sources = []
    for k, label in enumerate(labels):
        estimate = dry[k] * 10 ** (rng.uniform(-2, 1) / 20) + noise[0] * rng.uniform(0, 0.5)
        for j, other in enumerate(dry):
            if j != k:
                estimate = estimate + other * rng.uniform(0, 0.4)
        good.append((label, estimate))
    references = list(zip(labels, dry, strict=True))
    estimates = _estimates(scenario, good, references, mixture[0], false_alarm, names, rng)
    if scenario != "zero_clean" and len(estimates) > 1 and rng.random() < 0.5:
        estimates = [estimates[k] for k in rng.permutation(len(estimates))]
    return mixture, references, estimates


def _scenario(rng: np.random.Generator, number: int, count: int) -> str:
    pair = number // 2
    if pair % 10 == 9 and 2 * pair + 1 < count:
        return OVERFULL[(pair // 10 * 2 + number) % len(OVERFULL)]
    return SCENARIOS[number] if number < len(SCENARIOS) else SCENARIOS[int(rng.integers(len(SCENARIOS)))]


def _reference_labels(scenario: str, a: str, b: str, c: str) -> list[str]:
    special = {
        "three_dup2_extra": [a, a, b],
        "over4_same": [a, a, a],
        "over4_mixed": [a, b, c],
        "over4_dup": [a, a, b],
        "over4_zero": [],
    }
    if scenario in special:
        return special[scenario]
    n = {"zero": 0, "one": 1, "two": 2, "three": 3}[scenario.split("_")[0]]
    return [a] * n if "_same" in scenario and n > 1 else [a, b, c][:n]


def _estimates(
    scenario: str,
    good: Sources,
    references: Sources,
    omni: Signal,
    false_alarm: Callable[[], Signal],
    names: list[str],
    rng: np.random.Generator,
) -> Sources:
    a, b, c, d = names[:4]
    match scenario:
        case "zero_fp1":
            return [(a, false_alarm())]
        case "zero_fp2":
            return [(a, false_alarm()), (a, false_alarm())]
        case "one_missing" | "three_all_missing":
            return []
        case "one_wrong":
            return [(d, good[0][1])]
        case "one_extra_same" | "over4_same" | "over4_mixed":
            return [*good, (a, false_alarm())]
        case "one_extra_other":
            return [*good, (d, false_alarm())]
        case "one_perfect" | "three_same_perfect":
            return list(references)
        case "one_silent":
            return [(a, np.zeros(LENGTH))]
        case "one_loud":
            return [(a, good[0][1] * 30)]
        case "two_same_one_missing":
            return good[1:]
        case "two_same_swapped":
            return good[::-1]
        case "two_one_wrong":
            return [good[0], (d, good[1][1])]
        case "two_same_silent_one":
            return [good[0], (a, np.zeros(LENGTH))]
        case "three_same_two_missing":
            return [good[int(rng.integers(3))]]
        case "three_dup2_extra":
            return [good[0], good[2], (b, false_alarm())]
        case "three_all_wrong":
            return [(d, signal) for _, signal in good]
        case "two_est_is_mixture":
            return [(label, omni.copy()) for label, _ in references]
        case "one_negated":
            return [(a, -good[0][1])]
        case "two_same_identical_est":
            return [(a, (references[0][1] + references[1][1]) * 0.5) for _ in references]
        case "over4_dup":
            return [*good, (b, false_alarm())]
        case "over4_zero":
            return [(label, false_alarm()) for label in (a, a, b, c)]
    return good


def _event(rng: np.random.Generator) -> Signal:
    """Coloured noise or a modulated tone with onset and offset, at −35 … −20 dBFS."""
    length = int(rng.uniform(1.0, 8.0) * RATE)
    start = int(rng.integers(0, LENGTH - length + 1))
    if rng.random() < 0.5:
        burst = rng.standard_normal(length)
        burst = lfilter([1.0], [1.0, -rng.uniform(0.0, 0.97)], burst)
    else:
        time = np.arange(length) / RATE
        frequency = rng.uniform(150, 4000)
        burst = sum(_partial(rng, k, frequency, time) for k in range(1, 5))
        burst = burst * (0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(1, 9) * time))
    ramp = np.arange(length)
    burst = burst * np.minimum(1, np.minimum(ramp, ramp[::-1]) / (0.01 * RATE))
    burst *= 10 ** (rng.uniform(-35, -20) / 20) / (np.sqrt(np.mean(burst**2)) + 1e-12)
    signal = np.zeros(LENGTH)
    signal[start : start + length] = burst
    return signal


def _partial(rng: np.random.Generator, k: int, frequency: float, time: Signal) -> Signal:
    return np.sin(2 * np.pi * frequency * k * time + rng.uniform(0, 6.28)) / k


def _spatialise(rng: np.random.Generator, signal: Signal) -> Signal:
    """Pan in first-order Ambisonics (W, Y, Z, X) with six sparse echoes."""
    azimuth, elevation = rng.uniform(-np.pi, np.pi), rng.uniform(-0.5, 0.5)
    flat = np.cos(elevation)
    gains = np.array([1.0, np.sin(azimuth) * flat, np.sin(elevation), np.cos(azimuth) * flat])
    field = gains[:, None] * signal[None]
    for delay, echo in _echoes(rng):
        field[:, delay:] += echo * signal[None, :-delay]
    return field


def _echoes(rng: np.random.Generator) -> Iterator[tuple[int, Signal]]:
    for _ in range(6):
        delay = int(rng.uniform(0.02, 0.25) * RATE)
        yield delay, rng.uniform(-0.25, 0.25, size=(4, 1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("-n", type=int, default=100)
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    write_cases(arguments.out, arguments.n, seed=arguments.seed)
