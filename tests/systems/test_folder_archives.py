"""Scoring challenge submissions where they lie: which files count, the same from zip and folder, no harm from bombs."""

import json
import pickle
import random
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s5eval.data_manifests.common.errors import AudioError, DataError, S5Error
from s5eval.data_manifests.manifest import open_manifest
from s5eval.data_manifests.records import Mixture
from s5eval.systems.estimates import list_estimates
from s5eval.systems.folder import FileMarks, FolderSystem

Call = Callable[..., Any]
LABEL = "Choi_KAIST_task4_1"


@pytest.fixture
def mixtures(small_set: Path) -> list[Mixture]:
    return [scene.mixture for scene in open_manifest(small_set).scenes]


@pytest.fixture
def files(small_set: Path) -> dict[str, bytes]:
    """A submission's files by name in its archive."""
    found = {f"{LABEL}/eval_out/{path.name}": path.read_bytes() for path in (small_set / "estimate").iterdir()}
    return {**found, f"{LABEL}/eval_results.json": b"{}", f"{LABEL}/dev_set_test_results.json": b"{}"}


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def answers(system: FolderSystem, mixtures: list[Mixture]) -> list[Any]:
    ids = [mixture.id for mixture in mixtures]
    findings = [finding for finding in system.inspect(ids, ids) if finding.rule not in ("no-estimate", "outside")]
    assert findings == []
    return [candidates.sha256() for candidates in system.propose(mixtures)]


def test_zip_folder_and_plain_folder_are_the_same(
    small_set: Path, mixtures: list[Mixture], files: dict[str, bytes], tmp_path: Path
) -> None:
    archive = pack(tmp_path / f"{LABEL}.zip", {**files, f"{LABEL}/more/m_1_5_Pour.wav": b"no estimate"})
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "unpacked")
    plain = answers(FolderSystem(small_set / "estimate"), mixtures)
    assert answers(FolderSystem(archive), mixtures) == plain
    assert answers(FolderSystem(tmp_path / "unpacked" / LABEL), mixtures) == plain


def test_a_submission_without_outputs(mixtures: list[Mixture], files: dict[str, bytes], tmp_path: Path) -> None:
    """Its own list makes silence an answer; without one, an archive without outputs answers nothing."""
    empty = {name: content for name, content in files.items() if name.endswith(".json")}
    ids = [mixture.id for mixture in mixtures]
    with pytest.raises(DataError, match="there is no estimate of any mixture"):
        FolderSystem(pack(tmp_path / f"{LABEL}.zip", empty)).inspect(ids, ids)
    listed = {"probabilities": [{"soundscape": id_, "estimate": []} for id_ in ids]}
    empty[f"{LABEL}/eval_results.json"] = json.dumps(listed).encode()
    system = FolderSystem(pack(tmp_path / f"{LABEL}.zip", empty))
    assert len(set(answers(system, mixtures))) == 1
    assert (system.inspect(ids, ids), system.marks()) == ([], FileMarks(answered=5, listed=True, downmix=False))


def test_a_file_that_is_no_archive_is_told_what_was_expected(tmp_path: Path) -> None:
    """A wav of the folder, as `MY_WAVS/*.wav` gives, and another kind of archive."""
    (tmp_path / "m_0_0_Speech.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"m_0_0_Speech\.wav: one file of audio, .* name the folder that holds it"):
        list_estimates(tmp_path / "m_0_0_Speech.wav")
    (tmp_path / "A.tar.gz").write_bytes(b"x")
    with pytest.raises(DataError, match=r"not a readable zip archive: .*; expected a folder, or a zip, of <"):
        list_estimates(tmp_path / "A.tar.gz")


def test_many_threads_and_pickling(mixtures: list[Mixture], files: dict[str, bytes], tmp_path: Path) -> None:
    system = FolderSystem(pack(tmp_path / f"{LABEL}.zip", files))
    expected = answers(system, mixtures)
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda: results.append([c.sha256() for c in system.propose(mixtures)]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 8
    assert [c.sha256() for c in pickle.loads(pickle.dumps(system)).propose(mixtures)] == expected


def test_the_archive_is_not_opened_again_for_every_member(
    mixtures: list[Mixture], files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {f"{LABEL}/eval_out/other_{k}_0_Pour.wav": b"" for k in range(50)}
    path = pack(tmp_path / f"{LABEL}.zip", {**files, **many})
    system = FolderSystem(path)
    system.inspect([mixture.id for mixture in mixtures], [])
    opened = []

    class Counted(zipfile.ZipFile):
        def __init__(self, *arguments: Any) -> None:
            opened.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(zipfile, "ZipFile", Counted)
    for _ in range(5):
        system.propose(mixtures)
    assert len(opened) == 1


def test_a_replaced_archive_is_read_anew(mixtures: list[Mixture], files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / f"{LABEL}.zip"
    first = answers(FolderSystem(pack(path, files)), mixtures)
    files[f"{LABEL}/eval_out/m_3_0_Dishes.wav"] = files[f"{LABEL}/eval_out/m_1_0_Speech.wav"]
    assert answers(FolderSystem(pack(path, files)), mixtures) != first


@pytest.mark.parametrize("zipped", [False, True])
def test_what_is_written_anew_after_it_was_listed_is_not_scored(
    small_set: Path, mixtures: list[Mixture], files: dict[str, bytes], tmp_path: Path, zipped: bool
) -> None:
    """A system that still writes its answers while they are scored: what came would pass for what was recorded."""
    path = pack(tmp_path / f"{LABEL}.zip", files) if zipped else small_set / "estimate"
    system = FolderSystem(path)
    before = system.fingerprint()
    answers(system, mixtures)
    if zipped:
        pack(path, {**files, f"{LABEL}/eval_out/m_1_0_Speech.wav": b"RIFF"})
    else:
        (path / "m_1_0_Speech.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=r"m_1_0_Speech\.wav: has changed since the files were listed"):
        system.propose([mixture for mixture in mixtures if mixture.id == "m_1"])
    assert system.fingerprint() == before != FolderSystem(path).fingerprint()


def test_bombs_and_floods_fail_their_mixture_only(
    mixtures: list[Mixture], files: dict[str, bytes], tmp_path: Path
) -> None:
    files[f"{LABEL}/eval_out/m_3_0_Dishes.wav"] = bytes(30 << 20)
    for k in range(200):
        files[f"{LABEL}/eval_out/m_10_{k}_Pour.wav"] = b""
    system = FolderSystem(pack(tmp_path / f"{LABEL}.zip", files))
    system.inspect([mixture.id for mixture in mixtures], [])
    by_id = {mixture.id: mixture for mixture in mixtures}
    with pytest.raises(AudioError, match=r"m_3_0_Dishes\.wav: unpacks to more than"):
        system.propose([by_id["m_3"]])
    with pytest.raises(DataError, match="200 files for one mixture"):
        system.propose([by_id["m_10"]])
    assert len(system.propose([by_id["m_1"]])[0].audio) == 1


def test_mutated_archives_raise_expected_errors_only(
    mixtures: list[Mixture], files: dict[str, bytes], tmp_path: Path
) -> None:
    whole = pack(tmp_path / f"{LABEL}.zip", files).read_bytes()
    rng = random.Random(7)
    path = tmp_path / "spoiled.zip"
    failures = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 6)):
            where = data.find(rng.choice([b"PK\1\2", b"PK\3\4", b"PK\5\6"]), rng.randrange(len(data)))
            data[min(max(0, where) + rng.randrange(46), len(data) - 1)] = rng.choice([0, 1, 0x7F, 0xFF])
        path.write_bytes(data)
        try:
            system = FolderSystem(path)
            system.inspect([mixture.id for mixture in mixtures], [])
            for mixture in mixtures:
                system.propose([mixture])
        except S5Error:
            failures += 1
    assert failures > 20
