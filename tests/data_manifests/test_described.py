"""Which recordings sound in the mixtures of a set: as they were drawn, and None where nobody has noted it."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.described import recordings_of
from s5eval.data_manifests.sets import mini, recorded
from s5eval.data_manifests.sets.mini import MiniSplit, Recipe, make_mini
from s5eval.data_manifests.sets.official import synthesize_files
from s5eval.data_manifests.sets.recorded import make_recorded
from s5eval.data_manifests.synthesis.recordings import open_recordings
from s5eval.data_manifests.synthesis.scene import draw_scene
from s5eval.data_manifests.synthesis.write import list_records


@pytest.fixture
def recordings(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders with files of the same names: three takes of a class each, and one class in the first alone."""
    rng = np.random.default_rng(1)
    for folder, labels in (("a/mine", ("Cough", "Typing")), ("b/mine", ("Cough",))):
        for label in labels:
            for number in range(3):
                clip = tmp_path / folder / "valid" / label / f"{number}.wav"
                clip.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(clip, rng.standard_normal(9600) * 0.1, 32000)
    return tmp_path / "a" / "mine", tmp_path / "b" / "mine"


@pytest.fixture
def short_scenes(private_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recipe]:
    recipe = Recipe(duration=1.0, target_counts=(0.25, 0.25, 0.5), interference_counts=(1,))
    monkeypatch.setattr(recorded, "RECIPE", recipe)
    recorded._material.cache_clear()
    yield recipe
    recorded._material.cache_clear()


def test_a_made_set_tells_the_recordings_that_were_drawn(
    recordings: tuple[Path, Path], short_scenes: Recipe, tmp_path: Path
) -> None:
    out = make_recorded(recordings, split="valid", count=8, seed=3, rooms=1, workers=1, out=tmp_path / "set")
    ids = [f"recorded_valid_{index:04d}" for index in range(8)]
    told = recordings_of([*ids, "another"], out)
    digests = tuple(open_recordings(folder, "valid").digest() for folder in recordings)
    starts = [digest[7:19] for digest in digests]
    material = recorded._material(recorded.RecordedSet(recordings, "valid", 3, 1, digests))
    for index, id_ in enumerate(ids):
        drawn = draw_scene(seed=3, index=index, material=material, recipe=short_scenes)
        below = {(path.parents[2], path) for event in drawn.targets for path in event.clip.files}
        assert told[id_] == {
            f"{starts[recordings.index(folder)]}/{path.relative_to(folder).as_posix()}" for folder, path in below
        }
    heard = frozenset().union(*(names for names in told.values() if names))
    assert len(heard) > 5 and frozenset() in told.values() and told["another"] is None
    assert all(any(name.startswith(f"{start}/valid/Cough/") for name in heard) for start in starts)


def test_a_set_that_grows_after_its_folder_was_renamed_has_the_same_names(
    recordings: tuple[Path, Path], short_scenes: Recipe, tmp_path: Path
) -> None:
    def make(count: int, *folders: Path, out: str = "set") -> dict[str, frozenset[str] | None]:
        recorded._material.cache_clear()
        make_recorded(folders, split="valid", count=count, seed=3, rooms=1, workers=1, out=tmp_path / out)
        return recordings_of([f"recorded_valid_{index:04d}" for index in range(count)], tmp_path / out)

    before = make(3, *recordings)
    moved = recordings[0].rename(tmp_path / "sounds")
    after = make(6, moved, recordings[1])
    assert {id_: after[id_] for id_ in before} == before
    assert after == make(6, moved, recordings[1], out="anew")


def test_a_set_of_before_goes_on_and_does_not_tell(
    recordings: tuple[Path, Path], short_scenes: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "set"

    def make(count: int) -> None:
        make_recorded(recordings, split="valid", count=count, seed=3, rooms=1, workers=1, out=out)

    make(2)
    for path in list_records(out):
        content = json.loads(path.read_text())
        del content["recordings"]
        path.write_text(json.dumps(content))
    before = {path: path.stat().st_mtime_ns for path in (out / "soundscape").iterdir()}
    make(3)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items()), "whole scenes stay as they are"
    told = recordings_of([f"recorded_valid_{index:04d}" for index in range(3)], out)
    assert [names is None for names in told.values()] == [True, True, False]


def test_procedural_sounds_are_in_one_mixture_alone(
    private_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mini, "SPLITS", {"valid": MiniSplit(2, 1, 2)})
    monkeypatch.setattr(mini, "RECIPE", Recipe(duration=1.0, target_counts=(0, 1), interference_counts=(1,)))
    mini.mini_material.cache_clear()
    ids = ["mini_valid_0000", "mini_valid_0001"]
    nothing = dict.fromkeys(ids, frozenset())
    assert recordings_of(ids, None, dataset="mini", split="valid") == nothing, "whether it has been made or not"
    out = make_mini("valid", out=tmp_path / "set", workers=1)
    assert recordings_of(ids, out) == nothing
    assert [json.loads(path.read_text())["recordings"] for path in list_records(out)] == [[], []]
    mini.mini_material.cache_clear()


def test_official_metadata_name_their_recordings(
    tiny_dev_set: SimpleNamespace, private_cache: Path, tmp_path: Path
) -> None:
    below = "data/dev_set/sound_event/valid"
    expected = {
        "empty": frozenset(),
        "order": {f"{below}/{name}.wav" for name in ("Speech/one/Speech_one", "Speech/two/Speech_two")}
        | {f"{below}/Doorbell/two/Doorbell_two.wav"},
        "spherical": {f"{below}/Percussion/one/Percussion_one.wav"},
        "bare": {f"{below}/Speech/three/Speech_three.wav"},
    }
    by_number = {f"soundscape_{k:04d}": names for k, names in enumerate(expected.values())}
    assert recordings_of(by_number, tiny_dev_set.root / "data", split="valid") == by_number
    metadata = [tiny_dev_set.dev / "metadata" / "valid" / f"{name}.json" for name in expected]
    made = synthesize_files(metadata, root=tiny_dev_set.root, out=tmp_path / "made", workers=1)
    assert recordings_of(expected, made) == expected


def test_metadata_beside_the_mixtures_tell_and_those_that_cannot_be_used_do_not(
    tiny_dev_set: SimpleNamespace, small_set: Path
) -> None:
    (small_set / "metadata").mkdir()
    (small_set / "metadata" / "m_1.json").write_text(json.dumps(tiny_dev_set.scenes["bare"]))
    (small_set / "metadata" / "m_2.json").write_text("{")
    spatialscaper = {"fg_events": [{"source_file": "a.wav"}], "room": "a room of SpatialScaper"}
    (small_set / "metadata" / "m_3.json").write_text(json.dumps(spatialscaper))
    bare = {"data/dev_set/sound_event/valid/Speech/three/Speech_three.wav"}
    assert recordings_of(["m_1", "m_2", "m_3", "m_10"], small_set) == {
        "m_1": bare,
        "m_2": None,
        "m_3": None,
        "m_10": None,
    }


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data folder at"):
        recordings_of(["m_1"], tmp_path / "gone")
