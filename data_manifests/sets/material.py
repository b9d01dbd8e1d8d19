"""`material.json` of a made set: what its scenes are made of.

It is written before the first scene, so that another order knows the folder by it, be the set finished or not.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.digests import digest_start
from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.files import make_folder, write_atomically
from s5eval.data_manifests.common.structured import check_shape, read_json
from s5eval.data_manifests.synthesis.write import refuse_other_scenes

MATERIAL = "material.json"
"""What a set was made of."""

_COMPARED = ("version", "split", "seed", "rooms", "recipe")
_SHAPE = {"scenes": int, "recordings": [{"digest": str, "contents?": {"*": str}}]}


def begin_set(folder: Path, ids: Collection[str], material: Mapping[str, Any]) -> None:
    """Write what a set is made of, where the folder does not hold another one.

    Args:
        folder: of the set; is created.
        ids: all mixtures of the set.
        material: number of `scenes`, `version`, `split`, `seed`, `rooms`, `recipe`, and `recordings` with the digest
            of each; whatever else is said is not compared.

    Raises:
        UsageError: the folder's scenes are made of something else (says of what), or some are not among `ids`.
        DataError: what is said there cannot be read, or the disk cannot take it.
    """
    make_folder(folder)
    text = json.dumps(material, indent=1) + "\n"
    if (told := _read(folder)) is not None and (differing := _differences(told, json.loads(text))):
        raise UsageError(
            f"{folder} holds scenes that were made of something else: {'; '.join(differing)}. Expected a folder of the "
            "same order, which is gone on with, or an empty one: name another `out`, or remove this folder"
        )
    refuse_other_scenes(folder, ids)
    write_atomically(folder / MATERIAL, text)


def contents_of_set(folder: Path) -> dict[str, str]:
    """The starts of the digests of a set's recordings, by the names that its records have for them.

    Empty where nothing is said of the set, as by those that were made before it was noted.

    Raises:
        DataError: what is said cannot be read.
    """
    told = _read(folder)
    return {
        f"{digest_start(entry['digest'])}/{name}": content
        for entry in (told or {}).get("recordings", ())
        for name, content in entry.get("contents", {}).items()
    }


def scenes_ordered(folder: Path) -> int | None:
    """How many scenes the set in a folder has when all are made; None where nothing is said of it.

    Raises:
        DataError: what is said cannot be read.
    """
    told = _read(folder)
    return None if told is None else int(told["scenes"])


def _read(folder: Path) -> Mapping[str, Any] | None:
    path, what = folder / MATERIAL, "what `s5eval data make` writes of a set"
    try:
        content: Mapping[str, Any] = read_json(path, what=what)
    except FileNotFoundError:
        return None
    check_shape(content, _SHAPE, str(path), f"expected {what}; make the set anew in another folder")
    return content


def _differences(told: Mapping[str, Any], ordered: Mapping[str, Any]) -> list[str]:
    named = [
        f"{key} {json.dumps(told.get(key))}, ordered is {json.dumps(ordered[key])}"
        for key in _COMPARED
        if told.get(key) != ordered[key]
    ]
    was, now = ([entry["digest"] for entry in content["recordings"]] for content in (told, ordered))
    if was != now:
        named.append(f"recordings {', '.join(was)}, ordered are {', '.join(now)}")
    return named
