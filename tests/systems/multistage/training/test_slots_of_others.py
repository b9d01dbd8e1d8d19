"""Slots that another training has kept are heard beside the recipe's own, where the same networks made them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.systems.multistage.training import kept_slots, slot_folder
from s5eval.systems.multistage.training.kept_slots import Heard, KeptSlots, SlotBatch
from s5eval.systems.multistage.training.slot_folder import OtherSlots
from s5eval.systems.training.loop import TrainingResult
from s5eval.systems.training.training_plan import TrainingPlan

ToyPlan = Callable[..., TrainingPlan]
ToyTrain = Callable[..., TrainingResult]

MADE_BY = {"frozen": {"uss": "sha256:1"}, "stage": 1, "scenes": "sha256:2"}
MATERIAL = [{"share": 1.0, "folder": "procedural"}]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (kept_slots, slot_folder):
        monkeypatch.setattr(module, "SHARD", 4)


def hear(first: int, last: int) -> Heard:
    """A slot and a source alone of every scene, told apart by their values."""
    rows = torch.arange(first, last)
    maps = rows.view(-1, 1, 1).expand(-1, 3, 5).float()
    slots = SlotBatch.unmixed(maps.unsqueeze(1), maps, rows.float(), rows % 18)
    return Heard(slots, 100 + maps, (rows + 1) % 18)


def keep(out: Path, scenes: int, made_by: dict[str, Any] | None = None) -> Path:
    """The folder of a training that has kept scenes."""
    KeptSlots(out / "slots", made_by or {**MADE_BY, "scenes": out.name}).prepare(scenes, hear, material=MATERIAL)
    return out


def heard_beside(out: Path, others: list[Path]) -> KeptSlots:
    store = KeptSlots(out / "slots", MADE_BY)
    store.prepare(8, hear, others=[OtherSlots.of_training(other) for other in others])
    return store


def test_they_follow_the_training_s_own_and_count_as_often_as_they_are_named(tmp_path: Path) -> None:
    other = keep(tmp_path / "other", 4)
    store = heard_beside(tmp_path / "own", [other, other])
    expected = [*range(8), *range(4), *range(4)]
    assert len(store) == 16
    assert store.pick(torch.arange(16)).level.tolist() == expected
    assert store.labels().tolist() == [scene % 18 for scene in expected]
    assert store.pick_alone(torch.arange(16)).log_mel[:, 0, 0].tolist() == [100 + scene for scene in expected]


def test_scenes_in_whole_shards_count(tmp_path: Path) -> None:
    assert OtherSlots.of_training(keep(tmp_path / "other", 10)).scenes == 8


def test_other_networks_are_refused_and_other_scenes_are_not(tmp_path: Path) -> None:
    other = keep(tmp_path / "other", 4, {**MADE_BY, "frozen": {"uss": "sha256:3"}, "scenes": "sha256:4"})
    with pytest.raises(UsageError, match=r"slots\.also: .*other/slots was made with another frozen than this training"):
        heard_beside(tmp_path / "own", [other])
    doubted = keep(tmp_path / "doubted", 4, {**MADE_BY, "scenes": "sha256:5", "runner_up": 0.2})
    assert len(heard_beside(tmp_path / "own", [doubted])) == 12


def test_a_folder_without_slots_is_named(tmp_path: Path) -> None:
    for out in (tmp_path / "nothing", keep(tmp_path / "few", 3)):
        with pytest.raises(DataError, match=rf"slots\.also: {out} holds no kept slots .*expected the `out` folder"):
            OtherSlots.of_training(out)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    other = keep(tmp_path / "other", 8)
    path = other / "slots" / "000004-000008.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"000004-000008\.safetensors is damaged; give the command of its training"):
        heard_beside(tmp_path / "own", [other])


def test_what_was_made_counts_and_not_where_it_lies(tmp_path: Path) -> None:
    first = OtherSlots.of_training(keep(tmp_path / "other", 8))
    shutil.copytree(tmp_path / "other", tmp_path / "moved")
    assert OtherSlots.of_training(tmp_path / "moved").digest() == first.digest()
    keep(tmp_path / "other", 12)
    assert OtherSlots.of_training(tmp_path / "other").digest() != first.digest()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_recipe_hears_them_and_the_card_says_so(toy_plan: ToyPlan, toy_train: ToyTrain, tmp_path: Path) -> None:
    pytest.importorskip("lightning.fabric")
    for name in ("m2d", "uss", "dpc"):
        toy_train(name)
    changes: dict[str, Any] = {"trains": ["dpc1"], "starts_from": {"uss": None, "dpc1": "dpc1"}, "export": "float32"}
    slots = {"scenes": 4, "batch": 6}
    shutil.rmtree(tmp_path / "training" / "dpc")
    toy_train("dpc", **changes, slots=slots, seed=3)
    other = shutil.move(tmp_path / "training" / "dpc", tmp_path / "other")
    assert toy_train("dpc", **changes, slots={**slots, "also": [str(other)]}, seed=4).finished
    entry = json.loads((tmp_path / "weights" / "card.json").read_text())["history"][-1]
    (told,) = entry["slots"]["also"]
    of_other = {key: entry[key] for key in ("data", "recordings", "never_heard")}
    assert told == {"slots": OtherSlots.of_training(other).digest(), "scenes": 4, **of_other}
    moved = shutil.move(other, tmp_path / "moved")
    plans = [toy_plan("dpc", **changes, slots={**slots, "also": [str(moved)] * k}, seed=4) for k in (1, 2)]
    assert plans[0].digest() == entry["plan"] != plans[1].digest()


def test_they_are_no_kept_slots_of_a_recipe_that_keeps_none(toy_plan: ToyPlan) -> None:
    with pytest.raises(UsageError, match=r"slots\.also is \['OTHER'\] and slots\.scenes is 0"):
        toy_plan("dpc", slots={"also": ["OTHER"]})


@pytest.mark.parametrize(
    ("made_by", "named"),
    [
        ({**MADE_BY, "stage": 2}, "stage"),
        ({**MADE_BY, "revision": 7}, "revision"),
        ({"frozen": MADE_BY["frozen"], "scenes": "x"}, "stage"),
    ],
)
def test_slots_that_were_made_in_another_way_are_refused_by_what_differs(
    tmp_path: Path, made_by: dict[str, Any], named: str
) -> None:
    other = OtherSlots.of_training(keep(tmp_path / "other", 4, made_by))
    with pytest.raises(UsageError, match=f"was made with another {named} than this training's"):
        list(other.shards(MADE_BY, ("labels",)))
