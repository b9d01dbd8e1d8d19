"""The baseline's networks at their published sizes, ResUNetK on one thread: seconds and memory per mixture of 10 s.

The official code, in an earlier measurement: ResUNetK 8.7 to 9.1 s and 2.4 GB. Beside the
figures stands the plain definition of the same network in the same process, so that the ratio tells something on a
machine that others use too; CPU seconds are the thread's own. Weights are random: costs do not depend on them.

    python tests/bench/bench_baseline.py [--repeats 3]
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch

from s5eval.data_manifests.common.memory import keep_freed_memory
from s5eval.systems.baseline.configuration import load_preset
from s5eval.systems.baseline.models.resunet import ResUNetK
from s5eval.systems.baseline.system import new_part
from s5eval.systems.profiling import high_water, reset_high_water

SAMPLES = 320_000
Row = tuple[str, float, str, str]
"""What was measured, the figure, its unit, and the bar it is held against."""


def main(repeats: int = 3) -> list[Row]:
    """Measure everything of this file; the best of `repeats`, after a first call that does not count."""
    keep_freed_memory()  # as every run does
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rows = separator_rows(repeats)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        rows += tagger_rows(repeats, threads)
    return rows


@torch.no_grad()
def separator_rows(repeats: int) -> list[Row]:
    mixture, query = 0.1 * torch.randn(1, 4, SAMPLES), torch.zeros(1, 3, 18)
    query[0, 0, 3] = query[0, 1, 5] = 1.0
    network = new_part("separator", load_preset("official")).eval()
    if not isinstance(network, ResUNetK):
        raise TypeError("the separator is a ResUNetK")
    base, shifts = network.base, network.film(network.label_embedding(query.flatten(1)))

    def plain() -> None:
        spectrum = base.stft(mixture)
        base.apply_masks(spectrum, base.after_conv(base.unet(base.features(spectrum), shifts)))

    fast_wall, fast_cpu, fast_peak = _measure(lambda: network(mixture, query), repeats)
    _, plain_cpu, plain_peak = _measure(plain, 1)
    return [
        ("ResUNetK: wall", fast_wall, "s", "≤ 4 s"),
        ("ResUNetK: CPU", fast_cpu, "s", ""),
        ("ResUNetK, plain definition: CPU", plain_cpu, "s", ""),
        ("plain / own, CPU", plain_cpu / fast_cpu, "×", ""),
        ("ResUNetK: peak memory of the process", fast_peak, "MB", "≤ 2,400 MB"),
        ("ResUNetK, plain definition: peak memory", plain_peak, "MB", ""),
    ]


@torch.no_grad()
def tagger_rows(repeats: int, threads: int) -> list[Row]:
    mixture, rows = 0.1 * torch.randn(1, 4, SAMPLES), list[Row]()
    for kind, bar in (("1c", "≤ 0.47 s" if threads == 2 else ""), ("4c", "")):
        tagger = new_part(f"tagger-{kind}", load_preset("official")).eval()
        wall, _, _ = _measure(partial(tagger, mixture), repeats)
        rows.append((f"M2DAT_{kind}, threads {threads}: wall", wall, "s", bar))
    return rows


def _measure(work: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """Wall seconds and CPU seconds of the calling thread, the best of each, and peak memory in MB."""
    work()
    wall, cpu = [], []
    reset_high_water()
    for _ in range(repeats):
        start, own = time.perf_counter(), time.thread_time()
        work()
        wall.append(time.perf_counter() - start)
        cpu.append(time.thread_time() - own)
    return min(wall), min(cpu), high_water() / 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for name, figure, unit, bar in main(options.repeats):
        print(f"{name:45} {figure:9.2f} {unit:3} {bar}")
