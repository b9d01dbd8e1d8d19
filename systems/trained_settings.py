"""The settings that networks were trained with, as the card of their weights tells, beside those that they run with.

Some settings change what a network computes and the shape of none of its tensors, such as twice the heads of half the
width, or the hop of a transform: weights that were learned with others load all the same, and the numbers are those of
a network that nobody has trained. A card has under `settings`, in every entry of its history, the settings of each part
that the training exported, by dotted keys. Cards of before do not say.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.card import trainings_of
from s5eval.systems.interface import Json
from s5eval.systems.settings import dotted

KEY = "settings"
"""Of an entry of a card's history."""

PartSettings = Callable[[str], Mapping[str, Any]]
"""From the name of a part to the settings, nested, that its network computes by."""


@dataclass(frozen=True, slots=True)
class Unlike:
    """A setting that parts are run with and were not trained with.

    Attributes:
        key: dotted.
        now: its value, as it is typed.
        then: the value in training, as it is typed.
        parts: their names, as the weights' files have them.
    """

    key: str
    now: str
    then: str
    parts: tuple[str, ...]


def recorded_settings(names: Iterable[str], settings: PartSettings) -> dict[str, dict[str, Json]]:
    """What a card tells of parts: the settings of each, by dotted keys; nothing of a part that has none."""
    found = {name: _plain(settings(name)) for name in names}
    return {name: told for name, told in found.items() if told}


def told_settings(folder: Path | None, digest: str) -> dict[str, Json]:
    """What the card of a folder tells of the settings that a file of this digest was trained with; none: nothing.

    Raises:
        DataError: the card cannot be read.
    """
    for entry in reversed(trainings_of(folder, digest)):
        told = entry.get(KEY)
        for name, exported in dict(entry["files"]).items():
            if exported == digest and isinstance(told, Mapping) and isinstance(told.get(name), Mapping):
                return dict(told[name])
    return {}


def unlike_trained(folder: Path | None, digests: Mapping[str, str], settings: PartSettings) -> list[Unlike]:
    """Settings that parts are run with and, by the card of their folder, were not trained with.

    Args:
        folder: of weights; None: they are random.
        digests: of the parts' files, by part; parts that share a file are told once.
        settings: of a part's network, as it is run.

    Raises:
        DataError: the card cannot be read.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    firsts: dict[str, str] = {}
    for name, digest in digests.items():
        told = told_settings(folder, digest) if firsts.setdefault(digest, name) == name else {}
        for key, now in _plain(settings(name)).items():
            if key in told and told[key] != now:
                found.setdefault((key, json.dumps(now), json.dumps(told[key])), []).append(name)
    return [Unlike(*setting, tuple(parts)) for setting, parts in found.items()]


def missing_of(folder: Path | None, digests: Mapping[str, str], settings: PartSettings) -> list[str]:
    """What a run lacks by `unlike_trained`: one text for every setting and value, as `missing_parts` holds them."""
    return [
        f"weights trained with {unlike.key}={unlike.now} ({' and '.join(unlike.parts)}: {unlike.then})"
        for unlike in unlike_trained(folder, digests, settings)
    ]


def check_built_on(folder: Path, built_on: Mapping[str, str], settings: PartSettings) -> None:
    """Refuse frozen parts that a training would run with other settings than they were trained with.

    Args:
        folder: of weights.
        built_on: digests of the frozen parts, by part.
        settings: of a part's network, as it would be run.

    Raises:
        DataError: names the part and the setting; or the card cannot be read.
    """
    for unlike in unlike_trained(folder, built_on, settings):
        raise DataError(
            f"{folder / unlike.parts[0]}.safetensors: by the card there, it was trained with "
            f"system.{unlike.key}={unlike.then}, and this training would build on it with {unlike.now}; train it with "
            f"that first, or leave system.{unlike.key} at {unlike.then}"
        )


def _plain(settings: Mapping[str, Any]) -> dict[str, Json]:
    """By dotted keys, in the types that a card gives back."""
    return cast(dict[str, Json], json.loads(json.dumps(dotted(settings))))
