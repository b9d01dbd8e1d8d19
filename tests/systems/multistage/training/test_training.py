"""What a training makes: the whole chain of recipes at toy size, what starts from what, gradients, refusals."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from toy_trainings import OTHERS_WARN, ToyPlan, ToyTrain

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.systems.training.batches import batches
from s5eval.systems.training.loop import train
from s5eval.systems.training.parts import PartsFolder
from s5eval.systems.training.sitting import TrainingSitting
from s5eval.systems.training.steps import rate
from s5eval.systems.training.training_recipe import OptimiserSettings

pytestmark = OTHERS_WARN


def test_the_recipes_make_a_system_that_runs(
    toy_train: ToyTrain, tmp_path: Path, system_settings: list[str], s5eval: Any, make_set: Any
) -> None:
    whole: dict[str, dict[str, Any]] = {  # as shipped
        "uss": {"trains": ["uss", "dpc1"], "starts_from": {"uss": "uss"}},
        "dpc": {"trains": ["dpc1"], "starts_from": {"dpc1": "dpc1"}},
    }
    few = {"slots": {"scenes": 4, "batch": 6}}
    whole |= {"names": few, "names2": few, "names3": few}
    stage_1 = ("encoder", "m2d", "segmentation", "uss", "dpc", "adapt", "names")
    for name in (*stage_1, "tse2", "names2", "names3", "tse3", "refine"):
        result = toy_train(name, **whole.get(name, {}))
        assert result.finished
        assert all(math.isfinite(value) for value in result.figures.values()), name
    card = json.loads((tmp_path / "weights" / "card.json").read_text())
    assert [entry["recipe"] for entry in card["history"]][-1] == "mini/refine"
    assert card["history"][0]["scenes"] == 8
    data = make_set(tmp_path / "set", {"a": ["Speech"]}, seconds=0.5)
    run = tmp_path / "run"
    outcome = s5eval("run", "--system", "multistage", "--data", data, "--out", run, *system_settings)
    assert outcome.code == 0, outcome.err
    facts = json.loads((run / "run.json").read_text())["fingerprint"]
    assert facts["weights"].startswith("sha256:")
    assert facts["af_whisper"].startswith("sha256:")


def test_a_part_that_is_missing_is_named_with_where_it_comes_from(toy_train: ToyTrain) -> None:
    with pytest.raises(DataError, match=r"m2d\.safetensors.*`m2d_weights`.*recipe mini/m2d"):
        toy_train("dpc", starts_from={"uss": None, "dpc1": None})


@pytest.mark.parametrize("part", ["m2d", "uss"])
def test_a_frozen_part_that_is_damaged_is_named(toy_train: ToyTrain, tmp_path: Path, part: str) -> None:
    for name in ("m2d", "uss"):
        toy_train(name)
    path = tmp_path / "weights" / f"{part}.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # still a file of weights
    with pytest.raises(DataError, match=rf"{part}\.safetensors: not what was written"):
        toy_train("dpc", trains=["dpc1"], starts_from={"uss": None, "dpc1": None})


def test_the_next_part_starts_from_the_one_before(toy_train: ToyTrain, tmp_path: Path) -> None:
    for name in ("m2d", "uss", "dpc"):
        toy_train(name)
    toy_train("tse2", steps=1, export="float32", optimiser={"learning_rate": 0.0, "weight_decay": 0.0})
    uss = load_file(tmp_path / "weights" / "uss.safetensors")
    tse = load_file(tmp_path / "weights" / "tse2.safetensors")
    shared = [key for key in uss if key.startswith("pairs.")]
    assert shared
    assert all(torch.equal(uss[key].float(), tse[key]) for key in shared)
    history = json.loads((tmp_path / "weights" / "card.json").read_text())["history"]
    files = {entry["recipe"]: entry["files"] for entry in history}
    assert history[-1]["started_from"] == {"uss": files["mini/dpc"]["uss"], "dpc1": files["mini/dpc"]["dpc1"]}
    assert history[0]["started_from"] == {}


@pytest.mark.parametrize(("name", "start", "file"), [("m2d", "m2d", "m2d"), ("encoder", "af_whisper/model", "model")])
def test_a_tagger_goes_on_from_what_it_is_told(
    toy_plan: ToyPlan, tmp_path: Path, name: str, start: str, file: str
) -> None:
    weights = tmp_path / "weights"
    path = (weights / start).parent / f"{file}.safetensors"
    train(toy_plan(name, export="float32"), TrainingSitting(weights, tmp_path / "a", device="cpu"))
    before = load_file(path)
    idle = {"learning_rate": 0.0, "weight_decay": 0.0}
    changes = {"starts_from": {name: start}, "optimiser": idle, "system": {"seed": 5}, "export": "float32"}
    train(toy_plan(name, **changes), TrainingSitting(weights, tmp_path / "b", device="cpu"))
    after = load_file(path)
    assert before.keys() == after.keys()
    learned = [key for key in before if "running_" not in key and "num_batches" not in key]
    assert all(torch.equal(before[key], after[key]) for key in learned)


def test_m2d_learns_with_the_classifier_that_hears_through_it(toy_train: ToyTrain, tmp_path: Path) -> None:
    toy_train("m2d", export="float32")
    path = tmp_path / "weights" / "m2d.safetensors"
    before = load_file(path)
    for part, changes in (("adapt", True), ("dpc", False)):
        toy_train(part, **({"starts_from": {"uss": None, "dpc1": None}} if changes else {}), export="float32")
        after = load_file(path)
        assert torch.equal(before["norm_stats"], after["norm_stats"])
        moved = [key for key in before if not torch.equal(before[key], after[key])]
        assert set(before) - {"norm_stats"} == set(moved) if changes else not moved
        before = after
    history = json.loads((tmp_path / "weights" / "card.json").read_text())["history"]
    files = [entry["files"].get("m2d") for entry in history]
    assert history[1]["started_from"] == {"m2d": files[0]}
    assert "m2d" not in history[1]["built_on"]
    assert history[2]["built_on"] == {"m2d": files[1]}


def test_published_m2d_weights_are_not_for_training_m2d(toy_plan: ToyPlan, tmp_path: Path) -> None:
    sitting = TrainingSitting(
        tmp_path / "weights", tmp_path / "a", device="cpu", m2d_weights=tmp_path / "published.pth"
    )
    with pytest.raises(UsageError, match=r"expected no `m2d_weights`, got .*published\.pth"):
        train(toy_plan("m2d"), sitting)


def test_a_loss_that_is_not_finite_stops_with_the_terms(toy_plan: ToyPlan, tmp_path: Path) -> None:
    plan = toy_plan("uss", steps=2)

    def broken(*arguments: Any) -> Any:
        job = plan.trainer.make_job(*arguments)
        next(job.task.parameters()).data.fill_(float("nan"))
        return job

    spoilt = replace(plan, trainer=replace(plan.trainer, make_job=broken))
    with pytest.raises(DataError, match=r"step 0: the loss is not finite: \{'separation'"):
        train(spoilt, TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu"))


def test_gradients_that_stay_without_a_finite_one_stop_the_training(
    toy_plan: ToyPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s5eval.systems.training.learner._MOST_SKIPPED", 2)
    plan, bad = toy_plan("m2d", steps=5), {0, 2, 3}  # a single one is passed over
    taken: list[int] = []

    def disturbed(*arguments: Any) -> Any:
        job = plan.trainer.make_job(*arguments)

        def disturb(gradient: torch.Tensor) -> torch.Tensor:
            taken.append(len(taken))
            return gradient * torch.nan if taken[-1] in bad else gradient

        next(p for p in job.task.parameters() if p.requires_grad).register_hook(disturb)
        return job

    spoilt = replace(plan, trainer=replace(plan.trainer, make_job=disturbed))
    with pytest.raises(DataError, match=r"step 3: no gradient of the last 2 steps was finite"):
        train(spoilt, TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu"))


def test_a_folder_that_cannot_be_written_stops_before_any_step(toy_plan: ToyPlan, tmp_path: Path) -> None:
    (tmp_path / "c").write_text("a file where the folder should be")
    for weights, out in (("w", "c"), ("c", "o")):
        with pytest.raises(DataError, match="cannot be written"):
            train(toy_plan("uss"), TrainingSitting(tmp_path / weights, tmp_path / out, device="cpu"))


def test_every_part_takes_a_step_in_bf16(toy_train: ToyTrain) -> None:
    for name in ("encoder", "m2d", "uss", "dpc", "tse2"):
        result = toy_train(name, precision="bf16", steps=1, **({"checkpointing": True} if name == "uss" else {}))
        assert result.finished, name
        assert all(math.isfinite(value) for value in result.figures.values()), name


def test_frame_embeddings_that_are_asked_for_must_be_there(
    toy_plan: ToyPlan, toy_train: ToyTrain, tmp_path: Path
) -> None:
    for name in ("m2d", "uss", "dpc"):
        toy_train(name)
    sitting = TrainingSitting(
        tmp_path / "weights", tmp_path / "c", device="cpu", af_whisper_weights=tmp_path / "nowhere"
    )
    with pytest.raises(DataError, match=r"nowhere.*no such file"):
        train(toy_plan("tse2"), sitting)
    toy_train("tse2")
    entry = json.loads((tmp_path / "weights" / "card.json").read_text())["history"][-1]
    assert entry["frame_embeddings"] == "none: the null embedding alone"


def test_the_mixture_can_be_embedded_instead(toy_train: ToyTrain, toy_plan: ToyPlan, tmp_path: Path) -> None:
    for name in ("encoder", "m2d", "uss", "dpc"):
        toy_train(name)
    plan = toy_plan("tse2", steps=1, system={"af_source": "mixture"})
    assert train(plan, TrainingSitting(tmp_path / "weights", tmp_path / "c", device="cpu")).finished


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cuda:x"}, "expected auto, cpu, cuda or cuda:N"),
        ({"device": "cuda:99"}, "CUDA devices; `device=cpu`"),
        ({"device": "cpu", "devices": "many"}, "devices is 'many'"),
        ({"device": "cpu", "devices": 0}, "devices is 0"),
    ],
)
def test_devices_that_are_not_there(toy_plan: ToyPlan, tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        train(toy_plan("uss"), TrainingSitting(tmp_path / "w", tmp_path / "c", **settings))


@pytest.mark.parametrize("name", ["encoder", "m2d", "uss", "dpc", "adapt", "tse2"])
def test_whatever_is_trained_gets_a_gradient(name: str, toy_plan: ToyPlan, toy_train: ToyTrain, tmp_path: Path) -> None:
    if name in ("dpc", "adapt", "tse2"):
        toy_train("m2d")
        toy_train("uss")
    if name in ("adapt", "tse2"):
        toy_train("dpc")
    plan = toy_plan(name, seed=2)
    job = plan.trainer.make_job(plan, PartsFolder(tmp_path / "weights", torch.device("cpu")))
    optimiser = torch.optim.Adam([p for p in job.task.parameters() if p.requires_grad], lr=1e-3)
    seen = {key: 0.0 for key, p in job.task.named_parameters() if p.requires_grad}
    for batch in batches(plan.recipe.data, 2, 4, first=0, last=3):  # what begins at zero holds others up for a step
        optimiser.zero_grad()
        terms = job.task(batch)
        torch.stack([value for key, value in terms.items() if not key.startswith("_")]).sum().backward()
        for key, p in job.task.named_parameters():
            if p.grad is not None:
                seen[key] = max(seen[key], float(p.grad.abs().max()))
        optimiser.step()
    excused = ["frame_clue.null"]
    if name in ("uss", "adapt") and plan.recipe.loss.interference == plan.recipe.loss.noise == 0:  # no other objects
        excused += ["object_decoder.weight", "object_decoder.bias"]
    assert [key for key, largest in seen.items() if largest == 0 and not key.endswith(tuple(excused))] == []


@pytest.mark.parametrize("counts", [[1, 0, 0, 0], [0, 0, 0, 1]])
@pytest.mark.parametrize("name", ["uss", "dpc", "adapt", "tse2"])
def test_batches_without_any_source_train_too(toy_train: ToyTrain, name: str, counts: list[float]) -> None:
    if name != "uss":
        toy_train("m2d")
        toy_train("uss")
    if name in ("adapt", "tse2"):
        toy_train("dpc")
    result = toy_train(name, data={"target_counts": counts}, seed=5)
    assert all(math.isfinite(value) for value in result.figures.values())
    of_sources = {"sdr", "class_accuracy"} & result.figures.keys()
    assert (of_sources == set()) == (counts[0] == 1), "nothing was named, neither rightly nor wrongly"


def test_accumulation_and_averages(toy_train: ToyTrain, tmp_path: Path) -> None:
    assert toy_train("uss", accumulate=2, optimiser={"average": 0.0}).finished
    assert json.loads((tmp_path / "weights" / "card.json").read_text())["history"][0]["scenes"] == 8


def test_the_rate_rises_and_falls() -> None:
    settings = OptimiserSettings(1.0, {}, 10, 0.1, 0.0, False, 1.0, 0.0)
    rates = [rate(step, 100, settings) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[99] == pytest.approx(0.1, abs=0.01)
    assert rates == sorted(rates[:10]) + sorted(rates[10:], reverse=True)
