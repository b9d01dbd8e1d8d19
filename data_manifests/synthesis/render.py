"""The arithmetic of one scene: convolution, levels, dry targets, backgrounds.

These are the rules of `nttcslab/SpAudSyn` (commit cc44461), whose output for equal input is reproduced within 1e-6
in every sample (it transforms sources in single precision, so nothing can come closer).
Signals are arrays (..., T) at full scale 1.0; times are in seconds, levels in dB.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

from s5eval.data_manifests.records import Audio

Signal = npt.NDArray[np.floating]

DIRECT_RANGE_MS: tuple[float, float] = (6, 50)
"""Milliseconds before and after the largest tap that count as the direct part of a response."""

_LONGEST_BLOCK = 1 << 19
_SHORTEST_BLOCK = 1 << 12
_CACHED = 1 << 18
"""So many samples are transformed at once."""


@dataclass(frozen=True, slots=True)
class SynthesizedScene:
    """A mixture with everything that went into it. `labels[i]` belongs to `dry[i]`; the order is by start time.

    Attributes:
        mixture: float32 (4, T), not clipped: peaks above 1 are kept.
        labels: class of each target.
        dry: float64 (n, T), the dry targets: the direct part of channel 0.
        interference: float64 (m, T), the direct parts of the interfering sounds, for training.
        noise: float32 (4, T), the background alone.
        recordings: names of the files that the targets were read from; none where all are procedural. None: not told.
    """

    mixture: Audio
    labels: tuple[str, ...]
    dry: npt.NDArray[np.float64]
    interference: npt.NDArray[np.float64]
    noise: Audio
    recordings: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class PlacedEvent:
    """A sound event ready to be heard.

    Attributes:
        label: its class.
        source: float32 (S,), one channel.
        response: (R, N), from its position to the microphone, at the scene's rate.
        response_length: N of the official response, of which `response` may leave out a silent end (the level rule
            averages over it); None: `response` is complete.
        start: first sample of the source in the scene.
        snr: wet level over the reference level, dB.
    """

    label: str
    source: Audio
    response: Signal
    response_length: int | None
    start: int
    snr: float


def convolve(source: Signal, responses: Signal) -> Signal:
    """Full linear convolution of one source with several responses, in the responses' precision.

    Args:
        source: (S,).
        responses: (R, N).

    Returns:
        (R, S + N - 1).

    The source is cut into blocks whose transforms stay in the processor's cache, which is several times faster than
    one long transform when the response is short.
    """
    taps = responses.shape[-1]
    total = len(source) + taps - 1
    size = min(max(_SHORTEST_BLOCK, 1 << (4 * taps - 1).bit_length()), _LONGEST_BLOCK)
    if size >= total or taps > size // 2:
        size = scipy.fft.next_fast_len(total, real=True)
    step = size - taps + 1
    blocks = np.zeros((-(-len(source) // step), step), dtype=source.dtype)
    blocks.reshape(-1)[: len(source)] = source
    spectra = scipy.fft.rfft(responses, size)
    result = np.zeros((len(responses), total), dtype=responses.dtype)
    together = max(1, _CACHED // (len(responses) * size))
    for first in range(0, len(blocks), together):
        images = scipy.fft.irfft(scipy.fft.rfft(blocks[first : first + together], size)[:, None] * spectra, size)
        for start, image in enumerate(images, first):
            kept = min(size, total - start * step)
            result[:, start * step : start * step + kept] += image[:, :kept]
    return result


def direct_part(response: Signal, sample_rate: int, direct_range_ms: tuple[float, float] = DIRECT_RANGE_MS) -> Signal:
    """The taps around the largest one, up to the last tap kept; zero before the window, delay unchanged.

    The largest tap need not be the first arrival: where a reflection is larger, the window moves there.

    Args:
        response: (N,).
        sample_rate: in Hz.
        direct_range_ms: milliseconds kept before and after the largest tap, both ends included.
    """
    peak = int(np.argmax(np.abs(response)))
    before, after = (int(milliseconds * sample_rate / 1000) for milliseconds in direct_range_ms)
    direct = response[: peak + after + 1].copy()
    direct[: max(peak - before, 0)] = 0
    return direct


def event_gain(wet: Signal, snr: float, ref_db: float, length: int) -> float:
    """The factor that gives a wet event its level: mean power over all channels and `length` samples = ref_db + snr.

    Args:
        wet: (R, L), before anything is cut at the scene's end.
        snr: dB over the reference level.
        ref_db: the reference level, dB re full scale.
        length: source length + response length - 1.

    Returns:
        The gain; 1 for an event that is all zero, which stays all zero.
    """
    power = _energy(wet) / (len(wet) * length)
    return float(10 ** ((ref_db + snr) / 20) / np.sqrt(power)) if power > 0 else 1.0


def _energy(signal: Signal) -> float:
    """Sum of squares, in double precision whatever the samples are: 320 000 squares lose digits in single."""
    return sum(float(np.square(channel, dtype=np.float64).sum()) for channel in signal)


def add_event(
    event: PlacedEvent,
    mixture: npt.NDArray[np.float64],
    *,
    sample_rate: int,
    ref_db: float,
    direct_range_ms: tuple[float, float] = DIRECT_RANGE_MS,
) -> npt.NDArray[np.float64]:
    """Add the wet event to `mixture` (R, T) in place and return its dry target, float64 (T,).

    What lies beyond the scene's end is dropped, but counts in the level.
    """
    length = mixture.shape[1]
    dry = np.zeros(length)
    if len(event.source) == 0 or not event.source.any():
        return dry
    wet = convolve(event.source, event.response)
    taps = event.response_length or event.response.shape[1]
    gain = event_gain(wet, event.snr, ref_db, len(event.source) + taps - 1)
    kept = min(wet.shape[1], length - event.start)
    mixture[:, event.start : event.start + kept] += gain * wet[:, :kept]
    direct = convolve(event.source, direct_part(event.response[0], sample_rate, direct_range_ms)[None])[0]
    kept = min(len(direct), length - event.start)
    dry[event.start : event.start + kept] = gain * direct[:kept]
    return dry


def scale_background(background: Audio, snr: float, ref_db: float) -> Audio:
    """A background (C, T) at mean power ref_db + snr dB over all its channels and samples; zeros stay zeros."""
    power = _energy(background) / background.size
    return background * np.float32(10 ** ((ref_db + snr) / 20) / np.sqrt(power)) if power > 0 else background


def tile(background: Audio, length: int) -> Audio:
    """A background (C, S) repeated end to end, without cross-fade, and cut to (C, length)."""
    repeats = -(-length // background.shape[1])
    return np.tile(background, repeats)[:, :length]


def assemble(
    *,
    targets: list[PlacedEvent],
    interference: list[PlacedEvent],
    noise: Audio,
    sample_rate: int,
    ref_db: float,
    direct_range_ms: tuple[float, float] = DIRECT_RANGE_MS,
) -> SynthesizedScene:
    """Mix events over a scaled background (R, T); events come in the order in which they are to be listed.

    Overlap is not checked, nothing is clipped or normalised.
    """
    mixture = noise.astype(np.float64)

    def add(events: list[PlacedEvent]) -> npt.NDArray[np.float64]:
        rows = [
            add_event(event, mixture, sample_rate=sample_rate, ref_db=ref_db, direct_range_ms=direct_range_ms)
            for event in events
        ]
        return np.stack(rows) if rows else np.zeros((0, noise.shape[1]))

    dry, others = add(targets), add(interference)
    return SynthesizedScene(mixture.astype(np.float32), tuple(event.label for event in targets), dry, others, noise)
