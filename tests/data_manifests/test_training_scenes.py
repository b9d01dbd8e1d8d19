from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests import training_scenes as training
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.labels import CLASSES, NO_SOURCE
from s5eval.data_manifests.sets import mini
from s5eval.data_manifests.synthesis.augmentation import Augmentation, AugmentedClip
from s5eval.data_manifests.synthesis.rooms import RoomBank
from s5eval.data_manifests.synthesis.scene import DrawnEvent, draw_scene
from s5eval.data_manifests.synthesis.sources import FileClip, FoleyClip
from s5eval.data_manifests.training_scenes import (
    TrainingScenes,
    mixed_training,
    start_worker,
)

ONE_TARGET = mini.Recipe(duration=10.0, target_counts=(0, 1), interference_counts=(1,))


@pytest.fixture(autouse=True)
def few_rooms(one_room: RoomBank, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def material(split: str, augmentation: str = "off", rooms: int | None = None) -> mini.Material:
        original = mini.mini_material.__wrapped__(split, augmentation)
        return replace(original, rooms=one_room)

    monkeypatch.setattr(training, "mini_material", material)
    yield


def test_a_part_of_a_recording_that_is_silent_is_no_source(tmp_path: Path) -> None:
    """A slot of zeros under the name of a class would teach that silence is that class."""
    for name, first in (("late", 0), ("none", 64_000)):
        path = tmp_path / name / "train" / "Speech" / "a.wav"
        path.parent.mkdir(parents=True)
        clip = np.zeros(64_000)
        clip[:32_000] = 0.1 * (first == 0)
        soundfile.write(path, clip, 32_000)
    recipe = replace(ONE_TARGET, duration=0.1)

    def labels(folder: str) -> set[bool]:
        scenes = mixed_training({str(tmp_path / folder): 1.0}, seed=1, duration=0.1, recipe=recipe)
        found = set()
        for item in (scenes[index] for index in range(12)):
            assert (item["labels"] != NO_SOURCE).tolist() == item["targets"].any(axis=1).tolist()
            found.add(bool(item["targets"].any()))
        return found

    assert labels("late") == {True, False}
    assert labels("none") == {False}


def test_items_have_fixed_shapes() -> None:
    scenes = mixed_training({"foley": 1.0}, seed=1, scenes_per_epoch=12, duration=2.0)
    assert len(scenes) == 12
    counts = set()
    for item in (scenes[i] for i in range(12)):
        assert item["mixture"].shape == (4, 64_000) and item["mixture"].dtype == np.float32
        assert item["targets"].shape == (3, 64_000) and item["targets"].dtype == np.float32
        assert item["interference"].shape == (2, 64_000) and item["noise"].shape == (64_000,)
        active = item["labels"] != NO_SOURCE
        counts.add(int(active.sum()))
        assert all(0 <= label < len(CLASSES) for label in item["labels"][active])
        assert not item["targets"][~active].any()
    assert len(counts) >= 3
    with pytest.raises(IndexError):
        scenes[12]


def test_epochs_and_seeds_have_scenes_of_their_own() -> None:
    scenes = mixed_training({"foley": 1.0}, seed=1, scenes_per_epoch=4, duration=1.0)
    first = scenes[1]["mixture"]
    scenes.epoch = 1
    assert not np.array_equal(scenes[1]["mixture"], first)
    scenes.epoch = 0
    assert np.array_equal(scenes[1]["mixture"], first)
    assert not np.array_equal(
        mixed_training({"foley": 1.0}, seed=2, scenes_per_epoch=4, duration=1.0)[1]["mixture"], first
    )


@pytest.mark.slow
def test_a_torch_loader_gives_the_same_scenes_with_any_number_of_workers() -> None:
    import torch
    from torch.utils.data import DataLoader

    scenes: TrainingScenes = mixed_training({"foley": 1.0}, seed=3, scenes_per_epoch=6, duration=1.0)
    batches = [
        list(DataLoader(scenes, batch_size=3, num_workers=n, worker_init_fn=start_worker))
        for n in (0, 2)  # type: ignore[arg-type]
    ]
    for one, other in zip(*batches, strict=True):
        assert one["mixture"].shape == (3, 4, 32_000) and one["labels"].dtype == torch.int64
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_real_recordings_in_the_official_layout(tiny_dev_set: SimpleNamespace) -> None:
    scenes = mixed_training({str(tiny_dev_set.dev): 1.0}, scenes_per_epoch=8, duration=1.5)
    seen = {CLASSES[label] for i in range(8) for label in scenes[i]["labels"] if label != NO_SOURCE}
    assert seen and seen <= {"Speech", "Doorbell", "Percussion"}


def test_what_is_missing_is_replaced_or_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no recordings"):
        mixed_training({str(tmp_path): 1.0})
    clip = tmp_path / "sound_event" / "train" / "Cough" / "a.wav"
    clip.parent.mkdir(parents=True)
    soundfile.write(clip, np.random.default_rng(0).standard_normal(8000) * 0.1, 32000)
    item = mixed_training(
        {str(tmp_path): 1.0}, scenes_per_epoch=50, duration=1.0, recipe=mini.Recipe(target_counts=(0, 1))
    )[0]
    assert item["labels"].tolist() == [CLASSES.index("Cough")] and item["targets"].any()
    (tmp_path / "sound_event" / "train" / "Trombone").mkdir()
    soundfile.write(tmp_path / "sound_event" / "train" / "Trombone" / "b.wav", np.ones(8000) * 0.1, 32000)
    with pytest.raises(DataError, match="Trombone"):
        mixed_training({str(tmp_path): 1.0})


@pytest.mark.parametrize("share", [float("nan"), float("inf"), -1.0])
def test_a_share_is_a_finite_number_of_zero_or_more(share: float) -> None:
    with pytest.raises(UsageError, match=r"`shares` is .*expected foley or folders, each with a finite share"):
        mixed_training({"foley": 1.0, "D": share})


def test_measured_rooms_need_backgrounds_and_the_rate(tiny_dev_set: SimpleNamespace, tmp_path: Path) -> None:
    for name in ("sound_event", "room_ir"):
        (tmp_path / name).symlink_to(tiny_dev_set.dev / name)
    with pytest.raises(DataError, match="background recordings"):
        mixed_training({str(tmp_path): 1.0})


def test_hidden_files_among_recordings_are_none_and_those_without_content_are_named(tmp_path: Path) -> None:
    for number in range(2):
        folder = tmp_path / "sound_event" / "train" / "Speech"
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{number}.wav", np.full(32_000, 0.1), 32_000)
        (folder / f"._{number}.wav").write_bytes(b"a resource fork")
    (tmp_path / "linked").mkdir()
    soundfile.write(tmp_path / "linked" / "2.wav", np.full(32_000, 0.1), 32_000)
    (folder / "more").symlink_to(tmp_path / "linked", target_is_directory=True)
    (folder.parent / ".git").mkdir()
    material = mixed_training({str(tmp_path): 1.0}, duration=1.0).material
    clips = material.targets.clips["Speech"]  # type: ignore[attr-defined]
    assert [clip.path.name for clip in clips] == ["0.wav", "1.wav", "2.wav"]
    assert [clip.seconds for clip in clips] == [1.0, 1.0, 1.0]
    (folder / "3.wav").symlink_to("../.git/annex/objects/x")
    with pytest.raises(DataError, match=r"3\.wav: its content is not here.*git annex get"):
        mixed_training({str(tmp_path): 1.0})


def first_targets(scenes: TrainingScenes) -> list[DrawnEvent]:
    return [draw_scene(seed=1, index=i, material=scenes.material, recipe=ONE_TARGET).targets[0] for i in range(300)]


def test_classes_without_recordings_stay_known_from_procedural_sounds(tiny_dev_set: SimpleNamespace) -> None:
    scenes = mixed_training({"foley": 1.0, str(tiny_dev_set.dev): 1.0}, recipe=ONE_TARGET)
    assert list(scenes.material.targets.labels) == sorted(CLASSES)
    drawn = first_targets(scenes)
    kinds = {label: {type(event.clip) for event in drawn if event.label == label} for label in CLASSES}
    assert kinds["Cough"] == {FoleyClip}
    assert kinds["Speech"] | kinds["Doorbell"] == {FoleyClip, FileClip}


def test_recordings_are_changed_and_procedural_sounds_are_not(tiny_dev_set: SimpleNamespace) -> None:
    shares = {"foley": 1.0, str(tiny_dev_set.dev): 1.0}
    scenes = mixed_training(shares, augmentation=Augmentation(speed=0.3), recipe=ONE_TARGET)
    clips = [event.clip for event in first_targets(scenes)]
    assert {type(clip) for clip in clips} == {FoleyClip, AugmentedClip}


def test_a_share_of_one_alone_is_that_material_alone(tiny_dev_set: SimpleNamespace) -> None:
    mixed = mixed_training({"foley": 0.3}, seed=3, scenes_per_epoch=4, duration=1.0)
    foley = TrainingScenes(training.mini_material("train"), replace(mini.RECIPE, duration=1.0), 3, 4)
    assert np.array_equal(mixed[2]["mixture"], foley[2]["mixture"])
    folder = mixed_training({str(tiny_dev_set.dev): 0.2, "foley": 0.0}, seed=3, scenes_per_epoch=4, duration=1.0)
    recorded = mixed_training({str(tiny_dev_set.dev): 1.0}, seed=3, scenes_per_epoch=4, duration=1.0)
    assert np.array_equal(folder[1]["mixture"], recorded[1]["mixture"])
    for wrong in ({}, {"foley": 0.0}, {"foley": 1.0, "elsewhere": -1.0}):
        with pytest.raises(UsageError, match="share"):
            mixed_training(wrong)
