"""How fast scenes are made for training: `python tests/bench/bench_synthesis.py`."""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from s5eval.data_manifests.common.memory import keep_freed_memory
from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.synthesis.foley import INTERFERENCE_KINDS, draw_event
from s5eval.data_manifests.synthesis.rooms import RoomBank
from s5eval.data_manifests.synthesis.scene import VALIDATION_COUNTS, Material, Recipe, draw_scene
from s5eval.data_manifests.synthesis.scene_audio import render_scene
from s5eval.data_manifests.synthesis.sources import FoleySources

THREE_EVENTS = Recipe(target_counts=(0, 0, 0, 1), interference_counts=(1,))
AS_VALIDATION = Recipe(target_counts=VALIDATION_COUNTS)


def measure(scenes: int = 60) -> Mapping[str, float]:
    """Scenes per second of one core's time (10 s, 32 kHz, four channels, rooms cached), and seconds per room."""
    import numpy as np

    keep_freed_memory()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        rooms = RoomBank(seed=1, n_rooms=4, folder=Path(folder))
        material = Material(FoleySources(CLASSES), FoleySources(INTERFERENCE_KINDS), rooms)
        start = time.process_time()
        for index in range(len(rooms)):
            rooms.prepare(index)
        figures["seconds per room of 16 positions"] = (time.process_time() - start) / len(rooms)
        for name, recipe in (("three events + noise", THREE_EVENTS), ("as in validation", AS_VALIDATION)):
            seconds = [
                _best(
                    lambda index=index, recipe=recipe: render_scene(  # type: ignore[misc]
                        draw_scene(seed=3, index=index, material=material, recipe=recipe)
                    )
                )
                for index in range(scenes)
            ]
            figures[f"scenes per second and core, {name}"] = scenes / sum(seconds)
    events = [
        _best(lambda label=label, seed=seed: draw_event(label, np.random.Generator(np.random.PCG64(seed))))  # type: ignore[misc]
        for label in CLASSES
        for seed in range(5)
    ]
    figures["milliseconds per procedural event"] = sum(events) / len(events) * 1e3
    return figures


def _best(work: Callable[[], object], repeats: int = 3) -> float:
    """Seconds of processor time, the best of some runs: what neighbours on the machine cost is not the code's."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def main() -> Mapping[str, float]:
    """Measure and print."""
    figures = measure()
    for name, value in figures.items():
        sys.stdout.write(f"{name}: {value:.2f}\n")
    return figures


if __name__ == "__main__":
    main()
