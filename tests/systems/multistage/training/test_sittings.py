"""A training in several sittings, or on several devices, is one training: checkpoints after every kind of end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_trainings import OTHERS_WARN, ToyPlan, ToyTrain

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.systems.card import record_file
from s5eval.systems.multistage.training.classification import SlotSource
from s5eval.systems.multistage.training.kept_slots import Heard
from s5eval.systems.training.loop import train
from s5eval.systems.training.sitting import TrainingSitting

pytestmark = OTHERS_WARN


def test_a_resumed_training_remembers_what_it_started_from(toy_plan: ToyPlan, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    train(toy_plan("segmentation"), TrainingSitting(weights, tmp_path / "a", device="cpu"))
    train(toy_plan("m2d"), TrainingSitting(weights, tmp_path / "m", device="cpu"))
    first = json.loads((weights / "card.json").read_text())["history"][0]["files"]["uss"]
    plan = toy_plan("uss", starts_from={"uss": "uss"})
    train(plan, TrainingSitting(weights, tmp_path / "b", device="cpu", max_minutes=0))
    other = {key: value + 1 for key, value in load_file(weights / "uss.safetensors").items()}
    save_file(other, weights / "uss.safetensors")
    record_file(weights, "uss.safetensors")
    train(plan, TrainingSitting(weights, tmp_path / "b", device="cpu"))
    assert json.loads((weights / "card.json").read_text())["history"][-1]["started_from"] == {"uss": first}


@pytest.mark.parametrize("name", ["m2d", "uss", "adapt"])
def test_sittings_add_up_to_one(name: str, toy_plan: ToyPlan, toy_train: ToyTrain, tmp_path: Path) -> None:
    for part in ("m2d", "uss", "dpc") if name == "adapt" else ():
        toy_train(part)
    plan = toy_plan(name, steps=4, export="float32")
    (tmp_path / "weights").mkdir(exist_ok=True)
    ends = []
    for folder, minutes, sittings in (("one", None, 1), ("many", 0, 4)):  # a sitting of no time does one step
        weights = shutil.copytree(tmp_path / "weights", tmp_path / folder)
        sitting = TrainingSitting(weights, tmp_path / f"{folder}-steps", device="cpu", max_minutes=minutes)
        finished = [train(plan, sitting).finished for _ in range(sittings)]
        assert finished == [False] * (sittings - 1) + [True]
        ends.append({path.name: load_file(path) for path in sorted(weights.glob("*.safetensors"))})
    assert {f"{part}.safetensors" for part in plan.recipe.trains} <= set(ends[0])
    assert ends[0].keys() == ends[1].keys()
    for file, tensors in ends[0].items():
        torch.testing.assert_close(ends[1][file], tensors, rtol=0, atol=0)
    kept = sorted(path.name for path in (tmp_path / "many-steps").glob("step-*"))
    assert kept == ["step-00000003", "step-00000004"]


def test_the_time_of_a_sitting_bounds_what_is_made_before_the_first_step_and_the_next_one_goes_on(
    toy_plan: ToyPlan, toy_train: ToyTrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("m2d", "uss", "dpc"):
        toy_train(part)
    stage = {"trains": ["dpc1"], "starts_from": {"uss": None, "dpc1": "dpc1"}}
    plan = toy_plan("dpc", **stage, slots={"scenes": 120, "batch": 6}, steps=2)  # three shards
    hear, heard = SlotSource._hear, []

    def hear_some(self: SlotSource, first: int, last: int) -> Heard:
        heard.append(first)
        return hear(self, first, first + 2)

    monkeypatch.setattr(SlotSource, "_hear", hear_some)
    sitting = TrainingSitting(tmp_path / "weights", tmp_path / "out", device="cpu", max_minutes=0)
    found = []
    for _ in range(4):
        result = train(plan, sitting)
        found.append((len(heard), result.step, result.finished))
    assert found == [(1, 0, False), (2, 0, False), (3, 1, False), (3, 2, True)]


@pytest.mark.slow
def test_killed_at_random_and_resumed_reaches_the_same_bits(toy_plan: ToyPlan, tmp_path: Path) -> None:
    for name in ("m2d", "uss"):
        train(toy_plan(name), TrainingSitting(tmp_path / "kill", tmp_path / name, device="cpu"))
    shutil.copytree(tmp_path / "kill", tmp_path / "begin")
    plan = toy_plan("dpc", steps=12, export="float32")
    recipe = {**plan.as_dict()["recipe"], "starts_from": {"uss": "uss", "dpc1": None}}
    settings, system = json.dumps(recipe), json.dumps(plan.as_dict()["system"])
    program = (
        "import json, sys; from pathlib import Path\n"
        "from s5eval.systems.training.training_plan import read_plan\n"
        "from s5eval.systems.training.loop import train; from s5eval.systems.training.sitting import TrainingSitting\n"
        "changes = {**json.loads(sys.argv[1]), 'system': json.loads(sys.argv[2])}\n"
        "train(read_plan('mini/dpc', changes), TrainingSitting(Path(sys.argv[3]), Path(sys.argv[4]), device='cpu', "
        "checkpoint_minutes=0))\n"
    )

    def weights() -> list[bytes]:
        return [(tmp_path / "kill" / f"{name}.safetensors").read_bytes() for name in ("dpc1", "uss")]

    def start(out: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", program, settings, system, str(tmp_path / "kill"), str(out)]
        return subprocess.Popen(command, env=os.environ.copy(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    assert start(tmp_path / "whole").wait(timeout=300) == 0
    whole = weights()
    shutil.rmtree(tmp_path / "kill")
    shutil.copytree(tmp_path / "begin", tmp_path / "kill")  # the card too: it knows what the file is to be
    broken, kills = tmp_path / "broken", 0
    for _ in range(40):
        process = start(broken)
        begun = len(list(broken.glob("step-*"))) and sorted(broken.glob("step-*"))[-1].name
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
            steps = sorted(path.name for path in broken.glob("step-*"))
            if steps and steps[-1] != begun and kills < 3 and steps[-1] != "step-00000012":
                time.sleep(0.03 * kills)  # a different moment of a step each time
                process.send_signal(signal.SIGKILL)
                kills += 1
        if process.wait(timeout=120) == 0:
            break
    assert kills == 3
    resumed = weights()
    assert resumed == whole


def test_checkpoints_of_another_recipe_are_refused(toy_plan: ToyPlan, tmp_path: Path) -> None:
    sitting = TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu", max_minutes=0)
    train(toy_plan("uss", steps=5), sitting)
    with pytest.raises(UsageError, match="another recipe or other settings"):
        train(toy_plan("uss", steps=6), sitting)


def test_a_torn_checkpoint_is_an_error_with_its_path(toy_plan: ToyPlan, tmp_path: Path) -> None:
    sitting = TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu", max_minutes=0)
    train(toy_plan("uss", steps=5), sitting)
    for step in (tmp_path / "c").glob("step-*"):
        weights = step / "weights.safetensors"
        weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(DataError, match=r"weights\.safetensors"):
        train(toy_plan("uss", steps=5), sitting)


def test_an_unfinished_draft_of_a_checkpoint_is_passed_over(toy_plan: ToyPlan, tmp_path: Path) -> None:
    sitting = TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu", max_minutes=0)
    train(toy_plan("uss", steps=5), sitting)
    (tmp_path / "c" / ".step-00000003.99").mkdir()
    assert train(toy_plan("uss", steps=5), sitting).step == 2
    assert not list((tmp_path / "c").glob(".step-*"))


def test_a_resume_never_lacks_a_checkpoint(toy_plan: ToyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sitting = TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu", max_minutes=0)
    train(toy_plan("uss", steps=5), sitting)

    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("s5eval.systems.training.checkpoint.write_tensors", kill)
        with pytest.raises(KeyboardInterrupt):
            train(toy_plan("uss", steps=5), sitting)
    assert train(toy_plan("uss", steps=5), sitting).step == 2


def test_a_finished_recipe_is_left_alone(toy_train: ToyTrain, tmp_path: Path) -> None:
    first = toy_train("uss")
    card = (tmp_path / "weights" / "card.json").read_text()
    file = tmp_path / "weights" / "uss.safetensors"
    file.write_bytes(b"what a later recipe made of it")
    again = toy_train("uss")
    assert file.read_bytes() == b"what a later recipe made of it"
    assert (tmp_path / "weights" / "card.json").read_text() == card
    assert (again.finished, again.digests, again.figures) == (True, first.digests, first.figures)


def test_other_frozen_parts_are_noticed(toy_plan: ToyPlan, toy_train: ToyTrain, tmp_path: Path) -> None:
    for name in ("m2d", "uss", "dpc"):
        toy_train(name)
    sitting = TrainingSitting(tmp_path / "weights", tmp_path / "c", device="cpu", max_minutes=0)
    train(toy_plan("tse2", steps=5), sitting)
    path = tmp_path / "weights" / "m2d.safetensors"
    table = load_file(path)
    save_file({name: value + 1 for name, value in table.items()}, path)
    record_file(path.parent, path.name)
    with pytest.raises(UsageError, match=r"trained on another m2d"):
        train(toy_plan("tse2", steps=5), sitting)


def test_a_frozen_part_that_has_come_since_is_noticed(toy_plan: ToyPlan, toy_train: ToyTrain, tmp_path: Path) -> None:
    for name in ("m2d", "uss", "dpc"):
        toy_train(name)
    sitting = TrainingSitting(tmp_path / "weights", tmp_path / "c", device="cpu", max_minutes=0)
    train(toy_plan("tse2", steps=5), sitting)  # on no frame embeddings
    toy_train("encoder")
    with pytest.raises(UsageError, match=r"trained without encoder, which is there now"):
        train(toy_plan("tse2", steps=5), sitting)


def test_a_plan_that_is_trained_once_more_is_exported_though_its_first_export_stands_on_the_card(
    toy_plan: ToyPlan, toy_train: ToyTrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_train("m2d")
    plan, weights = toy_plan("m2d", starts_from={"m2d": "m2d"}), tmp_path / "weights"
    once = train(plan, TrainingSitting(weights, tmp_path / "a", device="cpu")).digests

    def disk_is_full(*_: object) -> None:
        raise DataError("no room")

    again = TrainingSitting(weights, tmp_path / "b", device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr("s5eval.systems.training.learner.Learner.export", disk_is_full)
        with pytest.raises(DataError, match="no room"):
            train(plan, again)
    twice = train(plan, again).digests
    told = json.loads((weights / "card.json").read_text())["history"]
    assert [entry["files"] for entry in told[1:]] == [once, twice]
    assert told[2]["started_from"] == once != twice
