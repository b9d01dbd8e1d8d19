"""What runs that are tuned together must not have in common, and what sounds in them."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from s5eval.data_manifests.common.errors import S5Error, UsageError
from s5eval.data_manifests.described import recordings_of
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.record.scene_identity import scene_identities


def refuse_repeated(runs: Sequence[Path], records: Sequence[RunRecord]) -> None:
    """Refuse runs that share mixtures: a fold that is left out would be heard in the others all the same.

    Mixtures are the same where names and content of their files are, wherever they lie, and scenes of the embedded set
    by what they are made from; where a run has no digests, those of one data set, split and id are.

    Raises:
        UsageError: a mixture is in two of them; the message names one.
    """
    by_content = all(record.mixture_digests is not None for record in records)
    seen: dict[tuple[str, ...], Path] = {}
    for path, record in zip(runs, records, strict=True):
        own: dict[tuple[str, ...], Path] = {}
        for id_, key in _keys(record, by_content=by_content):
            if key in seen:
                raise UsageError(
                    f"mixture {id_!r} of {path} is a mixture of {seen[key]} too: cross-validation would test on "
                    "what it was fitted to. Name every mixture's run once"
                )
            own[key] = path
        seen |= own


def recordings_in(record: RunRecord, ids: Iterable[str]) -> list[frozenset[str] | None]:
    """What sounds in mixtures of a run, as its data tell where they lie; None: they tell nothing, or are gone."""
    config, mixtures = record.config, list(ids)
    try:
        told = recordings_of(mixtures, config.data, dataset=config.dataset, split=config.split)
    except S5Error:
        return [None] * len(mixtures)
    return [told[id_] for id_ in mixtures]


def _keys(record: RunRecord, *, by_content: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    about, digests = record.about, scene_identities(record) if by_content else None
    for k, id_ in enumerate(record.mixtures):
        yield id_, (about.dataset, about.split, id_) if digests is None else (digests[k],)
