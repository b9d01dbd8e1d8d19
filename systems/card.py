"""The card of a weights folder: `card.json` says what was done, and which digests its files had when they were written.

`history` lists the recipes, each with the digests of the parts that it exported; `files` has the digest that each file
has now, by its path below the folder: what recipes export, and the rest, such as `thresholds.yaml`. A file that the
card lists and that is not what was written is refused by name; one that it does not list is somebody's own, and is
taken as it is.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.files import write_atomically
from s5eval.data_manifests.common.lock import InUseError, take_lock

CARD = "card.json"

_LONGEST = 60.0  # seconds: longer than any export takes


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a folder; an empty one where there is none.

    Raises:
        DataError: it cannot be read as a card.
    """
    path = folder / CARD
    if not path.is_file():
        return {"history": []}
    try:
        card = dict(json.loads(path.read_text(encoding="utf-8")))
        history = list(card.get("history", []))
        for listed in (card, *history):
            dict(listed.get("files", {}))
        return {**card, "history": [dict(old) for old in history]}
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as a card ({error}); remove it to begin a new one") from error


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write the card of a folder, atomically and synced.

    Raises:
        DataError: it cannot be written.
    """
    path = folder / CARD
    try:
        write_atomically(path, json.dumps(card, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error


def trainings_of(folder: Path | None, digest: str) -> list[dict[str, Any]]:
    """The entries of a folder's history that exported a file of this digest; none where there is no folder.

    Raises:
        DataError: the card cannot be read.
    """
    return [] if folder is None else _that_exported(digest, read_card(folder)["history"])


def built_on(folder: Path, digest: str, part: str) -> set[str]:
    """Digests of another part that trainings of a file were built on, or exported beside it; none: it is not told.

    Args:
        folder: of weights.
        digest: of the file.
        part: name of the other one, such as `m2d`.

    Raises:
        DataError: the card cannot be read.
    """
    entries = trainings_of(folder, digest)
    told = [dict(entry.get(key) or {}).get(part) for entry in entries for key in ("built_on", "files")]
    return {str(other) for other in told if other is not None}


def lineage_of(folder: Path, digest: str, prefix: str) -> list[dict[str, Any]]:
    """The entries of a folder's history that exported a file, or one of those that it was begun from, and so on.

    Args:
        folder: of weights.
        digest: of the file.
        prefix: of the names of the parts that are followed, such as `tse`: a training may begin with others as well.

    Raises:
        DataError: the card cannot be read.
    """
    history = read_card(folder)["history"]
    found: list[dict[str, Any]] = []
    waiting, seen = [digest], {digest}
    while waiting:
        for entry in _that_exported(waiting.pop(), history):
            found.append(entry)
            begun = dict(entry.get("started_from", {}))
            new = {value for part, value in begun.items() if part.startswith(prefix)} - seen
            waiting += sorted(new)
            seen |= new
    return found


def all_heard(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What tells of the material of a training: its entry, and those of others whose slots it heard beside its own."""
    slots = entry.get("slots")
    others = slots.get("also", ()) if isinstance(slots, Mapping) else ()
    return [told for told in (entry, *others) if isinstance(told, Mapping)]


def recordings_heard(entry: Mapping[str, Any]) -> list[str]:
    """Digests of the folders of recordings that a training heard, in whichever way."""
    return [str(digest) for told in all_heard(entry) for digest in told.get("recordings", ())]


def _that_exported(digest: str, history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in history if digest in dict(entry.get("files", {})).values()]


def recorded_digests(folder: Path, name: str) -> set[str]:
    """The digest, `sha256:…`, that a file of a folder has according to its card; none: it does not say.

    `files` of the card has the last word. Where it says nothing of a file, the card is of an earlier version, and what
    any recipe has exported under that name is taken.

    Args:
        folder: of weights.
        name: the file's path below it, such as `uss.safetensors` or `af_whisper/model.safetensors`.
    """
    card = read_card(folder)
    if (last := card.get("files", {}).get(name)) is not None:
        return {str(last)}
    part = name.removesuffix(".safetensors")
    found = {old.get("files", {}).get(part) for old in card["history"]}
    return {str(digest) for digest in found if digest is not None}


@contextmanager
def card_held(folder: Path) -> Iterator[None]:
    """Hold a folder's card within a block that changes it, or files that it lists: others wait.

    Raises:
        DataError: somebody holds it for more than a minute, or the folder cannot be written.
    """
    try:
        lock = take_lock(folder, name=".card.lock", wait=_LONGEST)
    except InUseError as error:
        raise DataError(f"{folder / CARD}: another process has been at work on it for a minute ({error})") from error
    except OSError as error:
        raise DataError(f"{folder}: cannot be written to: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def check_digest(folder: Path, name: str, digest: str) -> str:
    """`digest`, if the card of the folder does not say that the file should have another one.

    Raises:
        DataError: the file is damaged, or another one; or the card cannot be read.
    """
    recorded = recorded_digests(folder, name)
    if recorded and digest not in recorded:
        raise DataError(
            f"{folder / name}: not what was written: its digest {digest[:23]}… is not the one on {CARD} "
            f"({sorted(recorded)[0][:23]}…). Get the folder again, or export or tune again; whoever has put another "
            f"file there on purpose takes its entry off {CARD}"
        )
    return digest


def record_file(folder: Path, name: str) -> None:
    """Put the digest of a file that no recipe exports on the card; a folder without a card needs none.

    Raises:
        DataError: the card cannot be read or written.
    """
    if (folder / CARD).is_file():
        with card_held(folder):
            card = read_card(folder)
            files = {**card.get("files", {}), name: f"sha256:{file_sha256(folder / name)}"}
            write_card(folder, {**card, "files": files})
