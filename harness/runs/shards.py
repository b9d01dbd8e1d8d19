"""Shards: the part of a manifest that one job of a batch queue evaluates."""

import re

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.manifest import Manifest
from s5eval.harness.record.run_record import Shard


def part_of(manifest: Manifest, shard: str) -> tuple[Manifest, Shard | None]:
    """The part of a manifest that `shard` names, and what a run records of it; `1/1` is the whole.

    Raises:
        UsageError: no shard, or more of them than mixtures.
    """
    number, of = parse_shard(shard)
    if of == 1:
        return manifest, None
    if of > len(manifest):
        raise UsageError(f"`shard` {shard}: {of} shards of {len(manifest)} mixtures leave some empty; ask for fewer")
    facts = Shard(number, of, manifest.sha256, manifest.sizes_sha256, len(manifest))
    return manifest.part(number - 1, of), facts


def parse_shard(shard: str) -> tuple[int, int]:
    """`3/16` → (3, 16).

    Raises:
        UsageError: it is not K/N with K from 1 to N.
    """
    found = re.fullmatch(r"([0-9]{1,7})/([0-9]{1,7})", shard)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"`shard` {shard}: expected K/N with K from 1 to N, such as 3/16")
    return int(found[1]), int(found[2])
