import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.common.digests import content_digests
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.manifest import open_manifest
from s5eval.data_manifests.sets import official
from s5eval.data_manifests.sets.official import open_official_valid, synthesize_files
from s5eval.data_manifests.synthesis.metadata import synthesize
from s5eval.data_manifests.synthesis.write import Subtype


def test_metadata_files_become_float_wavs(tiny_dev_set: SimpleNamespace, tmp_path: Path) -> None:
    files = sorted((tiny_dev_set.dev / "metadata" / "valid").glob("*.json"))
    out = synthesize_files(files, root=tiny_dev_set.root, out=tmp_path / "out", workers=1)
    names = sorted(path.name for path in (out / "oracle_target").iterdir())
    assert names == [
        "bare_0_Speech.wav",
        "order_0_Doorbell.wav",
        "order_1_Speech.wav",
        "order_2_Speech.wav",
        "spherical_0_Percussion.wav",
    ]
    scene = synthesize(tiny_dev_set.scenes["order"], tiny_dev_set.root)
    path = out / "soundscape" / "order.wav"
    assert soundfile.info(path).subtype == "FLOAT"
    assert np.array_equal(soundfile.read(path, dtype="float32")[0].T, scene.mixture)
    target = soundfile.read(out / "oracle_target" / "order_0_Doorbell.wav", dtype="float32")[0]
    assert np.array_equal(target, scene.dry[0].astype(np.float32))


def test_equal_stems_and_broken_metadata(tiny_dev_set: SimpleNamespace, tmp_path: Path) -> None:
    file = tiny_dev_set.dev / "metadata" / "valid" / "bare.json"
    with pytest.raises(UsageError, match=r"bare\.wav"):
        synthesize_files([file, tmp_path / "bare.json"], root=tiny_dev_set.root, out=tmp_path)
    scene = json.loads(file.read_text())
    scene["fg_events"][0]["source_file"] = "Speech/gone.wav"
    (tmp_path / "bad.json").write_text(json.dumps(scene))
    with pytest.raises(DataError, match=r"bad\.json.*gone\.wav: no such file"):
        synthesize_files([tmp_path / "bad.json"], root=tiny_dev_set.root, out=tmp_path / "out", workers=1)
    assert not list((tmp_path / "out" / "soundscape").iterdir())


def test_the_valid_split_is_made_once_and_kept(
    tiny_dev_set: SimpleNamespace, tmp_path: Path, private_cache: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_dev_set.root / "data", data)
    folder = open_official_valid(data).make(count=2, workers=1)
    assert private_cache in folder.parents
    assert [path.name for path in sorted((folder / "soundscape").iterdir())] == [
        "soundscape_0000.wav",
        "soundscape_0001.wav",
    ]
    stamp = (folder / "soundscape" / "soundscape_0000.wav").stat().st_mtime_ns
    assert open_official_valid(data).make(workers=1) == folder
    assert len(list((folder / "soundscape").iterdir())) == 4
    assert (folder / "soundscape" / "soundscape_0000.wav").stat().st_mtime_ns == stamp
    scene = data / "dev_set" / "metadata" / "valid" / "empty.json"
    scene.write_text(scene.read_text().replace("-55", "-50"))
    assert open_official_valid(data).make(count=1, workers=1) != folder


def test_without_metadata(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"valid\.json"):
        open_official_valid(tmp_path)


def test_other_content_under_the_same_name_is_another_scene(tiny_dev_set: SimpleNamespace, tmp_path: Path) -> None:
    file, out = tmp_path / "one.json", tmp_path / "out"

    def make(name: str, root: Path = tiny_dev_set.root, subtype: Subtype = "FLOAT") -> tuple[list[str], bytes]:
        file.write_text(json.dumps(tiny_dev_set.scenes[name]))
        synthesize_files([file], root=root, out=out, subtype=subtype, workers=1)
        names = sorted(path.name for path in (out / "oracle_target").iterdir())
        return names, (out / "soundscape" / "one.wav").read_bytes()

    first = make("order")
    assert first[0] == ["one_0_Doorbell.wav", "one_1_Speech.wav", "one_2_Speech.wav"]
    (out / "oracle_target" / "one_1_0_Speech.wav").write_bytes(b"of the mixture one_1")
    names, audio = make("spherical")
    assert names == ["one_0_Percussion.wav", "one_1_0_Speech.wav"] and audio != first[1]
    assert make("spherical", subtype="PCM_16")[1] != audio
    stamp = (out / "soundscape" / "one.wav").stat().st_mtime_ns
    make("spherical", subtype="PCM_16")
    assert (out / "soundscape" / "one.wav").stat().st_mtime_ns == stamp
    make("spherical", root=tiny_dev_set.root / "data", subtype="PCM_16")
    assert (out / "soundscape" / "one.wav").stat().st_mtime_ns != stamp


def test_only_what_is_asked_for_is_made(
    tiny_dev_set: SimpleNamespace, private_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tiny_dev_set.root / "data"
    with pytest.raises(DataError, match="has not been made yet"):
        open_manifest(data, dataset="dcase2026", split="valid", as_it_stands=True)
    assert not private_cache.exists()
    monkeypatch.setattr(official, "default_workers", lambda: 1)
    manifest = open_manifest(data, dataset="dcase2026", split="valid", only=["soundscape_0002"])
    assert [scene.mixture.id for scene in manifest.scenes] == ["soundscape_0002"]
    assert [path.stem for path in (manifest.root / "soundscape").iterdir()] == ["soundscape_0002"]
    assert len(manifest.all_ids) == 4 and manifest.findings == ()
    with pytest.raises(UsageError, match="no mixture 'soundscape_0004'"):
        open_manifest(data, dataset="dcase2026", split="valid", only=["soundscape_0004"])


def test_an_error_names_a_file_once(tmp_path: Path) -> None:
    for content in (None, "{", "3"):
        if content is not None:
            (tmp_path / "nope.json").write_text(content)
        with pytest.raises(DataError) as caught:
            synthesize_files([tmp_path / "nope.json"], root=tmp_path, out=tmp_path / "out", workers=1)
        assert str(caught.value).count("nope.json") == 1


@pytest.mark.parametrize(
    "replaced",
    [
        "sound_event/valid/Speech/one/Speech_one.wav",
        "interference/valid/Drip, drop/tap.wav",
        "noise/valid/long.flac",
        "room_ir/valid/a.sofa",
    ],
)
def test_a_file_that_was_replaced_gives_another_scene(
    tiny_dev_set: SimpleNamespace, tmp_path: Path, private_cache: Path, replaced: str
) -> None:
    """The scene of before was taken for it: its metadata are the same."""
    root, out, meta = tmp_path / "root", tmp_path / "out", tmp_path / "order.json"
    shutil.copytree(tiny_dev_set.root / "data", root / "data")
    meta.write_text(json.dumps(tiny_dev_set.scenes["order"]))
    made = out / "soundscape" / "order.wav"

    def make() -> bytes:
        synthesize_files([meta], root=root, out=out, workers=1)
        return made.read_bytes()

    before, stamp = make(), made.stat().st_mtime_ns
    file = root / "data" / "dev_set" / replaced
    os.utime(file)  # looked at, and the same
    assert make() == before and made.stat().st_mtime_ns == stamp
    if file.suffix == ".sofa":
        with h5py.File(file, "r+") as room:
            room["Data.IR"][:] = room["Data.IR"][:][:, :, ::-1]
    else:
        samples, rate = soundfile.read(file)
        soundfile.write(file, samples[::-1], rate)
    after = make()
    expected = synthesize(tiny_dev_set.scenes["order"], root).mixture
    assert after != before and np.array_equal(soundfile.read(made, dtype="float32")[0].T, expected)


def test_a_scene_of_another_rate_is_not_written_as_one_of_ours(tiny_dev_set: SimpleNamespace, tmp_path: Path) -> None:
    """Its samples stood under a header of 32 kHz: everything sounded twice as fast."""
    scene, file = json.loads(json.dumps(tiny_dev_set.scenes["order"])), tmp_path / "order.json"
    for rate in (32000.0, 16000):
        scene["config"]["sr"] = rate
        file.write_text(json.dumps(scene))
        if rate == 32000:
            synthesize_files([file], root=tiny_dev_set.root, out=tmp_path / "good", workers=1)
            continue
        with pytest.raises(DataError, match=r"order\.json: config\.sr: scenes of 16000 Hz.* at 32000 Hz"):
            synthesize_files([file], root=tiny_dev_set.root, out=tmp_path / "out", workers=1)
    assert not list((tmp_path / "out" / "soundscape").iterdir())


def test_digests_are_asked_for_once_for_all_scenes(
    tiny_dev_set: SimpleNamespace, tmp_path: Path, private_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share folders of rooms and backgrounds, whose remembered digests were read again for every scene."""
    asked: list[int] = []

    def counting(files: Sequence[Path]) -> dict[Path, str]:
        asked.append(len(files))
        return content_digests(files)

    monkeypatch.setattr(official, "content_digests", counting)
    metadata = []
    for name in ("bare", "order"):
        metadata.append(tmp_path / f"{name}.json")
        metadata[-1].write_text(json.dumps(tiny_dev_set.scenes[name]))
    for _ in range(2):
        synthesize_files(metadata, root=tiny_dev_set.root, out=tmp_path / "out", workers=1)
    assert len(asked) == 2 and min(asked) > 2
