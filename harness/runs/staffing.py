"""Who does the work of a run: this process alone, or so many workers on so many devices."""

import os
from dataclasses import replace
from pathlib import Path

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.record.config import AS_MANY_AS_PAY, RunConfig
from s5eval.harness.record.run_record import Staff

PAYS_FROM = 20
"""With fewer mixtures `auto` starts no workers: each takes seconds to begin."""

_BYTES_PER_WORKER = 1 << 30  # beyond what the system itself takes: libraries, and the audio of a mixture


def check_staffing(config: RunConfig) -> None:
    """Refuse options that contradict each other or mean nothing.

    Raises:
        UsageError: naming the option.
    """
    if config.workers is not None and config.workers < 0:
        raise UsageError(f"--workers is {config.workers}, expected a number from 1, or auto")
    if config.engine not in ("processes", "ray"):
        raise UsageError(f"--engine is {config.engine!r}, expected processes or ray")
    if config.engine == "ray":
        if config.devices:
            raise UsageError("--devices is for processes of this machine; with --engine ray say --gpus-per-worker")
        if not config.workers:
            raise UsageError("--engine ray needs a number of --workers, such as --workers 8")
    elif config.address is not None or config.gpus_per_worker is not None:
        raise UsageError("--address and --gpus-per-worker go with --engine ray")
    for device in config.devices:
        if not device.isdecimal():
            raise UsageError(f"--devices: {device!r}, expected numbers of GPUs, such as 0,1")


def staff_of(config: RunConfig, device: str, mixtures: int) -> Staff | None:
    """Who is to work; None: this process alone.

    Args:
        config: of the run; see `check_staffing`.
        device: what `--device` comes to.
        mixtures: how many there are.
    """
    if config.engine == "ray":
        return Staff(config.workers or 1, "ray", ("cuda" if config.gpus_per_worker else "cpu",))
    devices = tuple(f"cuda:{number}" for number in config.devices) or (device,)
    if config.workers is None and not config.devices:
        return None
    if config.workers in (None, AS_MANY_AS_PAY):
        return _automatic(config, devices, mixtures)
    share = max(1, cores() // config.workers) if devices[0] == "cpu" else None
    return Staff(config.workers, "processes", devices, share)


def _automatic(config: RunConfig, devices: tuple[str, ...], mixtures: int) -> Staff | None:
    if not devices[0].startswith("cuda"):
        size = free_cores()
        return Staff(size, "processes", devices, 1) if size > 1 and mixtures > PAYS_FROM else None
    if not config.devices and devices == ("cuda",):
        import torch

        devices = tuple(f"cuda:{number}" for number in range(torch.cuda.device_count()))
    if len(devices) == 1 and not config.devices:
        return None  # one GPU, one process: a second would only hold the same weights
    return Staff(len(devices), "processes", devices)


def within_memory(staff: Staff | None, config: RunConfig) -> Staff | None:
    """What `auto` may start, now that this process is as large as a worker will be."""
    if staff is None or config.workers != AS_MANY_AS_PAY or staff.devices[0] != "cpu":
        return staff
    size = min(staff.size, memory_for_workers())
    return replace(staff, size=size) if size > 1 else None


def cores() -> int:
    """Cores that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _quota()))


def free_cores() -> int:
    """Cores that nobody else is busy on, by the load of the last minute; at least one."""
    return max(1, cores() - round(os.getloadavg()[0]))


def memory_for_workers() -> int:
    """How many workers the free memory holds, each as large as this process and its audio; at least one."""
    own = _status_bytes(Path("/proc/self/status"), "VmRSS:")
    free = _status_bytes(Path("/proc/meminfo"), "MemAvailable:")
    return max(1, free // (own + _BYTES_PER_WORKER)) if own and free else cores()


def _status_bytes(file: Path, key: str) -> int:
    """A line of kilobytes below /proc; 0 where there is none."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(key)), 0)


def _quota() -> int:
    """Cores that a container is given; without a limit, more than there are."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return 1 << 20
