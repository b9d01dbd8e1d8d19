"""What stage 2's extractor makes of its clues: SDRi of the sources when one clue is changed, all else as at inference.

A clue that costs nothing when it is wrong, and gains nothing when it is right, is not heard. Sources are matched to
stage 1's slots by the best permutation; scenes are like those of the embedded `valid` split, of a seed of their own.

    python tests/bench/bench_clues.py [--scenes N] [--weights FOLDER]
"""

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from s5eval.data_manifests.sets.mini import RECIPE, mini_material
from s5eval.data_manifests.training_scenes import TrainingScenes, start_worker
from s5eval.systems.multistage.configuration import load_preset
from s5eval.systems.multistage.training.extraction import EarlierStages, Slots, absent_classes
from s5eval.systems.multistage.training.trainer import _earlier
from s5eval.systems.training.batches import collate
from s5eval.systems.training.parts import PartsFolder

SHIPPED = Path(__file__).parents[2] / "systems" / "multistage" / "weights"


def main(scenes: int, weights: Path) -> None:
    """Print a row per clue."""
    start_worker(0)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    stages = _earlier(3, load_preset("mini"), PartsFolder(weights, torch.device("cpu")))
    data = scenes_of_their_own(scenes)
    figures: dict[str, list[float]] = defaultdict(list)
    for index in range(scenes):
        slots = replace(stages, refinements=())(collate([data[index]]))
        slots = slots.pick(torch.nonzero(slots.labels >= 0)[:, 0])
        for name, estimate in told(stages, slots):
            gained = snr(slots.target, estimate) - snr(slots.target, slots.mixture[:, 0])
            figures[name] += gained.tolist()
    base = np.array(figures[next(iter(figures))])
    print(f"{scenes} scenes, {len(base)} sources; SDRi, dB, and the paired difference from stage 1")
    for name, values in figures.items():
        difference = np.array(values) - base
        half = 1.96 * difference.std() / np.sqrt(len(difference))
        print(f"  {name:52s} {np.mean(values):6.2f}  {difference.mean():+.2f} ± {half:.2f}")


def scenes_of_their_own(count: int) -> TrainingScenes:
    """Scenes like those of the embedded `valid` split, each with a target at least, of a seed that no set has."""
    recipe = replace(RECIPE, target_counts=(0, 1 / 3, 1 / 3, 1 / 3))
    return TrainingScenes(mini_material("valid"), recipe, seed=77, scenes_per_epoch=count)


@torch.inference_mode()
def told(stages: EarlierStages, slots: Slots) -> list[tuple[str, Tensor]]:
    """Estimates (N, T) of the extractor by what it is told."""
    ((extractor, _),) = stages.refinements

    def extract(enrollment: Tensor, classes: Tensor, heard: Tensor | None) -> Tensor:
        embeddings = None if heard is None else stages.embed(heard, slots.mixture)
        estimate: Tensor = extractor(slots.mixture, enrollment, F.one_hot(classes, slots.classes).float(), embeddings)
        return estimate.estimate  # type: ignore[attr-defined, no-any-return]

    own, omni, target = stages.enroll(slots.audio, slots), slots.mixture[:, 0], slots.target
    predicted, wrong = slots.predicted, absent_classes(slots)
    return [
        ("stage 1", slots.audio),
        ("stage 2, as at inference", extract(own, predicted, own)),
        ("true class", extract(own, slots.labels, own)),
        ("a class that the scene has not", extract(own, wrong, own)),
        ("no frame embeddings", extract(own, predicted, None)),
        ("frame embeddings of the true source", extract(own, predicted, target)),
        ("frame embeddings of the mixture", extract(own, predicted, omni)),
        ("the mixture as enrollment, true class and source's embeddings", extract(omni, slots.labels, target)),
        ("the true source as enrollment", extract(target, predicted, own)),
    ]


def snr(target: Tensor, estimate: Tensor) -> Tensor:
    """dB (N,) of signals (N, T)."""
    error = (target - estimate).square().sum(-1)
    return 10 * torch.log10(target.square().sum(-1).clamp_min(1e-12) / error.clamp_min(1e-12))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    options = parser.parse_args()
    main(options.scenes, options.weights)
