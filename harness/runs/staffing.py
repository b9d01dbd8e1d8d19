"""Who does the work of a run: this process alone, or so many workers on so many devices."""

from dataclasses import replace

from s5eval.harness.dispatch.machine import AS_MANY_AS_PAY, cores, free_cores, memory_for_workers
from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.run_record import Staff

PAYS_FROM = 20
"""With fewer mixtures `auto` starts no workers: each takes seconds to begin."""


def staff_of(config: RunConfig, device: str, mixtures: int) -> Staff | None:
    """Who is to work; None: this process alone.

    Args:
        config: of the run, checked.
        device: what `device` comes to.
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
