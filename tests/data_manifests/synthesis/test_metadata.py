"""Scenes from metadata against a literal twin of the rules, and against outputs of the official program."""

import json
import random
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.synthesis.metadata import list_metadata, read_excerpt, read_metadata, synthesize


def twin(scene: dict[str, Any], root: Path) -> tuple[np.ndarray, list[str], np.ndarray]:
    """The rules once more: slow, in double precision, in the order of their description."""
    config, room = scene["config"], scene["room"]["args"]["metadata"]
    rate, T = config["sr"], int(config["duration"] * config["sr"])
    with h5py.File(root / room["sofa_path"]) as file:
        irs, positions = file["Data.IR"][()], file["SourcePosition"][()]
        if file["SourcePosition"].attrs["Type"] == b"spherical":
            azimuth, elevation, radius = positions.T
            azimuth, elevation = np.deg2rad(azimuth), np.deg2rad(elevation)
            x = radius * np.cos(azimuth) * np.cos(elevation)
            y = radius * np.sin(azimuth) * np.cos(elevation)
            positions = np.stack([x, y, radius * np.sin(elevation)], axis=1)
    mixture = np.zeros((4, T))
    for event in scene["bg_events"]:
        audio = soundfile.read(root / config["background_dir"] / event["source_file"], always_2d=True)[0].T
        if event["source_time"] is None:
            audio = np.concatenate([audio] * 100, axis=1)[:, :T]
        else:
            first = int(event["source_time"] * rate)
            audio = audio[:, first : first + int(event["event_duration"] * rate)]
        mixture += audio / np.sqrt(np.mean(audio**2)) * 10 ** ((config["ref_db"] + event["snr"]) / 20)
    labels, dries = [], []
    for role, events in (("foreground", scene["fg_events"]), ("interference", scene["int_events"])):
        for event in sorted(events, key=lambda event: event["event_time"]):
            folder = config["foreground_dir" if role == "foreground" else "interference_dir"]
            source = soundfile.read(root / folder / event["source_file"], always_2d=True)[0].mean(axis=1)
            first = int(event["source_time"] * rate)
            source = source[first : first + int(event["event_duration"] * rate)]
            wanted = np.array(event["event_position"][0])
            match = next(m for m, p in enumerate(positions) if all(abs(p - wanted) <= 1e-6 + 1e-5 * abs(wanted)))
            wet = np.stack([np.convolve(source, irs[match, c]) for c in range(4)])
            gain = 10 ** ((config["ref_db"] + event["snr"]) / 20) / np.sqrt(np.mean(wet**2))
            start = int(event["event_time"] * rate)
            mixture[:, start : start + wet.shape[1]] += gain * wet[:, : T - start]
            peak = max(range(irs.shape[2]), key=lambda n: abs(irs[match, 0, n]))
            direct = np.zeros(irs.shape[2])
            for n in range(max(peak - 192, 0), min(peak + 1600, irs.shape[2] - 1) + 1):
                direct[n] = irs[match, 0, n]
            dry = np.zeros(T)
            image = gain * np.convolve(source, direct)
            dry[start : start + len(image)] = image[: T - start]
            if role == "foreground":
                labels.append(event["label"])
                dries.append(dry)
    return mixture, labels, np.array(dries).reshape(-1, T)


@pytest.mark.parametrize("name", ["empty", "order", "spherical", "bare"])
def test_equals_the_literal_twin(tiny_dev_set: SimpleNamespace, name: str) -> None:
    scene = synthesize(tiny_dev_set.scenes[name], tiny_dev_set.root)
    mixture, labels, dry = twin(tiny_dev_set.scenes[name], tiny_dev_set.root)
    assert list(scene.labels) == labels
    assert scene.mixture.dtype == np.float32 and scene.dry.dtype == np.float64
    assert np.abs(scene.mixture - mixture).max() < 1e-6
    assert scene.dry.shape == dry.shape
    assert np.abs(scene.dry - dry).max(initial=0) < 1e-6
    assert np.abs(mixture).max() > 1e-3


def test_targets_come_in_order_of_their_start(tiny_dev_set: SimpleNamespace) -> None:
    assert synthesize(tiny_dev_set.scenes["order"], tiny_dev_set.root).labels == ("Doorbell", "Speech", "Speech")


def test_the_rate_of_responses_is_that_of_the_metadata_whatever_the_file_says(
    tiny_dev_set: SimpleNamespace, tmp_path: Path
) -> None:
    """And so are receivers' delays: the official program reads neither."""
    scene = json.loads(json.dumps(tiny_dev_set.scenes["bare"]))
    expected = synthesize(scene, tiny_dev_set.root)
    shutil.copytree(tiny_dev_set.root / "data", tmp_path / "data")
    with h5py.File(tmp_path / scene["room"]["args"]["metadata"]["sofa_path"], "r+") as file:
        file["Data.SamplingRate"][0] = 44_100.0
        file["Data.Delay"] = np.full((1, 4), 100.0)
    assert np.array_equal(synthesize(scene, tmp_path).mixture, expected.mixture)
    scene["room"]["args"]["metadata"]["sr"] = 16_000  # resampled to twice as many taps: twice as late
    slow = synthesize(scene, tmp_path)
    first = [int(np.flatnonzero(np.abs(s.dry[0]) > 1e-3 * np.abs(s.dry).max())[0]) for s in (expected, slow)]
    assert first[1] - first[0] == pytest.approx(60, abs=8)  # responses begin with 60 taps of silence


def test_the_data_folder_may_have_any_name(tiny_dev_set: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(tiny_dev_set.root / "data")
    here = synthesize(tiny_dev_set.scenes["order"], tmp_path / "elsewhere")
    assert np.array_equal(here.mixture, synthesize(tiny_dev_set.scenes["order"], tiny_dev_set.root).mixture)


def test_what_is_missing_is_looked_for_where_the_data_are(tiny_dev_set: SimpleNamespace, tmp_path: Path) -> None:
    """Where the root holds `data/`, the error named a file beside it."""
    scene = json.loads(json.dumps(tiny_dev_set.scenes["bare"]))
    scene["fg_events"][0]["source_file"] = "Speech/none.wav"
    (tmp_path / "elsewhere").symlink_to(tiny_dev_set.root / "data")
    for root, folder in ((tiny_dev_set.root, "data/dev_set"), (tmp_path / "elsewhere", "dev_set")):
        expected = root / folder / "sound_event/valid/Speech/none.wav"
        with pytest.raises(DataError, match=re.escape(f"{expected}: no such file")):
            synthesize(scene, root)


def test_a_silent_source_stays_in_the_list(tiny_dev_set: SimpleNamespace) -> None:
    clip = tiny_dev_set.root / "data/dev_set/sound_event/valid/Speech/zeros.wav"
    soundfile.write(clip, np.zeros(8000), 32000)
    try:
        scene = json.loads(json.dumps(tiny_dev_set.scenes["bare"]))
        scene["fg_events"][0]["source_file"] = "Speech/zeros.wav"
        result = synthesize(scene, tiny_dev_set.root)
        assert result.labels == ("Speech",)
        assert not result.dry.any() and not result.mixture.any()
    finally:
        clip.unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s["fg_events"][0].update(source_file="Speech/none.wav"), "none.wav: no such file"),
        (lambda s: s["fg_events"][0].update(event_position=[[9, 9, 9]]), "no response for the position"),
        (lambda s: s["fg_events"][0].update(event_position=[[0, 0, 1]] * 2), "moving sources"),
        (lambda s: s["fg_events"][0].update(source_time=60), "holds only"),
        (lambda s: s["fg_events"][0].update(event_time=3.5), "after the scene's end"),
        (lambda s: s["fg_events"][0].pop("snr"), "snr"),
        (lambda s: s["room"]["args"]["metadata"].update(sofa_path="no.sofa"), "no.sofa: no such file"),
        (lambda s: s["room"]["args"]["metadata"].update(nchan=2), "4 channels"),
        (lambda s: s.pop("config"), "config"),
    ],
)
def test_what_cannot_be_carried_out_is_named(tiny_dev_set: SimpleNamespace, change: Any, words: str) -> None:
    scene = json.loads(json.dumps(tiny_dev_set.scenes["bare"]))
    change(scene)
    with pytest.raises(DataError, match=words):
        synthesize(scene, tiny_dev_set.root)


def test_a_background_has_the_room_s_channels_or_one(tiny_dev_set: SimpleNamespace) -> None:
    scene = json.loads(json.dumps(tiny_dev_set.scenes["order"]))
    assert scene["bg_events"]
    folder = tiny_dev_set.root / scene["config"]["background_dir"]
    odd = folder / "odd.wav"
    scene["bg_events"][0].update(source_file="odd.wav", source_time=None)
    try:
        for channels, problem in ((1, None), (2, "odd.wav: 2 channels, the room has 4")):
            soundfile.write(odd, np.random.default_rng(1).standard_normal((3200, channels)) * 0.1, 32000)
            if problem is None:
                assert synthesize(scene, tiny_dev_set.root).mixture.any()
                continue
            with pytest.raises(DataError, match=problem):
                synthesize(scene, tiny_dev_set.root)
    finally:
        odd.unlink()


INFINITE, NONE = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("group", "key", "values"),
    [
        ("config", "sr", ["x", 0, -1, 32000.5, None, INFINITE, True]),
        ("config", "duration", ["10", 0, NONE, 1e9]),
        ("config", "ref_db", [INFINITE, 1e5, None]),
        ("config", "foreground_dir", [None, 3]),
        ("room.args.metadata", "direct_range_ms", [[1, 2, 3], 3, [-1, 2], [NONE, 2]]),
        ("room.args.metadata", "sr", [0, "x"]),
        ("room.args.metadata", "sofa_path", [None]),
        ("fg_events[0]", "event_time", [INFINITE, NONE, -1, "0"]),
        ("fg_events[0]", "event_duration", [0, None]),
        ("fg_events[0]", "source_time", [-1, None]),
        ("fg_events[0]", "event_position", [[["a", 0, 0]], [[0, 0]], [], None, [[NONE, 0, 0]]]),
        ("fg_events[0]", "source_file", [None, "", "a\0b"]),
        ("fg_events[0]", "label", [None, "a_b", "../../evil", "Dragon", "silence"]),
        ("fg_events[0]", "snr", [None, 1e4]),
        ("fg_events[0]", "role", [None]),
    ],
)
def test_a_wrong_value_is_named_with_its_key(
    tiny_dev_set: SimpleNamespace, group: str, key: str, values: list[Any]
) -> None:
    for value in values:
        scene = json.loads(json.dumps(tiny_dev_set.scenes["bare"]))
        changed = {
            "config": scene["config"],
            "room.args.metadata": scene["room"]["args"]["metadata"],
            "fg_events[0]": scene["fg_events"][0],
        }[group]
        changed[key] = value
        with pytest.raises(DataError, match=re.escape(f"{group}.{key}")):
            synthesize(scene, tiny_dev_set.root)
        del changed[key]
        with pytest.raises(DataError, match=re.escape(f"{group}.{key}: the key is missing")):
            synthesize(scene, tiny_dev_set.root)


def test_scenes_without_interference_may_have_no_folder_of_it(tiny_dev_set: SimpleNamespace) -> None:
    """The key is there in all official metadata, and null where nothing interferes; such scenes were refused."""
    without = json.loads(json.dumps(tiny_dev_set.scenes["bare"]))
    without["config"]["interference_dir"] = None
    expected = synthesize(tiny_dev_set.scenes["bare"], tiny_dev_set.root)
    assert np.array_equal(synthesize(without, tiny_dev_set.root).mixture, expected.mixture)
    without["fg_events"][0]["role"] = "distractor"
    with pytest.raises(DataError, match=r"config\.interference_dir: None, expected a text: fg_events\[0\]"):
        synthesize(without, tiny_dev_set.root)
    with pytest.raises(DataError, match=r"int_events\[0\] is read from there"):
        order = tiny_dev_set.scenes["order"]
        synthesize({**order, "config": without["config"]}, tiny_dev_set.root)
    for wrong in (3, ""):
        without["config"]["interference_dir"] = wrong
        with pytest.raises(DataError, match=r"config\.interference_dir"):
            synthesize(without, tiny_dev_set.root)
    del without["config"]["interference_dir"]
    with pytest.raises(DataError, match=r"config\.interference_dir: the key is missing"):
        synthesize(without, tiny_dev_set.root)


@pytest.mark.parametrize("value", [3, None, [3], {"a": 1}])
def test_events_must_be_a_list_of_objects(tiny_dev_set: SimpleNamespace, value: Any) -> None:
    with pytest.raises(DataError, match="fg_events"):
        synthesize({**tiny_dev_set.scenes["bare"], "fg_events": value}, tiny_dev_set.root)


def test_resampling_keeps_the_official_length(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", np.sin(np.arange(44099) * 0.05), 44100, subtype="FLOAT")
    assert read_excerpt(tmp_path / "clip.wav", 0, None, 32000).shape == (1, 32000)


@pytest.mark.shared
@pytest.mark.parametrize(("listing", "expected"), [("valid", "expected"), ("extra", "expected_extra")])
def test_equals_the_official_program(shared: Path, listing: str, expected: str) -> None:
    official = shared / "reference" / "official_synthesis"
    paths = [path for _, path in list_metadata(official / "data/dev_set/metadata" / f"{listing}.json")]
    assert paths
    for path in paths:
        scene = synthesize(read_metadata(path), official)
        facts = json.loads((official / expected / f"{path.stem}.json").read_text())
        recorded = np.load(official / expected / f"{path.stem}.npz")
        assert list(scene.labels) == [label for label in facts["labels"] if label != "silence"]
        dry = np.zeros((max(3, len(scene.dry)), scene.mixture.shape[1]))
        dry[: len(scene.dry)] = scene.dry
        for signal, what in ((scene.mixture, "mix"), (dry, "dry")):
            where = recorded[f"{what}_idx"]
            rows, samples = where if where.shape[0] == 2 else where.T
            assert np.abs(signal[rows, samples] - recorded[f"{what}_val"]).max() < 1e-6, (path, what)
            blocks = recorded[f"{what}_block_energy"]
            step = signal.shape[1] // 100
            energy = (signal[: len(blocks), : 100 * step].astype(float) ** 2).reshape(-1, 100, step).sum(axis=2)
            assert np.allclose(energy, blocks, rtol=1e-4, atol=1e-8), (path, what)
        for flac, signal in (("mixture", scene.mixture), ("dry", scene.dry)):
            full = official / expected / f"{path.stem}_{flac}.flac"
            if full.is_file():
                assert np.abs(soundfile.read(full, always_2d=True)[0].T - signal).max() < 1e-6


def shuffled(value: Any, rng: random.Random) -> Any:
    """The same JSON with the keys of every object in another order; lists keep theirs, which means something."""
    if isinstance(value, list):
        return [shuffled(entry, rng) for entry in value]
    if not isinstance(value, dict):
        return value
    return {key: shuffled(value[key], rng) for key in rng.sample(list(value), len(value))}


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999))
def test_no_order_of_keys_changes_a_sample(tiny_dev_set: SimpleNamespace, seed: int) -> None:
    scene = tiny_dev_set.scenes["order"]
    expected, found = (synthesize(s, tiny_dev_set.root) for s in (scene, shuffled(scene, random.Random(seed))))
    assert found.labels == expected.labels
    np.testing.assert_array_equal(found.mixture, expected.mixture)
    np.testing.assert_array_equal(found.dry, expected.dry)


def test_a_cut_recording_or_one_that_was_not_fetched_makes_no_scene(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(32_000, 0.1), 32_000)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[:30_000])
    with pytest.raises(DataError, match=r"a\.wav: truncated"):
        read_excerpt(tmp_path / "a.wav", 0.0, 0.1, 32_000)
    (tmp_path / "b.wav").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"b\.wav: its content is not here"):
        read_excerpt(tmp_path / "b.wav", 0.0, 0.1, 32_000)
