"""The published sizes: one optimiser step of every recipe, a second of sound, on a CPU."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors.torch import save_file

from s5eval.systems.multistage.system import new_part
from s5eval.systems.training.loop import train
from s5eval.systems.training.sitting import TrainingSitting
from s5eval.systems.training.training_plan import read_plan, recipe_names

pytest.importorskip("lightning.fabric")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_one_step_of_every_recipe(tiny_dev_set: SimpleNamespace, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    m2d = tmp_path / "m2d.safetensors"
    changes = {
        "steps": 1,
        "batch": 1,
        "accumulate": 1,
        "data": {"folder": str(tiny_dev_set.dev), "seconds": 1.0, "target_counts": [0, 1, 0, 0], "workers": 0},
    }
    plan = read_plan("paper/uss", changes)
    save_file(new_part("m2d", plan.configuration).backbone.state_dict(), m2d)
    for name in recipe_names("paper"):
        plan = read_plan(f"paper/{name}", changes)
        sitting = TrainingSitting(weights, tmp_path / name, device="cpu", m2d_weights=m2d)
        result = train(plan, sitting)
        assert result.finished
        assert all(math.isfinite(value) for value in result.figures.values()), name
        for path in (tmp_path / name).iterdir():
            if path.is_dir() and path.name.startswith("step-"):
                for file in path.iterdir():
                    file.unlink()  # the disk of a small machine
