"""Sources of several kinds beside one another, each with its share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from s5eval.data_manifests.synthesis.foley.signals import Rng
from s5eval.data_manifests.synthesis.sources import Clip, Sources

Shares = tuple[tuple[float, Sources], ...]
"""Sources with positive shares; they need not add up to one."""


@dataclass(frozen=True)
class MixedSources:
    """Recordings of a class come from the sources that have the class, by their shares among these."""

    shares: Shares

    @cached_property
    def labels(self) -> Sequence[str]:
        """Classes that any of them has, in alphabetical order."""
        return tuple(sorted({label for _, sources in self.shares for label in sources.labels}))

    def draw(self, label: str, rng: Rng, excluded: frozenset[str]) -> Clip | None:
        """See `Sources.draw`. Where the source that was chosen has none left, another is asked."""
        able = [(share, sources) for share, sources in self.shares if label in sources.labels]
        for sources in _in_turn(rng, able):
            if (clip := sources.draw(label, rng, excluded)) is not None:
                return clip
        return None


@dataclass(frozen=True)
class PooledSources:
    """Sounds that no class is told of: a source by its share, then any of its kinds. All have one label."""

    shares: Shares
    labels: Sequence[str] = ("any",)

    def draw(self, label: str, rng: Rng, excluded: frozenset[str]) -> Clip | None:
        """See `Sources.draw`."""
        for sources in _in_turn(rng, list(self.shares)):
            kind = sources.labels[int(rng.integers(len(sources.labels)))]
            if (clip := sources.draw(kind, rng, excluded)) is not None:
                return clip
        return None


def _in_turn(rng: Rng, shares: Sequence[tuple[float, Sources]]) -> list[Sources]:
    """The sources in an order that is drawn: every one comes first with the chance of its share."""
    weights = np.array([share for share, _ in shares], dtype=float)
    if len(weights) == 0:
        return []
    order = rng.choice(len(weights), size=len(weights), replace=False, p=weights / weights.sum())
    return [shares[int(index)][1] for index in order]
