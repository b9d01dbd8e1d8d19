"""Weights between two trainings of the same parts, the later one begun from the earlier: `(1 − share)·old + share·new`.

What was trained on other sounds gains there and loses where it was before; in between lies most of the gain and little
of the loss (Wortsman et al., CVPR 2022, "Robust fine-tuning of zero-shot models").

    python -m s5eval.systems.training.blend OLD NEW OUT --share 0.7 [--parts uss,dpc1,m2d]
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.systems.card import card_held, lineage_of, read_card, recordings_heard, trainings_of
from s5eval.systems.trained_settings import KEY, told_settings
from s5eval.systems.training import checkpoint
from s5eval.systems.training.exports import update_card, write_weights
from s5eval.systems.training.parts import EARLIER_RECIPE
from s5eval.systems.weight_files import checked_digest, file_digest, read_tensors

_CLUES = ("frame_encoder", "frame_embeddings", "enrollment")
"""What a card says of what extractors were told in training."""


def blend(old: Path, new: Path, out: Path, parts: Sequence[str], share: float) -> dict[str, str]:
    """Write blended parts into `out`, and what they are to its card: an entry for all that were told the same clues.

    Args:
        old: folder of weights that `new` was begun from.
        new: folder of weights.
        out: an existing folder; may be `new`.
        parts: names of parts, `<part>.safetensors` in both.
        share: of the new ones, 0 to 1.

    Returns:
        Digests of the files by part.

    Raises:
        UsageError: the share is none, no part is named, or the two were told clues of different kinds.
        DataError: a file is missing, or holds other tensors than its counterpart.
    """
    if not 0 <= share <= 1 or not parts:
        raise UsageError(f"share is {share}, parts {list(parts)}: expected a share from 0 to 1, and at least one part")
    checkpoint.probe(out)
    read_card(out)  # before anything is written
    groups = _alike({part: _told(old, new, part) for part in parts})
    settings = {part: _settings(old, new, part) for part in parts}
    inherited = [entry for folder in (old, new) for entry in _inherited(folder, parts)]
    started: dict[str, dict[str, str]] = {}
    digests: dict[str, str] = {}
    blended: dict[str, Mapping[str, Tensor]] = {}
    for part in parts:
        paths = [folder / f"{part}.safetensors" for folder in (old, new)]
        before, after = (read_tensors(path, EARLIER_RECIPE) for path in paths)
        blended[part] = _between(before, after, share, paths[1])
        digests_of = (checked_digest(path.parent, path.name) for path in paths)
        started[part] = {f"{part} ({name})": digest for name, digest in zip(("old", "new"), digests_of, strict=True)}
    with card_held(out):
        for part, tensors in blended.items():
            digests[part] = write_weights(out / f"{part}.safetensors", tensors, None)
        for trained, heard in inherited:
            update_card(out, trained, heard, written={})
        for members, told in groups:
            begun = {name: digest for part in members for name, digest in started[part].items()}
            own = {part: digests[part] for part in members}
            written = {f"{part}.safetensors": digest for part, digest in own.items()}
            known = {part: settings[part] for part in members if settings[part]}
            entry = {**_entry(members, share, begun, own), **told, **({KEY: known} if known else {})}
            update_card(out, entry, written=written)
    return digests


def _told(old: Path, new: Path, part: str) -> dict[str, Any]:
    """What the cards say of the clues that a part was told, if it is an extractor; its blend is told them as well."""
    if not part.startswith("tse"):
        return {}  # classifiers and separators are told none
    before, after = (_clues(folder, f"{part}.safetensors") for folder in (old, new))
    if before != after:
        raise UsageError(
            f"{part}: by its card it was trained on {before or 'the usual clues'} in {old}, and on "
            f"{after or 'the usual clues'} in {new}; a blend would know neither. Train both on the same"
        )
    return after


def _settings(old: Path, new: Path, part: str) -> dict[str, Any]:
    """What the cards say of the settings that a part was trained with; its blend is a network of the same."""
    paths = [folder / f"{part}.safetensors" for folder in (old, new)]
    before, after = (told_settings(path.parent, file_digest(path)) if path.is_file() else {} for path in paths)
    for key in sorted(before.keys() & after.keys()):
        if before[key] != after[key]:
            raise UsageError(
                f"{part}: by its card it was trained with system.{key}={before[key]} in {old}, and with "
                f"{after[key]} in {new}; a blend would know neither. Train both with the same"
            )
    return {**before, **after}


def _alike(told: Mapping[str, dict[str, Any]]) -> list[tuple[list[str], dict[str, Any]]]:
    """Parts that were told the same, with what that is: an entry of the card speaks for every file that it lists."""
    groups: list[tuple[list[str], dict[str, Any]]] = []
    for part, clues in told.items():
        members = next((members for members, known in groups if known == clues), None)
        if members is None:
            groups.append(([part], clues))
        else:
            members.append(part)
    return groups


def _clues(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    entries = trainings_of(folder, file_digest(path)) if path.is_file() else []
    return {key: entries[-1][key] for key in _CLUES if key in entries[-1]} if entries else {}


def _inherited(folder: Path, parts: Sequence[str]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The trainings that the parts of a folder come from, in their order, each with the recordings that it heard.

    A card tells everything that weights have heard, and the folder of a blend need be neither of the two.
    """
    digests = [file_digest(path) for part in parts if (path := folder / f"{part}.safetensors").is_file()]
    lineage = [entry for digest in digests for entry in lineage_of(folder, digest, "")]
    card = read_card(folder)
    known = card.get("recordings", {})

    def heard(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [{"digest": digest, **known[digest]} for digest in recordings_heard(entry) if digest in known]

    return [(entry, heard(entry)) for entry in card["history"] if entry in lineage]


def _entry(
    parts: Sequence[str], share: float, started: Mapping[str, str], digests: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "recipe": "blend",
        "plan": f"{share:g} of the new: {', '.join(parts)}",
        "steps": 0,
        "scenes": 0,
        "seed": 0,
        "hours": 0.0,
        "device": "cpu",
        "torch": torch.__version__,
        "started_from": dict(started),
        "figures": {},
        "files": dict(digests),
    }


def _between(old: Mapping[str, Any], new: Mapping[str, Any], share: float, path: Path) -> dict[str, Tensor]:
    differing = sorted(name for name in old.keys() | new.keys() if _form(old.get(name)) != _form(new.get(name)))
    if differing:
        raise DataError(f"{path}: {', '.join(differing[:3])} is not in both, or of another form; nothing to blend")
    return {name: _lerp(old[name], value, share) for name, value in new.items()}


def _lerp(old: Tensor, new: Tensor, share: float) -> Tensor:
    return old.double().lerp(new.double(), share).to(new.dtype) if new.is_floating_point() else new


def _form(value: object) -> object:
    return (tuple(value.shape), value.dtype) if isinstance(value, Tensor) else None


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--share", type=float, required=True, help="Of the new weights, 0 to 1.")
@click.option("--parts", default="uss,dpc1,m2d", show_default=True, help="Separated by commas.")
def main(old: Path, new: Path, out: Path, share: float, parts: str) -> None:
    """Weights between those in OLD and those in NEW, into OUT."""
    try:
        digests = blend(old, new, out, parts.split(","), share)
    except (UsageError, DataError) as error:
        raise click.ClickException(str(error)) from error
    for part, digest in digests.items():
        click.echo(f"{part}: {digest}")


if __name__ == "__main__":
    main()
