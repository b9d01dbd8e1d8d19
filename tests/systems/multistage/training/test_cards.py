"""What a training exports and what its card tells: files that are gone, exports that were cut off, recordings."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file, save_file

from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.card import read_card, record_file
from s5eval.systems.hooks import Hook, Hooks
from s5eval.systems.training.exports import write_weights
from s5eval.systems.training.loop import TrainingResult, train
from s5eval.systems.training.sitting import TrainingSitting
from s5eval.systems.training.training_plan import TrainingPlan
from s5eval.systems.weight_files import file_digest

pytest.importorskip("lightning.fabric")
pytest.importorskip("transformers")

ToyPlan = Callable[..., TrainingPlan]
ToyTrain = Callable[..., TrainingResult]

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore:This DataLoader will create:UserWarning",  # on one core
)


def test_an_exported_file_that_is_gone_is_exported_again(toy_train: ToyTrain, tmp_path: Path) -> None:
    for name in ("m2d", "uss"):
        toy_train(name)
    digests = toy_train("dpc").digests
    weights = tmp_path / "weights"
    (weights / "dpc1.safetensors").unlink()
    later = {key: value + 1 for key, value in load_file(weights / "uss.safetensors").items()}
    save_file(later, weights / "uss.safetensors")  # what a later recipe made of it
    record_file(weights, "uss.safetensors")
    before = file_digest(weights / "uss.safetensors")
    assert toy_train("dpc").digests == digests
    assert file_digest(weights / "dpc1.safetensors") == digests["dpc1"]
    assert file_digest(weights / "uss.safetensors") == before


def test_it_is_exported_again_whatever_the_frozen_parts_have_become(
    toy_plan: ToyPlan, toy_train: ToyTrain, tmp_path: Path
) -> None:
    weights = tmp_path / "weights"
    for name in ("m2d", "uss", "dpc"):
        toy_train(name, steps=1)
    digests = toy_train("tse2", steps=1).digests
    for name in ("m2d", "encoder"):  # one is another by now, and one was not there before
        train(toy_plan(name, steps=1, seed=5), TrainingSitting(weights, tmp_path / "again" / name, device="cpu"))
    told = read_card(weights)["history"]
    (weights / "dpc2.safetensors").unlink()
    assert toy_train("tse2", steps=1).digests == digests
    assert file_digest(weights / "dpc2.safetensors") == digests["dpc2"]
    assert read_card(weights)["history"] == told, "it was not trained on the new ones"


@pytest.mark.parametrize("instant", ["between the parts", "before the card"])
def test_an_export_that_was_cut_off_is_made_whole_by_the_same_command(
    toy_plan: ToyPlan, toy_train: ToyTrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instant: str
) -> None:
    """Of parts that go on from themselves: the files that they began with are those that were written over."""
    for name in ("m2d", "uss", "dpc"):
        toy_train(name)
    plan = toy_plan("adapt")
    whole = shutil.copytree(tmp_path / "weights", tmp_path / "whole")
    wanted = train(plan, TrainingSitting(whole, tmp_path / "a", device="cpu")).digests
    sitting = TrainingSitting(tmp_path / "weights", tmp_path / "b", device="cpu")
    written: list[object] = []

    def kill(*arguments: object, **_: object) -> str:
        if instant == "before the card" or written:
            raise KeyboardInterrupt
        written.append(arguments)
        return write_weights(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        name = "update_card" if instant == "before the card" else "write_weights"
        patch.setattr(f"s5eval.systems.training.learner.{name}", kill)
        train(plan, sitting)
    assert train(plan, sitting).digests == wanted
    assert read_card(tmp_path / "weights") | {"history": []} == read_card(whole) | {"history": []}


def test_a_card_that_cannot_be_read_stops_before_any_step(toy_plan: ToyPlan, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "card.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read as a card"):
        train(toy_plan("uss"), TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu"))
    assert not (tmp_path / "w" / "uss.safetensors").exists()


def test_the_card_tells_the_recordings_that_the_sitting_began_with(
    toy_plan: ToyPlan, tmp_path: Path, tiny_dev_set: SimpleNamespace
) -> None:
    """A folder that goes while it trains: no step is lost, and no file is without its card."""
    own = shutil.copytree(tiny_dev_set.dev, tmp_path / "own")

    class Gone(Hook):
        def step(self, step: int, steps: int, figures: object) -> None:
            if step == steps:
                shutil.rmtree(own)

    sitting = TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu")
    plan = toy_plan("uss", data={"folder": str(own)})
    assert train(plan, sitting, hooks=Hooks([Gone()])).finished
    assert read_card(tmp_path / "w")["history"][-1]["data"] == "own 1"


def test_a_table_of_recordings_that_cannot_be_read_stops_before_any_step(
    toy_plan: ToyPlan, tmp_path: Path, tiny_dev_set: SimpleNamespace
) -> None:
    own = shutil.copytree(tiny_dev_set.dev, tmp_path / "own")
    (own / "manifest.csv").write_text("file,licence\n1.wav,CC0\n")
    with pytest.raises(DataError, match="expected a table with the columns file, licence and source"):
        train(toy_plan("uss", data={"folder": str(own)}), TrainingSitting(tmp_path / "w", tmp_path / "c", device="cpu"))
    assert not list((tmp_path / "c").glob("step-*"))
    assert not (tmp_path / "w" / "uss.safetensors").exists()
