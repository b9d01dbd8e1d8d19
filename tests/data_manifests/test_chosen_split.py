"""Which split is meant, by names or by what is there, and what is said where that is not clear."""

from collections.abc import Callable
from pathlib import Path

import pytest

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.manifest import open_manifest


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
