"""Whether torch.compile makes a training step on the CPU faster: CPU seconds per step with and without, side by side.

Each recipe's step (forward, backward, clip, AdamW) runs on the same batches, made before, in turns: once as it is, once
compiled. What the first steps take, compiler and its children included, stands beside it, and so does the largest
difference of the loss. CPU seconds of one thread, so that what else the machine does is not in them.

    python tests/bench/bench_compile.py [--steps N] [--weights FOLDER] [--recipes uss,tse2] [--ways blocks]
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from s5eval.systems.multistage.models.deft_mamba import HybridPair
from s5eval.systems.training.batches import batches
from s5eval.systems.training.parts import PartsFolder
from s5eval.systems.training.steps import seed_step
from s5eval.systems.training.training_plan import read_plan

SHIPPED = Path(__file__).parents[2] / "systems" / "multistage" / "weights"
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "uss": ("mini/uss", {"starts_from": {"uss": "uss", "dpc1": "dpc1"}}),
    "tse2": ("mini/tse2", {"starts_from": {"tse2": "tse2", "dpc2": "dpc2"}}),
    "classifier": (
        "mini/adapt",
        {
            "trains": ["dpc1", "m2d"],
            "starts_from": {"uss": None, "dpc1": "dpc1", "m2d": "m2d"},
            "data": {"seconds": 10.0},
            "slots": {"scenes": 8},
        },
    ),
}
"""Recipe and settings by the name that the table has for it."""

WAYS = {
    "as it is": lambda task: None,
    "blocks": lambda task: [module.compile() for module in task.modules() if isinstance(module, HybridPair)],
    "whole": lambda task: task.compile(),
}
"""What is compiled: nothing, the blocks of the separators alone, or whatever of the task the compiler takes."""


class Trial:
    """One recipe's networks and optimiser, with one way of compiling them."""

    def __init__(self, name: str, weights: Path, way: Callable[[nn.Module], object]) -> None:
        recipe, changes = RECIPES[name]
        self.plan = read_plan(recipe, changes)
        parts = PartsFolder(weights, torch.device("cpu"))
        torch.manual_seed(self.plan.recipe.seed)
        self.job = self.plan.trainer.make_job(self.plan, parts)
        self.job.task.train()
        way(self.job.task)
        self.optimiser = torch.optim.AdamW(
            [p for p in self.job.task.parameters() if p.requires_grad], lr=self.plan.recipe.optimiser.learning_rate
        )

    def batches(self, folder: Path, steps: int) -> Iterator[Any]:
        """The first `steps` of the recipe."""
        if self.job.batches is not None:
            return self.job.batches(folder, first=0, last=steps)
        recipe = self.plan.recipe
        return batches(recipe.data, recipe.seed, recipe.batch, first=0, last=steps)

    def step(self, number: int, batch: Any) -> tuple[float, float]:
        """CPU seconds, and the loss."""
        begun = spent()
        seed_step(self.plan.recipe.seed, number, 0, 0)
        terms = self.job.task(batch)
        loss = torch.stack([value for key, value in terms.items() if not key.startswith("_")]).sum()
        loss.backward()
        nn.utils.clip_grad_norm_(self.job.task.parameters(), self.plan.recipe.optimiser.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return spent() - begun, float(loss.detach())


def main(names: list[str], ways: list[str], steps: int, weights: Path) -> None:
    """Print a row per recipe and way."""
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, one thread, {steps} steps after {WARM} to begin with; CPU seconds of a step")
    print(
        f"{'recipe':11} {'compiled':11} {'begin':>7} {'median':>7} {'least':>7} {'gain':>6}  loss, largest difference"
    )
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            compare(name, ["as it is", *ways], steps, weights, Path(folder))


def compare(name: str, ways: list[str], steps: int, weights: Path, folder: Path) -> None:
    """One recipe, its ways in turns on the same batches; the gain is that of the least seconds."""
    trials: dict[str, Trial] = {}
    took: dict[str, list[float]] = {}
    losses: dict[str, list[float]] = {}
    for way in ways:
        trials[way], took[way], losses[way] = Trial(name, weights, WAYS[way]), [], []
    given = list(trials["as it is"].batches(folder, WARM + steps))
    for number, batch in enumerate(given):
        for way in list(trials):
            try:
                seconds, loss = trials[way].step(number, batch)
            except Exception as error:  # whatever the compiler makes of it is the finding
                print(
                    f"{name:11} {way:11} fails: {type(error).__name__}: {str(error).splitlines()[0][:100]}", flush=True
                )
                del trials[way]
                continue
            took[way].append(seconds)
            losses[way].append(loss)
    plain = min(took["as it is"][WARM:])
    for way in trials:
        usual, first = took[way][WARM:], sum(took[way][:WARM])
        apart = max(abs(a - b) for a, b in zip(losses[way], losses["as it is"], strict=True))
        row = f"{first:7.1f} {median(usual):7.3f} {min(usual):7.3f} {plain / min(usual):6.2f}  {apart:.1e}"
        print(f"{name:11} {way:11} {row}", flush=True)


def spent() -> float:
    """CPU seconds of this process and of what it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def median(values: list[float]) -> float:
    """The middle one."""
    return float(torch.tensor(values, dtype=torch.float64).median())


WARM = 4
"""Steps in which the compiler works, and which are told apart."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--recipes", default=",".join(RECIPES))
    parser.add_argument("--ways", default="blocks,whole")
    options = parser.parse_args()
    main(options.recipes.split(","), options.ways.split(","), options.steps, options.weights)
