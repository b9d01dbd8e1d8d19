"""Where a system's weights come from, for meta files and model cards: what `card.json` tells of data and licences."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.digests import digest_start
from s5eval.data_manifests.common.licences import licence_class
from s5eval.systems.card import all_heard, read_card, recordings_heard
from s5eval.systems.energy import read_energy, total_energy

_GITHUB = re.compile(r"github ([\w.-]+/[\w.-]+)")
_FREESOUND = "https://freesound.org"


def heard_resources(card: Mapping[str, Any]) -> list[dict[str, str | None]]:
    """The recordings that the weights of a card were trained on, one entry per source and kind of licence.

    Args:
        card: as `read_card` gives it.

    Returns:
        Objects with `name` (which says how many files), `url` (None: the card gives no address) and `licence`.
        Empty: all sounds were made by s5eval itself.

    >>> heard_resources({"history": [{"recipe": "mini/uss", "data": "procedural (mini/train)"}]})
    []
    """
    listed = {digest for entry in card["history"] for digest in recordings_heard(entry)}
    counts: Counter[tuple[str, str | None, str]] = Counter()
    for digest in sorted(listed):
        told = card.get("recordings", {}).get(digest)
        if told is None:
            counts[f"recordings that the card does not describe, {digest}", None, "not stated"] += 1
            continue
        for origin in told.get("origins", ()):
            name, url = _source(str(origin["source"]))
            counts[name, url, licence_class(str(origin["licence"]))] += int(origin["files"])
    return [
        {"name": f"{name} ({count} {'file' if count == 1 else 'files'})", "url": url, "licence": licence}
        for (name, url, licence), count in sorted(counts.items(), key=lambda item: (item[0][0], item[0][2]))
    ]


def trained_on(folder: Path | None) -> frozenset[str]:
    """By what the recordings are known that the weights of a folder were trained on, wherever they lie.

    Args:
        folder: of weights; None: there are none that were trained here.

    Returns:
        Starts of digests (`digest_start`): of the folders of recordings, and of the content of every file in them,
        which cards of before do not tell.

    Raises:
        DataError: its card cannot be read.
    """
    if folder is None:
        return frozenset()
    card = read_card(folder)
    told = {digest for entry in card["history"] for digest in recordings_heard(entry)}
    listed = card.get("recordings", {})
    contents = (str(folder.get("contents", "")).split() for folder in listed.values())
    return frozenset({digest_start(digest) for digest in {*told, *listed}}.union(*contents))


def _source(said: str) -> tuple[str, str | None]:
    """Name and URL of what a recording's origin says; files of one repository, or of one site, are one source."""
    if found := _GITHUB.match(said):
        return found[1], f"https://github.com/{found[1]}"
    if said.startswith("Freesound "):
        return "Freesound", _FREESOUND
    return said, said if said.startswith(("https://", "http://")) else None


def pretrained(name: str, source: str) -> dict[str, str | None]:
    """A published model as such an entry; `source` is its URL, with its licence in brackets where it is known."""
    url, _, rest = source.partition(" ")
    licence = rest[1:-1] if rest.startswith("(") else "see the URL"
    return {"name": name, "url": url.rstrip(","), "licence": licence}


def augmentation(card: Mapping[str, Any]) -> str:
    """How the material of a card was varied, in the words of a meta file."""
    said = "scenes are synthesised while training: sounds, places, rooms, levels"
    if any(recordings_heard(entry) for entry in card["history"]):
        said += "; recordings: equaliser, speed, gain curve, reversal, mixing and joining of takes"
    return said


def training_facts(card: Mapping[str, Any]) -> dict[str, Any]:
    """What the history of a card comes to.

    Args:
        card: as `read_card` gives it.

    Returns:
        `hours`; `devices`; `data`, every kind that was heard; and `energy`, an `Energy`, with one sitting for
        each entry: None where nothing was measured.
    """
    history = card["history"]
    trained = [entry for entry in history if entry.get("steps")]
    return {
        "hours": round(sum(float(entry.get("hours", 0.0)) for entry in history), 3),
        "devices": sorted({str(entry["device"]) for entry in trained if "device" in entry}),
        "data": sorted({str(told["data"]) for entry in trained for told in all_heard(entry) if "data" in told}),
        "energy": total_energy([read_energy(entry.get("energy")) for entry in trained]),
    }
