"""`s5eval score A.zip B.zip …`: ranks, intervals, published results, archives that cannot be read."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from s5eval.harness.comparing import published
from s5eval.submissions.rules import EVAL_IDS

Call = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path, make_set: Call) -> Path:
    labels = [["Speech"], ["Cough", "Pour"], []]
    return make_set(tmp_path / "set", {f"m_{k}": labels[k % 3] for k in range(9)}, seconds=0.1)


def submission(data: Path, path: Path, *, noise: float, skip: int = 0, spoil: bool = False) -> Path:
    """An archive in the official structure: the references with noise on top, the first `skip` left out."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{path.stem}/eval_results.json", "{}")
        for number, file in enumerate(sorted((data / "oracle_target").iterdir())[skip:]):
            samples = soundfile.read(file)[0] + noise * np.random.default_rng(number).normal(size=3200)
            soundfile.write(path.parent / "x.wav", samples, 32000, subtype="PCM_16")
            content = (path.parent / "x.wav").read_bytes()
            archive.writestr(f"{path.stem}/eval_out/{file.name}", content[: 500 if spoil and number == 0 else None])
    return path


@pytest.fixture
def archives(data: Path, tmp_path: Path) -> list[Path]:
    (tmp_path / "sent").mkdir()
    return [
        submission(data, tmp_path / "sent" / "Worse_A_task4_1.zip", noise=0.05),
        submission(data, tmp_path / "sent" / "Better_B_task4_1.zip", noise=0.005),
        submission(data, tmp_path / "sent" / "Broken_C_task4_1.zip", noise=0.001, spoil=True),
    ]


def test_ranking(s5eval: Call, data: Path, archives: list[Path], tmp_path: Path) -> None:
    found = s5eval("score", *archives, "--data", data, "--out", tmp_path / "all", "--json")
    assert found.code == 4
    rows = found.json["ranking"]
    assert [(row["name"], row["rank"], row["status"]) for row in rows] == [
        ("Better_B_task4_1", 1, "complete"),
        ("Worse_A_task4_1", 2, "complete"),
        ("Broken_C_task4_1", None, "partial"),
    ]
    values = [row["metrics"]["capi_sdri"]["value"] for row in rows]
    assert rows[0]["difference_to_first"] is None
    assert rows[1]["difference_to_first"]["delta"] == pytest.approx(values[1] - values[0])
    assert rows[1]["difference_to_first"]["ci_high"] < 0
    single = s5eval("score", archives[0], "--data", data, "--out", tmp_path / "one", "--json")
    assert single.code == 0
    assert single.json["metrics"]["capi_sdri"] == rows[1]["metrics"]["capi_sdri"]
    assert (found.json["published"], found.json["unusable"]) == ([], {})
    assert found.json["data"] == "folder set"
    runs = [tmp_path / "all" / row["name"] for row in rows[:2]]
    assert s5eval("rank", *runs).out.startswith("data: folder set | 9 mixtures | 2 submissions")


def test_the_table(s5eval: Call, data: Path, archives: list[Path], tmp_path: Path) -> None:
    (tmp_path / "sent" / "Junk_D_task4_1.zip").write_bytes(b"no zip")
    found = s5eval(
        "score", *archives, tmp_path / "sent" / "Junk_D_task4_1.zip", "--data", data, "--out", tmp_path / "o"
    )
    assert found.code == 3
    lines = [line for line in found.out.splitlines() if "task4" in line]
    assert lines[0].startswith("  1 Better_B_task4_1")
    assert lines[1].startswith("  2 Worse_A_task4_1")
    assert lines[2].startswith("  – Broken_C_task4_1 (partial)")
    assert "Broken_C_task4_1: 1 of 9 failed, such as m_0" in found.out
    assert "not scored:\n  Junk_D_task4_1: " in found.out
    again = s5eval("score", *archives, "--data", data, "--out", tmp_path / "o")
    assert (again.code, "holds a run already" in again.err) == (2, True)
    resumed = s5eval("score", *archives, "--data", data, "--resume", tmp_path / "o")
    assert resumed.code == 4
    assert len(json.loads((tmp_path / "o" / "Better_B_task4_1" / "run.json").read_text())["mixtures"]) == 9


def test_a_shard_of_a_ranking_is_refused(s5eval: Call, data: Path, archives: list[Path], tmp_path: Path) -> None:
    """The values would be of four mixtures, and the ranking said nine."""
    refused = s5eval("score", *archives, "--data", data, "--shard", "2/2", "--out", tmp_path / "o")
    assert (refused.code, "--shard 2/2 is a part of one run" in refused.err) == (2, True), refused.err
    assert not (tmp_path / "o").exists()


def test_what_was_changed_of_a_submission_that_lacks_a_mixture_is_said_once(
    s5eval: Call, data: Path, tmp_path: Path
) -> None:
    for name in ("Two_A_task4_1", "Two_B_task4_1"):  # m_0 is left out, the others have two channels
        (tmp_path / name).mkdir()
        for file in sorted((data / "oracle_target").iterdir())[1:]:
            samples = soundfile.read(file)[0]
            soundfile.write(tmp_path / name / file.name, np.stack([samples, samples], axis=1), 32000, subtype="PCM_16")
    paths = [tmp_path / "Two_A_task4_1", tmp_path / "Two_B_task4_1"]
    scored = s5eval("score", *paths, "--data", data, "--downmix", "--out", tmp_path / "o")
    said = "estimates of several channels averaged"
    assert scored.code == 0 and scored.out.count(said) == scored.out.count(" of 9 mixtures, " + said) == 2
    assert (tmp_path / "o" / "ranking.html").read_text().count(said) == 2
    ranked = s5eval("rank", *(tmp_path / "o" / path.name for path in paths), "--out", tmp_path / "again").out
    assert ranked.count(said) == ranked.count(" of 9 mixtures, " + said) == 2


def test_runs_on_different_data_are_refused_by_what_differs(s5eval: Call, data: Path, tmp_path: Path) -> None:
    runs = [tmp_path / "whole", tmp_path / "part"]
    for run, limit in zip(runs, (9, 4), strict=True):
        s5eval("run", "--system", "oracle-gain", "--data", data, "--limit", limit, "--name", run.name, "--out", run)
    refused = s5eval("rank", *runs)
    assert refused.code == 2
    assert f"(folder {data.name}, 9 mixtures and folder {data.name}, 4 mixtures)" in refused.err


def test_the_data_set_may_be_named(s5eval: Call, data: Path, archives: list[Path], tmp_path: Path) -> None:
    """Only its name tells the sets of one root apart."""
    test = tmp_path / "root" / "dev_set" / "test"
    test.parent.mkdir(parents=True)
    data.rename(test)
    (tmp_path / "root" / "soundscape").mkdir()  # taken for a plain folder where no set is named
    named = ("--data", tmp_path / "root", "--dataset", "dcase2025", "--split", "test")
    found = s5eval("score", *archives[:2], *named, "--out", tmp_path / "o", "--json")
    assert (found.code, found.json["data"], found.json["n"]) == (0, "dcase2025/test", 9)


def test_equal_names_and_missing_archives(s5eval: Call, data: Path, archives: list[Path], tmp_path: Path) -> None:
    other = tmp_path / archives[0].name
    other.write_bytes(archives[0].read_bytes())
    twice = s5eval("score", archives[0], other, "--data", data)
    assert (twice.code, "have the same name" in twice.err) == (2, True)
    assert s5eval("score", archives[0], tmp_path / "none.zip", "--data", data).code == 2
    assert s5eval("score", "--data", data).code == 2


def test_equal_values_share_a_rank(s5eval: Call, data: Path, archives: list[Path], tmp_path: Path) -> None:
    for name in ("Same_X_task4_1.zip", "Same_Y_task4_1.zip"):
        (tmp_path / name).write_bytes(archives[1].read_bytes())
    paths = [tmp_path / "Same_X_task4_1.zip", archives[0], tmp_path / "Same_Y_task4_1.zip"]
    rows = s5eval("score", *paths, "--data", data, "--out", tmp_path / "o", "--json").json["ranking"]
    assert [row["rank"] for row in rows] == [1, 1, 3]


def test_published_results_stand_beside_the_official_splits_only(
    s5eval: Call, data: Path, archives: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_ids = [f"t_{k}" for k in range(1512)]
    rows, note = published.published_on("dcase2026", "dev-test", test_ids)
    assert rows[0].system == "Bando_AIST_2" and rows[0].capi_sdri == 16.45
    assert len(rows) == 16 and note is not None
    rows, _ = published.published_on("folder", "folder", EVAL_IDS[:1512])
    assert (rows[0].system, rows[0].mixture_accuracy) == ("Bando_AIST_3", 65.54)
    assert published.published_on("folder", "folder", EVAL_IDS)[0] == ()
    assert published.published_on("folder", "folder", test_ids) == ((), None)
    rows, note = published.published_on("dcase2026", "dev-test", test_ids[:5])
    assert rows == () and note is not None and "part of the official split" in note

    monkeypatch.setattr(published, "EVAL_IDS", tuple(f"m_{k}" for k in range(9)))
    monkeypatch.setattr(published, "RANKED_EVAL_MIXTURES", 9)
    found = s5eval("score", *archives[:2], "--data", data, "--out", tmp_path / "o")
    lines = found.out.splitlines()
    places = [next(k for k, line in enumerate(lines) if name in line) for name in ("Better_B", "Bando_AIST_3")]
    assert "    Bando_AIST_3 (published, rank 1 of the challenge)" in found.out
    assert "Nguyen_NTT_1 (published, baseline 1c, team rank 10 of the challenge)" in found.out
    best = float(lines[places[0]].split()[4])
    assert (places[0] < places[1]) == (best > 14.93)


def test_resuming_on_other_data_is_refused(
    s5eval: Call, data: Path, archives: list[Path], tmp_path: Path, make_set: Call
) -> None:
    out = tmp_path / "o"
    s5eval("score", *archives[:2], "--data", data, "--out", out)
    other = make_set(tmp_path / "other", {"m_0": ["Speech"]}, seconds=0.1)
    refused = s5eval("score", *archives[:2], "--data", other, "--resume", out)
    assert (refused.code, refused.out.count("does not hold the data that")) == (3, 2)


def test_a_part_of_the_embedded_set_is_no_official_split() -> None:
    assert published.published_on("mini", "test", ["a", "b"]) == ((), None)
