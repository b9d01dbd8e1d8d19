"""Where sound events come from when scenes are drawn: procedural foley, or folders of recordings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from s5eval.data_manifests.audio import audio_seconds
from s5eval.data_manifests.common.digests import file_stamp
from s5eval.data_manifests.common.errors import AudioError, DataError
from s5eval.data_manifests.listing import find_audio, is_hidden
from s5eval.data_manifests.records import SAMPLE_RATE, Audio
from s5eval.data_manifests.synthesis.foley import LONG_SECONDS, draw_event, natural_seconds
from s5eval.data_manifests.synthesis.foley.signals import Rng, log_uniform
from s5eval.data_manifests.synthesis.metadata import read_excerpt

DurationAugmentation = Literal["off", "pool", "concat"]
"""How recordings of short-lived classes are chosen: `off`: as they come; `pool`: short and long ones with equal
chance; `concat`: short ones, and with equal chance a long one joined from several short ones."""


_LONGEST_SECONDS = 10.0


class Clip(Protocol):
    """One recording."""

    @property
    def seconds(self) -> float:
        """Length."""
        ...

    @property
    def families(self) -> frozenset[str]:
        """Those of all that sounds in it; nothing of them is drawn for another target of its class in a scene."""
        ...

    @property
    def files(self) -> frozenset[Path]:
        """All that it is read from; none of what is procedural."""
        ...

    def read(self, start: float, seconds: float) -> Audio:
        """The part from `start` on, float32 (S,) at 32 kHz."""
        ...


def families_of(clips: Iterable[Clip]) -> frozenset[str]:
    """The families of several recordings."""
    return frozenset(family for clip in clips for family in clip.families)


def files_of(clips: Iterable[Clip]) -> frozenset[Path]:
    """The files that several recordings are read from."""
    return frozenset(path for clip in clips for path in clip.files)


class Sources(Protocol):
    """Recordings by class."""

    @property
    def labels(self) -> Sequence[str]:
        """Classes that can be drawn."""
        ...

    def draw(self, label: str, rng: Rng, excluded: frozenset[str]) -> Clip | None:
        """A recording of which no family is excluded; None when there is none left."""
        ...


@dataclass(frozen=True, slots=True)
class FoleyClip:
    """A procedural recording, made when it is read: the same kind, seed and length give the same samples."""

    kind: str
    seed: int
    seconds: float

    @property
    def families(self) -> frozenset[str]:
        """Every procedural recording is a family of its own."""
        return frozenset({str(self.seed)})

    @property
    def files(self) -> frozenset[Path]:
        """None: no other draw gives the same recording."""
        return frozenset()

    def read(self, start: float, seconds: float) -> Audio:
        """See `Clip.read`."""
        rng = np.random.Generator(np.random.PCG64(self.seed))
        first = int(start * SAMPLE_RATE)
        return draw_event(self.kind, rng, self.seconds)[first : first + int(seconds * SAMPLE_RATE)]


def channels_problem(count: int) -> str | None:
    """Why a recording of so many channels is none of a single sound; None where it can be."""
    return None if count <= 2 else f"{count} channels, expected one, or two to be averaged; keep the one that is meant"


@dataclass(frozen=True, slots=True)
class FileClip:
    """A recording in a file, at any rate, of one channel, or of two that are averaged."""

    path: Path
    family: str

    @property
    def families(self) -> frozenset[str]:
        """Its own one."""
        return frozenset({self.family})

    @property
    def files(self) -> frozenset[Path]:
        """Its own one."""
        return frozenset({self.path})

    @property
    def seconds(self) -> float:
        """Its length by the file's header."""
        return _file_seconds(self.path, *(file_stamp(self.path) or ()))

    def read(self, start: float, seconds: float) -> Audio:
        """See `Clip.read`.

        Raises:
            AudioError: see `read_excerpt`; or it has more channels than two: the mean of an array's is no sound.
        """
        channels = read_excerpt(self.path, start, seconds, SAMPLE_RATE)
        if problem := channels_problem(len(channels)):
            raise AudioError(f"{self.path}: {problem}")
        audio: Audio = channels.mean(axis=0)
        return audio


@dataclass(frozen=True, slots=True)
class JoinedClip:
    """Several recordings one after the other, with pauses (seconds) and gains."""

    clips: tuple[Clip, ...]
    pauses: tuple[float, ...]
    gains: tuple[float, ...]

    @property
    def families(self) -> frozenset[str]:
        """Those of its parts."""
        return families_of(self.clips)

    @property
    def files(self) -> frozenset[Path]:
        """Those of its parts."""
        return files_of(self.clips)

    @property
    def seconds(self) -> float:
        """Length with the pauses."""
        return sum(clip.seconds for clip in self.clips) + sum(self.pauses)

    def read(self, start: float, seconds: float) -> Audio:
        """See `Clip.read`."""
        parts: list[Audio] = []
        for clip, pause, gain in zip(self.clips, self.pauses, self.gains, strict=True):
            parts += [
                clip.read(0.0, clip.seconds) * np.float32(gain),
                np.zeros(int(pause * SAMPLE_RATE), dtype=np.float32),
            ]
        first = int(start * SAMPLE_RATE)
        return np.concatenate(parts)[first : first + int(seconds * SAMPLE_RATE)]


@dataclass(frozen=True)
class FoleySources:
    """Endless procedural recordings of `labels` (the 18 classes, or the interfering kinds)."""

    labels: Sequence[str]
    augmentation: DurationAugmentation = "off"
    augmented: frozenset[str] = field(default=frozenset({"Percussion"}))

    def draw(self, label: str, rng: Rng, excluded: frozenset[str]) -> Clip:
        """See `Sources.draw`; there is always another one."""
        shortest, longest = natural_seconds(label)
        if self.augmentation != "off" and label in self.augmented:
            long = rng.random() < 0.5
            if long and self.augmentation == "concat":
                return _join(rng, lambda: self._clip(label, rng, shortest, LONG_SECONDS))
            if long:
                shortest = LONG_SECONDS
            else:
                longest = min(longest, LONG_SECONDS)
        return self._clip(label, rng, shortest, longest)

    @staticmethod
    def _clip(label: str, rng: Rng, shortest: float, longest: float) -> FoleyClip:
        seconds = round(log_uniform(rng, shortest, longest) * SAMPLE_RATE) / SAMPLE_RATE
        return FoleyClip(label, int(rng.integers(2**63)), seconds)


@dataclass(frozen=True)
class FolderSources:
    """Recordings in the official layout: `root/<Class>/**/<file>.wav` (FLAC is read too).

    A family is a folder below the class's folder; a file directly in the class's folder is its own.

    Raises:
        DataError: when used, `root` has no folder with recordings, or the content of one has not been fetched.
    """

    root: Path
    augmentation: DurationAugmentation = "off"
    augmented: frozenset[str] = field(default=frozenset({"Percussion"}))

    @cached_property
    def clips(self) -> Mapping[str, tuple[FileClip, ...]]:
        """All recordings by class, in order of class and path."""
        found: dict[str, tuple[FileClip, ...]] = {}
        for folder in sorted(self.root.iterdir()) if self.root.is_dir() else ():
            if files := [] if is_hidden(folder.name) else find_audio(folder):
                found[folder.name] = tuple(
                    FileClip(path, "/".join(path.relative_to(folder).parts[:1])) for path in files
                )
        if not found:
            raise DataError(f"{self.root}: no recordings; expected {self.root}/<Class>/…/<file>.wav")
        return found

    @property
    def labels(self) -> Sequence[str]:
        """Classes with at least one recording."""
        return tuple(self.clips)

    def all_clips(self) -> list[FileClip]:
        """Every recording of every class."""
        return [clip for clips in self.clips.values() for clip in clips]

    def draw(self, label: str, rng: Rng, excluded: frozenset[str]) -> Clip | None:
        """See `Sources.draw`."""
        clips: Sequence[FileClip] = [clip for clip in self.clips[label] if clip.family not in excluded]
        if not clips:
            return None
        if self.augmentation != "off" and label in self.augmented:
            long = rng.random() < 0.5
            shorts = [clip for clip in clips if clip.seconds < LONG_SECONDS]
            longs = [clip for clip in clips if clip.seconds >= LONG_SECONDS]
            if long and shorts and (self.augmentation == "concat" or not longs):
                family = _pick(rng, shorts).family
                kin = [clip for clip in shorts if clip.family == family]
                return _join(rng, lambda: _pick(rng, kin))
            clips = (longs if long else shorts) or clips
        return _pick(rng, clips)


def _join(rng: Rng, draw: Callable[[], Clip]) -> JoinedClip:
    """Short recordings with pauses of 0.05–0.5 s and gains of ±3 dB, until 4–10 s are reached, which the last one may
    pass by its length (one shorter family repeats).
    """
    wanted = rng.uniform(LONG_SECONDS, _LONGEST_SECONDS)
    clips: list[Clip] = []
    pauses: list[float] = []
    while sum(clip.seconds for clip in clips) + sum(pauses) < wanted:
        clips.append(draw())
        pauses.append(rng.uniform(0.05, 0.5))
    gains = 10 ** (rng.uniform(-3, 3, len(clips)) / 20)
    return JoinedClip(tuple(clips), tuple(pauses), tuple(gains.tolist()))


def _pick(rng: Rng, clips: Sequence[FileClip]) -> FileClip:
    return clips[int(rng.integers(len(clips)))]


@lru_cache(maxsize=65536)
def _file_seconds(path: Path, *stamp: int) -> float:
    """Length of a file that has not been changed since, as its `file_stamp` tells."""
    return audio_seconds(path)
