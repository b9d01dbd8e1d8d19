"""The digest of a set covers its content, and costs one reading per change."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.common import digests
from s5eval.data_manifests.common.digests import UNREADABLE, content_digests, remembered_digest
from s5eval.data_manifests.manifest import open_manifest
from s5eval.data_manifests.verify import verify

Call = Callable[..., Any]


def reverse(path: Path) -> None:
    """The same length, level and size: other content."""
    samples, rate = soundfile.read(path, dtype="float32")
    size = path.stat().st_size
    soundfile.write(path, np.ascontiguousarray(samples[::-1]), rate, subtype="FLOAT")
    assert path.stat().st_size == size


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    original = digests.file_sha256

    def counted(path: Path) -> str:
        seen.append(path.name)
        return original(path)

    monkeypatch.setattr(digests, "file_sha256", counted)
    return seen


def test_a_reference_reversed_in_time_is_another_set(small_set: Path) -> None:
    before = open_manifest(small_set)
    reverse(small_set / "oracle_target" / "m_3_0_Dishes.wav")
    after = open_manifest(small_set)
    assert before.sizes_sha256 == after.sizes_sha256
    assert before.sha256 != after.sha256
    changed = [a == b for a, b in zip(before.digests, after.digests, strict=True)]
    assert changed == [True, True, True, False, True]


def test_files_that_did_not_change_are_not_read_again(small_set: Path, reads: list[str]) -> None:
    first = open_manifest(small_set).sha256
    assert len(reads) == 11
    assert open_manifest(small_set).sha256 == first
    assert len(reads) == 11
    reverse(small_set / "oracle_target" / "m_1_0_Speech.wav")
    open_manifest(small_set)
    assert reads[11:] == ["m_1_0_Speech.wav"]
    assert open_manifest(small_set, afresh=True)
    assert len(reads) == 23


def test_who_sets_the_time_back_is_noticed(small_set: Path) -> None:
    path = small_set / "oracle_target" / "m_1_0_Speech.wav"
    status = path.stat()
    before = open_manifest(small_set).sha256
    reverse(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert open_manifest(small_set).sha256 != before


def test_what_a_disk_changes_by_itself_is_found_by_verify_and_strict(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "file_stamp", lambda path: [1, 2, 3, 4] if path.is_file() else None)
    before = open_manifest(small_set).sha256
    reverse(small_set / "oracle_target" / "m_1_0_Speech.wav")
    assert open_manifest(small_set).sha256 == before, "the stamp says that nothing changed"
    found = verify(open_manifest(small_set, as_it_stands=True))
    assert [Path(f.file).name for f in found if f.rule == "checksum"] == ["m_1_0_Speech.wav"]
    assert open_manifest(small_set, afresh=True).sha256 != before


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"version": 1, "files": {"m_1.wav": [[1], "x"]}}'])
def test_a_damaged_memory_is_no_memory(small_set: Path, damage: str) -> None:
    before = open_manifest(small_set).sha256
    for store in (digests.cache_folder() / "digests").glob("*.json"):
        store.write_text(damage)
    assert open_manifest(small_set).sha256 == before


def test_a_file_that_cannot_be_read_has_a_digest_of_its_own(tmp_path: Path) -> None:
    assert content_digests([tmp_path / "none"]) == {tmp_path / "none": UNREADABLE}


def test_a_memory_that_has_lost_its_own_digest_is_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"a")
    right = content_digests([path])
    (store,) = [
        file for file in (digests.cache_folder() / "digests").glob("*.json") if str(tmp_path) in file.read_text()
    ]
    content = json.loads(store.read_text())
    assert content.pop("sha256")
    content["files"]["a.wav"][1] = "0" * 64
    store.write_text(json.dumps(content))
    assert (remembered_digest(path), content_digests([path])) == (None, right)


def test_a_file_that_could_not_be_read_once_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither size nor times tell that a network or a disk is there again."""
    path = tmp_path / "a.wav"
    path.write_bytes(b"a")

    def broken(path: Path) -> str:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(digests, "file_sha256", broken)
        assert content_digests([path]) == {path: UNREADABLE}
    assert content_digests([path]) == {path: digests.file_sha256(path)}


def test_nothing_is_remembered_of_a_file_that_is_another_one_by_now(tmp_path: Path) -> None:
    """It was changed by whoever works on the data, and not by the disk."""
    path = tmp_path / "a.wav"
    path.write_bytes(b"a")
    before = content_digests([path])[path]
    assert remembered_digest(path) == before
    path.write_bytes(b"other")
    assert remembered_digest(path) is None
    assert content_digests([path])[path] != before
