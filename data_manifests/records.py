"""The records of what goes into an evaluation: mixtures with lazy audio, references, scenes."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.audio import (
    BLOCK_FRAMES,
    StoredSamples,
    audio_length,
    read_audio,
    read_blocks,
    read_stored_blocks,
)
from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import AudioError
from s5eval.data_manifests.conditions import Conditions

SAMPLE_RATE = 32_000
"""Hz; the rate of every signal of the challenge."""

MIXTURE_CHANNELS = 4
"""First-order Ambisonics: W, Y, Z, X (ACN order); channel 0 is the omnidirectional one that scores refer to."""

Audio = npt.NDArray[np.float32]

_Samples = TypeVar("_Samples", Audio, StoredSamples)

_LOUDEST = 100.0  # times full scale: samples of floats may exceed 1, but not by 40 dB


def scale_problem(peak: float) -> str | None:
    """What is wrong with mixtures and references that peak at so many times full scale; None: nothing.

    >>> scale_problem(1.5) is None
    True
    """
    if peak <= _LOUDEST:
        return None
    return (
        f"peaks at {peak:.0f} times full scale, expected about 1 at most: integers written as float? Divide them by "
        "what full scale is, as 32768 of 16 bits"
    )


def _at_scale(samples: _Samples, path: Path) -> _Samples:
    """The samples; refuses what a system would hear as another scene, and a score as another mixture."""
    peak = max(samples.max(), -samples.min()) if samples.dtype.kind == "f" and samples.size else 0.0
    if problem := scale_problem(float(peak)):
        raise AudioError(f"{path}: {problem}", rule="scale")
    return samples


def _each_at_scale(blocks: Iterator[_Samples], path: Path) -> Iterator[_Samples]:
    return (_at_scale(block, path) for block in blocks)


@dataclass(frozen=True, slots=True)
class Mixture:
    """A first-order Ambisonics recording: all that a system ever sees.

    `id` is the file's stem. Audio is read on demand and never kept.
    """

    id: str
    path: Path
    sample_rate: int = SAMPLE_RATE

    def audio(self) -> Audio:
        """The recording, float32 (4, T), full scale 1.0.

        Raises:
            AudioError: the file cannot be read, or has another rate or channel count, or is not finite; or it is no
                audio at full scale 1.0, see `scale_problem`.
        """
        return _at_scale(read_audio(self.path, channels=MIXTURE_CHANNELS, sample_rate=self.sample_rate), self.path)

    def length(self) -> int:
        """How many samples there are, as the file's header says. Raises `AudioError` as `audio` does."""
        return audio_length(self.path)

    def channel_0(self) -> Iterator[Audio]:
        """Channel 0 in blocks of `BLOCK_FRAMES` samples, (1, t); raises `AudioError` as `audio` does."""
        blocks = read_blocks(self.path, channels=MIXTURE_CHANNELS, sample_rate=self.sample_rate, only=0)
        return _each_at_scale(blocks, self.path)

    def stored_channel_0(self) -> Iterator[StoredSamples]:
        """`channel_0`, but 16-bit samples as int16, for sums in float64."""
        blocks = read_stored_blocks(self.path, channels=MIXTURE_CHANNELS, sample_rate=self.sample_rate, only=0)
        return _each_at_scale(blocks, self.path)

    def sha256(self) -> str:
        """Hexadecimal digest of the file's bytes: the mixture's identity in the stage store."""
        return file_sha256(self.path)


@dataclass(frozen=True, slots=True)
class MixtureInMemory(Mixture):
    """A recording that is an array already: a system may be given one in place of a file.

    Attributes:
        samples: float32 (4, T), full scale 1.0.
    """

    path: Path = Path("in memory")
    samples: Audio = field(kw_only=True)

    def audio(self) -> Audio:
        """The samples, in an array of its own as from a file: a system may write into what it hears."""
        return self.samples.copy()

    def length(self) -> int:
        """How many samples there are."""
        return int(self.samples.shape[1])

    def channel_0(self) -> Iterator[Audio]:
        """Channel 0 in blocks, which are views."""
        return (self.samples[:1, start : start + BLOCK_FRAMES] for start in range(0, self.length(), BLOCK_FRAMES))

    def stored_channel_0(self) -> Iterator[StoredSamples]:
        """`channel_0`: nothing else is stored."""
        return self.channel_0()

    def sha256(self) -> str:
        """Hexadecimal digest of the samples."""
        digest = hashlib.sha256(repr(self.samples.shape).encode())
        digest.update(np.ascontiguousarray(self.samples).data)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Reference:
    """The dry signal of one target as it should come out: one class label and mono audio."""

    label: str
    path: Path
    sample_rate: int = SAMPLE_RATE

    def audio(self, out: Audio | None = None) -> Audio:
        """The signal, float32 (T,), read into `out` if given. Raises `AudioError` as `Mixture.audio` does."""
        row = None if out is None else out[None]
        audio: Audio = read_audio(self.path, channels=1, sample_rate=self.sample_rate, out=row)[0]
        return _at_scale(audio, self.path)

    def blocks(self) -> Iterator[Audio]:
        """The signal in blocks of `BLOCK_FRAMES` samples, (1, t); raises `AudioError` as `audio` does."""
        blocks = read_blocks(self.path, channels=1, sample_rate=self.sample_rate)
        return _each_at_scale(blocks, self.path)

    def stored_blocks(self) -> Iterator[StoredSamples]:
        """`blocks`, but 16-bit samples as int16, for sums in float64."""
        blocks = read_stored_blocks(self.path, channels=1, sample_rate=self.sample_rate)
        return _each_at_scale(blocks, self.path)


@dataclass(frozen=True, slots=True)
class Scene:
    """A mixture with what is known about it.

    `references` is empty for a scene without a target, and None when the set ships no references at all.
    `problem` says why the references cannot be used as they are listed (an unknown label, say); such a
    mixture fails by name when it is scored. `conditions` is what its metadata tell; None: it has none that is known.
    """

    mixture: Mixture
    references: tuple[Reference, ...] | None
    problem: str | None = None
    conditions: Conditions | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The mixture's file and those of the references."""
        return self.mixture.path, *(reference.path for reference in self.references or ())

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The labels of the references; None where there are no references."""
        return None if self.references is None else tuple(reference.label for reference in self.references)
