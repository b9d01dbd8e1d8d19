"""A classifier that hears kept slots learns from what the frozen stages would have given it, and pays for it once."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from s5eval.data_manifests.common.errors import UsageError
from s5eval.systems.multistage.models.dpc import normalise_level
from s5eval.systems.multistage.system import REVISION
from s5eval.systems.multistage.training import classification
from s5eval.systems.multistage.training.classification import SlotSource, sources_alone
from s5eval.systems.multistage.training.kept_slots import Heard, KeptSlots
from s5eval.systems.networks.m2d import M2D
from s5eval.systems.training import checkpoint
from s5eval.systems.training.batches import batches
from s5eval.systems.training.loop import TrainingResult, train
from s5eval.systems.training.parts import PartsFolder
from s5eval.systems.training.sitting import TrainingSitting
from s5eval.systems.training.training_plan import TrainingPlan

pytest.importorskip("lightning.fabric")
pytest.importorskip("transformers")

ToyPlan = Callable[..., TrainingPlan]
ToyTrain = Callable[..., TrainingResult]
MadeUpSlots = Callable[[int], Heard]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

AS_IT_IS = {"equalise": 0.0, "hide": 0}
CLASSIFIER = {"trains": ["dpc1"], "starts_from": {"uss": None, "dpc1": "dpc1"}}


def slots(settings: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"slots": {"scenes": 4, "batch": 6, **(settings or {})}}


@pytest.fixture
def ready(toy_train: ToyTrain, tmp_path: Path) -> Path:
    """A folder of weights that a classifier can be trained on."""
    for name in ("m2d", "uss", "dpc"):
        toy_train(name)
    return tmp_path / "weights"


def test_kept_slots_are_what_the_frozen_stage_gives(toy_plan: ToyPlan, ready: Path, tmp_path: Path) -> None:
    parts = PartsFolder(ready, torch.device("cpu"))
    kept = toy_plan("dpc", **CLASSIFIER, **slots(AS_IT_IS), seed=3)
    job, fresh = kept.trainer.make_job(kept, parts), toy_plan("dpc", **CLASSIFIER, seed=3)
    assert job.batches is not None
    next(iter(job.batches(tmp_path / "out", first=0, last=1)))
    store = KeptSlots(tmp_path / "out" / "slots", job.batches.made_by)  # type: ignore[attr-defined]
    store.prepare(4, lambda first, last: pytest.fail("they are there"))
    assert len(store) == 12
    task = fresh.trainer.make_job(fresh, parts).task.eval()
    for scene, batch in enumerate(batches(fresh.recipe.data, 3, 1, first=0, last=4)):
        task.weights = replace(task.weights, assignment="permutation")
        expected = task(batch)
        terms = job.task.eval()(store.pick(torch.arange(3 * scene, 3 * scene + 3)))
        assert terms.keys() == expected.keys()
        for name in terms:
            torch.testing.assert_close(terms[name], expected[name], rtol=2e-2, atol=2e-3)  # kept at half precision


@pytest.mark.parametrize("name", ["dpc", "adapt", "tse2", "tse3"])
def test_every_classifier_can_learn_from_kept_slots(name: str, toy_train: ToyTrain, tmp_path: Path) -> None:
    for part in ("encoder", "m2d", "uss", "dpc", "tse2"):
        toy_train(part)
    trains = {"dpc": ["dpc1"], "adapt": ["dpc1", "m2d"], "tse2": ["dpc2"], "tse3": ["dpc3"]}[name]
    starts = {"dpc": {"uss": None, "dpc1": "dpc1"}, "adapt": {"uss": None}, "tse2": {"tse2": None}, "tse3": {}}[name]
    before = load_file(tmp_path / "weights" / "uss.safetensors")
    (tmp_path / "training" / name).exists() and shutil.rmtree(tmp_path / "training" / name)
    result = toy_train(name, trains=trains, starts_from=starts, export="float32", **slots())
    assert result.finished
    assert set(result.digests) == set(trains)
    entry = json.loads((tmp_path / "weights" / "card.json").read_text())["history"][-1]
    assert (entry["scenes"], entry["slots"]["batch"]) == (4, 6)
    after = load_file(tmp_path / "weights" / "uss.safetensors")
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_scenes_whose_slots_are_all_given_up_are_heard_too(toy_train: ToyTrain) -> None:
    for part in ("encoder", "m2d", "uss", "dpc"):
        toy_train(part)
    toy_train("tse2", system={"tau_skip": 0.0})
    assert toy_train("tse3", system={"tau_skip": 0.0}, trains=["dpc3"], starts_from={}, **slots()).finished


def test_sittings_add_up_to_one_whatever_is_left_of_the_slots(toy_plan: ToyPlan, ready: Path, tmp_path: Path) -> None:
    shown = slots({"alone": 0.5, "mix": 0.5})
    plan = toy_plan("adapt", trains=["dpc1", "m2d"], starts_from={"uss": None}, steps=4, export="float32", **shown)
    ends = []
    for folder, sittings in (("one", 1), ("many", 4)):
        weights = shutil.copytree(ready, tmp_path / folder)
        out = tmp_path / f"{folder}-steps"
        for _ in range(sittings):
            train(plan, TrainingSitting(weights, out, device="cpu", max_minutes=None if sittings == 1 else 0))
            for path in list((out / "slots").glob("*.safetensors")):
                path.write_bytes(path.read_bytes()[:1000])  # as a full disk or a kill may leave it
        ends.append({name: load_file(weights / f"{name}.safetensors") for name in ("dpc1", "m2d")})
    for name, tensors in ends[0].items():
        torch.testing.assert_close(ends[1][name], tensors, rtol=0, atol=0)


def test_an_interrupted_making_of_slots_ends_with_the_scenes_under_way(
    toy_plan: ToyPlan, ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_up_slots: MadeUpSlots
) -> None:
    plan = toy_plan("dpc", **CLASSIFIER, **slots({"scenes": 120}))
    heard: list[int] = []

    def interrupt(first: int, last: int) -> Heard:
        heard.append(first)
        time.sleep(0.3)
        signal.raise_signal(signal.SIGINT)
        return made_up_slots(2 * (last - first))

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    with monkeypatch.context() as patch:
        patch.setattr(SlotSource, "_hear", lambda self, first, last: interrupt(first, last))
        with pytest.raises(KeyboardInterrupt):
            train(plan, TrainingSitting(ready, tmp_path / "out", device="cpu"))
    signal.signal(signal.SIGINT, before)
    assert heard == [0]
    assert len(list((tmp_path / "out" / "slots").glob("*.safetensors"))) == 1
    state = checkpoint.load(tmp_path / "out", plan.digest())
    assert state is not None
    assert (state.step, state.seconds > 0.3) == (0, True)  # what was made counts as training, and is not made again


def test_a_killed_making_of_slots_keeps_its_seconds(
    toy_plan: ToyPlan, ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_up_slots: MadeUpSlots
) -> None:
    plan = toy_plan("dpc", **CLASSIFIER, **slots({"scenes": 120}))

    def stumble(first: int, last: int) -> Heard:
        if first:
            raise MemoryError  # ends at once, like a kill
        time.sleep(0.3)
        return made_up_slots(2 * (last - first))

    monkeypatch.setattr(SlotSource, "_hear", lambda self, first, last: stumble(first, last))
    with pytest.raises(MemoryError):
        train(plan, TrainingSitting(ready, tmp_path / "out", device="cpu", checkpoint_minutes=0.001))
    state = checkpoint.load(tmp_path / "out", plan.digest())
    assert state is not None
    assert state.seconds > 0.3


def test_slots_of_another_separator_are_made_anew(toy_plan: ToyPlan, ready: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    train(toy_plan("dpc", **CLASSIFIER, **slots()), TrainingSitting(ready, out, device="cpu"))
    (shard,) = (out / "slots").glob("*.safetensors")
    first = load_file(shard)
    table = load_file(ready / "uss.safetensors")
    other = tmp_path / "other"
    shutil.copytree(ready, other)
    (other / "card.json").unlink()
    save_file({name: value * 1.01 for name, value in table.items()}, other / "uss.safetensors")
    for step in out.glob("step-*"):
        shutil.rmtree(step)
    train(toy_plan("dpc", **CLASSIFIER, **slots()), TrainingSitting(other, out, device="cpu"))
    assert not torch.equal(load_file(shard)["features"], first["features"])
    assert torch.equal(load_file(shard)["labels"], first["labels"])


def test_slots_of_before_a_change_of_the_code_are_made_anew(
    toy_plan: ToyPlan, ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, out = toy_plan("dpc", **CLASSIFIER, **slots()), tmp_path / "out"
    train(plan, TrainingSitting(ready, out, device="cpu"))
    (shard,) = (out / "slots").glob("*.safetensors")
    before = shard.stat().st_mtime_ns
    for revision in (REVISION, REVISION + 1):
        monkeypatch.setattr(classification, "REVISION", revision)
        for step in out.glob("step-*"):
            shutil.rmtree(step)
        train(plan, TrainingSitting(ready, out, device="cpu"))
        assert (shard.stat().st_mtime_ns == before) == (revision == REVISION)


def test_sources_alone_are_heard_with_little_of_the_rest(toy_plan: ToyPlan, ready: Path) -> None:
    plan = toy_plan("dpc", seed=3)
    m2d = M2D(plan.configuration.m2d)
    scenes = list(batches(plan.recipe.data, 3, 1, first=0, last=6))
    for batch in scenes:
        heard, labels = sources_alone(batch, m2d)
        dry = batch.targets[batch.active]
        assert labels.tolist() == batch.labels[batch.active].tolist()
        assert heard.shape == (len(dry), plan.configuration.m2d.mels, batch.omni.shape[1] // 320 + 1)
        if len(dry):
            clean = m2d.to_spec(normalise_level(dry))
            mixed = m2d.to_spec(normalise_level(batch.omni)).expand_as(clean)
            loud = clean > clean.amax((1, 2), keepdim=True) - 3.0  # cells where a little of the rest adds little
            assert (heard - clean)[loud].abs().mean() < 0.5 * (mixed - clean)[loud].abs().mean() + 0.05


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("uss", slots(), r"slots\.scenes is 4, which is for recipes that train a stage's classifier"),
        ("m2d", slots(), r"task tagging"),
        ("dpc", {**CLASSIFIER, **slots({"silent": 1.0})}, r"silent, alone and mix from 0 to below 1"),
        ("dpc", {**CLASSIFIER, **slots({"alone": 0.95})}, r"alone 0\.95 of batch 6 leaves no slot"),
        ("dpc", {**CLASSIFIER, **slots({"alone": -0.1})}, r"silent, alone and mix from 0 to below 1"),
        ("dpc", {**CLASSIFIER, **slots({"batch": 0})}, r"batch above 0"),
        ("dpc", {**CLASSIFIER, **slots({"alone": 0.05})}, r"alone 0\.05 of batch 6 comes to no source alone"),
        (
            "dpc",
            {**CLASSIFIER, **slots({"mix": 0.5})},
            r"comes to no source alone, and mix 0\.5 is of",
        ),
    ],
)
def test_recipes_that_cannot_keep_slots_are_refused(
    toy_plan: ToyPlan, name: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        toy_plan(name, **changes)
