"""A part of a split is no split: every place that shows its number says of how many mixtures it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s5eval.data_manifests.manifest import open_manifest
from s5eval.data_manifests.sets.known import known_datasets
from s5eval.harness.record.reading import read_summary
from s5eval.harness.record.run_record import About
from s5eval.harness.report.table import headline
from s5eval.harness.scoring.summary import summarize

Call = Callable[..., Any]


@pytest.fixture
def runs(small_set: Path, tmp_path: Path, s5eval: Call) -> dict[str, Path]:
    common = ("run", "--system", "oracle-gain", "--data", small_set)
    filters = {"whole": (), "first": ("--limit", 3), "some": ("--only", "m_1", "--only", "m_3")}
    for name, options in filters.items():
        assert s5eval(*common, *options, "--out", tmp_path / name).code == 0
    return {name: tmp_path / name for name in filters}


@pytest.mark.parametrize(("name", "n"), [("first", 3), ("some", 2)])
def test_a_filtered_run_says_of_how_many(
    name: str, n: int, runs: dict[str, Path], s5eval: Call, summary: Call, tmp_path: Path
) -> None:
    facts = summary(runs[name])
    assert (facts["status"], facts["n_expected"], facts["n_split"]) == ("partial", n, 5)
    assert f"| PARTIAL | oracle: sees the references | {n} of 5 mixtures" in headline(read_summary(runs[name]))
    page = (runs[name] / "report.html").read_text()
    assert "of 5 mixtures.</p>" in page
    assert f"(partial: {n} of 5 mixtures)" in page
    compared = s5eval("compare", runs[name], runs[name])
    assert compared.out.count(f"PARTIAL: {n} of the split's 5 mixtures") == 2
    again = s5eval("rescore", runs[name], "--out", tmp_path / "again")
    assert f"{n} of 5 mixtures" in again.out
    assert summary(tmp_path / "again")["status"] == "partial"


@pytest.mark.parametrize(
    ("references", "said"), [(True, "3 of 5 mixtures scored, 2 failed"), (False, "3 of 5 mixtures answered, 2 failed")]
)
def test_what_failed_is_not_counted_as_done(
    references: bool, said: str, small_set: Path, tmp_path: Path, s5eval: Call, systems_on_path: None
) -> None:
    """In the table and on the page, of a set with references and of one without."""
    if not references:
        (small_set / "oracle_target").rename(tmp_path / "away")
    for id_ in ("m_1", "m_3"):
        (small_set / "soundscape" / f"{id_}.wav").write_bytes(b"no sound")
    out = tmp_path / "run"
    shown = s5eval("run", "--system", "plugins:build", "--data", small_set, "--out", out)
    assert shown.code == 4 and f"| PARTIAL | {said}" in shown.out.splitlines()[0]
    page = (out / "report.html").read_text()
    assert f"PARTIAL | {said}" in page and f"partial: {said}.</p>" in page
    assert (f"(partial: {said})" in page) == references, "in the table of metrics, if there are any"


def test_when_all_failed_none_is_scored(small_set: Path, tmp_path: Path, s5eval: Call, systems_on_path: None) -> None:
    for file in (small_set / "soundscape").iterdir():
        file.write_bytes(b"no sound")
    shown = s5eval("run", "--system", "plugins:build", "--data", small_set, "--out", tmp_path / "run")
    assert "| FAILED | 0 of 5 mixtures scored, 5 failed" in shown.out


def test_the_whole_split_is_complete(runs: dict[str, Path], summary: Call, s5eval: Call) -> None:
    facts = summary(runs["whole"])
    assert (facts["status"], facts["n_split"]) == ("complete", 5)
    assert "PARTIAL" not in s5eval("compare", runs["whole"], runs["whole"]).out


def test_a_filtered_run_that_is_done_is_not_run_again(runs: dict[str, Path], s5eval: Call) -> None:
    before = (runs["first"] / "run.json").read_bytes()
    assert s5eval("run", "--resume", runs["first"]).code == 0
    assert (runs["first"] / "run.json").read_bytes() == before


def test_a_folder_with_fewer_files_than_its_split_is_partial(tmp_path: Path, small_set: Path) -> None:
    """The official evaluation set has 1,512 mixtures; a root that holds five of them is not it."""
    split = known_datasets()["dcase2026"].splits["eval"]
    root = tmp_path / "root"
    (root / split.soundscape).parent.mkdir(parents=True)
    (small_set / "soundscape").rename(root / split.soundscape)
    manifest = open_manifest(root, dataset="dcase2026", split="eval")
    assert manifest.n_split == split.mixtures
    assert len(manifest.scenes) == 5
    about = About(system="folder", weights="none", dataset="dcase2026", split="eval", n_split=manifest.n_split)
    facts = summarize([], n_expected=5, finished=True, about=about)
    assert facts.status == "partial"


def test_a_ranking_of_a_part_says_so_and_ranks(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    for name, system in (("gain", "oracle-gain"), ("none", "oracle-zeros")):
        out = tmp_path / f"run-{name}"
        s5eval("run", "--system", system, "--data", small_set, "--save-audio", "--out", out)
        (out / "audio").rename(tmp_path / name)
    estimates = tmp_path / "gain", tmp_path / "none"
    result = s5eval("score", *estimates, "--data", small_set, "--limit", 3, "--out", tmp_path / "ranked")
    assert "PARTIAL: 3 of the split's 5 mixtures" in result.out
    assert "  1 gain" in result.out
    assert "(partial)" not in result.out
