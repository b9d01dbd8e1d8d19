"""Checkpoints that survive being killed.

A checkpoint is a folder `step-<number>` of safetensors files, one per kind of value and each no larger than the part
itself, with `state.json`, which lists their digests and closes with its own. It is written under another name, handed
over to the disk, and renamed when it is complete; all but the last two are removed afterwards. One that a disk has
damaged is noticed when it is read, and the one before it goes on: a training resumes to the bit from any of them.
Nothing in it is pickled.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import sync_folder, write_atomically
from s5eval.data_manifests.common.safe_names import check_name
from s5eval.data_manifests.common.sealed import DamagedError, seal, unseal
from s5eval.systems.energy import Energy, read_energy
from s5eval.systems.training.exports import write_tensors
from s5eval.systems.weight_files import read_tensors

_KEPT = 2  # checkpoints
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
        figures: running means of the terms.
        built_on: digests of the frozen parts.
        started_from: digests of what the trained parts began with, where they did not begin at random.
        energy: of every sitting until now (`s5eval.systems.energy`); None for one in which it was not measured.
    """

    step: int
    seconds: float
    digest: str
    weights: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    moments: Mapping[str, Mapping[str, Tensor]]
    figures: Mapping[str, float]
    built_on: Mapping[str, str]
    started_from: Mapping[str, str] = field(default_factory=dict)
    energy: Sequence[Energy | None] = ()


def save(folder: Path, state: State) -> Path:
    """Write a checkpoint and remove all older ones but the last.

    Where one of the same step stands already, as while slots are made before the first, only its seconds and its
    energy grow.

    Returns:
        Its folder.

    Raises:
        DataError: it cannot be written; the previous one stays.
    """
    final = folder / f"step-{state.step:08d}"
    if final.exists():  # the same step of the same plan has the same weights, and it must never be missing
        _add_seconds(final / "state.json", state)
        return final
    draft = folder / f".{final.name}.{os.getpid()}"
    try:
        shutil.rmtree(draft, ignore_errors=True)  # of a process that had the same number
        draft.mkdir(parents=True)
        tables = {"weights": state.weights, "average": state.average}
        tables |= {f"optimiser.{kind}": table for kind, table in state.moments.items()}
        tables = {name: table for name, table in tables.items() if table}
        files = {
            f"{name}.safetensors": write_tensors(draft / f"{name}.safetensors", table) for name, table in tables.items()
        }
        content = {
            "step": state.step,
            "seconds": state.seconds,
            "plan": state.digest,
            "tables": sorted(tables),
            "files": files,
            "figures": dict(state.figures),
            "built_on": dict(state.built_on),
            "started_from": dict(state.started_from),
            "energy": _told(state),
        }
        write_atomically(draft / "state.json", seal(content, indent=1))
        draft.rename(final)
        sync_folder(folder)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise DataError(f"{final}: the checkpoint cannot be written: {error.strerror or error}") from error
    drafts = [path for path in folder.iterdir() if path.name.startswith(".step-")]
    for path in [*_checkpoints(folder)[:-_KEPT], *drafts]:
        shutil.rmtree(path, ignore_errors=True)
    return final


def _add_seconds(path: Path, state: State) -> None:
    try:
        content = dict(unseal(path.read_bytes()).content)
        if float(content["seconds"]) < state.seconds:
            write_atomically(path, seal({**content, "seconds": state.seconds, "energy": _told(state)}, indent=1))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read or written ({error}); expected {_AGAIN}") from error


def _told(state: State) -> list[dict[str, Any] | None]:
    return [None if told is None else asdict(told) for told in state.energy]


def _checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, the oldest first."""
    return sorted(path for path in folder.iterdir() if _NAME.match(path.name)) if folder.is_dir() else []


def load(folder: Path, digest: str, say: Callable[[str], None] | None = None) -> State | None:
    """The newest checkpoint in a folder that is whole; None where there is none at all.

    Args:
        folder: of checkpoints.
        digest: of the plan.
        say: is told of a damaged one that is passed over, and removed by the next `save`.

    Raises:
        UsageError: it belongs to another plan.
        DataError: none can be read.
    """
    damaged: list[tuple[Path, DataError]] = []
    for path in reversed(_checkpoints(folder)):
        try:
            state = _read(path, digest)
        except DataError as error:
            damaged.append((path, error))
            continue
        for lost, fault in damaged:
            if say is not None:
                say(f"{fault}; going on from the checkpoint before it, {path.name}")
            with contextlib.suppress(FileNotFoundError):  # another process of the same training was faster
                lost.rename(lost.with_name(f".{lost.name}.damaged"))
        return state
    if damaged:
        raise damaged[0][1]
    return None


def _read(newest: Path, digest: str) -> State:
    try:
        found = unseal((newest / "state.json").read_bytes())
        content = found.content
        if "files" in content and not found.sealed:
            raise DamagedError("its digest is gone")
        step, seconds, plan = int(content["step"]), float(content["seconds"]), str(content["plan"])
        tables = [check_name(name, str(newest / "state.json")) for name in content["tables"]]
        files = dict(content.get("files", {}))  # checkpoints of before have none
        figures = {str(name): float(value) for name, value in content["figures"].items()}
        # of before, or of a time when nobody measured: something, and not known what
        energy = [read_energy(told) for told in content.get("energy", [None] if step else [])]
        built_on, started_from = (
            {str(name): str(value) for name, value in content[key].items()} for key in ("built_on", "started_from")
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{newest / 'state.json'}: cannot be read ({error}); expected {_AGAIN}") from error
    if plan != digest:
        raise UsageError(
            f"{newest} was made by another recipe or other settings, or on other recordings; give them again, or "
            "another `out`, or remove that folder to begin anew"
        )

    for name, recorded in files.items():
        path = newest / str(name)
        if path.is_file() and file_sha256(path) != recorded:
            raise DataError(f"{path}: not what was written: its digest is another one; expected {_AGAIN}")
    read = {
        name: {
            key: value
            for key, value in read_tensors(newest / f"{name}.safetensors", _AGAIN).items()
            if isinstance(value, Tensor)
        }
        for name in tables
    }
    moments = {name.partition(".")[2]: table for name, table in read.items() if name.startswith("optimiser.")}
    return State(
        step=step,
        seconds=seconds,
        digest=plan,
        weights=read.get("weights", {}),
        average=read.get("average", {}),
        moments=moments,
        figures=figures,
        built_on=built_on,
        started_from=started_from,
        energy=energy,
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


def probe(folder: Path) -> None:
    """Make a folder and write to it, before time is spent on what is to go there.

    Raises:
        DataError: it cannot be made or written to.
    """
    test = folder / f".probe.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        test.write_bytes(b"")
        test.unlink()
    except OSError as error:
        raise DataError(f"{folder}: cannot be written to: {error.strerror or error}") from error
