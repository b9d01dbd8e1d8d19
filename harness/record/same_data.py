"""Whether two runs were made on the same data, as far as their records can tell."""

from dataclasses import dataclass

from s5eval.harness.record.run_record import DataFacts


@dataclass(frozen=True, slots=True)
class SameData:
    """The answer.

    Attributes:
        same: both were made on the same data.
        by_sizes_only: which rests on names and sizes alone; content could differ.
        changed: mixtures of both whose files differ; None: not known which.
    """

    same: bool
    by_sizes_only: bool = False
    changed: tuple[str, ...] | None = None


def same_data(a: DataFacts, b: DataFacts) -> SameData:
    """Compare the facts of two runs, or of a run and a manifest.

    A run of version 1 recorded the digest of names and sizes as `manifest_sha256`, and nothing else.
    """
    if None not in (a.manifest_sizes_sha256, b.manifest_sizes_sha256):
        return SameData(a.manifest_sha256 == b.manifest_sha256, changed=_changed(a, b))
    first, second = (facts.manifest_sizes_sha256 or facts.manifest_sha256 for facts in (a, b))
    return SameData(first == second, by_sizes_only=True)


def _changed(a: DataFacts, b: DataFacts) -> tuple[str, ...]:
    first, second = (dict(zip(facts.mixtures, facts.mixture_digests or (), strict=True)) for facts in (a, b))
    return tuple(id_ for id_, digest in first.items() if second.get(id_, digest) != digest)
