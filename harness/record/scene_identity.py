"""Which scenes two runs have in common, on whatever machines these were made.

The embedded set is made where it is used, and two kinds of processors round some samples of it to neighbouring values
of 16 bit. Its scenes are therefore known by what they are made from; all other mixtures by the content of their files.
"""

from s5eval.data_manifests.sets.known import MINI
from s5eval.harness.record.run_record import DataFacts


def scene_identities(facts: DataFacts) -> tuple[str, ...]:
    """A digest for each mixture, in order, that says on every machine which scene it is; empty where no digests are."""
    digests = facts.mixture_digests
    return () if digests is None else tuple(map(_identity, facts.mixtures, digests))


def _identity(mixture_id: str, digest: str) -> str:
    return _made_from(mixture_id) or digest


def _made_from(mixture_id: str) -> str | None:
    if not mixture_id.startswith(f"{MINI}_"):
        return None
    from s5eval.data_manifests.sets.mini import mini_scene_digest  # it brings scipy: not for whoever has other data

    return mini_scene_digest(mixture_id)
