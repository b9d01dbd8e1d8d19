"""Which networks a plan is made into, and how the frozen ones among them run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from s5eval.data_manifests.common.errors import UsageError
from s5eval.systems.multistage.system import new_part
from s5eval.systems.training.parts import PartsFolder
from s5eval.systems.training.training_plan import TrainingPlan, read_plan

MakePlan = Callable[..., TrainingPlan]

STAGE_1 = {"uss", "dpc1", "m2d"}


@pytest.fixture
def make_plan(tiny: dict[str, Any], tmp_path: Path) -> MakePlan:
    """`make_plan("names2", …)` of tiny networks, whose parts lie in the folder of the test."""
    system = {key: value for key, value in tiny.items() if key != "weights"} | {"frame_encoder": "none"}

    def make(name: str, **changes: Any) -> TrainingPlan:
        own = {**system, **changes.pop("system", {})}
        plan = read_plan(f"mini/{name}", {"system": own, "data": {"seconds": 0.5}, **changes})
        for part in ("uss", "dpc1", "tse2", "dpc2", "m2d"):
            network: Any = new_part(part, plan.configuration)
            tensors = (network.backbone if part == "m2d" else network).state_dict()
            save_file({key: value.contiguous() for key, value in tensors.items()}, tmp_path / f"{part}.safetensors")
        return plan

    return make


def at_rest(*networks: nn.Module) -> bool:
    """Whether none of them behaves as in training, or learns."""
    modules = [module for network in networks for module in network.modules()]
    learning = any(p.requires_grad for network in networks for p in network.parameters())
    return not learning and not any(module.training for module in modules)


@pytest.mark.parametrize(("name", "frozen"), [("names2", {"tse2"}), ("names3", {"tse2", "dpc2"})])
@pytest.mark.parametrize("kept", [0, 3])
def test_a_later_stage_hears_all_stages_before_it_as_they_run_at_inference(
    name: str, frozen: set[str], kept: int, make_plan: MakePlan, tmp_path: Path
) -> None:
    plan = make_plan(
        name,
        system={"tau_skip": 0.9, "af_source": "mixture"},
        clues={"runner_up": 0.2},
        slots={"scenes": kept, "alone": 0.5, "mix": 0.0},
    )
    parts = PartsFolder(tmp_path, torch.device("cpu"))
    job = plan.trainer.make_job(plan, parts)
    assert set(parts.built_on) == STAGE_1 | frozen
    assert set(parts.started_from) == {"dpc2"}
    task: Any = job.task
    if kept:
        assert set(job.batches.made_by["frozen"]) == STAGE_1 | frozen  # type: ignore[union-attr]
        assert at_rest(*task._hears)
        return
    (earlier,) = task._earlier
    assert len(earlier.refinements) == plan.recipe.stage - 2
    assert at_rest(earlier.uss, earlier.dpc1, earlier.m2d, *(net for pair in earlier.refinements for net in pair))
    assert at_rest(task.tse.eval()) and not task.train_tse
    assert (earlier.tau_skip, earlier.af_source, earlier.runner_up, earlier.classes) == (0.9, "mixture", 0.2, 18)


@pytest.mark.parametrize("kept", [0, 3])
@pytest.mark.parametrize("adapts", [False, True])
def test_m2d_is_at_rest_where_the_recipe_does_not_train_it(
    kept: int, adapts: bool, make_plan: MakePlan, tmp_path: Path
) -> None:
    start = {"dpc1": "dpc1", "m2d": "m2d" if adapts else None}
    trains = ["dpc1", "m2d"] if adapts else ["dpc1"]
    plan = make_plan("names", trains=trains, starts_from=start, slots={"scenes": kept, "alone": 0.5})
    parts = PartsFolder(tmp_path, torch.device("cpu"))
    job = plan.trainer.make_job(plan, parts)
    task: Any = job.task
    assert at_rest(*task._hears) == (not adapts)
    assert (task.m2d is not None) == adapts
    assert set(job.parts) == set(trains) == set(parts.started_from)
    assert set(parts.built_on) == {"uss", "m2d"} - set(trains)


def test_whisper_s_weights_are_refused_where_the_frames_are_another_s(make_plan: MakePlan, tmp_path: Path) -> None:
    """Else an extractor would be trained on no frames at all, and its card alone would tell."""
    plan = make_plan("tse2", loss={"filtered": 0.0}, system={"frame_encoder": "af_whisper"})
    parts = PartsFolder(tmp_path, torch.device("cpu"), whisper_weights=tmp_path / "whisper-tiny")
    with pytest.raises(UsageError, match=r"`whisper_weights` is given, .* set system\.frame_encoder=whisper too"):
        plan.trainer.make_job(plan, parts)
    clue = {"dimension": 16, "width": 8}
    named = make_plan("tse2", loss={"filtered": 0.0}, system={"frame_encoder": "m2d", "clue": clue})
    assert named.trainer.make_job(named, parts).facts["frame_encoder"] == "m2d", "one that is named is what is wanted"
    first = make_plan("uss", trains=["uss"], starts_from={"uss": None}, system={"frame_encoder": "af_whisper"})
    assert set(first.trainer.make_job(first, parts).parts) == {"uss"}, "stage 1 hears no frames"
