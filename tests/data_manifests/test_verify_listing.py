"""Damage that only names, numbers and lists give away; nothing is repaired while looking."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.manifest import open_manifest
from s5eval.data_manifests.verify import verify


@pytest.fixture
def ten_seconds(tmp_path: Path, make_set: Callable[..., Path]) -> Path:
    scenes = {"m_1": ["Speech"], "m_2": ["Cough", "Pour"], "m_3": ["Dishes", "Dishes"], "m_4": []}
    return make_set(tmp_path / "set", scenes, seconds=10)


def findings(root: Path) -> list[Finding]:
    return verify(open_manifest(root, as_it_stands=True))


def named(root: Path) -> set[tuple[str, str]]:
    found = findings(root)
    assert all(finding.severity == "error" for finding in found)
    return {(finding.rule, Path(finding.file).name) for finding in found}


def write_listing(root: Path, **changes: list[str]) -> None:
    labels = {"m_1": ["Speech"], "m_2": ["Cough", "Pour"], "m_3": ["Dishes", "Dishes"], "m_4": [], **changes}
    other = {"label": None, "role": "interference"}
    entries = [
        {"soundscape": id_, "events": [{"label": label, "role": "target"} for label in listed] + [other]}
        for id_, listed in labels.items()
    ]
    (root / "metadata.json").write_text(json.dumps(entries))


def test_a_mixture_that_only_references_tell_of_is_one_missing_file(ten_seconds: Path) -> None:
    assert findings(ten_seconds) == []
    (ten_seconds / "soundscape" / "m_2.wav").unlink()
    found = findings(ten_seconds)
    assert [finding.message for finding in found if finding.rule == "missing"] == [
        "no mixture of this id, but references of it: 2"
    ]
    assert named(ten_seconds) == {
        ("missing", "m_2"), ("orphan", "m_2_0_Cough.wav"), ("orphan", "m_2_1_Pour.wav"),
    }  # fmt: skip


def test_gaps_and_repeated_numbers(ten_seconds: Path) -> None:
    references = ten_seconds / "oracle_target"
    (references / "m_2_0_Cough.wav").unlink()
    (references / "m_3_1_Dishes.wav").rename(references / "m_3_0_Pour.wav")
    (references / "m_1_0_Speech.wav").rename(references / "m_1_999999999_Speech.wav")
    assert named(ten_seconds) == {("missing", "m_2.wav"), ("index", "m_3.wav"), ("missing", "m_1.wav")}


def test_what_a_run_only_warns_of_is_an_error(ten_seconds: Path) -> None:
    (ten_seconds / "soundscape" / "x.WAV").write_bytes(b"")
    (ten_seconds / "oracle_target" / "nonsense.wav").write_bytes(b"")
    assert named(ten_seconds) == {("suffix", "x.WAV"), ("not-a-source-name", "nonsense.wav")}


def test_the_list_of_events_names_the_last_reference_too(ten_seconds: Path) -> None:
    write_listing(ten_seconds)
    assert findings(ten_seconds) == []
    (ten_seconds / "oracle_target" / "m_3_1_Dishes.wav").unlink()
    (ten_seconds / "oracle_target" / "m_1_0_Speech.wav").unlink()
    write_listing(ten_seconds, m_4=[], m_5=["Pour"])
    found = {Path(finding.file).name: finding for finding in findings(ten_seconds)}
    assert set(found) == {"m_1.wav", "m_3.wav", "m_5"}
    assert {finding.rule for finding in found.values()} == {"missing"}
    assert "missing: Dishes" in found["m_3.wav"].message


def test_references_that_the_list_does_not_have(ten_seconds: Path) -> None:
    write_listing(ten_seconds, m_2=["Cough"])
    assert named(ten_seconds) == {("metadata", "m_2.wav")}


@pytest.mark.parametrize(
    "content", ["{", "3", "[1]", '[{"soundscape": "m_1"}]', '[{"soundscape": "a", "events": [1]}]']
)
def test_a_damaged_list_is_a_finding(ten_seconds: Path, content: str) -> None:
    (ten_seconds / "metadata.json").write_text(content)
    assert named(ten_seconds) == {("metadata", "metadata.json")}


@pytest.mark.parametrize(
    "content",
    ["3", "[1]", "x", "{}", '{"job": "a", "files": 3}', '{"job": "a", "files": {"../a.wav": "0"}}',
     '{"job": "a", "files": {"/etc/passwd": "0"}}', '{"job": "a", "files": {"soundscape/m_1.wav": 3}}',
     '{"job": "a", "files": {}, "recordings": "x"}', '{"job": "a", "files": {}, "recordings": [1]}'],
)  # fmt: skip
def test_a_damaged_record_is_a_finding_and_the_rest_is_checked(ten_seconds: Path, content: str) -> None:
    (ten_seconds / "checksums").mkdir()
    (ten_seconds / "checksums" / "m_1.json").write_text(content)
    good = {"job": "a", "files": {"soundscape/m_9.wav": "0"}}
    (ten_seconds / "checksums" / "m_9.json").write_text(json.dumps(good))
    assert named(ten_seconds) == {("checksum", "m_1.json"), ("missing", "m_9.wav")}


def test_a_missing_reference_folder_is_a_finding(tmp_path: Path, make_set: Callable[..., Path]) -> None:
    folder = make_set(tmp_path / "dev_set" / "test", {"m_1": ["Speech"]}, seconds=10)
    (folder / "oracle_target").rename(folder / "elsewhere")
    assert named(tmp_path) == {("missing", "oracle_target")}
