"""When events may start: the official overlap rule (nttcslab/SpAudSyn)."""

from collections.abc import Sequence

import numpy as np

Range = tuple[float, float]


def start_intervals(*, duration: float, length: float, placed: Sequence[Range], max_overlap: int) -> list[Range]:
    """Where an event may start so that never more than `max_overlap` events sound together.

    Args:
        duration: of the scene, seconds.
        length: of the event, seconds, at most `duration`.
        placed: (start, length) of the events of the same kind that are placed already, seconds.
        max_overlap: how many events may sound at once; fewer events than that never restrict.

    Returns:
        Admissible (earliest, latest) starts in order of time; empty when there is no place.

    Raises:
        ValueError: `length` exceeds `duration`.

    >>> start_intervals(duration=10, length=3, placed=[(2, 3)], max_overlap=1)
    [(5, 7)]
    """
    if length > duration:
        raise ValueError(f"an event of {length} s does not fit into a scene of {duration} s")
    if len(placed) < max_overlap:
        return [(0.0, duration - length)]
    if length == duration:
        return []
    changes = [(start, +1) for start, _ in placed] + [(start + seconds, -1) for start, seconds in placed]
    changes.sort(key=lambda change: (change[0], -change[1]))  # starts before ends at equal times
    changes.append((duration, max_overlap))
    intervals: list[Range] = []
    active, opened = 0, 0.0
    for time, step in changes:
        before, active = active, active + step
        if before < max_overlap <= active and time - opened >= length:
            intervals.append((opened, time - length))
        elif active < max_overlap <= before:
            opened = time
    return intervals


def draw_start(rng: np.random.Generator, intervals: Sequence[Range]) -> float | None:
    """A start: every interval equally likely whatever its length, uniform inside it. None: no interval."""
    if not intervals:
        return None
    earliest, latest = intervals[int(rng.integers(len(intervals)))] if len(intervals) > 1 else intervals[0]
    return float(rng.uniform(earliest, latest))
