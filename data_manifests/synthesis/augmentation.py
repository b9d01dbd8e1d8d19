"""A few recordings made into many: what a sound may go through without becoming another kind of sound.

Every change is drawn when the recording is drawn and carried out when it is read, so the same draw gives the same
samples. The level of an event is the recipe's, whatever happens here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import scipy.fft
import soxr

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.records import SAMPLE_RATE, Audio
from s5eval.data_manifests.synthesis.foley.signals import Rng
from s5eval.data_manifests.synthesis.sources import Clip, JoinedClip, Sources, families_of, files_of

STEADY = frozenset({"Blender", "HairDryer", "MechanicalFans", "Pour", "VacuumCleaner"})
"""Classes that sound the same backwards: they have neither onset nor decay that tells the direction of time."""

LAYERED = STEADY | {"Clapping", "Cough", "CupboardOpenClose", "Dishes", "FootSteps", "Percussion", "Typing"}
"""Classes of which two takes at one place are one more take, not two sources."""

_LOWEST, _HIGHEST = 60.0, 15000.0
_MARGIN = 4096
"""Samples beside a clip into which the equaliser may ring."""
_CURVE_SECONDS = 0.7
"""Time between the points of a gain curve."""
_SHORTEST_PIECE = 0.25


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far recordings are changed. All zeros: not at all.

    Attributes:
        equalise: largest gain and loss, dB, of a random smooth curve over frequency.
        speed: largest change of speed, and of pitch with it, in octaves.
        gain: largest gain and loss, dB, of a random smooth curve over time.
        reverse: chance that a recording of a class in `STEADY` is played backwards.
        mix: chance that two takes of a class in `LAYERED` sound together.
        join: chance that pieces of two to four takes follow one another.
    """

    equalise: float = 0.0
    speed: float = 0.0
    gain: float = 0.0
    reverse: float = 0.0
    mix: float = 0.0
    join: float = 0.0

    def __post_init__(self) -> None:
        limits = {"equalise": 40.0, "speed": 1.0, "gain": 40.0, "reverse": 1.0, "mix": 1.0, "join": 1.0}
        for name, highest in limits.items():
            value = getattr(self, name)
            if not 0 <= value <= highest:
                raise UsageError(f"augmentation.{name} is {value}, expected a number from 0 to {highest:g}")

    @property
    def active(self) -> bool:
        """Whether anything is changed."""
        return any(getattr(self, field.name) > 0 for field in fields(self))


UNCHANGED = Augmentation()
"""Recordings as they are."""


def augmented(sources: Sources, augmentation: Augmentation) -> Sources:
    """`sources`, changed where there is anything to change."""
    return AugmentedSources(sources, augmentation) if augmentation.active else sources


@dataclass(frozen=True)
class AugmentedSources:
    """Recordings of `inner`, changed as `augmentation` says."""

    inner: Sources
    augmentation: Augmentation

    @property
    def labels(self) -> Sequence[str]:
        """Those of `inner`."""
        return self.inner.labels

    def draw(self, label: str, rng: Rng, excluded: frozenset[str]) -> Clip | None:
        """See `Sources.draw`."""
        clip = self.inner.draw(label, rng, excluded)
        if clip is None:
            return None
        how = self.augmentation
        if label in LAYERED and rng.random() < how.mix:
            clip = self._layered(clip, label, rng, excluded)
        if rng.random() < how.join:
            clip = self._joined(clip, label, rng, excluded)
        return AugmentedClip(
            clip,
            seed=int(rng.integers(2**63)),
            factor=float(2 ** rng.uniform(-how.speed, how.speed)),
            equalise=how.equalise,
            gain=how.gain,
            backwards=label in STEADY and bool(rng.random() < how.reverse),
        )

    def _layered(self, clip: Clip, label: str, rng: Rng, excluded: frozenset[str]) -> Clip:
        other = self.inner.draw(label, rng, excluded)
        offset = float(rng.uniform(0.0, clip.seconds))
        level = float(10 ** (rng.uniform(-12.0, 0.0) / 20))
        return clip if other is None else LayeredClip(clip, other, offset, level)

    def _joined(self, clip: Clip, label: str, rng: Rng, excluded: frozenset[str]) -> Clip:
        drawn = (self.inner.draw(label, rng, excluded) for _ in range(int(rng.integers(1, 4))))
        pieces = [_piece(rng, take) for take in (clip, *drawn) if take is not None]
        pauses = rng.uniform(0.03, 0.4, len(pieces))
        gains = 10 ** (rng.uniform(-4.0, 4.0, len(pieces)) / 20)
        return JoinedClip(tuple(pieces), tuple(pauses.tolist()), tuple(gains.tolist()))


def _piece(rng: Rng, clip: Clip) -> Clip:
    """A part of a recording, at least a third of it and a quarter of a second; a shorter one stays whole."""
    if clip.seconds <= _SHORTEST_PIECE:
        return clip
    seconds = max(_SHORTEST_PIECE, float(rng.uniform(1 / 3, 1.0)) * clip.seconds)
    return PieceClip(clip, float(rng.uniform(0.0, clip.seconds - seconds)), seconds)


@dataclass(frozen=True, slots=True)
class PieceClip:
    """The part of a recording that begins at `first` seconds; faded over 5 ms, so that cuts do not click."""

    clip: Clip
    first: float
    seconds: float

    @property
    def families(self) -> frozenset[str]:
        """Those of the recording."""
        return self.clip.families

    @property
    def files(self) -> frozenset[Path]:
        """Those of the recording."""
        return self.clip.files

    def read(self, start: float, seconds: float) -> Audio:
        """See `Clip.read`."""
        whole = self.clip.read(self.first, self.seconds).copy()
        edge = min(len(whole) // 2, SAMPLE_RATE // 200)
        ramp = np.linspace(0.0, 1.0, edge, endpoint=False, dtype=np.float32)
        whole[:edge] *= ramp
        whole[len(whole) - edge :] *= ramp[::-1]
        return _excerpt(whole, start, seconds)


@dataclass(frozen=True, slots=True)
class LayeredClip:
    """Two recordings together: the second begins at `offset` seconds and has `level` times the first one's power
    mean (amplitude).
    """

    first: Clip
    second: Clip
    offset: float
    level: float

    @property
    def families(self) -> frozenset[str]:
        """Those of both."""
        return families_of((self.first, self.second))

    @property
    def files(self) -> frozenset[Path]:
        """Those of both."""
        return files_of((self.first, self.second))

    @property
    def seconds(self) -> float:
        """Until both have ended."""
        return max(self.first.seconds, self.offset + self.second.seconds)

    def read(self, start: float, seconds: float) -> Audio:
        """See `Clip.read`."""
        one = self.first.read(0.0, self.first.seconds)
        other = self.second.read(0.0, self.second.seconds)
        begin = int(self.offset * SAMPLE_RATE)
        both = np.zeros(max(len(one), begin + len(other)), dtype=np.float32)
        both[: len(one)] = one
        loudness, reference = _root_mean_square(other), _root_mean_square(one)
        if loudness > 0:
            both[begin : begin + len(other)] += np.float32(self.level * reference / loudness) * other
        return _excerpt(both, start, seconds)


@dataclass(frozen=True, slots=True)
class AugmentedClip:
    """A recording played at `factor` times its speed, perhaps backwards, with a random colour and a random course of
    loudness, both drawn from `seed`; what is read in parts is one sound.

    Attributes:
        clip: the recording.
        seed: of the curves.
        factor: speed; 2 is an octave higher and half as long.
        equalise, gain: see `Augmentation`.
        backwards: whether it is reversed.
    """

    clip: Clip
    seed: int
    factor: float
    equalise: float
    gain: float
    backwards: bool

    @property
    def families(self) -> frozenset[str]:
        """Those of the recording."""
        return self.clip.families

    @property
    def files(self) -> frozenset[Path]:
        """Those of the recording."""
        return self.clip.files

    @property
    def seconds(self) -> float:
        """Its length at the new speed."""
        return self.clip.seconds / self.factor

    def read(self, start: float, seconds: float) -> Audio:
        """See `Clip.read`."""
        begin = max(0.0, self.seconds - start - seconds) if self.backwards else start
        audio = self.clip.read(begin * self.factor, seconds * self.factor)
        if self.factor != 1.0 and len(audio):
            audio = soxr.resample(audio, SAMPLE_RATE * self.factor, SAMPLE_RATE, quality="MQ")
        if self.backwards:
            audio = audio[::-1]
        rng = np.random.Generator(np.random.PCG64(self.seed))
        colour = rng.uniform(-self.equalise, self.equalise, _OCTAVES)
        course = rng.uniform(-self.gain, self.gain, int(self.seconds / _CURVE_SECONDS) + 3)
        if self.equalise > 0:
            audio = equalised(audio, colour)
        if self.gain > 0:
            times = start + np.arange(len(audio)) / SAMPLE_RATE
            level = np.interp(times / _CURVE_SECONDS, np.arange(len(course)), course)
            audio = audio * (10 ** (level / 20)).astype(np.float32)
        return np.ascontiguousarray(audio, dtype=np.float32)


_OCTAVES = 9
_CENTRES = np.geomspace(_LOWEST, _HIGHEST, _OCTAVES)


def equalised(audio: Audio, colour: np.ndarray) -> Audio:
    """`audio` (S,) with gains in dB at nine frequencies from 60 Hz to 15 kHz, about an octave apart, and what lies
    straight between them over the logarithm of the frequency; no delay.
    """
    size = scipy.fft.next_fast_len(len(audio) + _MARGIN, real=True)
    frequencies = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    curve = np.interp(np.log(np.maximum(frequencies, 1.0)), np.log(_CENTRES), colour)
    spectrum = scipy.fft.rfft(audio, size) * (10 ** (curve / 20)).astype(np.float32)
    filtered: Audio = scipy.fft.irfft(spectrum, size)[: len(audio)]
    return filtered


def _excerpt(audio: Audio, start: float, seconds: float) -> Audio:
    first = int(start * SAMPLE_RATE)
    return audio[first : first + int(seconds * SAMPLE_RATE)]


def _root_mean_square(audio: Audio) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if len(audio) else 0.0
