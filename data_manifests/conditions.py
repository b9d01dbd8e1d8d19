"""What the metadata of a scene tell of how hard it is: levels, overlap, directions, interference, durations."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SoundEvent:
    """One sound of a scene: when it sounds (s), how loud (dB over the background, wet), from where (x, y, z)."""

    start: float
    duration: float
    snr: float
    position: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a mixture is like, as its metadata say. None: not defined for this scene.

    Attributes:
        snr: level of the softest target over the background, dB; None without targets.
        overlap: share of the time in which any target sounds in which two or more do, 0 to 1; None below two targets.
        angle: smallest angle between two targets, degrees, seen from the microphone; None below two targets.
        interference: interfering events.
        duration: of the shortest target, seconds; None without targets.
    """

    snr: float | None
    overlap: float | None
    angle: float | None
    interference: int
    duration: float | None


def conditions_of_events(targets: Sequence[SoundEvent], interference: int, seconds: float) -> Conditions:
    """The conditions of a scene of so many seconds; what an event has beyond its end is not heard.

    >>> left, front = SoundEvent(0, 4, 10, (0, 1, 0)), SoundEvent(2, 4, 6, (1, 0, 0))
    >>> conditions_of_events([left, front], 1, 10.0)
    Conditions(snr=6, overlap=0.333, angle=90.0, interference=1, duration=4)
    """
    spans = [(event.start, min(event.start + event.duration, seconds)) for event in targets]
    return Conditions(
        snr=min((event.snr for event in targets), default=None),
        overlap=_overlap(spans) if len(spans) > 1 else None,
        angle=min((_angle(a.position, b.position) for a, b in itertools.combinations(targets, 2)), default=None),
        interference=interference,
        duration=min((end - start for start, end in spans), default=None),
    )


def conditions_of_metadata(metadata: Mapping[str, Any]) -> Conditions:
    """The conditions of a scene from the content of its official metadata file.

    Raises:
        ValueError, KeyError, TypeError, IndexError: it is not the metadata of a scene.
    """
    targets = [
        SoundEvent(
            float(event["event_time"]),
            float(event["event_duration"]),
            float(event["snr"]),
            tuple(float(x) for x in event["event_position"][0]),
        )
        for event in metadata["fg_events"]
    ]
    numbers = [x for event in targets for x in (event.start, event.duration, event.snr, *event.position)]
    if not all(map(math.isfinite, numbers)) or any(math.hypot(*event.position) == 0 for event in targets):
        raise ValueError("a time, level or position of a target is not a finite number, or no direction")
    seconds = float(metadata["config"]["duration"])
    if not all(0 <= event.start < seconds and event.duration > 0 for event in targets):
        raise ValueError(f"a target does not sound within the {seconds:g} s of the scene")
    return conditions_of_events(targets, len(metadata.get("int_events") or []), seconds)


def _overlap(spans: Sequence[tuple[float, float]]) -> float | None:
    """Time with two or more over time with one or more; None where nothing sounds."""
    edges = sorted({edge for span in spans for edge in span})
    any_, several = 0.0, 0.0
    for start, end in itertools.pairwise(edges):
        sounding = sum(a <= start and end <= b for a, b in spans)
        any_ += (end - start) * (sounding >= 1)
        several += (end - start) * (sounding >= 2)
    return round(several / any_, 3) if any_ > 0 else None


def _angle(a: Sequence[float], b: Sequence[float]) -> float:
    cosine = sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))
    return round(math.degrees(math.acos(max(-1.0, min(1.0, cosine)))), 1)
