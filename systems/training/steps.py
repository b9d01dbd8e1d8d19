"""What an optimiser step is made of beside its gradient: rate, chance, parameters, and the figures that it leaves."""

import math
import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from s5eval.systems.training.parts import TrainingJob
from s5eval.systems.training.training_recipe import OptimiserSettings


def rate(step: int, steps: int, settings: OptimiserSettings) -> float:
    """The learning rate's factor in a step: linear warm-up, then a cosine down to `final`."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    progress = (step - settings.warmup) / max(1, steps - settings.warmup)
    return settings.final + (1 - settings.final) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def seed_step(seed: int, step: int, part: int, rank: int) -> None:
    """Seed torch for a gradient; whatever it draws depends on these four alone."""
    torch.manual_seed(zlib.crc32(f"{seed} {step} {part} {rank}".encode()))


class RunningMeans:
    """Running means of the terms over the last hundred steps or so; values that are not finite are passed over.

    A figure that a batch has nothing to say of, such as the accuracy of classes where nothing sounds, is NaN there.
    """

    def __init__(self, values: Mapping[str, float]) -> None:
        """Go on from these means, by name; empty at the beginning."""
        self._values = {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Take the terms of a step in, under their names without a leading `_`."""
        # on the device: asking for a number would make it wait
        for name, value in terms.items():
            key, new = name.lstrip("_"), value.detach().double()
            old = self._values.get(key, new).to(new.device)
            moved = torch.where(old.isfinite(), old + 0.02 * (new - old), new)  # nothing yet: the first one there is
            self._values[key] = torch.where(new.isfinite(), moved, old)

    def means(self) -> dict[str, float]:
        """Those that are finite, by name."""
        values = {name: float(value) for name, value in self._values.items()}
        return {name: value for name, value in values.items() if math.isfinite(value)}


def parameter_groups(job: TrainingJob, settings: OptimiserSettings) -> list[dict[str, Any]]:
    """Parameters by part, and within a part those that decay (whatever has two dimensions or more) and those that do
    not (norms, most biases, and Mamba's A_log, D and dt_bias, which decay would change the meaning of).
    """
    owner = {p: name for name, part in job.parts.items() for p in part.network.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in job.task.parameters():
        if parameter.requires_grad:
            factor = settings.factors.get(owner.get(parameter, ""), 1.0)  # heads that are thrown away: 1
            decay = settings.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((factor, decay), []).append(parameter)
    return [{"params": p, "factor": factor, "weight_decay": decay} for (factor, decay), p in groups.items()]
