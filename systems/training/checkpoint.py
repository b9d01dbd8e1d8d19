"""Checkpoints that survive being killed, and the export of trained parts.

A checkpoint is a folder `step-<number>` of safetensors files, one per kind of value and each no larger than the part
itself, with `state.json`. It is written under another name and renamed when it is complete, so what carries the right
name can be read; older ones are removed afterwards. Nothing in it is pickled.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from s5eval.data_manifests.errors import DataError, UsageError
from s5eval.systems.loading import file_digest, read_tensors

_NAME = re.compile(r"^step-(\d+)$")
_AGAIN = "an earlier sitting of this training; remove the folder to begin anew"


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the next step depends on.

    Attributes:
        step: optimiser steps done.
        seconds: of training so far.
        digest: of the plan.
        weights: trained parts' values by name.
        average: their running average; empty without one.
        moments: per kind (`exp_avg`, …), values by name.
    """

    step: int
    seconds: float
    digest: str
    weights: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    moments: Mapping[str, Mapping[str, Tensor]]


def save(folder: Path, state: State) -> Path:
    """Write a checkpoint and remove the older ones.

    Returns:
        Its folder.

    Raises:
        DataError: it cannot be written; the previous one stays.
    """
    final = folder / f"step-{state.step:08d}"
    draft = folder / f".{final.name}.{os.getpid()}"
    try:
        draft.mkdir(parents=True)
        tables = {"weights": state.weights, "average": state.average}
        tables |= {f"optimiser.{kind}": table for kind, table in state.moments.items()}
        for name, table in tables.items():
            if table:
                _write(draft / f"{name}.safetensors", table)
        content = {"step": state.step, "seconds": state.seconds, "plan": state.digest, "tables": sorted(tables)}
        (draft / "state.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
        for file in draft.iterdir():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
        if final.exists():
            shutil.rmtree(final)
        draft.rename(final)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise DataError(f"{final}: the checkpoint cannot be written: {error.strerror or error}") from error
    for path in folder.iterdir():
        if path != final and (_NAME.match(path.name) or path.name.startswith(".step-")):
            shutil.rmtree(path, ignore_errors=True)
    return final


def load(folder: Path, digest: str) -> State | None:
    """The newest checkpoint in a folder; None where there is none.

    Raises:
        UsageError: it belongs to another plan.
        DataError: it cannot be read.
    """
    found = sorted(path for path in folder.iterdir() if _NAME.match(path.name)) if folder.is_dir() else []
    if not found:
        return None
    newest = found[-1]
    try:
        content = json.loads((newest / "state.json").read_text(encoding="utf-8"))
        step, seconds, plan = int(content["step"]), float(content["seconds"]), str(content["plan"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{newest / 'state.json'}: cannot be read ({error}); expected {_AGAIN}") from error
    if plan != digest:
        raise UsageError(
            f"{newest} was made by another recipe or other settings; give them again, or another --out, "
            "or remove that folder to begin anew"
        )

    def table(path: Path) -> dict[str, Tensor]:
        return {name: value for name, value in read_tensors(path, _AGAIN).items() if isinstance(value, Tensor)}

    moments = {path.name.split(".")[1]: table(path) for path in sorted(newest.glob("optimiser.*.safetensors"))}
    average = newest / "average.safetensors"
    return State(
        step,
        seconds,
        plan,
        table(newest / "weights.safetensors"),
        table(average) if average.is_file() else {},
        moments,
    )


def optimiser_moments(
    optimiser: torch.optim.Optimizer, names: Mapping[nn.Parameter, str]
) -> dict[str, dict[str, Tensor]]:
    """The optimiser's state, turned about: per kind of value, a table by the parameter's name."""
    moments: dict[str, dict[str, Tensor]] = {}
    for parameter, values in optimiser.state.items():
        for kind, value in values.items():
            moments.setdefault(kind, {})[names[cast(nn.Parameter, parameter)]] = torch.as_tensor(value).detach()
    return moments


def restore_moments(
    optimiser: torch.optim.Optimizer,
    names: Mapping[nn.Parameter, str],
    moments: Mapping[str, Mapping[str, Tensor]],
) -> None:
    """The inverse of `optimiser_moments`."""
    for parameter, name in names.items():
        values = {kind: table[name] for kind, table in moments.items() if name in table}
        if values:
            optimiser.state[parameter] = {
                kind: value.clone() if kind == "step" else value.to(parameter.device, copy=True)
                for kind, value in values.items()
            }


def export(path: Path, weights: Mapping[str, Tensor], kind: torch.dtype) -> str:
    """Write weights as safetensors, floating-point ones as `kind`, and return the file's digest, `sha256:…`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    _write(draft, {key: value.to(kind) if value.is_floating_point() else value for key, value in weights.items()})
    draft.replace(path)
    return file_digest(path)


def update_card(folder: Path, entry: Mapping[str, Any]) -> None:
    """Add what was done to `card.json` of a weights folder; the history is kept in order, an export again is no news.

    Raises:
        DataError: the card that is there cannot be read.
    """
    path = folder / "card.json"
    card: dict[str, Any] = {"history": []}
    if path.is_file():
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
            card["history"] = [dict(old) for old in card.get("history", [])]
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise DataError(f"{path}: cannot be read as a card ({error}); remove it to begin a new one") from error
    others = [old for old in card["history"] if (old.get("recipe"), old.get("plan")) != (entry["recipe"], entry["plan"])]
    card["history"] = [*others, dict(entry)]
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)


def _write(path: Path, table: Mapping[str, Tensor]) -> None:
    # not `save_file`: that one leaves files that only their owner can read
    path.write_bytes(save_tensors({name: value.detach().cpu().contiguous() for name, value in table.items()}))
