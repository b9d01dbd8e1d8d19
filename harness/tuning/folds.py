"""Parts of the mixtures that a cross-validation leaves out in turn, so that no recording is on both sides.

Where one recording sounds in several mixtures, what is fitted to one of them has heard the others: a threshold can
come to suit that recording, and the part that was left out would call this a gain. So mixtures that share recordings
go into one part as far as there is room, and a fit leaves out all that still share one with the part it is tested on.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.words import counted
from s5eval.metrics.arrays import Indices

FOLDS = 5

Recordings = Sequence[frozenset[str] | None]
"""Of every mixture, what sounds in it as a target; None: not told."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One part: the numbers of the mixtures that are left out, and of those that are fitted to."""

    out: Indices
    fit: Indices


def folds_of(mixtures: int, folds: int, seed: int, recordings: Recordings | None = None) -> list[Fold]:
    """Every mixture is in the `out` of one fold, at random but for what shares a recording.

    Args:
        mixtures: how many there are.
        folds: how many parts.
        seed: of the order.
        recordings: of the mixtures; where nothing is told nothing is taken for shared.

    Raises:
        UsageError: there are fewer mixtures than parts, fewer than two of either, a negative seed, or a part that
            shares recordings with all others.

    Example:
        >>> [fold.out.tolist() for fold in folds_of(4, 2, 0, [frozenset("a"), frozenset("b"), frozenset("a"), None])]
        [[0, 2], [1, 3]]
    """
    if mixtures < 2:
        raise UsageError(f"{counted(mixtures, 'scored mixture')}: cross-validation tunes on some and judges on others")
    if not 2 <= folds <= mixtures:
        raise UsageError(f"`folds` is {folds}, expected 2 to {mixtures} (the number of scored mixtures)")
    if seed < 0:
        raise UsageError(f"`seed` is {seed}, expected a whole number, 0 or larger")
    order = np.random.default_rng(seed).permutation(np.arange(mixtures))
    heard = [names or frozenset() for names in recordings or [None] * mixtures]
    times = Counter(name for names in heard for name in names)
    shared = [frozenset(name for name in names if times[name] > 1) for names in heard]
    parts = _together(order, shared, [len(part) for part in np.array_split(order, folds)])
    return [Fold(part, _apart(order, part, shared, number)) for number, part in enumerate(parts, start=1)]


def told_of_folds(folds: Sequence[Fold], recordings: Recordings | None) -> dict[str, Any]:
    """What a provenance says of the parts.

    Returns:
        `folds`, how many; `fits_saw`, of the mixtures outside of each part, the share that its fit could see;
        `recordings_not_told`, of how many mixtures.
    """
    mixtures = sum(len(fold.out) for fold in folds)
    seen = sum(len(fold.fit) for fold in folds) / sum(mixtures - len(fold.out) for fold in folds)
    silent = mixtures if recordings is None else sum(names is None for names in recordings)
    return {"folds": len(folds), "fits_saw": round(seen, 3), "recordings_not_told": silent}


def _together(order: Indices, shared: Sequence[frozenset[str]], sizes: Sequence[int]) -> list[Indices]:
    """The mixtures in parts of these sizes; those of one recording together, the commonest recording first."""
    of_recording: dict[str, list[int]] = {}
    for k in order.tolist():
        for name in sorted(shared[k]):
            of_recording.setdefault(name, []).append(k)
    room, place = list(sizes), dict[int, int]()
    for name in sorted(of_recording, key=lambda name: (-len(of_recording[name]), name)):
        waiting = [k for k in of_recording[name] if k not in place]
        near = Counter(place[k] for k in of_recording[name] if k in place)
        for part in sorted(range(len(room)), key=lambda part: (-near[part], -room[part], part)):
            fitting, waiting = waiting[: room[part]], waiting[room[part] :]
            place |= dict.fromkeys(fitting, part)
            room[part] -= len(fitting)
    rest = iter([k for k in order.tolist() if k not in place])
    parts: list[list[int]] = [[k for k in order.tolist() if place.get(k) == part] for part in range(len(room))]
    for own, left in zip(parts, room, strict=True):
        own += [next(rest) for _ in range(left)]
    return [np.array(own, np.intp) for own in parts]


def _apart(order: Indices, part: Indices, shared: Sequence[frozenset[str]], number: int) -> Indices:
    """The mixtures that have nothing in common with a part."""
    heard = frozenset(name for k in part for name in shared[k])
    others = np.setdiff1d(order, part)
    fit = np.array([k for k in others.tolist() if not heard & shared[k]], np.intp)
    if not len(fit):
        raise UsageError(
            f"all mixtures share recordings with part {number} of the cross-validation: nothing is left to fit to. Ask "
            "for more folds, or tune together with runs on other data"
        )
    return fit
