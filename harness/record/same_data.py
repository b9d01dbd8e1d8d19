"""Whether two runs were made on the same data, as far as their records can tell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s5eval.data_manifests.manifest import Manifest


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


def manifest_facts(manifest: Manifest) -> dict[str, Any]:
    """What a run records of its data: mixtures with the digests of their files, of all, and of names and sizes."""
    return {
        "manifest_sha256": manifest.sha256,
        "manifest_sizes_sha256": manifest.sizes_sha256,
        "mixtures": [scene.mixture.id for scene in manifest.scenes],
        "mixture_digests": list(manifest.digests),
    }


def same_data(a: Mapping[str, Any], b: Mapping[str, Any]) -> SameData:
    """Compare the facts of two runs, or of a run and a manifest.

    A run of version 1 recorded the digest of names and sizes as `manifest_sha256`, and nothing else.
    """
    sizes = [facts.get("manifest_sizes_sha256") for facts in (a, b)]
    if None not in sizes:
        return SameData(a["manifest_sha256"] == b["manifest_sha256"], changed=_changed(a, b))
    first, second = (size or facts["manifest_sha256"] for size, facts in zip(sizes, (a, b), strict=True))
    return SameData(first == second, by_sizes_only=True)


def _changed(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[str, ...]:
    first, second = (dict(zip(facts["mixtures"], facts["mixture_digests"], strict=True)) for facts in (a, b))
    return tuple(id_ for id_, digest in first.items() if second.get(id_, digest) != digest)
