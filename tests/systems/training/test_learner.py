"""A step of the learner beside PyTorch's optimiser told by hand what a recipe says, and what it exports."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from s5eval.systems.training.learner import Learner
from s5eval.systems.training.parts import Part, PartsFolder, TrainingJob
from s5eval.systems.training.steps import seed_step
from s5eval.systems.training.training_recipe import OptimiserSettings

pytest.importorskip("lightning.fabric")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Task(nn.Module):
    """Two parts with a head that no part has: the loss of a batch is its number times a sum of sines."""

    def __init__(self) -> None:
        super().__init__()
        self.fast, self.slow, self.head = nn.Linear(3, 2), nn.Linear(2, 2), nn.Linear(2, 1)

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        made = self.head(torch.sin(self.slow(torch.sin(self.fast(torch.ones(3))))))
        return {"loss": batch * made.sum(), "_seen": batch}


@pytest.mark.parametrize("amsgrad", [False, True])
def test_a_step_is_adamw_s_with_rates_by_part_decay_of_matrices_and_a_running_average(amsgrad: bool) -> None:
    from lightning.fabric import Fabric

    settings = OptimiserSettings(
        learning_rate=0.1, factors={"slow": 0.25}, warmup=2, final=0.5, weight_decay=0.3, amsgrad=amsgrad, clip=0.8,
        average=0.6,
    )  # fmt: skip
    recipe: Any = SimpleNamespace(optimiser=settings, steps=6, accumulate=2, seed=1)
    task = Task()
    twin = Task()
    twin.load_state_dict(task.state_dict())
    job = TrainingJob(task, {name: Part(getattr(task, name), f"{name}.safetensors") for name in ("fast", "slow")})
    fabric = Fabric(accelerator="cpu", devices=1)
    plan: Any = SimpleNamespace(recipe=recipe, name="toy")
    learner = Learner(plan, "sha256:x", job, fabric, PartsFolder(Path("none"), torch.device("cpu")), [])
    groups = [
        {"params": [p], "weight_decay": 0.3 if name.endswith("weight") else 0.0, "share": 0.25 if "slow" in name else 1}
        for name, p in twin.named_parameters()
    ]
    optimiser = torch.optim.AdamW(groups, lr=0.1, amsgrad=amsgrad)
    average = {name: value.clone() for name, value in twin.state_dict().items()}
    for step in range(6):
        numbers = [torch.tensor(x / (1 + 5 * step)) for x in (3.0, 5.0)]  # amsgrad remembers the large ones
        learner.advance(numbers)
        optimiser.zero_grad()
        (torch.stack([twin(number)["loss"] for number in numbers]).mean()).backward()
        norm = math.sqrt(sum(float(p.grad.square().sum()) for p in twin.parameters() if p.grad is not None))
        for group in optimiser.param_groups:
            for p in group["params"]:
                p.grad *= min(1.0, 0.8 / norm)
            rises = [0.5, 1.0][step] if step < 2 else 0.5 + 0.25 * (1 + math.cos(math.pi * (step - 2) / 4))
            group["lr"] = 0.1 * group["share"] * rises
        optimiser.step()
        for name, value in twin.state_dict().items():
            average[name] += (1 - min(0.6, (2 + step) / (11 + step))) * (value - average[name])
    for name, value in twin.state_dict().items():
        torch.testing.assert_close(task.state_dict()[name], value, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(learner.average[name], average[name], atol=1e-5, rtol=1e-4)
    assert (learner.step, learner.skipped) == (6, 0)


def learner_of(task: nn.Module, average: float = 0.6) -> Learner:
    """With parts `fast` and `slow`; two gradients make a step."""
    from lightning.fabric import Fabric

    settings = OptimiserSettings(0.1, {}, 0, 1.0, 0.0, False, 1.0, average)
    recipe: Any = SimpleNamespace(
        optimiser=settings, steps=9, accumulate=2, seed=3, batch=5, export="float32", data=SimpleNamespace(seconds=2.5)
    )
    job = TrainingJob(task, {name: Part(getattr(task, name), f"{name}.safetensors") for name in ("fast", "slow")})
    plan: Any = SimpleNamespace(recipe=recipe, name="toy/mine")
    parts = PartsFolder(Path("none"), torch.device("cpu"))
    return Learner(plan, "sha256:x", job, Fabric(accelerator="cpu", devices=1), parts, [{"folder": "foley"}])


@pytest.mark.parametrize("average", [0.6, 0.0])
def test_the_average_of_the_weights_is_exported_where_there_is_one_and_the_card_says_of_how_much(
    tmp_path: Path, average: float
) -> None:
    task = Task()
    learner = learner_of(task, average)
    for _ in range(3):
        learner.advance([torch.tensor(1.0), torch.tensor(2.0)])
    last = {name: value.clone() for name, value in task.state_dict().items()}
    expected = {name: value.clone() for name, value in learner.average.items()} if average else last
    digests = learner.export(tmp_path, None)
    for part in ("fast", "slow"):
        for name, value in load_file(tmp_path / f"{part}.safetensors").items():
            assert torch.equal(value, expected[f"{part}.{name}"])
            assert torch.equal(value, last[f"{part}.{name}"]) == (average == 0.0)
    (entry,) = json.loads((tmp_path / "card.json").read_text())["history"]
    assert (entry["recipe"], entry["steps"], entry["scenes"], entry["seconds_per_scene"]) == ("toy/mine", 3, 30, 2.5)
    assert entry["files"] == digests


def test_every_gradient_of_a_step_has_draws_of_its_own() -> None:
    drawn: list[float] = []

    class Drawing(Task):
        def forward(self, batch: Tensor) -> dict[str, Tensor]:
            drawn.append(float(torch.rand(())))
            return super().forward(batch)

    learner = learner_of(Drawing())
    for _ in range(2):
        learner.advance([torch.tensor(1.0), torch.tensor(2.0)])
    expected = []
    for step, part in ((0, 0), (0, 1), (1, 0), (1, 1)):
        seed_step(3, step, part, 0)
        expected.append(float(torch.rand(())))
    assert drawn == expected


def test_what_is_frozen_runs_as_at_inference_and_what_learns_does_not() -> None:
    task = Task()
    task.frozen = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).requires_grad_(False)
    learner_of(task)
    assert [module.training for module in (task.fast, task.head)] == [True, True]
    assert not any(module.training for module in task.frozen.modules())
