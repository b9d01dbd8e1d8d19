"""What this machine has to give to workers: cores that are free, and memory."""

import os
from pathlib import Path

AS_MANY_AS_PAY = 0
"""What `--workers auto` is as a number."""

_BYTES_PER_WORKER = 1 << 30  # beyond what the system itself takes: libraries, and the audio of a mixture


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
