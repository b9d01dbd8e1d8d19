"""One sitting of a training: where it runs, for how long, and what it reads and writes."""

import atexit
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from s5eval.data_manifests.common.errors import UsageError
from s5eval.systems.training.launch import Launch, agree, check_count, find_launch, note
from s5eval.systems.training.together import leave


@dataclass(frozen=True, slots=True)
class TrainingSitting:
    """How one sitting of a training is run; what comes out depends on `weights` and, in its last
    bits, on devices and threads; not on the times.

    Attributes:
        weights: folder that parts are read from and exported to.
        out: folder of checkpoints and TensorBoard logs.
        device: `auto`, `cpu`, `cuda`, …
        devices: how many on every node, or `auto`: as many as a launcher started there, else all GPUs.
        nodes: how many machines, or `auto`: as many as a launcher started it on, else one.
        threads: of torch on a CPU; None: as it is.
        max_minutes: end the sitting after so long, with a checkpoint; what is made before the first step counts. One
            step is always taken, or some of what is to be made. None: when the recipe is done.
        checkpoint_minutes: time between checkpoints.
        m2d_weights: published M2D weights in place of the folder's.
        af_whisper_weights: published AF-Whisper weights likewise.
        whisper_weights: published Whisper weights likewise.
        energy: estimate the energy that it takes, for the card (extra `energy`).
    """

    weights: Path
    out: Path
    device: str = "auto"
    devices: int | str = "auto"
    nodes: int | str = "auto"
    threads: int | None = None
    max_minutes: float | None = None
    checkpoint_minutes: float = 2.0
    m2d_weights: Path | None = None
    af_whisper_weights: Path | None = None
    whisper_weights: Path | None = None
    energy: bool = False


def make_fabric(sitting: TrainingSitting, *, precision: str, say: Callable[[str], None] | None = None) -> Any:
    """Lightning's Fabric on the nodes and devices of a sitting, launched.

    Args:
        sitting: where.
        precision: that of the recipe.
        say: is told what a reader must not miss.

    Raises:
        UsageError: Lightning is not installed, there is no such device, or other processes were started than the
            sitting asks for.
    """
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.loggers.tensorboard import TensorBoardLogger
        from lightning.fabric.plugins.environments.lightning import LightningEnvironment
        from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
        from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    except ImportError as error:
        raise UsageError(f"training needs Lightning ({error}): pip install 's5eval[train]'") from error
    launch = find_launch(os.environ)
    nodes, each = agree(launch, sitting.nodes, sitting.devices, os.environ)
    kind, devices = _devices(sitting, each, launch)
    count = nodes * (len(devices) if isinstance(devices, list) else devices)
    check_count(launch, count)
    if (remark := note(launch)) is not None and say is not None:
        say(remark)
    if launch.variables:
        head = SLURMEnvironment.resolve_root_node_address(launch.head)
        os.environ.update({"MASTER_ADDR": head, **launch.variables})
    logger = None
    with contextlib.suppress(ImportError, ModuleNotFoundError):
        logger = TensorBoardLogger(root_dir=sitting.out, name="", version="tensorboard")
    fabric = Fabric(
        accelerator=kind,
        devices=devices,
        num_nodes=nodes,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        loggers=logger,
        # Not what Lightning would find: it takes SLURM_NTASKS of a whole job for processes that were started.
        plugins=[TorchElasticEnvironment() if launch.by == "torchrun" else LightningEnvironment()],
    )
    fabric.launch()
    if fabric.world_size > 1:
        atexit.register(leave)  # Lightning does so for NCCL alone
    check_count(Launch("Lightning", total=fabric.world_size), count)
    return fabric


def _devices(sitting: TrainingSitting, count: int | str, launch: Launch) -> tuple[str, int | list[int]]:
    """Lightning's `accelerator` and `devices` on a node: all CUDA devices where there are some, else one process."""
    kind, colon, index = sitting.device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (colon and not (kind == "cuda" and index.isdecimal())):
        raise UsageError(f"device {sitting.device!r}: expected auto, cpu, cuda or cuda:N")
    found = torch.cuda.device_count()
    if kind == "cuda" and int(index or 0) >= found:
        raise UsageError(f"device {sitting.device!r}: there are {found} CUDA devices; `device=cpu` trains without one")
    cuda = kind == "cuda" or (kind == "auto" and found > 0)
    if launch.each is not None and index:
        raise UsageError(
            f"device {sitting.device!r} names one, but {launch.by} started {launch.each} processes on this node: give "
            "`device=cuda`"
        )
    if launch.each is not None and cuda and found < launch.each:
        raise UsageError(
            f"{launch.by} started {launch.each} processes on this node, and this one sees {found} CUDA devices: start "
            "no more processes than there are, and let each of them see all (srun --gpus-per-node, not --gpus-per-task)"
        )
    if count != "auto" and (not isinstance(count, int) or count < 1 or (cuda and count > found)):
        raise UsageError(f"devices is {count!r}, expected auto or a number from 1" + (f" to {found}" if cuda else ""))
    if index:
        return "cuda", [int(index)]
    # more processes on a CPU only where they are asked for
    return ("cuda" if cuda else "cpu"), (found if cuda else 1) if isinstance(count, str) else count


def device_name(device: torch.device) -> str:
    """What a card says of a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {os.cpu_count()} cores"
