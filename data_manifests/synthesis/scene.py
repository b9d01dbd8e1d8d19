"""Training and test scenes drawn by the official recipe, each from its own seed.

The distribution is that of nttcslab/SpAudSyn with the configuration of nttcslab/dcase2026_task4_baseline. The
official draws depend on folder order and on how workers share a generator; here a scene is a function of
(seed, index) alone: the same on every machine, in every process, in any order. Where the official code stops
with an error (no recording, position or time left), the scene is drawn again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.synthesis.foley.signals import Rng
from s5eval.data_manifests.synthesis.placement import draw_start, start_intervals
from s5eval.data_manifests.synthesis.render import Signal
from s5eval.data_manifests.synthesis.sources import Clip, Sources, families_of


class Room(Protocol):
    """Responses from several positions to one Ambisonics microphone: a `SofaRoom` or a `SimulatedRoom`."""

    @property
    def positions(self) -> npt.NDArray[np.float64]:
        """Source positions (M, 3), metres, the microphone at the origin."""
        ...

    @property
    def response_length(self) -> int:
        """Taps of a response, silent end included."""
        ...

    def response(self, index: int) -> Signal:
        """The response of one position, (4, N)."""
        ...


class Rooms(Protocol):
    """Rooms by number: a list, or a `RoomBank`."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Room: ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """What scenes are like. The defaults are the baseline's; levels in dB, times in seconds, angles in degrees.

    Attributes:
        duration: of a scene.
        target_counts: chances of 0, 1, 2, … targets (the baseline's tagger: equal).
        interference_counts: chances of 0, 1, 2, … interfering events.
        snr, interference_snr: ranges of the wet level over `ref_db`.
        ref_db: level of the background, dB re full scale.
        repeat_rate: chance that a scene with two or more targets repeats a class.
        max_repeats: at most so many targets are repetitions; 0: every target is of a class of its own.
        repeat_angle: targets of one class are further apart than this, seen from the microphone.
        max_overlap: events of one kind that may sound at once.
        max_event: longer recordings are cut to this.
    """

    duration: float = 10.0
    target_counts: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)
    interference_counts: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)
    snr: tuple[float, float] = (5.0, 20.0)
    interference_snr: tuple[float, float] = (0.0, 15.0)
    ref_db: float = -55.0
    repeat_rate: float = 0.5
    max_repeats: int = 2
    repeat_angle: float = 60.0
    max_overlap: int = 3
    max_event: float = 10.0


VALIDATION_COUNTS: tuple[float, ...] = (1 / 6, 1 / 6, 1 / 3, 1 / 3)
"""Chances of 0 to 3 targets in the official validation set (300, 300, 600, 600 of 1800 scenes)."""


@dataclass(frozen=True, slots=True)
class Material:
    """What scenes are made of: target and interference recordings, rooms, and background recordings.

    `backgrounds` are four-channel files; empty: every (simulated) room's own ambience.
    """

    targets: Sources
    interference: Sources
    rooms: Rooms
    backgrounds: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class DrawnEvent:
    """A recording, the part of it that sounds, when, where (index of the room's position) and how loud."""

    label: str
    clip: Clip
    source_time: float
    duration: float
    start: float
    position: int
    snr: float


@dataclass(frozen=True, slots=True)
class DrawnScene:
    """Everything a scene is made of, before any audio is read."""

    recipe: Recipe
    room: Room
    targets: tuple[DrawnEvent, ...]
    interference: tuple[DrawnEvent, ...]
    background: Path | None
    background_seed: int


class _NoPlaceError(Exception):
    """The draws so far leave no recording, position or time; the scene is drawn again."""


def draw_scene(*, seed: int, index: int, material: Material, recipe: Recipe, attempt: int = 0) -> DrawnScene:
    """Draw scene `index` of the endless series `seed`; `attempt` counts up when a scene is not wanted.

    Raises:
        DataError: a hundred draws in a row had no solution (too few recordings or positions for the recipe).
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index, attempt])))
    for _ in range(100):
        try:
            return _draw(rng, material, recipe)
        except _NoPlaceError as error:
            reason = str(error)
    raise DataError(f"scene {index} cannot be drawn: {reason}; add recordings or positions, or relax the recipe")


def _draw(rng: Rng, material: Material, recipe: Recipe) -> DrawnScene:
    room = material.rooms[int(rng.integers(len(material.rooms)))]
    n = int(rng.choice(len(recipe.target_counts), p=recipe.target_counts))
    repeats = 0
    if n >= 2 and rng.random() <= recipe.repeat_rate and recipe.max_repeats > 0:
        repeats = int(rng.integers(1, min(n - 1, recipe.max_repeats) + 1))
    distinct = n - repeats
    if distinct > len(material.targets.labels):
        raise _NoPlaceError(f"{distinct} different classes wanted, there are {len(material.targets.labels)}")
    base = [material.targets.labels[i] for i in rng.choice(len(material.targets.labels), distinct, replace=False)]
    repeated = [base[int(rng.integers(distinct))] for _ in range(repeats)]
    targets: list[DrawnEvent] = []
    for label in base + repeated:
        same = [event for event in targets if event.label == label]
        position = _draw_position(rng, room, [event.position for event in same], recipe.repeat_angle)
        excluded = families_of(event.clip for event in same)
        targets.append(_draw_event(rng, material.targets, label, targets, excluded, position, recipe.snr, recipe))
    interference: list[DrawnEvent] = []
    labels = material.interference.labels
    for _ in range(int(rng.choice(len(recipe.interference_counts), p=recipe.interference_counts))):
        label, position = labels[int(rng.integers(len(labels)))], int(rng.integers(len(room.positions)))
        interference.append(
            _draw_event(
                rng, material.interference, label, interference, frozenset(), position, recipe.interference_snr, recipe
            )
        )
    background = material.backgrounds[int(rng.integers(len(material.backgrounds)))] if material.backgrounds else None
    return DrawnScene(recipe, room, tuple(targets), tuple(interference), background, int(rng.integers(2**63)))


def _draw_event(
    rng: Rng,
    sources: Sources,
    label: str,
    placed: Sequence[DrawnEvent],
    excluded: frozenset[str],
    position: int,
    snr: tuple[float, float],
    recipe: Recipe,
) -> DrawnEvent:
    clip = sources.draw(label, rng, excluded)
    if clip is None:
        raise _NoPlaceError(f"no other recording of {label} is left")
    longest = min(recipe.max_event, recipe.duration)
    source_time = float(rng.uniform(0, clip.seconds - longest)) if clip.seconds > longest else 0.0
    length = min(clip.seconds, longest)
    intervals = start_intervals(
        duration=recipe.duration,
        length=length,
        placed=[(event.start, event.duration) for event in placed],
        max_overlap=recipe.max_overlap,
    )
    start = draw_start(rng, intervals)
    if start is None:
        raise _NoPlaceError(f"no time is left for {length:.1f} s of {label}")
    return DrawnEvent(label, clip, source_time, length, start, position, float(rng.uniform(*snr)))


def _draw_position(rng: Rng, room: Room, taken: Sequence[int], angle: float) -> int:
    directions = room.positions / np.linalg.norm(room.positions, axis=1, keepdims=True)
    allowed = np.ones(len(directions), dtype=bool)
    for other in taken:
        allowed &= np.degrees(np.arccos(np.clip(directions @ directions[other], -1, 1))) > angle
    candidates = np.flatnonzero(allowed)
    if len(candidates) == 0:
        raise _NoPlaceError(f"no position is further than {angle:g} degrees from the others of its class")
    return int(candidates[rng.integers(len(candidates))])
