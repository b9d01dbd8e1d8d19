"""Procedural sound events: all 18 classes and kinds outside them, every draw another recording.

A class is a function of a random generator and a length; durations are natural for the class.
"""

from collections.abc import Callable, Mapping

import numpy as np

from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.records import SAMPLE_RATE, Audio
from s5eval.data_manifests.synthesis.foley import motors, ringers, strikes, voices, water
from s5eval.data_manifests.synthesis.foley.others import INTERFERENCE
from s5eval.data_manifests.synthesis.foley.signals import Rng, Samples, frames, log_uniform, noise, ramp

LONG_SECONDS = 4.0
"""From here on a recording counts as long (Kwon et al., arXiv 2606.24512: short and long Percussion are mixed)."""

_SHORTEST_SECONDS = 0.2

_TARGETS: Mapping[str, tuple[Callable[[Rng, int], Samples], tuple[float, float]]] = {
    "AlarmClock": (ringers.alarm_clock, (1.5, 8)),
    "BicycleBell": (ringers.bicycle_bell, (0.6, 3)),
    "Blender": (motors.blender, (2, 10)),
    "Buzzer": (ringers.buzzer, (0.4, 4)),
    "Clapping": (strikes.clapping, (0.8, 8)),
    "Cough": (voices.cough, (0.4, 4)),
    "CupboardOpenClose": (strikes.cupboard_open_close, (0.8, 4)),
    "Dishes": (strikes.dishes, (0.5, 7)),
    "Doorbell": (ringers.doorbell, (1.2, 5)),
    "FootSteps": (strikes.foot_steps, (1, 8)),
    "HairDryer": (motors.hair_dryer, (2, 10)),
    "MechanicalFans": (motors.mechanical_fans, (3, 10)),
    "MusicalKeyboard": (voices.musical_keyboard, (1.5, 9)),
    "Percussion": (strikes.percussion, (0.3, 10)),
    "Pour": (water.pour, (1.5, 8)),
    "Speech": (voices.speech, (0.8, 7)),
    "Typing": (strikes.typing, (0.8, 8)),
    "VacuumCleaner": (motors.vacuum_cleaner, (2, 10)),
}

_KINDS = {**{label: _TARGETS[label] for label in CLASSES}, **INTERFERENCE}

INTERFERENCE_KINDS: tuple[str, ...] = tuple(INTERFERENCE)
"""Names of the kinds that are none of the 18 classes."""


def draw_event(kind: str, rng: Rng, seconds: float | None = None) -> Audio:
    """One sound event.

    Args:
        kind: one of the 18 classes or of `INTERFERENCE_KINDS`.
        rng: the only source of chance.
        seconds: its length, at least 0.2; None draws one that is natural for the kind (log-uniform).

    Returns:
        float32 (S,), peak 1.

    Raises:
        ValueError: no such kind, or `seconds` is too short.
    """
    if kind not in _KINDS:
        raise ValueError(f"no foley kind {kind!r}; known: {', '.join(_KINDS)}")
    if seconds is not None and seconds < _SHORTEST_SECONDS:
        raise ValueError(f"a sound event of {seconds} s; the shortest possible is {_SHORTEST_SECONDS} s")
    generate, (shortest, longest) = _KINDS[kind]
    natural = log_uniform(rng, shortest, longest)
    sound = _recorded(rng, generate(rng, frames(natural if seconds is None else seconds)))
    peak = np.abs(sound).max()
    audio: Audio = (sound / peak if peak > 0 else sound).astype(np.float32)
    return audio


def _recorded(rng: Rng, sound: Samples) -> Samples:
    """The sound as some microphone took it: its spectrum gently tilted, a noise floor 55–80 dB below its peak."""
    coloured = sound.copy()
    coloured[1:] += rng.uniform(-0.35, 0.35) * sound[:-1]
    floor = np.abs(coloured).max() * 10 ** (rng.uniform(-80, -55) / 20)
    return ramp(coloured + floor * noise(rng, len(sound)), 0.001, 0.005)


def natural_seconds(kind: str) -> tuple[float, float]:
    """The shortest and longest natural duration of a kind, in seconds."""
    return _KINDS[kind][1]


__all__ = ["INTERFERENCE_KINDS", "LONG_SECONDS", "SAMPLE_RATE", "draw_event", "natural_seconds"]
