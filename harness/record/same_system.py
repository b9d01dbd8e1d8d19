"""Whether scores came from the same system, as far as what it says of itself can tell.

The digest that a table calls `weights` is not enough: a system may hear through another M2D or frame encoder, end in
other stages, or have other settings, and its scores and silence probabilities are others then. Its whole fingerprint
says what it is, without what follows the scores and what only describes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.words import first_of
from s5eval.harness.record.run_record import RunRecord
from s5eval.systems.interface import Json

NOT_OF_SCORES = ("thresholds", "parameters", "trainable_parameters", "external_resources")
"""Keys of a fingerprint that no score hangs on: where the decision comes from, and what submissions are told."""


def system_digest(system: str, fingerprint: Mapping[str, Json]) -> str:
    """One digest of what scores came from.

    Args:
        system: name of an installed system, or `module:factory`: one that says little of itself is known by it.
        fingerprint: the system's, as JSON gives it back.
    """
    text = json.dumps([system, _of_scores(fingerprint)], sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def digest_of(record: RunRecord) -> str:
    """`system_digest` of the system of a run."""
    return system_digest(record.about.system, record.fingerprint)


def made_for_another(provenance: Mapping[str, Any], *, weights: object, fingerprint: str | None) -> str:
    """For what else than this system a decision was made, as a phrase; empty: for this one, or it cannot be told.

    Decision files of before have no `fingerprint`: of these it is told by `weights` alone.

    Args:
        provenance: of the decision.
        weights: of the system in use, as it states them; None: it does not, or they are not known.
        fingerprint: `system_digest` of the system in use; None: it is not known.
    """
    if _differ(provenance.get("weights"), weights):
        return "for other weights or stages"
    return "for other weights or settings" if _differ(provenance.get("fingerprint"), fingerprint) else ""


def decided_for_another(record: RunRecord) -> str:
    """`made_for_another` of the decision of a run and its system."""
    provenance, weights = record.decision.provenance or {}, record.fingerprint.get("weights")
    return made_for_another(provenance, weights=weights, fingerprint=digest_of(record))


def refuse_other_systems(runs: Sequence[Path], records: Sequence[RunRecord], why: str) -> None:
    """Refuse runs whose scores did not come from the system of the first.

    Args:
        runs: the run folders.
        records: their `run.json`.
        why: what is wrong with that, as a clause.

    Raises:
        UsageError: naming the first such run, and what differs.
    """
    first = records[0]
    for run, record in zip(runs, records, strict=True):
        if told := differences(first, record):
            raise UsageError(f"{run} is a run of another system than {runs[0]} ({told}): {why}")


def differences(first: RunRecord, record: RunRecord) -> str:
    """In what a run is of another system than the first, for errors; empty: it is of the same."""
    if digest_of(record) == digest_of(first):
        return ""
    return changes(_told(first), _told(record), "{place} is {now}, not {before}")


def changes(before: object, now: object, words: str = "{place} was {before} and is {now}") -> str:
    """What differs in a system's fingerprint, for errors: three places at most, and how many more there are."""
    places = _differing(before, now, words)
    return first_of(places, 3, between="; ")


def _differing(before: object, now: object, words: str, place: str = "") -> list[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = [*before, *(key for key in now if key not in before)]
        return [
            told
            for key in keys
            for told in _differing(before.get(key), now.get(key), words, f"{place}.{key}" if place else str(key))
        ]
    if before == now:
        return []
    was, is_ = ("nothing" if value is None else json.dumps(value) for value in (before, now))
    return [words.format(place=place, before=_short(was), now=_short(is_))]


def _short(text: str, length: int = 40) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _told(record: RunRecord) -> dict[str, Json]:
    return {"name of the system": record.about.system, **_of_scores(record.fingerprint)}


def _of_scores(fingerprint: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in fingerprint.items() if key not in NOT_OF_SCORES}


def _differ(theirs: object, mine: object) -> bool:
    return None not in (theirs, mine) and theirs != mine
