import itertools
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.synthesis import scene_audio
from s5eval.data_manifests.synthesis.foley import INTERFERENCE_KINDS
from s5eval.data_manifests.synthesis.rooms import RoomBank, SimulatedRoom
from s5eval.data_manifests.synthesis.scene import VALIDATION_COUNTS, Material, Recipe, draw_scene
from s5eval.data_manifests.synthesis.scene_audio import make_scene, render_scene
from s5eval.data_manifests.synthesis.sofa import open_sofa
from s5eval.data_manifests.synthesis.sources import FileClip, FolderSources, FoleySources, JoinedClip

RECORDED = Path(__file__).parents[2] / "parity" / "scene_samples.json"


@pytest.fixture
def material(one_room: RoomBank) -> Material:
    return Material(FoleySources(CLASSES), FoleySources(INTERFERENCE_KINDS), one_room)


def test_the_distribution_is_the_official_one(material: Material) -> None:
    recipe = Recipe()
    scenes = [draw_scene(seed=3, index=i, material=material, recipe=recipe) for i in range(3000)]
    counts = Counter(len(scene.targets) for scene in scenes)
    assert all(abs(counts[n] / 3000 - 0.25) < 0.03 for n in range(4))

    def largest(n: int) -> np.ndarray:
        classes = [Counter(event.label for event in scene.targets) for scene in scenes if len(scene.targets) == n]
        return np.array([max(counter.values()) for counter in classes])

    assert abs((largest(2) == 2).mean() - 0.5) < 0.06
    assert abs((largest(3) >= 2).mean() - 0.5) < 0.06
    assert abs((largest(3) == 3).mean() - 0.25) < 0.05
    interference = Counter(len(scene.interference) for scene in scenes)
    assert all(abs(interference[n] / 3000 - 1 / 3) < 0.03 for n in range(3))
    for events, low, high in (
        ([event for scene in scenes for event in scene.targets], 5, 20),
        ([event for scene in scenes for event in scene.interference], 0, 15),
    ):
        snr = np.array([event.snr for event in events])
        assert low <= snr.min() < low + 0.2 and high - 0.2 < snr.max() <= high
        assert abs(snr.mean() - (low + high) / 2) < 0.4
        assert all(0 <= event.start <= 10 - event.duration for event in events)
    labels = Counter(event.label for scene in scenes for event in scene.targets)
    assert set(labels) == set(CLASSES) and min(labels.values()) > 0.7 * max(labels.values())


def test_repeated_classes_are_apart_and_of_other_recordings(material: Material) -> None:
    recipe = Recipe(target_counts=(0, 0, 0, 1), repeat_rate=1.0)
    for i in range(200):
        scene = draw_scene(seed=4, index=i, material=material, recipe=recipe)
        for a in range(3):
            for b in range(a):
                first, second = scene.targets[a], scene.targets[b]
                if first.label == second.label:
                    one, other = (scene.room.positions[event.position] for event in (first, second))
                    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
                    assert np.degrees(np.arccos(cosine)) > 60
                    assert first.clip.families.isdisjoint(second.clip.families)


def test_no_more_events_of_a_kind_sound_at_once_than_the_recipe_says(material: Material) -> None:
    """Targets and interference are counted apart."""
    recipe = Recipe(
        target_counts=(0, 0, 0, 1), interference_counts=(0, 0, 0, 1), max_overlap=1, max_event=1.5, duration=8.0
    )
    together = 0
    for index in range(15):
        scene = draw_scene(seed=2, index=index, material=material, recipe=recipe)
        spans = []
        for events in (scene.targets, scene.interference):
            ordered = sorted((event.start, event.start + event.duration) for event in events)
            assert all(end <= start + 1e-9 for (_, end), (start, _) in itertools.pairwise(ordered))
            spans.append(ordered)
        together += any(a < d and c < b for a, b in spans[0] for c, d in spans[1])
    assert together > 5


def test_no_repetitions_at_most_is_none(material: Material) -> None:
    """What asked for it ended in numpy's words."""
    recipe = Recipe(target_counts=(0, 0, 0, 1), repeat_rate=1.0, max_repeats=0)
    for index in range(20):
        labels = [event.label for event in draw_scene(seed=1, index=index, material=material, recipe=recipe).targets]
        assert len(set(labels)) == 3


def test_the_defaults_are_the_baseline_s() -> None:
    likely = {"target_counts": (0.25,) * 4, "interference_counts": (1 / 3,) * 3, "repeat_rate": 0.5, "max_repeats": 2}
    levels = {"snr": (5, 20), "interference_snr": (0, 15), "ref_db": -55}
    assert Recipe() == Recipe(duration=10, repeat_angle=60, max_overlap=3, max_event=10, **likely, **levels)
    assert VALIDATION_COUNTS == (300 / 1800, 300 / 1800, 600 / 1800, 600 / 1800)


def test_places_just_as_far_apart_as_the_angle_are_too_near_for_one_class(material: Material) -> None:
    corner = SimulatedRoom(np.eye(3), np.zeros((3, 4, 1)), np.zeros((4, 1)))
    recipe = Recipe(target_counts=(0, 0, 1), repeat_rate=1.0, repeat_angle=90.0)
    with pytest.raises(DataError, match="no position is further than 90 degrees"):
        draw_scene(seed=1, index=0, material=replace(material, rooms=[corner]), recipe=recipe)
    near = replace(recipe, repeat_angle=89.9)
    assert len(draw_scene(seed=1, index=0, material=replace(material, rooms=[corner]), recipe=near).targets) == 2


def test_a_scene_is_a_function_of_seed_and_index(material: Material) -> None:
    recipe = Recipe(duration=2.0)
    there = [render_scene(draw_scene(seed=5, index=i, material=material, recipe=recipe)) for i in (0, 1, 2)]
    back = [render_scene(draw_scene(seed=5, index=i, material=material, recipe=recipe)) for i in (2, 1, 0)]
    for one, other in zip(there, back[::-1], strict=True):
        assert np.array_equal(one.mixture, other.mixture) and one.labels == other.labels
    assert not np.array_equal(there[0].mixture, there[1].mixture)


def test_the_samples_are_those_of_every_machine(material: Material) -> None:
    for recorded in json.loads(RECORDED.read_text()):
        recipe = Recipe(duration=3.0, target_counts=(0, 0, 0, 1))
        scene = render_scene(draw_scene(seed=9, index=recorded["index"], material=material, recipe=recipe))
        assert list(scene.labels) == recorded["labels"]
        assert np.abs(scene.mixture[:, recorded["at"]] - recorded["mixture"]).max() < 1e-6
        assert np.abs(scene.dry[:, recorded["at"]] - recorded["dry"]).max() < 1e-6


def test_what_is_in_a_scene_adds_up(material: Material) -> None:
    recipe = Recipe(target_counts=(0, 1), interference_counts=(0, 1), repeat_rate=0)
    scene = render_scene(draw_scene(seed=6, index=0, material=material, recipe=recipe))
    assert scene.mixture.shape == scene.noise.shape == (4, 320_000)
    assert scene.dry.shape == scene.interference.shape == (1, 320_000)
    assert 10 * np.log10(np.mean(scene.noise.astype(float) ** 2)) == pytest.approx(-55, abs=0.01)
    events = scene.mixture[0] - scene.noise[0]
    assert np.sum((events - scene.dry[0] - scene.interference[0]) ** 2) < 0.6 * np.sum(events.astype(float) ** 2)


def of_folders(dev: Path) -> Material:
    return Material(
        FolderSources(dev / "sound_event" / "train"),
        FolderSources(dev / "interference" / "train"),
        [open_sofa(path) for path in sorted((dev / "room_ir" / "train").glob("*.sofa"))],
        tuple(sorted((dev / "noise" / "train").iterdir())),
    )


def test_recordings_in_folders(tiny_dev_set: SimpleNamespace) -> None:
    material = of_folders(tiny_dev_set.dev)
    recipe = Recipe(duration=2.5, target_counts=(0, 0, 0, 1), repeat_rate=1.0)
    for i in range(20):
        drawn = draw_scene(seed=1, index=i, material=material, recipe=recipe)
        families = Counter((event.label, family) for event in drawn.targets for family in event.clip.families)
        assert max(families.values()) == 1
        scene = render_scene(drawn)
        assert scene.mixture.shape == (4, 80_000) and len(scene.labels) == 3


def test_a_scene_tells_the_recordings_of_its_targets_and_no_others(tiny_dev_set: SimpleNamespace) -> None:
    recipe = Recipe(duration=2.5, target_counts=(0, 1), interference_counts=(0, 1))
    scene = make_scene(seed=1, index=0, material=of_folders(tiny_dev_set.dev), recipe=recipe)
    assert scene.recordings is not None
    (heard,) = scene.recordings
    assert Path(heard).is_relative_to(tiny_dev_set.dev / "sound_event" / "train" / scene.labels[0])


def test_what_is_made_for_files_of_16_bits_fits_into_them(one_room: RoomBank) -> None:
    material = Material(FoleySources(("Buzzer",)), FoleySources(INTERFERENCE_KINDS), one_room)
    recipe = Recipe(duration=0.3, ref_db=-39.0, target_counts=(0, 1), interference_counts=(1,))
    drawn = [draw_scene(seed=1, index=i, material=material, recipe=recipe) for i in range(12)]
    made = [make_scene(seed=1, index=i, material=material, recipe=recipe) for i in range(12)]
    assert max(np.abs(render_scene(scene).mixture).max() for scene in drawn) > 1.2
    assert max(np.abs(scene.mixture).max() for scene in made) < 1.0
    with pytest.raises(DataError, match="scene 0: none of a hundred draws can be used, of the last its peak is 1 or"):
        make_scene(seed=1, index=0, material=material, recipe=replace(recipe, ref_db=0.0))


def test_too_few_recordings_end_in_a_clear_error(tiny_dev_set: SimpleNamespace, one_room: RoomBank) -> None:
    sources = FolderSources(tiny_dev_set.dev / "sound_event" / "train")
    material = Material(sources, FoleySources(INTERFERENCE_KINDS), one_room)
    with pytest.raises(DataError, match="4 different classes wanted, there are 3"):
        draw_scene(seed=1, index=0, material=material, recipe=Recipe(target_counts=(0, 0, 0, 0, 1), repeat_rate=0))
    with pytest.raises(DataError, match="no recordings"):
        FolderSources(tiny_dev_set.dev / "nothing").labels  # noqa: B018


def test_a_background_needs_four_channels(tmp_path: Path, one_room: RoomBank) -> None:
    soundfile.write(tmp_path / "mono.wav", np.ones(32000) * 0.1, 32000)
    material = Material(FoleySources(CLASSES), FoleySources(INTERFERENCE_KINDS), one_room, (tmp_path / "mono.wav",))
    with pytest.raises(DataError, match="1 channels"):
        render_scene(draw_scene(seed=1, index=0, material=material, recipe=Recipe(duration=1.0)))


def test_a_recorded_background_begins_at_any_of_its_whole_seconds(tmp_path: Path, one_room: RoomBank) -> None:
    """Second k of the recording sounds at 100·(k + 1) Hz."""
    hertz = np.repeat(100.0 * (1 + np.arange(5)), 32_000)
    tones = 0.1 * np.sin(2 * np.pi * np.cumsum(hertz) / 32_000)
    soundfile.write(tmp_path / "tones.wav", np.tile(tones[:, None], (1, 4)), 32_000, subtype="FLOAT")
    material = Material(FoleySources(CLASSES), FoleySources(INTERFERENCE_KINDS), one_room, (tmp_path / "tones.wav",))
    recipe = Recipe(duration=1.0, target_counts=(1,), interference_counts=(1,))
    heard = Counter()
    for index in range(60):
        noise = render_scene(draw_scene(seed=1, index=index, material=material, recipe=recipe)).noise
        spectrum = np.abs(np.fft.rfft(noise[0]))
        heard[int(spectrum.argmax())] += 1
        assert spectrum[int(spectrum.argmax())] > 100 * np.median(spectrum)  # one tone: the second is whole
    assert set(heard) == {100, 200, 300, 400} and min(heard.values()) > 5


def test_of_a_long_recording_that_part_is_heard_that_was_drawn(tmp_path: Path, one_room: RoomBank) -> None:
    (tmp_path / "Buzzer").mkdir()
    ramp = np.linspace(0.0, 1.0, 3 * 32_000)
    soundfile.write(tmp_path / "Buzzer" / "ramp.wav", ramp, 32_000, subtype="FLOAT")
    material = Material(FolderSources(tmp_path), FoleySources(INTERFERENCE_KINDS), one_room)
    recipe = Recipe(duration=2.0, target_counts=(0, 1), interference_counts=(1,), max_event=0.5)
    begins = []
    for index in range(30):
        drawn = draw_scene(seed=1, index=index, material=material, recipe=recipe)
        (event,), (placed,) = drawn.targets, scene_audio._placed(drawn, drawn.targets)
        first = int(event.source_time * 32_000)
        assert np.allclose(placed.source, ramp[first : first + 16_000], atol=1e-6)
        begins.append(event.source_time)
    assert min(begins) < 0.5 and 2.0 < max(begins) <= 2.5


def test_a_folder_of_another_class_excludes_nothing(tmp_path: Path, one_room: RoomBank) -> None:
    for label in ("Buzzer", "Cough"):
        (tmp_path / label / "take").mkdir(parents=True)
        soundfile.write(tmp_path / label / "take" / "only.wav", np.full(3200, 0.1), 32_000)
    material = Material(FolderSources(tmp_path), FolderSources(tmp_path), one_room)
    recipe = Recipe(target_counts=(0, 0, 1), repeat_rate=0.0, interference_counts=(0, 0, 0, 1))
    drawn = draw_scene(seed=1, index=0, material=material, recipe=recipe)
    assert {event.label for event in drawn.targets} == {"Buzzer", "Cough"}
    assert len(drawn.interference) == 3  # of the two recordings: what interferes may be heard twice


def test_two_channels_of_a_recording_are_averaged(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "two.wav", np.tile([0.5, -0.1], (100, 1)), 32_000, subtype="FLOAT")
    assert np.allclose(FileClip(tmp_path / "two.wav", "a").read(0.0, 1.0), 0.2)


def test_joined_recordings_follow_one_another_with_their_pauses_and_gains(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.wav", np.full(3200, 0.1), 32_000, subtype="FLOAT")
    soundfile.write(tmp_path / "two.wav", np.full(6400, 0.2), 32_000, subtype="FLOAT")
    clips = tuple(FileClip(tmp_path / name, "a") for name in ("one.wav", "two.wav"))
    joined = JoinedClip(clips, pauses=(0.05, 0.1), gains=(2.0, 0.5))
    whole = np.concatenate([np.full(3200, 0.2), np.zeros(1600), np.full(6400, 0.1), np.zeros(3200)])
    assert joined.seconds == pytest.approx(len(whole) / 32_000)
    assert np.allclose(joined.read(0.0, 1.0), whole)
    assert np.allclose(joined.read(0.1, 0.2), whole[3200:9600])


@pytest.mark.parametrize("augmentation", ["off", "pool", "concat"])
def test_duration_augmentation_of_foley(augmentation: str) -> None:
    sources = FoleySources(CLASSES, augmentation)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    clips = [sources.draw("Percussion", rng, frozenset()) for _ in range(400)]
    long = np.mean([clip.seconds >= 4 for clip in clips])
    assert long == pytest.approx({"off": 0.26, "pool": 0.5, "concat": 0.5}[augmentation], abs=0.08)
    assert any(isinstance(clip, JoinedClip) for clip in clips) == (augmentation == "concat")
    assert {type(sources.draw("Dishes", rng, frozenset())) for _ in range(50)} <= {type(clips[0]), type(clips[1])}
    gains = [20 * np.log10(gain) for clip in clips if isinstance(clip, JoinedClip) for gain in clip.gains]
    if gains:
        assert -3 <= min(gains) < -2.5 and 2.5 < max(gains) <= 3


def test_duration_augmentation_of_recordings(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, seconds in (("a/1", 0.5), ("a/2", 1.0), ("b/3", 0.7), ("c/4", 6.0)):
        path = tmp_path / "Percussion" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.standard_normal(int(32000 * seconds)) * 0.1, 32000)
    pool = [FolderSources(tmp_path, "pool").draw("Percussion", rng, frozenset()) for _ in range(200)]
    assert np.mean([clip.seconds > 4 for clip in pool]) == pytest.approx(0.5, abs=0.12)
    joined = [FolderSources(tmp_path, "concat").draw("Percussion", rng, frozenset()) for _ in range(100)]
    made = [clip for clip in joined if isinstance(clip, JoinedClip)]
    assert 25 < len(made) < 75
    for clip in made[:10]:
        assert clip.seconds >= 4 and len(clip.families) == 1
        audio = clip.read(0.0, clip.seconds)
        assert len(audio) == pytest.approx(clip.seconds * 32000, abs=20) and np.isfinite(audio).all()
    only_short = FolderSources(tmp_path, "pool")
    assert only_short.draw("Percussion", rng, frozenset({"a", "b", "c"})) is None
    without_long = [only_short.draw("Percussion", rng, frozenset({"c"})) for _ in range(60)]
    assert any(isinstance(clip, JoinedClip) for clip in without_long)  # the long pool is empty: one is made
