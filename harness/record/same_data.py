"""Whether two runs were made on the same data, as far as their records can tell."""

from dataclasses import dataclass, replace

from s5eval.data_manifests.sets.known import MINI
from s5eval.harness.record.run_record import DataFacts, RunRecord
from s5eval.harness.record.scene_identity import scene_identities


@dataclass(frozen=True, slots=True)
class SameData:
    """The answer.

    Attributes:
        same: both were made on the same data.
        by_sizes_only: which rests on names and sizes alone; content could differ.
        changed: mixtures of both whose files differ; None: not known which.
        rounded: these are scenes of the embedded set, which two machines have made of the same draws: they count as the
            same data, and some of their samples differ by one step of 16 bit.
    """

    same: bool
    by_sizes_only: bool = False
    changed: tuple[str, ...] | None = None
    rounded: bool = False


def same_data(a: DataFacts, b: DataFacts) -> SameData:
    """Compare the facts of two runs, or of a run and a manifest.

    A run of version 1 recorded the digest of names and sizes as `manifest_sha256`, and nothing else.
    """
    if None not in (a.manifest_sizes_sha256, b.manifest_sizes_sha256):
        return SameData(a.manifest_sha256 == b.manifest_sha256, changed=_changed(a, b))
    first, second = (facts.manifest_sizes_sha256 or facts.manifest_sha256 for facts in (a, b))
    return SameData(first == second, by_sizes_only=True)


def same_data_of_runs(a: RunRecord, b: RunRecord) -> SameData:
    """Compare what two runs were made on: as `same_data`, and the embedded set is the same on two machines.

    That goes for the set in the cache (`is_of_cache`).
    """
    found = same_data(a, b)
    if found.same or not _embedded(a, b) or a.mixtures != b.mixtures or scene_identities(a) != scene_identities(b):
        return found
    return replace(found, same=True, rounded=True)


def is_part(a: RunRecord, b: RunRecord) -> bool:
    """Whether the first run was made on some of the mixtures of the second, with the same content, and not on all."""
    embedded = _embedded(a, b)
    first, second = (
        dict(zip(run.mixtures, scene_identities(run), strict=False)) if embedded else run.digests for run in (a, b)
    )
    return 0 < len(first) < len(second) and first.items() <= second.items()


def on_other_files(a: RunRecord, b: RunRecord, mixture_id: str) -> bool:
    """Whether two runs are known to have heard different files as a mixture of one name.

    Scenes of the embedded set in the cache are the same on every machine, but for what each rounds.
    """
    return not _embedded(a, b) and mixture_id in _changed(a, b)


def is_of_cache(record: RunRecord) -> bool:
    """Whether a run was made on the embedded set in the cache, whose files are guarded by checksums.

    What lies elsewhere under the ids of its scenes is called by the same name, and may have been changed on purpose.
    """
    # `--dataset mini` passes the folder of S5EVAL_DATA over
    config = record.config
    return record.about.dataset == MINI and (config.data is None or config.dataset == MINI)


def _embedded(a: RunRecord, b: RunRecord) -> bool:
    return is_of_cache(a) and is_of_cache(b)


def _changed(a: DataFacts, b: DataFacts) -> tuple[str, ...]:
    second = b.digests
    return tuple(id_ for id_, digest in a.digests.items() if second.get(id_, digest) != digest)
