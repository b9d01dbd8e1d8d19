"""What a training leaves in the folder of weights: files of parts, and on their card what was done.

The card is the record of every recipe that was exported there; `systems.card` reads and writes it as a whole.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.files import write_atomically
from s5eval.data_manifests.common.unfinished import sweep
from s5eval.systems.card import read_card, write_card

_BEGUN = ("built_on", "started_from")
"""Keys of an entry that say which files a training began with."""


def write_weights(path: Path, weights: Mapping[str, Tensor], kind: torch.dtype | None) -> str:
    """Write weights as safetensors, and return the file's digest, `sha256:…`.

    Args:
        path: of the file.
        weights: by name.
        kind: type of the floating-point ones, but for those that it cannot hold (float16 ends at 65,504), which stay as
            they are; None: all stay.

    Raises:
        DataError: a weight is not finite, or the file cannot be written.
    """
    if broken := [key for key, value in weights.items() if not value.isfinite().all()]:
        raise DataError(
            f"{path}: not written: {broken[0]} has values that are not finite ({len(broken)} of {len(weights)} tensors "
            "have some); such weights make nothing but silence or noise"
        )
    table = {key: _as(value, kind) for key, value in weights.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        return f"sha256:{write_tensors(path, table)}"
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}; make room and call again") from error


def _as(value: Tensor, kind: torch.dtype | None) -> Tensor:
    if kind is None or not value.is_floating_point():
        return value
    converted = value.to(kind)
    return converted if converted.isfinite().all() else value


def exported(
    folder: Path, recipe: str, plan: str, begun: Mapping[str, Mapping[str, str]] | None = None
) -> Mapping[str, Any] | None:
    """What the card of a weights folder says of a recipe that was exported there, None where it says nothing.

    Args:
        folder: of weights.
        recipe: its name.
        plan: its digest.
        begun: digests of what it was `built_on` and `started_from`: the same plan begun with other files is another
            training. None: whatever it was begun with.

    Raises:
        DataError: the card cannot be read.
    """
    found = [old for old in read_card(folder)["history"] if _is_of(old, recipe, plan, begun or {})]
    return found[-1] if found else None


def update_card(
    folder: Path,
    entry: Mapping[str, Any],
    material: Sequence[Mapping[str, Any]] = (),
    *,
    written: Mapping[str, str],
) -> None:
    """Add what was done to `card.json` of a weights folder, or replace what it said of the same.

    The same is the same recipe and plan, begun with the same files: a plan that is trained once more goes on from its
    own result, or is built on a part that was trained since, and both are told.

    `written` holds the digests of the files that were written just now, by their paths below the folder: what those
    names had before is no longer taken. The card is held (`card_held`) since before they were.

    What else the card holds, such as scores, stays. Folders of recordings in `material` are described under
    `recordings`, once for every digest: how many files of which licence and source.

    Raises:
        DataError: the card that is there cannot be read, or the new one not be written.
    """
    card = read_card(folder)
    history = card["history"]
    same = [k for k, old in enumerate(history) if _is_same(old, entry)]
    if same:
        history[same[-1]] = dict(entry)
    else:
        history.append(dict(entry))
    for told in material:
        if "digest" in told:
            known = {key: value for key, value in told.items() if key not in ("share", "digest")}
            card.setdefault("recordings", {})[told["digest"]] = known
    card["files"] = {**card.get("files", {}), **written}
    write_card(folder, card)


def _is_same(old: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    if "plan" not in entry:  # of an early card that a blend takes over
        return old == entry
    return _is_of(old, entry["recipe"], entry["plan"], {key: entry.get(key) for key in _BEGUN})


def _is_of(old: Mapping[str, Any], recipe: str, plan: str, begun: Mapping[str, Any]) -> bool:
    """Whether an entry tells of a plan that was begun with these files; early cards do not say what was begun with."""
    return (old.get("recipe"), old.get("plan")) == (recipe, plan) and all(
        old.get(key, files) == files for key, files in begun.items()
    )


def write_tensors(path: Path, table: Mapping[str, Tensor]) -> str:
    """Write tensors, atomically and synced; returns the file's hexadecimal SHA-256."""
    # not `save_file`: that one leaves files that only their owner can read
    content = save_tensors({name: value.detach().cpu().contiguous() for name, value in table.items()})
    return write_atomically(path, content)
