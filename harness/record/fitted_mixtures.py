"""Which mixtures a decision was fitted to, so that scores on these very mixtures can say so.

A decision does better where it was fitted than anywhere else; by how much, only cross-validation tells. So the
provenance of a fitted decision carries a digest of every mixture, and whoever scores mixtures with it counts those:
of its files, or of what a scene of the embedded set is made from, since another processor rounds its samples otherwise.
"""

from collections.abc import Collection, Mapping
from typing import Any

from s5eval.data_manifests.common.digests import digest_start
from s5eval.harness.record.run_record import DataFacts
from s5eval.harness.record.scene_identity import scene_identities
from s5eval.systems.provenance import levels

KEY = "mixture_digests"
"""Key of a provenance: beginnings of the digests of the mixtures, as `digest_text` joins them."""


def part_of_data(facts: DataFacts, ids: Collection[str]) -> DataFacts:
    """What is recorded of some of the mixtures: to count those that a number is over, and no others.

    The digests of all together stay: by these, a provenance that lists none is recognised.
    """
    kept = [k for k, id_ in enumerate(facts.mixtures) if id_ in ids]
    digests = facts.mixture_digests
    return DataFacts(
        manifest_sha256=facts.manifest_sha256,
        manifest_sizes_sha256=facts.manifest_sizes_sha256,
        mixtures=tuple(facts.mixtures[k] for k in kept),
        mixture_digests=None if digests is None else tuple(digests[k] for k in kept),
    )


def fitted_here(provenance: Mapping[str, Any] | None, facts: DataFacts) -> int:
    """How many of the mixtures a decision was fitted to, by the words of its provenance.

    What adapted priors without references does not count: it has seen no truth.

    Args:
        provenance: of the decision, with those it is built on; None: nobody fitted it.
        facts: what is recorded of the mixtures. A provenance that lists none, as earlier versions wrote it, is
            recognised by the digest of all together: by all mixtures or none.
    """
    own = [
        {digest_start(content), digest_start(identity)}
        for content, identity in zip(facts.mixture_digests or (), scene_identities(facts), strict=True)
    ]
    fitted: set[str] = set()
    for level in levels(provenance):
        if level.get("unlabelled"):
            continue
        text, manifests = level.get(KEY), level.get("manifest_sha256")
        if isinstance(text, str):
            fitted.update(text.split())
        elif facts.manifest_sha256 in (manifests if isinstance(manifests, list) else [manifests]):
            return len(facts.mixtures)
    return sum(not fitted.isdisjoint(digests) for digests in own)
