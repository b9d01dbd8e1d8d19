"""What a training tells its hooks and its card: every step, and the energy of every sitting."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.card import read_card
from s5eval.systems.energy import Energy
from s5eval.systems.hooks import Hook, Hooks
from s5eval.systems.multistage.system import build
from s5eval.systems.resources import training_facts
from s5eval.systems.training.loop import TrainingResult, train
from s5eval.systems.training.sitting import TrainingSitting
from s5eval.systems.training.training_plan import TrainingPlan

pytest.importorskip("lightning.fabric")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Listener(Hook):
    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def start(self, kind: str, folder: Path, facts: Any) -> None:
        self.heard.append(("start", kind, folder.name, facts["name"], facts["done"], facts["steps"]))

    def step(self, step: int, steps: int, figures: Any) -> None:
        self.heard.append((step, steps, "loss" in figures))

    def end(self, status: str, figures: Any) -> None:
        self.heard.append(("end", status))


def test_hooks_hear_of_every_step_and_the_card_of_the_energy_of_all_sittings(
    toy_plan: Callable[..., TrainingPlan], tmp_path: Path
) -> None:
    pytest.importorskip("codecarbon")
    plan, listener = toy_plan("uss", steps=3), Listener()
    first = TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu", max_minutes=0, energy=True)
    said: list[str] = []
    train(plan, first, hooks=Hooks([listener]), say=said.append)
    assert any(line.startswith("energy: ") and ": estimate; CodeCarbon" in line for line in said)
    train(plan, replace(first, max_minutes=0, energy=False), hooks=Hooks([listener]))
    train(plan, replace(first, max_minutes=None), hooks=Hooks([listener]))
    name = plan.name
    assert listener.heard == [
        ("start", "training", "c", name, 0, 3), (1, 3, True), ("end", "interrupted"),
        ("start", "training", "c", name, 1, 3), (2, 3, True), ("end", "interrupted"),
        ("start", "training", "c", name, 2, 3), (3, 3, True), ("end", "finished"),
    ]  # fmt: skip
    card = read_card(tmp_path / "w")
    told = card["history"][-1]["energy"]
    assert told["kwh"] > 0 and told["unmeasured_sittings"] == 1, "the second sitting was not measured"
    energy = training_facts(card)["energy"]
    assert isinstance(energy, Energy) and energy.kwh == told["kwh"] and energy.unmeasured_sittings == 1


def test_a_training_says_which_classes_it_never_hears(toy_plan: Callable[..., TrainingPlan], tmp_path: Path) -> None:
    clip = tmp_path / "mine" / "train" / "Speech" / "a.wav"
    clip.parent.mkdir(parents=True)
    soundfile.write(clip, np.random.default_rng(0).standard_normal(32_000) * 0.1, 32_000)
    data = {"folder": str(tmp_path / "mine"), "target_counts": [0, 1, 0, 0]}
    plan = toy_plan("uss", steps=1, data=data)
    said: list[str] = []
    train(plan, TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu"), say=said.append)
    (line,) = [line for line in said if line.startswith("no recording of ")]
    assert line.startswith("no recording of AlarmClock, ") and "Speech" not in line
    assert len(read_card(tmp_path / "w")["history"][-1]["never_heard"]) == 17


def test_the_card_tells_the_settings_of_every_part_and_none_is_built_on_with_others(
    toy_train: Callable[..., TrainingResult], toy_plan: Callable[..., TrainingPlan], tmp_path: Path
) -> None:
    for part in ("m2d", "uss"):
        toy_train(part, steps=1)
    heads = {"separator": {"width": 8, "blocks": 1, "heads": 4, "head_dim": 2}}
    with pytest.raises(
        DataError, match=r"uss\.safetensors: .*trained with system\.separator\.heads=2, .*with 4; train it"
    ):
        toy_train("names", steps=1, slots={"scenes": 2, "batch": 4}, starts_from={"dpc1": None}, system=heads)
    toy_train("dpc", steps=1, system=heads)  # what goes on learning may change
    told = {
        part: settings
        for entry in read_card(tmp_path / "weights")["history"]
        for part, settings in entry["settings"].items()
    }
    assert told.keys() == {"m2d", "uss", "dpc1"}
    assert (told["uss"]["separator.heads"], told["uss"]["stft.hop"], told["m2d"]["m2d.depth"]) == (4, 512, 1)
    system = toy_plan("uss").as_dict()["system"]
    stage1 = {**system, "stages": 1, "frame_encoder": "none", "weights": str(tmp_path / "weights")}
    assert build(stage1, "cpu").fingerprint()["missing_parts"] == [
        "weights trained with separator.heads=2 (uss: 4)",
        "weights trained with separator.head_dim=4 (uss: 2)",
    ]
    assert (
        "missing_parts"
        not in build({**stage1, "separator": {**stage1["separator"], **heads["separator"]}}, "cpu").fingerprint()
    )
