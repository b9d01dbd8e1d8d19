"""One sitting of a training: where it runs, for how long, and what it reads and writes."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from s5eval.data_manifests.errors import UsageError


@dataclass(frozen=True, slots=True)
class Sitting:
    """How one sitting of a training is run; none of it changes what comes out on one device.

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
    except ImportError as error:
        raise UsageError(f"training needs Lightning ({error}): pip install 's5eval[train]'") from error
    kind, _, index = sitting.device.partition(":")
    accelerator = {"auto": "auto", "cpu": "cpu", "cuda": "cuda"}.get(kind)
    if accelerator is None:
        raise UsageError(f"device {sitting.device!r}: expected auto, cpu, cuda or cuda:N")
    devices: Any = [int(index)] if index else sitting.devices
    if accelerator != "cuda" and devices == "auto" and not torch.cuda.is_available():
        devices = 1  # more processes on a CPU only where asked for
    logger = None
    with contextlib.suppress(ImportError, ModuleNotFoundError):
        logger = TensorBoardLogger(root_dir=sitting.out, name="", version="tensorboard")
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        strategy="auto" if devices == 1 or index else "ddp",
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        loggers=logger,
    )
    fabric.launch()
    return fabric


def device_name(device: torch.device) -> str:
    """What a card says of a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {os.cpu_count()} cores"
