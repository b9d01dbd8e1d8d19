"""The bricks of procedural sound: noise, filters, modes, periodic waves, control curves, grains.

Everything is float64 at 32 kHz and made with recursive filters and elementary functions only, so that a seed gives
the same samples on every machine to well within 1e-6.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft
from scipy.signal import lfilter, sosfilt

from s5eval.data_manifests.records import SAMPLE_RATE

Rng = np.random.Generator
Samples = npt.NDArray[np.float64]

NYQUIST = SAMPLE_RATE / 2


def frames(seconds: float) -> int:
    """Seconds as a number of samples, at least one."""
    return max(1, round(seconds * SAMPLE_RATE))


def log_uniform(rng: Rng, low: float, high: float) -> float:
    """A number between `low` and `high`, equally likely in every octave."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def section(kind: str, frequency: float, q: float = 0.7071) -> Samples:
    """One second-order section (6,) of the audio-EQ cookbook: `low`, `high` or `band` (peak gain 1)."""
    omega = 2 * np.pi * min(frequency, 0.98 * NYQUIST) / SAMPLE_RATE
    cosine, alpha = np.cos(omega), np.sin(omega) / (2 * q)
    numerators = {
        "low": [(1 - cosine) / 2, 1 - cosine, (1 - cosine) / 2],
        "high": [(1 + cosine) / 2, -(1 + cosine), (1 + cosine) / 2],
        "band": [alpha, 0.0, -alpha],
    }
    coefficients: Samples = np.array([*numerators[kind], 1 + alpha, -2 * cosine, 1 - alpha]) / (1 + alpha)
    return coefficients


def low_pass(signal: Samples, frequency: float, q: float = 0.7071) -> Samples:
    """Second-order low-pass."""
    return _filter(signal, section("low", frequency, q))


def high_pass(signal: Samples, frequency: float, q: float = 0.7071) -> Samples:
    """Second-order high-pass."""
    return _filter(signal, section("high", frequency, q))


def band_pass(signal: Samples, frequency: float, q: float) -> Samples:
    """One resonance with peak gain 1; its bandwidth is frequency / q."""
    return _filter(signal, section("band", frequency, q))


def cascade(signal: Samples, sections: Sequence[Samples]) -> Samples:
    """Second-order sections one after the other, along the last axis."""
    filtered: Samples = sosfilt(np.stack(sections), signal)
    return filtered


def _filter(signal: Samples, coefficients: Samples) -> Samples:
    filtered: Samples = lfilter(coefficients[:3], coefficients[3:], signal)
    return filtered


def tilted_noise(rng: Rng, n: int, corner: float) -> Samples:
    """White noise that falls by 6 dB per octave above `corner` Hz, at unit power."""
    pole = np.exp(-2 * np.pi * corner / SAMPLE_RATE)
    tilted: Samples = lfilter([np.sqrt(1 - pole * pole)], [1.0, -pole], noise(rng, n))
    return tilted


def resonances(signal: Samples, peaks: Sequence[tuple[float, float, float]]) -> Samples:
    """Parallel resonances (frequency, q, gain) of one excitation, added."""
    return sum((gain * band_pass(signal, frequency, q) for frequency, q, gain in peaks), np.zeros_like(signal))


_CONTROL = 32
_STEPS = 256


def noise(rng: Rng, n: int) -> Samples:
    """White noise at unit power. Uniform, not normal: four times as fast, and equal once filtered."""
    white: Samples = (rng.random(n) - 0.5) * np.sqrt(12)
    return white


def decay(n: int, t60: float) -> Samples:
    """An exponential that falls by 60 dB in `t60` seconds."""
    rate = -6.9078 / (t60 * SAMPLE_RATE)
    blocks = -(-n // _STEPS)
    return np.outer(np.exp(rate * _STEPS * np.arange(blocks)), np.exp(rate * np.arange(_STEPS))).ravel()[:n]


def modes(
    n: int, frequencies: npt.ArrayLike, t60s: npt.ArrayLike, gains: npt.ArrayLike, phases: npt.ArrayLike = 0.0
) -> Samples:
    """A struck body: the sum of damped sinusoids, (n,); those at or above the Nyquist frequency are left out."""
    frequency, t60, gain, phase = np.broadcast_arrays(
        np.atleast_1d(frequencies).astype(np.float64), t60s, gains, phases
    )
    heard = frequency < 0.95 * NYQUIST
    turn = 2j * np.pi * frequency[heard] / SAMPLE_RATE - 6.9078 / (t60[heard] * SAMPLE_RATE)
    # z**(256 k + i) = z**(256 k) z**i: all modes at once are one matrix product.
    coarse = gain[heard] * np.exp(turn * (_STEPS * np.arange(-(-n // _STEPS))[:, None]) + 1j * phase[heard])
    fine = np.exp(turn[:, None] * np.arange(_STEPS))
    struck: Samples = coarse.real @ fine.imag + coarse.imag @ fine.real
    return struck.ravel()[:n]


def curve(rng: Rng, n: int, rate: float, low: float, high: float) -> Samples:
    """A random control curve: `rate` points a second, uniform in [low, high], joined by straight lines."""
    points = max(2, round(n / SAMPLE_RATE * rate) + 2)
    return _interpolate(n, np.linspace(0, n, points), rng.uniform(low, high, points))


def line(n: int, points: Sequence[tuple[float, float]]) -> Samples:
    """A control curve through (seconds, value) points, constant beyond them; corners are rounded to a millisecond."""
    seconds, values = zip(*points, strict=True)
    return _interpolate(n, np.asarray(seconds) * SAMPLE_RATE, np.asarray(values))


def _interpolate(n: int, at: Samples, values: Samples) -> Samples:
    knots = np.interp(np.arange(0, n + _CONTROL, _CONTROL), at, values)
    between: Samples = knots[:-1, None] + np.diff(knots)[:, None] * (np.arange(_CONTROL) / _CONTROL)
    return between.ravel()[:n]


def smooth(signal: Samples, length: int) -> Samples:
    """The mean over the last `length` samples; before the first sample lies its own value."""
    total = np.cumsum(np.pad(signal, (length, 0), mode="edge"))
    return (total[length:] - total[:-length]) / length


def phase_of(frequency: Samples) -> Samples:
    """The running phase, in cycles, of an instantaneous frequency in Hz (not negative)."""
    return np.cumsum(frequency) / SAMPLE_RATE


_TABLE = 2048


def wave(phase: Samples, amplitudes: npt.ArrayLike, phases: npt.ArrayLike = 0.0) -> Samples:
    """A periodic wave with the given harmonic amplitudes (first = fundamental), read at `phase` >= 0 in cycles.

    The caller keeps the highest harmonic under the Nyquist frequency.
    """
    amplitudes = np.atleast_1d(np.asarray(amplitudes, dtype=np.float64))
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=np.complex128)
    spectrum[1 : len(amplitudes) + 1] = amplitudes * np.exp(1j * (np.asarray(phases) - np.pi / 2)) * (_TABLE / 2)
    cycle = irfft(spectrum)
    steps = np.diff(cycle, append=cycle[:1])
    position = phase * _TABLE
    whole = position.astype(np.int64)
    position -= whole
    whole &= _TABLE - 1
    position *= steps[whole]
    position += cycle[whole]
    return position


def harmonic_count(highest_f0: float, limit: float = 0.9 * NYQUIST) -> int:
    """How many harmonics of a fundamental stay under `limit` Hz (at most 60)."""
    return max(1, min(60, int(limit / highest_f0)))


def scatter(n: int, grains: Sequence[Samples], starts: npt.ArrayLike, gains: npt.ArrayLike) -> Samples:
    """Grains placed at start samples with gains; grain i is `grains[i % len(grains)]`. Ends are cut at n."""
    out = np.zeros(n)
    for i, (start, gain) in enumerate(np.broadcast(starts, gains)):
        if 0 <= start < n:
            grain = grains[i % len(grains)]
            kept = min(len(grain), n - int(start))
            out[int(start) : int(start) + kept] += gain * grain[:kept]
    return out


def rhythm(rng: Rng, n: int, rate: float, jitter: float) -> npt.NDArray[np.int64]:
    """Start samples of a human rhythm: `rate` a second, each interval off by a normal part `jitter` of itself."""
    count = int(n / SAMPLE_RATE * rate * 1.5) + 2
    intervals = np.maximum(rng.normal(1.0, jitter, count), 0.25) / rate
    starts = np.concatenate([[0.0], np.cumsum(intervals)]) * SAMPLE_RATE
    return starts[starts < n - SAMPLE_RATE * 0.01].astype(np.int64)


def poisson(rng: Rng, n: int, rate: float) -> npt.NDArray[np.int64]:
    """Start samples of independent events, `rate` a second on average, at least one; in no order."""
    count = max(1, int(rng.poisson(n / SAMPLE_RATE * rate)))
    return rng.integers(0, n, count)


def ramp(signal: Samples, rise: float, fall: float) -> Samples:
    """Raised-cosine fades of `rise` and `fall` seconds at both ends, in place."""
    for seconds, part in ((rise, slice(None)), (fall, slice(None, None, -1))):
        length = min(len(signal), frames(seconds))
        signal[part][:length] *= 0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)
    return signal


def unit(signal: Samples) -> Samples:
    """The signal at root mean square 1 (unchanged when it is all zero)."""
    power = float(np.dot(signal, signal)) / len(signal)
    return signal / np.sqrt(power) if power > 0 else signal
