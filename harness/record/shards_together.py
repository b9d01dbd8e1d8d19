"""Shards of one run, the parts that a batch queue has made: which belong together, and what they are together."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from s5eval.harness.record.run_record import About, Facts, RunRecord, RunStatus, Shard
from s5eval.harness.record.same_data import is_of_cache

_Part = TypeVar("_Part", bound=About)


def cut_from(record: RunRecord) -> Shard | None:
    """What a shard says of the whole; of the embedded set without its files, which machines round, by its scenes alone.

    What lies elsewhere under the ids of these scenes may have been changed on purpose, and has to be of the same bytes.
    """
    if record.shard is None:
        return None
    whole = replace(record.shard, number=1, of=1)
    if not is_of_cache(record) or whole.scenes_sha256 is None:
        return whole
    return replace(whole, manifest_sha256="", manifest_sizes_sha256="")


def shards_together(records: Sequence[RunRecord]) -> list[list[int]]:
    """The numbers of the runs: shards that were cut from the same data together, every other run alone."""
    found: dict[Shard | int, list[int]] = {}
    for number, record in enumerate(records):
        found.setdefault(cut_from(record) or number, []).append(number)
    return list(found.values())


def joint_about(parts: Sequence[_Part]) -> _Part:
    """What shards of one run are of together: what each counts of its mixtures, added up."""
    first = parts[0]
    answered = None if first.answered is None else sum(part.answered or 0 for part in parts)
    fitted, trained = (sum(counts) for counts in zip(*((p.fitted_here, p.trained_here) for p in parts), strict=True))
    return replace(first, answered=answered, fitted_here=fitted, trained_here=trained)


def joint_facts(parts: Sequence[Facts]) -> Facts:
    """The same, and how far they came: `complete` where every one of them did."""
    status: RunStatus = next((part.status for part in parts if part.status != "complete"), "complete")
    doubts = dict.fromkeys(part.unverified for part in parts if part.unverified)
    return replace(
        joint_about(parts),
        status=status,
        n_expected=sum(part.n_expected for part in parts),
        unverified="; ".join(doubts) or None,
    )
