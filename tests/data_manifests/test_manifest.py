from pathlib import Path

import pytest

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.manifest import open_manifest, scenes_as_they_stand
from s5eval.data_manifests.sets.known import known_datasets


def ids(root: Path, **options: object) -> list[str]:
    return [scene.mixture.id for scene in open_manifest(root, **options).scenes]  # type: ignore[arg-type]


def test_a_plain_folder_is_a_set(small_set: Path) -> None:
    manifest = open_manifest(small_set)
    references = {scene.mixture.id: [r.label for r in scene.references or ()] for scene in manifest.scenes}
    assert references == {
        "m_1": ["Speech"], "m_10": [], "m_2": ["Cough", "Pour"], "m_3": ["Dishes"], "m_4": ["Typing", "Typing"],
    }  # fmt: skip
    assert (manifest.dataset, manifest.split.tune, manifest.findings) == ("folder", "allowed", ())


def test_without_oracle_target_there_are_no_references(small_set: Path) -> None:
    (small_set / "oracle_target").rename(small_set / "elsewhere")
    manifest = open_manifest(small_set)
    assert not manifest.has_references
    assert all(scene.references is None for scene in manifest.scenes)


def test_filters_keep_order_and_refuse_unknown_ids(small_set: Path) -> None:
    assert ids(small_set, limit=2) == ["m_1", "m_10"]
    assert ids(small_set, only=["m_4", "m_10"]) == ["m_10", "m_4"]
    with pytest.raises(UsageError, match="no mixture 'm_9'"):
        open_manifest(small_set, only=["m_9"])
    with pytest.raises(UsageError, match="`limit` is 0"):
        open_manifest(small_set, limit=0)


def test_a_reference_that_cannot_be_used_is_named_with_its_folder(small_set: Path) -> None:
    """Beside estimates of the same names it would be taken for one of them."""
    folder = small_set / "oracle_target"
    (folder / "m_1_0_Speech.wav").rename(folder / "m_1_0_Dog.wav")
    problem = open_manifest(small_set, only=["m_1"]).scenes[0].problem
    assert problem is not None and problem.startswith(f"{folder / 'm_1_0_Dog.wav'}: unknown label 'Dog'")


def test_orphans_and_odd_suffixes_among_references_are_listed(small_set: Path) -> None:
    folder = small_set / "oracle_target"
    (folder / "m_1_0_Speech.wav").rename(folder / "m_1_0_Speech.WAV")
    (folder / "m_3_0_Dishes.wav").rename(folder / "m_33_0_Dishes.wav")
    assert sorted(finding.rule for finding in open_manifest(small_set).findings) == ["orphan", "suffix"]


def test_the_digest_follows_the_data(small_set: Path) -> None:
    before = open_manifest(small_set).sha256
    assert open_manifest(small_set).sha256 == before
    assert open_manifest(small_set, limit=3).sha256 != before
    (small_set / "oracle_target" / "m_3_0_Dishes.wav").unlink()
    assert open_manifest(small_set).sha256 != before


def test_the_splits_of_the_challenge_are_where_they_ship_of_their_size_and_tuned_on_as_they_may_be() -> None:
    test, scenes = "dev_set/synthesized/test", "eval_set/synthesized/eval/soundscape"
    assert {
        name: (split.soundscape, split.references, split.mixtures, split.tune)
        for name, split in known_datasets()["dcase2026"].splits.items()
    } == {
        "dev-test": (f"{test}/soundscape", f"{test}/oracle_target", 1512, "forbidden"),
        "valid": ("soundscape", "oracle_target", 1800, "allowed"),  # made, from metadata
        "eval": (scenes, None, 2567, "forbidden"),
    }


def test_scenes_as_they_stand_are_those_of_the_manifest_without_reading_any(small_set: Path) -> None:
    expected = open_manifest(small_set).scenes
    for path in small_set.rglob("*.wav"):
        path.write_bytes(b"")
    assert scenes_as_they_stand(small_set) == (small_set, expected)
