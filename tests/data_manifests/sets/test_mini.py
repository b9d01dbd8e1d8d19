import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.naming import parse_source_stem
from s5eval.data_manifests.sets import mini
from s5eval.data_manifests.sets.known import known_datasets, mini_root
from s5eval.data_manifests.sets.mini import MiniSplit, make_mini
from s5eval.data_manifests.synthesis import write
from s5eval.data_manifests.synthesis.write import list_records, read_record

FIRST = {
    ("test", 0): "4a1b43a50da4",
    ("test", 95): "5683aad2000a",
    ("valid", 191): "6d93d2f2b5b7",
    ("train", 5): "fc4aee44db1d",
}
"""Start of the SHA-256 of `MiniScene.content`, by split and index."""


@pytest.fixture
def small(private_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The set with one room per split and short scenes."""
    monkeypatch.setattr(mini, "SPLITS", {"train": MiniSplit(1, 1, None), "test": MiniSplit(3, 1, 5)})
    monkeypatch.setattr(mini, "RECIPE", mini.Recipe(duration=1.0, target_counts=(0.2, 0.2, 0.2, 0.4)))
    mini.mini_material.cache_clear()
    yield private_cache
    mini.mini_material.cache_clear()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_official_layout(small: Path) -> None:
    folder = make_mini("test", workers=1)
    assert folder == mini_root() / "test" and small in folder.parents
    mixtures = sorted((folder / "soundscape").iterdir())
    assert [path.name for path in mixtures] == [f"mini_test_{i:04d}.flac" for i in range(5)]
    for path in mixtures:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.frames, info.subtype) == (32000, 4, 32000, "PCM_16")
    targets = [parse_source_stem(path.stem) for path in (folder / "oracle_target").iterdir()]
    assert targets and all(name is not None and name.mixture_id.startswith("mini_test_") for name in targets)
    assert {path.stem for path in list_records(folder)} == {path.stem for path in mixtures}


def test_audio_that_was_not_written_with_its_scene_is_gone_when_the_set_is_made_again(small: Path) -> None:
    folder = make_mini("test", workers=1)
    before = contents(folder)
    target = next((folder / "oracle_target").iterdir()).read_bytes()
    for stray in ("oracle_target/mini_test_0001_7_Cough.flac", "soundscape/mini_test_0002.wav"):
        (folder / stray).write_bytes(target)
    make_mini("test", workers=1)
    assert contents(folder) == before


def test_damage_is_repaired_and_the_rest_left_alone(small: Path) -> None:
    folder = make_mini("test", workers=1)
    before = contents(folder)
    victims = sorted((folder / "soundscape").iterdir())
    victims[0].unlink()
    victims[1].write_bytes(victims[1].read_bytes()[:-100])
    (folder / "checksums" / "mini_test_0002.json").write_text("{")
    sorted((folder / "oracle_target").iterdir())[0].write_bytes(b"")
    untouched = victims[4].stat().st_mtime_ns
    told: list[tuple[int, int]] = []
    make_mini("test", workers=1, progress=lambda done, total: told.append((done, total)))
    assert contents(folder) == before
    assert victims[4].stat().st_mtime_ns == untouched
    assert told[0][1] == 5 and told[-1] == (5, 5) and len(told) <= 5


def test_other_places_and_formats_hold_the_same_samples(small: Path, tmp_path: Path) -> None:
    folder = make_mini("test", workers=1, count=2)
    assert len(list((folder / "soundscape").iterdir())) == 2
    wav = make_mini("test", out=tmp_path / "there", count=2, workers=1)
    for path in (wav / "soundscape").iterdir():
        assert path.suffix == ".wav"
        same = folder / "soundscape" / f"{path.stem}.flac"
        assert np.array_equal(soundfile.read(path, dtype="int16")[0], soundfile.read(same, dtype="int16")[0])


def test_16_bit_samples_are_rounded_and_cut(small: Path) -> None:
    assert write._samples(np.array([[0.5, 1.5, -1.5, 1.4 / 32768]]), "PCM_16").ravel().tolist() == [
        16384,
        32767,
        -32768,
        1,
    ]


def test_unknown_splits_and_endless_ones(small: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'test'"):
        make_mini("tset")
    with pytest.raises(UsageError, match="how many"):
        make_mini("train")
    assert len(list((make_mini("train", count=1, workers=1) / "soundscape").iterdir())) == 1


def test_a_full_disk_is_a_clear_error(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="No space left"):
        make_mini("test", workers=1)
    assert not [path for path in mini_root().rglob("*.flac")]


def test_leftovers_of_killed_processes_go(small: Path) -> None:
    folder = mini_root() / "test" / "soundscape"
    folder.mkdir(parents=True)
    old, new = folder / f".mini_test_0000.{'a' * 32}.flac", folder / f".mini_test_0001.{'b' * 32}.flac"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, time.time() - 7200))
    make_mini("test", workers=1, count=1)
    assert not old.exists() and new.exists()


def test_the_splits_of_the_set() -> None:
    scenes = {name: split.whole.scenes for name, split in mini.SPLITS.items()}
    assert scenes == {"train": None, "valid": 1008, "test": 1512}
    assert len({split.seed for split in mini.SPLITS.values()}) == 3
    assert all(split.whole.seed == split.seed for split in mini.SPLITS.values())
    listed = {split.name: split.mixtures for split in known_datasets()["mini"].splits.values()}
    assert listed == scenes
    assert len(mini.mini_ids("test")) == 1512


def test_what_the_first_scenes_are_a_function_of_has_not_changed() -> None:
    """Recorded before the splits grew: sets that are in somebody's cache stay valid."""
    digests = {
        (split, index): hashlib.sha256(mini.MiniScene(split, index).content()).hexdigest()[:12]
        for split, index in (("test", 0), ("test", 95), ("valid", 191), ("train", 5))
    }
    assert digests == FIRST


def test_a_grown_split_keeps_its_first_scenes_and_draws_the_others_from_more_rooms(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mini, "SPLITS", {"test": MiniSplit(3, 1, 2)})
    before = contents(make_mini("test", workers=1))
    grown = MiniSplit(3, 1, 2, grown=MiniSplit(3, 2, 4))
    monkeypatch.setattr(mini, "SPLITS", {"test": grown})
    folder = make_mini("test", workers=1)
    after = contents(folder)
    assert mini.mini_ids("test") == sorted(path.stem for path in (folder / "soundscape").iterdir())
    assert len(mini.mini_ids("test")) == 4
    first = {name: data for name, data in after.items() if "_0000" in name or "_0001" in name}
    assert first == {name: data for name, data in before.items() if "_0000" in name or "_0001" in name}
    assert (grown.part(1).rooms, grown.part(2).rooms) == (1, 2)
    with pytest.raises(UsageError, match="mini_test_0004"):
        make_mini("test", only=["mini_test_0004"])


def test_a_folder_of_ones_own_holds_what_was_ordered_alone(small: Path, tmp_path: Path) -> None:
    folder = make_mini("test", out=tmp_path / "set", count=2, workers=1)
    grown = contents(make_mini("test", out=folder, count=3, workers=1))
    with pytest.raises(UsageError, match=r"mixtures beside the 2 .*\(mini_test_0002\).*another `out`.*`count`"):
        make_mini("test", out=folder, count=2, workers=1)
    with pytest.raises(UsageError, match=r"beside the 1 .*\(mini_test_0000 to mini_test_0002, 3 in all\)"):
        make_mini("train", out=folder, count=1, workers=1)
    assert contents(folder) == grown
    make_mini("test", workers=1, count=3)
    assert len(list_records(make_mini("test", workers=1, count=1))) == 3, "the cache keeps what other runs have made"


MAKE = """
import sys
from pathlib import Path
from s5eval.data_manifests.sets.mini import make_mini
if __name__ == "__main__":
    make_mini("test", out=Path(sys.argv[1]), count=int(sys.argv[3]), workers=int(sys.argv[2]))
"""


@pytest.mark.slow
def test_bytes_do_not_depend_on_workers_or_kills(tmp_path: Path) -> None:
    script = tmp_path / "make.py"
    script.write_text(MAKE)

    def start(cache: str, workers: int) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "S5EVAL_CACHE": str(tmp_path / cache)}
        arguments = [sys.executable, str(script), str(tmp_path / cache / "set"), str(workers), "10"]
        return subprocess.Popen(arguments, env=environment)

    assert start("one", 1).wait(300) == 0
    assert start("two", 2).wait(300) == 0
    one, two = (contents(tmp_path / name / "set") for name in ("one", "two"))
    assert one == two and len(one) > 20
    killed = start("killed", 1)
    records = tmp_path / "killed" / "set" / "checksums"
    for _ in range(3000):
        if records.is_dir() and len(list(records.glob("mini*"))) >= 3:
            break
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait(30)
    done = {path.stem for path in records.glob("mini*")}
    assert 3 <= len(done) < 10
    for stem in done:
        for name in read_record(records / f"{stem}.json").files:
            assert (tmp_path / "killed" / "set" / name).is_file()
    assert start("killed", 1).wait(300) == 0
    finished = {name: data for name, data in contents(tmp_path / "killed" / "set").items() if "/." not in name}
    assert finished == one
