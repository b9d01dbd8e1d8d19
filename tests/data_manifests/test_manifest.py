from collections.abc import Callable
from pathlib import Path

import pytest

from s5eval.data_manifests.common.errors import DataError, UsageError
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


def official(root: Path, make_set: Callable[..., Path], split: str = "dev_set/synthesized/test") -> Path:
    make_set(root / split, {"test_0000": ["Speech"], "test_0001": []})
    return root


def test_the_official_root_is_known_by_its_splits(tmp_path: Path, make_set: Callable[..., Path]) -> None:
    manifest = open_manifest(official(tmp_path, make_set))
    assert (manifest.dataset, manifest.split.name, manifest.split.tune) == ("dcase2026", "dev-test", "forbidden")
    assert [finding.rule for finding in manifest.findings] == ["mixture-count"]  # 2 of 1512


def test_several_splits_ask_for_one(tmp_path: Path, make_set: Callable[..., Path]) -> None:
    official(tmp_path, make_set)
    official(tmp_path, make_set, "eval_set/synthesized/eval")
    with pytest.raises(UsageError, match=r"choose one with `split`: dev-test \(dcase2026\), eval"):
        open_manifest(tmp_path)
    assert not open_manifest(tmp_path, split="eval").has_references


@pytest.mark.parametrize("split", ["dev-tst", "nonsense"])
def test_an_unknown_split_is_a_usage_error(tmp_path: Path, make_set: Callable[..., Path], split: str) -> None:
    with pytest.raises(UsageError, match=f"no split '{split}'"):
        open_manifest(official(tmp_path, make_set), split=split)


def test_a_split_that_is_not_there_is_a_data_error(tmp_path: Path, make_set: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="there: dev-test"):
        open_manifest(official(tmp_path, make_set), split="eval")


def test_missing_and_empty_folders_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data folder"):
        open_manifest(tmp_path / "nowhere")
    with pytest.raises(DataError, match="neither soundscape/ nor an official split"):
        open_manifest(tmp_path)
    (tmp_path / "soundscape").mkdir()
    with pytest.raises(DataError, match=r"holds no \.wav or \.flac file"):
        open_manifest(tmp_path)
    with pytest.raises(DataError, match=f"did you mean {tmp_path}\\?"):
        open_manifest(tmp_path / "soundscape")


def test_filters_keep_order_and_refuse_unknown_ids(small_set: Path) -> None:
    assert ids(small_set, limit=2) == ["m_1", "m_10"]
    assert ids(small_set, only=["m_4", "m_10"]) == ["m_10", "m_4"]
    with pytest.raises(UsageError, match="no mixture 'm_9'"):
        open_manifest(small_set, only=["m_9"])
    with pytest.raises(UsageError, match="`limit` is 0"):
        open_manifest(small_set, limit=0)


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


def test_shipped_manifests_say_what_may_be_tuned_on() -> None:
    dcase = known_datasets()["dcase2026"].splits
    assert {name: (split.mixtures, split.tune) for name, split in dcase.items() if name in ("dev-test", "eval")} == {
        "dev-test": (1512, "forbidden"),
        "eval": (2567, "forbidden"),
    }


def test_a_wrong_set_or_split_says_what_was_expected(small_set: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no split of dcase2026 .*leave `dataset` out"):
        open_manifest(small_set, dataset="dcase2026")
    with pytest.raises(DataError, match=r"dev_set/metadata/valid\.json is not there"):
        open_manifest(tmp_path, dataset="dcase2026", split="valid")
    with pytest.raises(UsageError, match=r"no split 'zzz' in mini \(known: train, valid, test\)"):
        open_manifest(None, split="zzz")
    with pytest.raises(UsageError, match=r"no data set 'zzz' \(known: "):
        open_manifest(None, dataset="zzz")


@pytest.mark.parametrize(("split", "tune"), [("train", "allowed"), ("valid", "allowed"), ("test", "forbidden")])
def test_a_folder_of_the_embedded_set_is_no_plain_one(
    tmp_path: Path, make_set: Callable[..., Path], split: str, tune: str
) -> None:
    root = make_set(tmp_path, {f"mini_{split}_0000": ["Speech"], f"mini_{split}_0007": []})
    manifest = open_manifest(root, split=split)
    assert (manifest.dataset, manifest.split.name, manifest.split.tune) == ("mini", split, tune)
    assert (manifest.root, manifest.findings) == (root, ())
    with pytest.raises(UsageError, match="has no split 'eval'"):
        open_manifest(root, split="eval")
    make_set(tmp_path, {"other_0000": []})
    assert open_manifest(root).dataset == "folder"


def test_scenes_as_they_stand_are_those_of_the_manifest_without_reading_any(small_set: Path) -> None:
    expected = open_manifest(small_set).scenes
    for path in small_set.rglob("*.wav"):
        path.write_bytes(b"")
    assert scenes_as_they_stand(small_set) == (small_set, expected)
