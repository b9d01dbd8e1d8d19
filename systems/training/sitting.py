"""One sitting of a training: where it runs, for how long, and what it reads and writes."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from s5eval.data_manifests.common.errors import UsageError


@dataclass(frozen=True, slots=True)
class Sitting:
    """How one sitting of a training is run; what comes out depends on `weights` and, in its last
    bits, on devices and threads; not on the times.

    Attributes:
        weights: folder that parts are read from and exported to.
        out: folder of checkpoints and TensorBoard logs.
        device: `auto`, `cpu`, `cuda`, …
        devices: how many, or `auto`.
        threads: of torch on a CPU; None: as it is.
        max_minutes: end the sitting after so long, with a checkpoint; None: when the recipe is done.
        checkpoint_minutes: time between checkpoints.
        m2d_weights: published M2D weights in place of the folder's.
        af_whisper_weights: published AF-Whisper weights likewise.
    """

    weights: Path
    out: Path
    device: str = "auto"
    devices: int | str = "auto"
    threads: int | None = None
    max_minutes: float | None = None
    checkpoint_minutes: float = 2.0
    m2d_weights: Path | None = None
    af_whisper_weights: Path | None = None


def make_fabric(sitting: Sitting, *, precision: str) -> Any:
    """Lightning's Fabric on the devices of a sitting, launched; `precision` is that of the recipe.

    Raises:
        UsageError: Lightning is not installed, or there is no such device.
    """
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.loggers.tensorboard import TensorBoardLogger
        from lightning.fabric.plugins.environments.lightning import LightningEnvironment
        from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    except ImportError as error:
        raise UsageError(f"training needs Lightning ({error}): pip install 's5eval[train]'") from error
    kind, devices = _devices(sitting)
    logger = None
    with contextlib.suppress(ImportError, ModuleNotFoundError):
        logger = TensorBoardLogger(root_dir=sitting.out, name="", version="tensorboard")
    fabric = Fabric(
        accelerator=kind,
        devices=devices,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        loggers=logger,
        # Never what the batch system's variables say (SLURM_NTASKS of a whole job): processes are counted by `devices`.
        plugins=[] if TorchElasticEnvironment.detect() else [LightningEnvironment()],
    )
    fabric.launch()
    return fabric


def _devices(sitting: Sitting) -> tuple[str, Any]:
    """Lightning's `accelerator` and `devices`: all CUDA devices where there are some, else one process."""
    kind, colon, index = sitting.device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (colon and not (kind == "cuda" and index.isdecimal())):
        raise UsageError(f"device {sitting.device!r}: expected auto, cpu, cuda or cuda:N")
    found = torch.cuda.device_count()
    if kind == "cuda" and int(index or 0) >= found:
        raise UsageError(f"device {sitting.device!r}: there are {found} CUDA devices; `device=cpu` trains without one")
    cuda = kind == "cuda" or (kind == "auto" and found > 0)
    count = sitting.devices
    if count != "auto" and (not isinstance(count, int) or count < 1 or (cuda and count > found)):
        raise UsageError(f"devices is {count!r}, expected auto or a number from 1" + (f" to {found}" if cuda else ""))
    if index:
        return "cuda", [int(index)]
    # more processes on a CPU only where they are asked for
    return ("cuda" if cuda else "cpu"), (found if cuda else 1) if count == "auto" else count


def device_name(device: torch.device) -> str:
    """What a card says of a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {os.cpu_count()} cores"
