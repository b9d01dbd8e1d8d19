"""What CodaBench and EvalAI get: the numbers of `score`, or reasons and no file."""

import importlib.util
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.common.errors import DataError
from s5eval.harness.hosting.codabench import score_codabench
from s5eval.harness.hosting.evalai import evaluate
from s5eval.harness.hosting.scoring import handed_in, leaderboard, score_archive

Call = Callable[..., Any]
ROOT = Path(__file__).parents[3]


def zipped(folder: Path, path: Path, below: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.wav")):
            archive.write(file, f"{below}{file.relative_to(folder)}")
    return path


def said(found: Any) -> str:
    """The error, without the warnings before it."""
    return str(found.err[found.err.index("error: ") :].strip())


@pytest.fixture
def numbers(s5eval: Call, small_set: Path, tmp_path: Path) -> dict[str, float]:
    found = s5eval("score", small_set / "estimate", "--data", small_set, "--out", tmp_path / "run", "--json")
    metrics: dict[str, Any] = found.json["metrics"]
    return {name: entry["value"] for name, entry in metrics.items()}


@pytest.fixture
def app(small_set: Path, tmp_path: Path) -> Path:
    """`/app/input` as CodaBench lays it out: references, and the unpacked submission."""
    app = tmp_path / "app" / "input"
    for name in ("soundscape", "oracle_target"):
        shutil.copytree(small_set / name, app / "ref" / name)
    shutil.copytree(small_set / "estimate", app / "res")
    return app


def test_codabench_gets_scores_in_both_forms_and_a_page(app: Path, numbers: dict[str, float], s5eval: Call) -> None:
    out = app.parent / "output"
    assert s5eval("host", "codabench", app, out).code == 0
    scores = json.loads((out / "scores.json").read_text())
    assert scores["capi_sdri"] == pytest.approx(numbers["capi_sdri"])
    assert scores["mixture_accuracy"] == pytest.approx(numbers["mixture_accuracy"])
    assert (scores["mixtures"], scores["answered"]) == (5, 3)
    lines = dict(line.split(": ") for line in (out / "scores.txt").read_text().splitlines())
    assert {name: float(value) for name, value in lines.items()} == pytest.approx(scores, abs=1e-6)
    assert "Ranking by CAPI-SDRi" in (out / "detailed_results.html").read_text()
    assert sorted(path.name for path in out.iterdir()) == ["detailed_results.html", "scores.json", "scores.txt"]


def test_a_leaderboard_has_each_metric_with_its_interval_under_its_own_name(small_set: Path, tmp_path: Path) -> None:
    result = score_archive(small_set / "estimate", small_set, tmp_path / "run")
    told, wanted = result.summary.metrics, {}
    for name in ("capi_sdri", "ca_sdri", "mixture_accuracy", "source_accuracy"):
        value = told[name]  # type: ignore[index]
        wanted |= {name: value.value, f"{name}_ci_low": value.ci_low, f"{name}_ci_high": value.ci_high}
    wanted |= {"capi_sdri_zero_floor": told["capi_sdri_zero_floor"].value, "mixtures": 5, "answered": 3}
    assert leaderboard(result) == wanted
    assert wanted["capi_sdri_ci_low"] < wanted["capi_sdri"] < wanted["capi_sdri_ci_high"]


def test_zips_in_either_place_give_the_same(app: Path, tmp_path: Path, numbers: dict[str, float]) -> None:
    packed = tmp_path / "packed"
    for name in ("ref", "res"):
        (packed / name).mkdir(parents=True)
        zipped(app / name, packed / name / "sent.ZIP", "inside/" if name == "ref" else "")
    assert score_codabench(packed, tmp_path / "o")["capi_sdri"] == pytest.approx(numbers["capi_sdri"])


def test_data_that_are_one_of_several_are_not_guessed(
    app: Path, small_set: Path, tmp_path: Path, numbers: dict[str, float]
) -> None:
    zipped(app / "ref", tmp_path / "data.zip")
    shutil.rmtree(app / "ref")
    (app / "ref").mkdir()
    shutil.copy(tmp_path / "data.zip", app / "ref" / "phase_2.zip")
    (app / "ref" / "._phase_2.zip").write_bytes(b"what an operating system left")
    assert score_codabench(app, tmp_path / "o")["capi_sdri"] == pytest.approx(numbers["capi_sdri"])
    shutil.copy(tmp_path / "data.zip", app / "ref" / "phase_1.zip")
    with pytest.raises(DataError, match=r"ref: 2 zips, expected one: phase_1\.zip, phase_2\.zip"):
        score_codabench(app, tmp_path / "o")
    for phase in ("dev", "eval"):
        shutil.copytree(small_set, tmp_path / "both" / phase)
    with pytest.raises(DataError, match="both: 2 folders that hold soundscape/, expected one: dev, eval"):
        evaluate(str(tmp_path / "both"), str(app / "res"), "test")


def test_of_many_bad_files_it_is_said_how_many_are_not_told(tmp_path: Path, make_set: Call) -> None:
    data = make_set(tmp_path / "set", {f"m_{k:02d}": ["Speech"] for k in range(12)}, seconds=0.1)
    (tmp_path / "sent").mkdir()
    for k in range(12):
        (tmp_path / "sent" / f"m_{k:02d}_0_Speech.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"12 of 12 mixtures cannot be scored: m_00: .*; m_09: .*; … and 2 more$"):
        score_archive(tmp_path / "sent", data, tmp_path / "run")


def test_a_bad_file_costs_the_score_and_says_why(app: Path, s5eval: Call) -> None:
    out = app.parent / "output"
    assert s5eval("host", "codabench", app, out).code == 0
    (app / "res" / "m_2_0_Cough.wav").write_bytes(b"RIFF")
    found = s5eval("host", "codabench", app, out)
    assert found.code == 3
    assert "1 of 5 mixtures cannot be scored: m_2: " in found.err
    assert list(out.iterdir()) == [], "the score of an earlier submission is none of this one"


def test_who_hands_in_is_told_what_to_hand_in_and_of_no_option(app: Path, s5eval: Call) -> None:
    file = app / "res" / "m_2_0_Cough.wav"
    samples, rate = soundfile.read(file)
    soundfile.write(file, np.stack([samples, samples], 1), rate)
    found = s5eval("host", "codabench", app, app.parent / "output")
    reason = "m_2: m_2_0_Cough.wav: 2 channels, expected 1. Hand in one channel, such as the average of several"
    assert (found.code, said(found)) == (3, f"error: 1 of 5 mixtures cannot be scored: {reason}")
    file = app / "res" / "m_1_0_Speech.wav"
    samples, rate = soundfile.read(file)
    soundfile.write(file, np.stack([samples, samples], 1), rate)
    both = said(s5eval("host", "codabench", app, app.parent / "output"))
    assert both.count("2 channels, expected 1") == 2
    assert both.count("Hand in one channel") == 1 and both.endswith("such as the average of several")


def test_who_hands_in_nothing_is_told_of_no_system(app: Path, s5eval: Call) -> None:
    """A team runs none there; and what is hidden is not nothing."""
    shutil.rmtree(app / "res")
    (app / "res").mkdir()
    with zipfile.ZipFile(app / "res" / "sent.zip", "w"):
        pass
    found = s5eval("host", "codabench", app, app.parent / "output")
    assert (found.code, "there is no estimate of any mixture: it is empty; names must be" in found.err) == (3, True)
    assert found.err.endswith("an eval_results.json lists every mixture without an estimate\n")
    with zipfile.ZipFile(app / "res" / "sent.zip", "w") as archive:
        archive.writestr("__MACOSX/._m_1_0_Speech.wav", b"")
    hidden = s5eval("host", "codabench", app, app.parent / "output").err
    assert "of any mixture: it holds only 1 hidden or empty name; names must be" in hidden


def test_what_is_found_of_the_files_is_told(app: Path, s5eval: Call) -> None:
    """Of the data by number alone: a participant may read it, and names of references are the answers."""
    shutil.copy(app / "ref" / "oracle_target" / "m_1_0_Speech.wav", app / "ref" / "oracle_target" / "m_9_0_Pour.wav")
    (app / "ref" / "oracle_target" / "notes.txt").write_text("of ours")
    shutil.copy(app / "res" / "m_1_0_Speech.wav", app / "res" / "m_8_0_Speech.wav")
    found = s5eval("host", "codabench", app, app.parent / "output")
    assert found.code == 0
    assert found.err.splitlines() == [
        "warning: 2 findings about the data (orphan 1, suffix 1). To whoever holds them: `s5eval data verify` lists it "
        "all",
        "warning: m_8_0_Speech.wav: not read: no mixture 'm_8' [orphan]",
        "warning: m_10: no file: read as 'no target heard' [no-estimate]",
        "warning: m_3: no file: read as 'no target heard' [no-estimate]",
    ]


@pytest.mark.parametrize("broken", ["oracle_target/m_2_0_Cough.wav", "soundscape/m_2.wav", "unknown label"])
def test_who_hands_in_is_not_blamed_for_the_data(app: Path, s5eval: Call, broken: str) -> None:
    if broken == "unknown label":
        (app / "ref" / "oracle_target" / "m_2_0_Cough.wav").rename(app / "ref" / "oracle_target" / "m_2_0_Cuogh.wav")
    else:
        (app / "ref" / broken).write_bytes(b"RIFF")
    (app / "res" / "m_1_0_Speech.wav").write_bytes(b"RIFF")
    found = s5eval("host", "codabench", app, app.parent / "output")
    told = "error: the data of 1 mixture cannot be used: m_2; no submission can be scored on them."
    assert (found.code, said(found).startswith(told)) == (3, True), found.err
    assert "Cough" not in found.err and "Cuogh" not in found.err and "`s5eval data verify` lists it all" in found.err


def test_nothing_or_several_archives_handed_in_are_refused(app: Path, tmp_path: Path) -> None:
    shutil.rmtree(app / "res")
    with pytest.raises(DataError, match="nothing was handed in"):
        score_codabench(app, tmp_path / "o")
    (app / "res").mkdir()
    for name in "ab":
        (app / "res" / f"{name}.zip").write_bytes(b"")
    with pytest.raises(DataError, match="2 zips, expected one"):
        score_codabench(app, tmp_path / "o")
    (app / "res" / "b.zip").rename(app / "res" / "m_0_0_Cough.FLAC")
    with pytest.raises(DataError, match="audio beside a"):
        score_codabench(app, tmp_path / "o")
    (app / "res" / "__MACOSX").mkdir()
    (app / "res" / "m_0_0_Cough.FLAC").rename(app / "res" / "__MACOSX" / "._m_0_0_Cough.wav")
    assert handed_in(app / "res").name == "a.zip", "what an operating system left is nobody's audio"
    shutil.rmtree(app / "ref" / "soundscape")
    with pytest.raises(DataError, match="soundscape/"):
        score_codabench(app, tmp_path / "o")


@pytest.mark.parametrize("blocked", ["o", "o/scores.json"])
def test_a_place_that_cannot_be_cleared_is_said(app: Path, tmp_path: Path, s5eval: Call, blocked: str) -> None:
    if blocked == "o":
        (tmp_path / "o").write_text("a file")
    else:
        (tmp_path / blocked).mkdir(parents=True)
    refused = s5eval("host", "codabench", app, tmp_path / "o")
    assert refused.code == 3, refused.err
    assert "cannot be cleared for the scores" in refused.err


def test_evalai_gets_a_row_of_the_phase(app: Path, tmp_path: Path, numbers: dict[str, float], s5eval: Call) -> None:
    annotations, sent = zipped(app / "ref", tmp_path / "ref.zip"), zipped(app / "res", tmp_path / "sent.zip")
    found = evaluate(str(annotations), str(sent), "test", submission_metadata={"status": "running"})
    (row,) = found["result"]
    assert row["test"]["capi_sdri"] == pytest.approx(numbers["capi_sdri"])
    assert all(isinstance(value, int | float) for value in row["test"].values())
    assert found["submission_result"] == row["test"]
    assert json.loads(json.dumps(found)) == found
    assert s5eval("host", "evalai", annotations, sent, "test").json == found
    assert s5eval("host", "evalai", annotations, tmp_path / "none.zip", "test").code == 2


def test_the_script_that_ships_for_evalai_has_the_function() -> None:
    spec = importlib.util.spec_from_file_location("script", ROOT / "containers" / "evalai" / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.evaluate is evaluate
