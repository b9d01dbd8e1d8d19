"""What the spatial filter is worth: SDRi of stage 1's estimates, filtered in several ways, and of stage 2's.

An extractor is told stage 1's estimates as they ship filtered. Sources are matched to stage 1's slots by the best
permutation; scenes are like those of the embedded `valid` split, of a seed of their own. The differences are paired.

    python tests/bench/bench_filter.py [--scenes N] [--weights FOLDER]
"""

import argparse
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from bench_clues import SHIPPED, scenes_of_their_own, snr
from torch.nn import functional as F

from s5eval.data_manifests.training_scenes import start_worker
from s5eval.systems.multistage.configuration import load_preset
from s5eval.systems.multistage.training.trainer import _earlier
from s5eval.systems.spatial_filter import spatially_filtered
from s5eval.systems.training.batches import collate
from s5eval.systems.training.parts import PartsFolder

PLAIN = "stage 1, not filtered"
SECOND = "stage 2"


def main(scenes: int, weights: Path) -> None:
    """Print a row per setting."""
    start_worker(0)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    configuration = load_preset("mini")
    own = configuration.spatial_filter.of_enrollments()
    if own is None:
        raise SystemExit("preset mini filters no enrollments: there is nothing to measure")
    variants = {"as it ships": own}
    variants |= {f"share {share}": replace(own, share=share) for share in (0.3, 0.8, 1.0)}
    variants |= {f"window {window}": replace(own, window=window) for window in (1024, 2048, 4096, 16384)}
    variants |= {f"noise {noise}": replace(own, noise=noise) for noise in (0.3, 1.0, 2.0)}
    variants |= {f"loading {loading}": replace(own, loading=loading) for loading in (0.001, 0.01, 0.3)}
    stages = _earlier(3, configuration, PartsFolder(weights, torch.device("cpu")))
    ((extractor, _),) = stages.refinements
    data = scenes_of_their_own(scenes)
    gained: dict[str, list[float]] = defaultdict(list)
    seconds = []
    for index in range(scenes):
        slots = replace(stages, refinements=())(collate([data[index]]))
        slots = slots.pick(torch.nonzero(slots.labels >= 0)[:, 0])
        base = snr(slots.target, slots.mixture[:, 0])
        with torch.inference_mode():
            classes = F.one_hot(slots.predicted, slots.classes).float()
            gained[PLAIN] += (snr(slots.target, slots.audio) - base).tolist()
            for name, settings in variants.items():
                begun = time.perf_counter()
                filtered = spatially_filtered(slots.mixture[0], slots.audio, settings)
                seconds += [time.perf_counter() - begun] if settings == own else []
                gained[name] += (snr(slots.target, filtered) - base).tolist()
            told = stages.enroll(slots.audio, slots)
            estimates = extractor(slots.mixture, told, classes, stages.embed(told, slots.mixture)).estimate
            gained[SECOND] += (snr(slots.target, estimates) - base).tolist()
            for share in (0.3, 0.6):
                behind = spatially_filtered(slots.mixture[0], estimates, replace(own, share=share))
                gained[f"{SECOND}, share {share} behind it"] += (snr(slots.target, behind) - base).tolist()
    print(f"{scenes} scenes, {len(gained[PLAIN])} sources; SDRi, dB, and the paired difference from {PLAIN};")
    print(f"of what is behind {SECOND}, from that one")
    for name, values in gained.items():
        before = SECOND if name.startswith(f"{SECOND},") else PLAIN
        difference = np.array(values) - np.array(gained[before])
        half = 1.96 * difference.std() / np.sqrt(len(difference))
        print(f"  {name:32s} {np.mean(values):6.2f}  {difference.mean():+.2f} ± {half:.2f}")
    print(f"as it ships: {np.median(seconds):.2f} s of one thread a scene of 10 s, at most {max(seconds):.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    options = parser.parse_args()
    main(options.scenes, options.weights)
