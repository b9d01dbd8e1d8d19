"""The embedded set is one set, though two kinds of processors round its samples otherwise."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
from sealed_files import edit_record

from s5eval.data_manifests.common.digests import digest_text
from s5eval.data_manifests.common.yaml_text import load_yaml
from s5eval.data_manifests.manifest import open_manifest
from s5eval.data_manifests.scan import scenes_digest
from s5eval.harness.record.fitted_mixtures import KEY, fitted_here
from s5eval.harness.record.run_record import DataFacts
from s5eval.harness.record.scene_identity import scene_identities

Call = Callable[..., Any]
WEIGHTS = Path(__file__).parents[3] / "systems" / "multistage" / "weights"


def facts(*ids: str, digit: str = "a") -> DataFacts:
    return DataFacts(manifest_sha256=digit * 64, mixtures=ids, mixture_digests=tuple(digit * 64 for _ in ids))


def test_embedded_scenes_are_known_by_what_they_are_made_from_and_others_by_their_files() -> None:
    ids = ("mini_valid_0000", "mini_valid_0001", "mini_test_0000", "mini_valid_9999", "m_1")
    here, there = scene_identities(facts(*ids)), scene_identities(facts(*ids, digit="b"))
    assert here[:3] == there[:3]
    assert len({*here[:3]}) == 3
    assert (here[3:], there[3:]) == (("a" * 64, "a" * 64), ("b" * 64, "b" * 64))
    assert scene_identities(DataFacts(manifest_sha256="a" * 64, mixtures=ids)) == ()


def test_a_decision_knows_what_it_was_fitted_to_on_another_machine() -> None:
    here, there = facts("mini_valid_0000", "mini_valid_0777"), facts("mini_valid_0777", "mini_test_0777", digit="b")
    assert fitted_here({KEY: digest_text(scene_identities(here))}, there) == 1
    before = {KEY: digest_text(here.mixture_digests or ())}  # as earlier versions wrote it: by the content of files
    assert (fitted_here(before, here), fitted_here(before, there)) == (2, 0)


def test_the_shipped_decision_knows_its_mixtures_on_every_machine() -> None:
    provenance = load_yaml((WEIGHTS / "thresholds.yaml").read_text())["provenance"]
    valid = facts("mini_valid_0000", "mini_valid_0777", "mini_valid_1007")
    assert fitted_here(provenance, valid) == 3
    assert fitted_here(provenance, facts("mini_test_0000", "mini_test_1511")) == 0


@pytest.fixture
def of_two_machines(tmp_path: Path, s5eval: Call) -> tuple[Path, Path]:
    """Two runs on the first scenes of the embedded set; the files of the second had other bytes."""
    runs = tmp_path / "here", tmp_path / "there"
    for run in runs:
        options = ("--dataset", "mini", "--split", "valid", "--limit", 3)
        assert s5eval("run", "--system", "silence", *options, "--out", run).code == 0

    def rounded(record: dict[str, Any]) -> None:
        record["manifest_sha256"] = "0" * 64
        record["mixture_digests"][1] = "1" * 64

    edit_record(runs[1] / "run.json", rounded)
    return runs


def test_runs_on_the_embedded_set_of_two_machines_are_compared_and_ranked(
    of_two_machines: tuple[Path, Path], s5eval: Call
) -> None:
    compared = s5eval("compare", *of_two_machines)
    assert compared.code == 0, compared.err
    assert "made on two machines: the files of 1 mixture differ by the rounding of some samples" in " ".join(
        compared.out.split()
    )
    assert s5eval("rank", *of_two_machines).code == 0


def test_what_lies_elsewhere_under_the_ids_of_its_scenes_is_other_data(
    of_two_machines: tuple[Path, Path], s5eval: Call
) -> None:
    for run in of_two_machines:
        edit_record(run / "run.json", lambda record: record["config"].update(dataset=None, data="/somewhere"))
    assert "made on different data" in s5eval("compare", *of_two_machines).err


def test_scenes_that_were_changed_in_a_folder_are_other_data_than_the_embedded_ones(
    tmp_path: Path, s5eval: Call
) -> None:
    """Half as loud, they are no scenes that another machine has rounded."""
    scenes, copy = open_manifest(None, split="valid", limit=2).scenes, tmp_path / "copy"
    for scene in scenes:
        for file in scene.files:
            samples, rate = soundfile.read(file)
            (copy / file.parent.name).mkdir(parents=True, exist_ok=True)
            soundfile.write(copy / file.parent.name / file.name, 0.5 * samples, rate, subtype="PCM_16")
    for name, options in {"here": ("--split", "valid", "--limit", 2), "changed": ("--data", copy)}.items():
        assert s5eval("run", "--system", "silence", *options, "--out", tmp_path / name).code == 0
    compared = s5eval("compare", tmp_path / "here", tmp_path / "changed")
    assert compared.code == 2
    assert "made on different data (mini/valid, 2 mixtures and mini/valid, 2 mixtures; the files of 2 mixtures" in (
        compared.err
    )
    assert "made on different data" in s5eval("rank", tmp_path / "here", tmp_path / "changed").err


def test_the_embedded_set_stays_itself_beside_a_folder_of_other_data(
    of_two_machines: tuple[Path, Path], s5eval: Call
) -> None:
    """`--dataset mini` with S5EVAL_DATA set."""
    edit_record(of_two_machines[0] / "run.json", from_a_folder)
    assert json.loads((of_two_machines[0] / "run.json").read_text())["config"]["dataset"] == "mini"
    assert s5eval("compare", *of_two_machines).code == 0


def test_runs_of_two_machines_share_their_mixtures(of_two_machines: tuple[Path, Path], s5eval: Call) -> None:
    refused = s5eval("tune", *of_two_machines)
    assert refused.code == 2
    assert "cross-validation would test on what it was fitted to" in " ".join(refused.err.split())


@pytest.fixture
def shards_of_two_machines(tmp_path: Path, s5eval: Call) -> list[Path]:
    """Three shards of five embedded scenes; the machine of the second made one of its own otherwise."""
    runs = [tmp_path / f"R.{k}" for k in (1, 2, 3)]
    options = ("--split", "valid", "--limit", 5)
    for k, run in enumerate(runs, start=1):
        assert s5eval("run", "--system", "silence", *options, "--shard", f"{k}/3", "--out", run).code == 0

    def rounded(record: dict[str, Any]) -> None:
        record["shard"]["manifest_sha256"] = "0" * 64
        record["shard"]["manifest_sizes_sha256"] = "0" * 64  # a sample rounded otherwise may change a FLAC file's size
        record["mixture_digests"][1] = "1" * 64

    edit_record(runs[1] / "run.json", rounded)
    return runs


def test_shards_of_the_embedded_set_may_come_from_two_machines(
    shards_of_two_machines: list[Path], tmp_path: Path, s5eval: Call
) -> None:
    whole, merged = tmp_path / "whole", tmp_path / "merged"
    options = ("--dataset", "mini", "--split", "valid", "--limit", 5)
    assert s5eval("run", "--system", "silence", *options, "--out", whole).code == 0
    result = s5eval("merge", *shards_of_two_machines, "--out", merged)
    assert result.code == 0, result.err
    assert "scenes made on 2 kinds of machines" in result.out
    records = [json.loads((run / "run.json").read_text()) for run in (whole, merged)]
    assert records[0]["mixtures"] == records[1]["mixtures"]
    other = [a != b for a, b in zip(*(record["mixture_digests"] for record in records), strict=True)]
    assert other == [False, False, False, False, True]
    assert records[1]["manifest_sha256"] == scenes_digest(records[1]["mixture_digests"])
    compared = s5eval("compare", whole, merged)
    said = "the files of 1 mixture differ by the rounding" in " ".join(compared.out.split())
    assert (compared.code, said) == (0, True)
    assert s5eval("check", merged).code == 0


def of_more(record: dict[str, Any]) -> None:
    record["shard"]["n_mixtures"] = 6


def of_others(record: dict[str, Any]) -> None:
    """Such as those of another version of the generator."""
    record["shard"]["scenes_sha256"] = "2" * 64


def of_before(record: dict[str, Any]) -> None:
    """As written before shards said what their scenes are made from: these have to be of the same bytes."""
    del record["shard"]["scenes_sha256"]


def from_a_folder(record: dict[str, Any]) -> None:
    """Under the ids of embedded scenes, and by their name, these have to be of the same bytes."""
    record["config"]["data"] = "/somewhere"


@pytest.mark.parametrize(
    ("change", "shards"), [(of_more, [2]), (of_others, [2]), (of_before, [0, 1, 2]), (from_a_folder, [0, 1, 2])]
)
def test_shards_of_other_scenes_are_refused(
    shards_of_two_machines: list[Path],
    tmp_path: Path,
    s5eval: Call,
    change: Callable[[dict[str, Any]], None],
    shards: list[int],
) -> None:
    for number in shards:
        edit_record(shards_of_two_machines[number] / "run.json", change)
    result = s5eval("merge", *shards_of_two_machines, "--out", tmp_path / "merged")
    assert (result.code, "was made on other data than" in result.err) == (2, True)
