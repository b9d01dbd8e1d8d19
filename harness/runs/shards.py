"""Shards: the part of a manifest that one job of a batch queue evaluates."""

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.manifest import Manifest
from s5eval.data_manifests.scan import scenes_digest
from s5eval.harness.record.run_record import Shard, manifest_facts
from s5eval.harness.record.scene_identity import scene_identities


def part_of(manifest: Manifest, number: int, of: int) -> tuple[Manifest, Shard | None]:
    """One of so many parts of a manifest, and what a run records of it; the only part is the whole.

    Raises:
        UsageError: there are more parts than mixtures.
    """
    if of == 1:
        return manifest, None
    if of > len(manifest):
        raise UsageError(
            f"`shard` {number}/{of}: {of} shards of {counted(len(manifest), 'mixture')} leave some empty; ask for fewer"
        )
    scenes = scenes_digest(scene_identities(manifest_facts(manifest)))
    facts = Shard(number, of, manifest.sha256, manifest.sizes_sha256, len(manifest), scenes)
    return manifest.part(number - 1, of), facts
