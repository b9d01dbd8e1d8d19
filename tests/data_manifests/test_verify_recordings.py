"""Folders of recordings: every planted fault is named in one pass, and what is sound is counted."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tiny_dev_set import write_sofa

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.verify_recordings import INTERFERENCE, verify_recordings

Call = Callable[..., Any]


def write(path: Path, seed: int, seconds: float = 0.5, rate: int = 44_100, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).standard_normal((int(seconds * rate), channels)) * 0.1
    soundfile.write(path, noise, rate)
    return path


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two splits without a fault: any rate, any number of channels, interference."""
    monkeypatch.setenv("S5EVAL_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "mine"
    write(root / "sound_event" / "train" / "Cough" / "anna" / "a.wav", 1)
    write(root / "sound_event" / "train" / "Cough" / "b.flac", 2, 1.0, 16_000, channels=2)
    write(root / "sound_event" / "train" / "Typing" / "c.wav", 3)
    write(root / "sound_event" / "valid" / "Cough" / "d.wav", 4)
    write(root / "interference" / "train" / "Dog" / "e.wav", 5)
    return root


def rules(folder: Path, **options: Any) -> list[tuple[str, str]]:
    return [(finding.rule, Path(finding.file).name) for finding in verify_recordings([folder], **options).findings]


def test_what_is_sound_is_counted_by_split_and_class(sound: Path) -> None:
    done: list[tuple[int, int]] = []
    found = verify_recordings([sound], progress=lambda *counts: done.append(counts))
    assert (found.findings, done[-1]) == ((), (5, 5))
    filled = {(row.split, row.label): (row.files, row.seconds) for row in found.rows if row.files}
    assert filled == {
        ("train", "Cough"): (2, 1.5),
        ("train", "Typing"): (1, 0.5),
        ("train", INTERFERENCE): (1, 0.5),
        ("valid", "Cough"): (1, 0.5),
    }
    assert len(found.rows) == 2 * (len(CLASSES) + 1), "what is lacking stands in the table, too"
    assert {row.split for row in verify_recordings([sound], split="valid").rows} == {"valid"}


def test_every_planted_fault_is_named_in_one_pass(sound: Path) -> None:
    train = sound / "sound_event" / "train"
    whole = write(train / "Typing" / "truncated.wav", 6).read_bytes()
    (train / "Typing" / "truncated.wav").write_bytes(whole[:-1000])
    flac = write(train / "Typing" / "truncated.flac", 7).read_bytes()
    (train / "Typing" / "truncated.flac").write_bytes(flac[: len(flac) // 2])
    (train / "Typing" / "empty.wav").write_bytes(b"")
    (train / "Typing" / "text.wav").write_text("no audio")
    soundfile.write(train / "Typing" / "zeros.wav", np.zeros(1000), 32_000)
    soundfile.write(train / "Typing" / "nan.wav", np.full(1000, np.nan), 32_000, subtype="FLOAT")
    soundfile.write(train / "Typing" / "loud.wav", np.full(1000, 20_000.0), 32_000, subtype="FLOAT")
    (train / "Typing" / "annexed.wav").symlink_to("../.git/annex/objects/gone.wav")
    write(train / "Keyboard" / "x.wav", 8)
    write(train / "Typing" / "foa.wav", 9, channels=4)
    (sound / "room_ir" / "train").mkdir(parents=True)
    (sound / "room_ir" / "train" / "hall.sofa").write_bytes(b"no room")
    assert sorted(rules(sound)) == [
        ("channels", "foa.wav"),
        ("empty", "empty.wav"),
        ("label", "Keyboard"),
        ("missing", "annexed.wav"),
        ("non-finite", "nan.wav"),
        ("room", "hall.sofa"),
        ("room", "train"),
        ("scale", "loud.wav"),
        ("silent", "zeros.wav"),
        ("truncated", "truncated.wav"),
        ("unreadable", "text.wav"),
        ("unreadable", "truncated.flac"),
    ]
    assert rules(sound, split="valid") == []


def test_backgrounds_are_read_too(sound: Path) -> None:
    noise = sound / "noise"
    good = write(noise / "train" / "hall.wav", 10, channels=4)
    assert rules(sound) == []
    write(noise / "train" / "stereo.wav", 11, channels=2)
    (noise / "train" / "text.wav").write_text("no audio")
    (noise / "valid").mkdir()
    shutil.copy(good, noise / "valid" / "same.wav")
    assert sorted(rules(sound)) == [("channels", "stereo.wav"), ("leak", "same.wav"), ("unreadable", "text.wav")]


def test_measured_rooms_are_read_and_need_backgrounds(sound: Path) -> None:
    (sound / "room_ir" / "train").mkdir(parents=True)
    path = sound / "room_ir" / "train" / "hall.sofa"
    responses = np.zeros((3, 4, 64))
    responses[:, :, 5] = 1.0
    write_sofa(path, responses, np.eye(3), spherical=False, rate=32_000)
    assert [finding.message for finding in verify_recordings([sound]).findings] == [
        "no background recordings; measured rooms need them (four channels, .wav or .flac)"
    ]
    write(sound / "noise" / "train" / "hall.wav", 10, channels=4)
    assert rules(sound) == []
    responses[2, 1, 7] = np.nan
    write_sofa(path, responses, np.eye(3), spherical=False, rate=32_000)
    assert [finding.message for finding in verify_recordings([sound]).findings] == [
        "the response 2 holds NaN or infinite values"
    ]


def test_audio_that_nobody_reads_is_named(sound: Path) -> None:
    typing = sound / "sound_event" / "train" / "Typing"
    write(typing / "c.wav", 3).rename(typing / "c.WAV")
    (typing / "d.mp3").write_bytes(b"x")
    (typing / "licence.txt").write_text("CC0")
    messages = {Path(found.file).name: found.message for found in verify_recordings([sound]).findings}
    assert messages == {
        "c.WAV": "not read: the suffix is not .wav or .flac; rename it to lower case",
        "d.mp3": "not read: the suffix is not .wav or .flac",
    }


def test_one_take_in_two_places_is_a_leak_or_a_copy(sound: Path, tmp_path: Path) -> None:
    take = sound / "sound_event" / "train" / "Cough" / "anna" / "a.wav"
    shutil.copy(take, sound / "sound_event" / "valid" / "Cough" / "other_name.wav")
    shutil.copy(take, sound / "sound_event" / "train" / "Cough" / "twice.wav")
    assert sorted(rules(sound)) == [("copy", "twice.wav"), ("leak", "other_name.wav")]
    assert rules(sound, split="valid") == [("leak", "other_name.wav")], "the other half need not be asked for"
    assert rules(sound, split="train") == [("copy", "twice.wav"), ("leak", "other_name.wav")]
    elsewhere = tmp_path / "elsewhere" / "test" / "Cough" / "z.wav"
    elsewhere.parent.mkdir(parents=True)
    shutil.copy(take, elsewhere)
    both = verify_recordings([sound, tmp_path / "elsewhere"], split="test")
    assert [(finding.rule, finding.file) for finding in both.findings] == [("leak", str(elsewhere))]


def test_a_folder_without_recordings_and_a_split_that_is_not_there_are_named(sound: Path, tmp_path: Path) -> None:
    (tmp_path / "bare" / "train").mkdir(parents=True)
    for folder in (tmp_path / "nowhere", tmp_path / "bare"):
        with pytest.raises(DataError, match=f"{folder}: no recordings; expected sound_event/SPLIT/CLASS"):
            verify_recordings([folder])
    with pytest.raises(UsageError, match=r"no split 'test' in .*mine; found: train, valid"):
        verify_recordings([sound], split="test")


def test_the_command_shows_findings_and_table(sound: Path, s5eval: Call) -> None:
    good = s5eval("data", "verify", "--recordings", sound)
    assert good.code == 0 and "5 recordings, 0 findings" in good.out
    assert [line.split() for line in good.out.splitlines() if line.startswith("Cough")] == [
        ["Cough", "2", "0.0", "1", "0.0"]
    ]
    (sound / "sound_event" / "valid" / "Cough" / "d.wav").write_bytes(b"")
    bad = s5eval("data", "verify", "--recordings", sound)
    assert bad.code == 3 and "d.wav: " in bad.out and "[empty]" in bad.out and "4 recordings, 1 finding" in bad.out
    told = json.loads(s5eval("data", "verify", "--recordings", sound, "--split", "valid", "--json").out)
    assert (told["ok"], [finding["rule"] for finding in told["findings"]]) == (False, ["empty"])
    mixed = s5eval("data", "verify", "--recordings", sound, "--limit", 3)
    assert mixed.code == 2 and "--limit is of sets of scenes" in mixed.err
