"""What workers gain, and what they cost their driver.

Tiny tasks a second through the queue; how many times faster a system that sleeps a second per mixture is by two and
four workers, from the moment they are all ready; the driver's CPU per mixture of a real run folder; and `mini` by one
process of two threads against two workers of one, at two lengths, so that starting and working are told apart. Workers
are processes, and with `RAY_ADDRESS` set actors of that cluster as well. The load of the machine stands beside the
figures: on a busy one they say little.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from scale_jobs import Sleeper

from s5eval.harness.dispatch.crew import Crew
from s5eval.harness.dispatch.driver import dispatch
from s5eval.harness.dispatch.processes import Processes
from s5eval.harness.dispatch.queue import Queue
from s5eval.harness.record.config import RunConfig
from s5eval.harness.runs.run import start_run

TINY_PER_SECOND = 1000.0
DRIVER_CPU_MS = 5.0
GAIN = {2: 1.9, 4: 3.7}

MakeCrew = Callable[[Sleeper, int], Crew]


def processes(job: Sleeper, size: int) -> Crew:
    """A crew of processes."""
    return Processes(job, size, folder=Path.cwd(), threads=1)


def actors(job: Sleeper, size: int) -> Crew:
    """A crew of Ray's."""
    from s5eval.harness.dispatch.ray_crew import RayCrew

    return RayCrew(job, size, address="auto", gpus=0)


def seconds_from_ready(make: MakeCrew, job: Sleeper, count: int, size: int) -> tuple[float, float]:
    """Wall seconds and the driver's CPU seconds of so many tasks, once all workers are ready.

    Workers begin with tasks as soon as they are ready themselves: what is done before the last one is left out.
    """
    ready: list[float] = []
    ends: list[float] = []

    def admit(name: str, facts: Mapping[str, Any]) -> None:
        ready.append(time.perf_counter())

    cpu = 0.0
    for _ in dispatch(Queue([(f"m_{k}",) for k in range(count)], places=size), make(job, size), admit=admit):
        ends.append(time.perf_counter())
        cpu = cpu or time.process_time()
    spent = time.process_time() - cpu
    counted = [end for end in ends if end > ready[-1]]
    return (counted[-1] - ready[-1]) * count / len(counted), spent


def driver_cpu_ms(count: int) -> float:
    """The driver's CPU per mixture of a whole run by two workers: journal, tables, summary and page."""
    with tempfile.TemporaryDirectory() as root:
        for folder in ("soundscape", "oracle_target"):
            (Path(root) / "set" / folder).mkdir(parents=True)
        rng = np.random.default_rng(0)
        for k in range(count):
            dry = 0.1 * rng.normal(size=3200)
            mixture = np.stack([dry + 0.01 * rng.normal(size=3200)] * 4, axis=1)
            soundfile.write(Path(root) / "set" / "soundscape" / f"m_{k:05d}.wav", mixture, 32000, subtype="FLOAT")
            soundfile.write(
                Path(root) / "set" / "oracle_target" / f"m_{k:05d}_0_Speech.wav", dry, 32000, subtype="FLOAT"
            )
        config = RunConfig("oracle-gain", data=Path(root) / "set", workers=2)
        before = resource.getrusage(resource.RUSAGE_SELF)
        start_run(config, Path(root) / "run")
        after = resource.getrusage(resource.RUSAGE_SELF)
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / count


def mini_seconds(count: int, *, workers: int | None) -> float:
    """Wall seconds of `s5eval run` on the embedded set: one process of two threads, or workers of one."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1" if workers else "2"}
    with tempfile.TemporaryDirectory() as root:
        command = [sys.executable, "-m", "s5eval.harness.cli", "run", "--system", "multistage", "--no-cache"]
        command += ["--limit", str(count), "--out", f"{root}/run", *(["--workers", str(workers)] if workers else [])]
        start = time.perf_counter()
        subprocess.run(command, env=environment, check=True, capture_output=True)
        return time.perf_counter() - start


def main() -> None:
    """Measure, print one JSON object, and end with 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", type=int, default=4000)
    parser.add_argument("--slow", type=int, default=32)
    parser.add_argument("--mixtures", type=int, default=12, help="of mini, and three times as many")
    options = parser.parse_args()
    crews: dict[str, MakeCrew] = {"processes": processes}
    if os.environ.get("RAY_ADDRESS"):
        crews["ray"] = actors
    figures: dict[str, float] = {"load": os.getloadavg()[0]}
    missed = []
    for name, make in crews.items():
        seconds, cpu = seconds_from_ready(make, Sleeper(), options.tiny, 2)
        figures |= {f"{name}_tiny_per_s": options.tiny / seconds, f"{name}_queue_cpu_ms": 1e3 * cpu / options.tiny}
        missed += [f"{name}_tiny_per_s"] if options.tiny / seconds < TINY_PER_SECOND else []
        for size, goal in GAIN.items():
            seconds, _ = seconds_from_ready(make, Sleeper(1.0), options.slow, size)
            figures[f"{name}_gain_{size}"] = options.slow / seconds
            missed += [f"{name}_gain_{size}"] if options.slow / seconds < goal else []
    figures["driver_cpu_ms"] = driver_cpu_ms(400)
    missed += ["driver_cpu_ms"] if figures["driver_cpu_ms"] > DRIVER_CPU_MS else []
    if options.mixtures:
        few, many = options.mixtures, 3 * options.mixtures
        for key, workers in (("one_process_two_threads", None), ("two_workers", 2)):
            short, long = (mini_seconds(count, workers=workers) for count in (few, many))
            figures |= {f"mini_{key}_s_per_mixture": (long - short) / (many - few), f"mini_{key}_{many}_s": long}
    rounded = {key: round(value, 3) for key, value in figures.items()}
    print(json.dumps({"bench": "scale", **rounded, "missed": missed}))
    if missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
