import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.errors import DataError, UsageError
from s5eval.data_manifests.official import make_official_valid, synthesize_files
from s5eval.data_manifests.synthesis.metadata import synthesize


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
    folder = make_official_valid(data, count=2, workers=1)
    assert private_cache in folder.parents
    assert [path.name for path in sorted((folder / "soundscape").iterdir())] == [
        "soundscape_0000.wav",
        "soundscape_0001.wav",
    ]
    stamp = (folder / "soundscape" / "soundscape_0000.wav").stat().st_mtime_ns
    assert make_official_valid(data, workers=1) == folder
    assert len(list((folder / "soundscape").iterdir())) == 4
    assert (folder / "soundscape" / "soundscape_0000.wav").stat().st_mtime_ns == stamp
    scene = data / "dev_set" / "metadata" / "valid" / "empty.json"
    scene.write_text(scene.read_text().replace("-55", "-50"))
    assert make_official_valid(data, count=1, workers=1) != folder


def test_without_metadata(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"valid\.json"):
        make_official_valid(tmp_path)
