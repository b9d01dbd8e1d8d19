"""Slices by what the metadata of a scene tell: level, overlap, direction, interference, duration.

A mixture without metadata is in no such slice; one for which a condition is undefined (an angle needs two targets) is
in none of its parts. The limits are fixed, so that parts of different runs are the same parts.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import get_args

from s5eval.harness.record.run_summary import ConditionGroup
from s5eval.harness.record.tables import MixtureScore

Membership = Callable[[MixtureScore], bool]
"""Whether a mixture belongs to a slice."""

CONDITION_TITLES: Mapping[str, str] = {
    "snr": "level of the softest target over the background",
    "overlap": "overlap of the targets",
    "angle": "smallest angle between two targets",
    "interference": "interfering events",
    "duration": "duration of the shortest target",
}
"""What the groups are, in words."""

GROUP_TITLES: Mapping[str, str] = {
    "targets": "number of targets",
    "repeated_class": "a class occurs twice",
    **CONDITION_TITLES,
}
"""All groups of slices but the classes, in words, in the order in which they are shown."""

SHORT_TITLES: Mapping[str, str] = {
    "targets": "targets",
    "repeated_class": "class twice",
    "snr": "level",
    "overlap": "overlap",
    "angle": "angle",
    "interference": "interference",
    "duration": "shortest",
}
"""The same as briefly as a label beside a mark has to be."""

_BOUNDS: Mapping[ConditionGroup, tuple[tuple[float, ...], str, float]] = {
    "snr": ((8.0, 12.0), "dB", 1.0),
    "overlap": ((0.25, 0.5), "%", 100.0),
    "angle": ((45.0, 90.0), "°", 1.0),
    "duration": ((1.0, 4.0), "s", 1.0),
}
"""Limits between the parts, from the lower one on; the unit that they are shown in, and its factor."""


def condition_members(scored: Sequence[MixtureScore]) -> list[tuple[ConditionGroup, str, Membership]]:
    """Group, part and membership of every part that some of the mixtures belong to."""
    members: list[tuple[ConditionGroup, str, Membership]] = []
    for group in get_args(ConditionGroup):
        if group == "interference":
            counts = sorted({score.conditions.interference for score in scored if score.conditions is not None})
            members += [(group, str(count), partial(_has_interference, count)) for count in counts]
            continue
        limits, unit, factor = _BOUNDS[group]
        edges = (float("-inf"), *limits, float("inf"))
        for low, high in itertools.pairwise(edges):
            member = partial(_within, group, low, high)
            if any(map(member, scored)):
                members.append((group, _name(low * factor, high * factor, unit), member))
    return members


def _name(low: float, high: float, unit: str) -> str:
    if low == float("-inf"):
        return f"below {high:g} {unit}"
    return f"{low:g} {unit} and above" if high == float("inf") else f"{low:g} to {high:g} {unit}"


def _within(group: ConditionGroup, low: float, high: float, score: MixtureScore) -> bool:
    value = None if score.conditions is None else getattr(score.conditions, group)
    return value is not None and low <= value < high


def _has_interference(count: int, score: MixtureScore) -> bool:
    return score.conditions is not None and score.conditions.interference == count
