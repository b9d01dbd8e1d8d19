"""Where the official evaluator is fragile: each case does here what it should, one test a row."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

RATE = 32_000
Call = Callable[..., Any]


def score(s5eval: Call, data: Path, tmp_path: Path, *options: object) -> Any:
    return s5eval("score", data / "estimate", "--data", data, "--out", tmp_path / "run", *options)


def fails_by_name(s5eval: Call, lines: Call, data: Path, tmp_path: Path, message: str) -> None:
    """m_1 fails with `message`; the other four are scored as ever; it stands in every account."""
    result = score(s5eval, data, tmp_path)
    assert result.code == 4
    found = lines(tmp_path / "run")
    assert {id_: line["outcome"]["status"] for id_, line in found.items()} == {
        "m_1": "failed", "m_10": "scored", "m_2": "scored", "m_3": "scored", "m_4": "scored",
    }  # fmt: skip
    assert message in found["m_1"]["outcome"]["error"]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["status"], summary["n_failed"], summary["n_expected"]) == ("partial", 1, 5)
    assert message in summary["failures"]["m_1"]
    assert "PARTIAL" in result.out
    assert message in result.out
    assert message in (tmp_path / "run" / "report.html").read_text().replace("&#39;", "'")


def rewrite(path: Path, change: Callable[[np.ndarray], np.ndarray], *, rate: int = RATE) -> None:
    samples, _ = soundfile.read(path)
    soundfile.write(path, change(samples), rate, subtype="FLOAT")


def put_nan(samples: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(samples)) == 11, np.nan, samples)


def put_inf(samples: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(samples)) == 11, np.inf, samples)


@pytest.mark.parametrize("side", ["estimate", "oracle_target"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put_nan, "NaN or infinite"),
        (put_inf, "NaN or infinite"),
        (lambda samples: np.stack([samples, samples], axis=1), "2 channels, expected 1"),
        (lambda samples: samples[:-1], "15999 samples, the mixture has 16000"),
    ],
)
def test_audio_that_cannot_be_used_fails_its_mixture_by_name(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, side: str, change: Any, message: str
) -> None:
    rewrite(small_set / side / "m_1_0_Speech.wav", change)
    fails_by_name(s5eval, lines, small_set, tmp_path, message)


def test_a_wrong_rate_fails_its_mixture_by_name(small_set: Path, tmp_path: Path, s5eval: Call, lines: Call) -> None:
    rewrite(small_set / "estimate" / "m_1_0_Speech.wav", lambda samples: samples, rate=44_100)
    fails_by_name(s5eval, lines, small_set, tmp_path, "44100 Hz, expected 32000 Hz")


@pytest.mark.parametrize(("keep", "message"), [(0, "0 bytes"), (2000, "truncated"), (10, "cannot be read as audio")])
def test_a_cut_file_fails_its_mixture_by_name(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, keep: int, message: str
) -> None:
    path = small_set / "estimate" / "m_1_0_Speech.wav"
    path.write_bytes(path.read_bytes()[:keep])
    fails_by_name(s5eval, lines, small_set, tmp_path, message)


@pytest.mark.parametrize("side", ["estimate", "oracle_target"])
def test_an_unknown_label_fails_its_mixture_by_name(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, side: str
) -> None:
    path = small_set / side / "m_1_0_Speech.wav"
    path.rename(path.with_name("m_1_0_Speach.wav"))
    fails_by_name(s5eval, lines, small_set, tmp_path, "did you mean 'Speech'")


@pytest.mark.parametrize("cut", [0, 3000])
def test_a_broken_mixture_fails_by_name(small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, cut: int) -> None:
    path = small_set / "soundscape" / "m_1.wav"
    path.write_bytes(path.read_bytes()[:cut])
    fails_by_name(s5eval, lines, small_set, tmp_path, "m_1.wav")


def test_references_that_are_not_read_are_listed_and_none_at_all_is_an_error(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    files = sorted((small_set / "oracle_target").iterdir())
    for path in files[1:]:
        path.rename(path.with_suffix(".WAV"))
    assert "5 suffix" in score(s5eval, small_set, tmp_path).out
    files[0].rename(files[0].with_suffix(".WAV"))
    none = s5eval("score", small_set / "estimate", "--data", small_set, "--out", tmp_path / "none")
    assert (none.code, "0 of 6 files match a mixture; the first is m_1_0_Speech.WAV" in none.err) == (3, True)
    checked = s5eval("data", "verify", "--data", small_set, "--json")
    assert checked.code == 3
    assert {"no-references", "suffix"} <= {finding["rule"] for finding in checked.json["findings"]}


def test_ids_that_are_prefixes_of_others_stay_apart(small_set: Path, tmp_path: Path, s5eval: Call, lines: Call) -> None:
    score(s5eval, small_set, tmp_path)
    found = lines(tmp_path / "run")
    assert [e["label"] for e in found["m_1"]["estimates"]] == ["Speech"]
    assert found["m_10"]["estimates"] == []


def test_more_than_three_estimates_are_scored(small_set: Path, tmp_path: Path, s5eval: Call, lines: Call) -> None:
    folder = small_set / "estimate"
    for index in range(1, 9):
        shutil.copy(folder / "m_1_0_Speech.wav", folder / f"m_1_{index}_Speech.wav")
    assert score(s5eval, small_set, tmp_path).code == 0
    line = lines(tmp_path / "run")["m_1"]
    assert (line["labels"]["tp"], line["labels"]["fp"], line["capi"]["n_entries"]) == (1, 8, 9)
    assert line["capi"]["value"] > 0


def test_the_improvement_optimal_value_stands_beside_the_official_one(
    tmp_path: Path, s5eval: Call, lines: Call
) -> None:
    rng = np.random.default_rng(0)
    loud, quiet, noise = rng.normal(size=(3, RATE)) * np.array([[0.2], [0.02], [0.01]])
    for folder in ("soundscape", "oracle_target", "estimate"):
        (tmp_path / folder).mkdir()
    soundfile.write(tmp_path / "soundscape" / "m.wav", np.stack([loud + quiet] * 4, axis=1), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "oracle_target" / "m_0_Pour.wav", loud, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "oracle_target" / "m_1_Pour.wav", quiet, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "estimate" / "m_0_Pour.wav", quiet + 0.5 * loud + noise, RATE, subtype="FLOAT")
    score(s5eval, tmp_path, tmp_path)
    capi = lines(tmp_path / "run")["m"]["capi"]
    assert capi["pairs"][0]["reference"] == 0
    assert capi["optimal"] > capi["value"]


def test_all_scenes_silent_and_answered_with_silence_is_undefined_not_an_error(
    tmp_path: Path, make_set: Call, s5eval: Call
) -> None:
    data = make_set(tmp_path / "set", {"a": [], "b": [], "c": ["Speech"]}, estimates={"c": ["Speech"]})
    only = ("--only", "a", "--only", "b")
    result = s5eval("score", data / "estimate", "--data", data, *only, "--out", tmp_path / "run", "--json")
    summary = result.json
    assert (result.code, summary["status"], summary["n_split"]) == (0, "partial", 3), "two of three"
    assert summary["metrics"]["capi_sdri"] == {"value": None, "ci_low": None, "ci_high": None, "n": 2, "n_defined": 0}
    assert summary["metrics"]["mixture_accuracy"]["value"] == 100.0
    assert summary["metrics"]["source_accuracy"]["value"] is None
    assert "undefined" in summary["undefined_reason"]


def test_a_perfect_estimate_is_scored_and_flagged(small_set: Path, tmp_path: Path, s5eval: Call, lines: Call) -> None:
    shutil.copy(small_set / "oracle_target" / "m_1_0_Speech.wav", small_set / "estimate" / "m_1_0_Speech.wav")
    score(s5eval, small_set, tmp_path)
    line = lines(tmp_path / "run")["m_1"]
    assert line["flags"] == [{"kind": "perfect-estimate", "number": 0}]
    assert line["capi"]["pairs"][0]["sdr"] > 80


def test_a_silent_estimate_with_the_right_label_is_scored_and_flagged(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call
) -> None:
    rewrite(small_set / "estimate" / "m_1_0_Speech.wav", lambda samples: 0 * samples)
    score(s5eval, small_set, tmp_path)
    line = lines(tmp_path / "run")["m_1"]
    assert line["flags"] == [{"kind": "silent-estimate", "number": 0}]
    capi = line["capi"]
    assert capi["value"] == pytest.approx(capi["zero_floor"])
    assert capi["value"] == pytest.approx(-capi["pairs"][0]["sdr_mixture"])


def test_a_silent_reference_is_scored_and_flagged(small_set: Path, tmp_path: Path, s5eval: Call, lines: Call) -> None:
    rewrite(small_set / "oracle_target" / "m_1_0_Speech.wav", lambda samples: 0 * samples)
    score(s5eval, small_set, tmp_path)
    assert {"kind": "silent-reference", "number": 0} in lines(tmp_path / "run")["m_1"]["flags"]


def test_a_missing_estimate_folder_is_a_usage_error(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    result = s5eval("score", tmp_path / "nowhere", "--data", small_set, "--out", tmp_path / "run")
    assert (result.code, result.err) == (2, f"error: no folder or zip of estimates at {tmp_path / 'nowhere'}\n")
    assert not (tmp_path / "run").exists()


def test_missing_and_orphan_files_and_odd_suffixes_are_listed_and_strict_makes_them_errors(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    folder = small_set / "estimate"
    (folder / "m_1_0_Speech.wav").rename(folder / "m_1_0_Speech.WAV")
    (folder / "m_2_0_Cough.wav").rename(folder / "m_7_0_Cough.wav")
    result = score(s5eval, small_set, tmp_path)
    assert (result.code, "3 no-estimate, 1 orphan, 1 suffix" in result.out) == (0, True)
    assert "  m_7_0_Cough.wav: not read: no mixture 'm_7' [orphan]\n" in result.out
    assert "  m_1_0_Speech.WAV: not read: the suffix is not .wav or .flac; rename it to lower case" in result.out
    assert "  a name should be <mixture>_<i>_<Label>.wav" in result.out
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    said = "\n".join(run["findings"])
    assert run["about"]["findings"] == {"no-estimate": 3, "orphan": 1, "suffix": 1}
    assert "m_1_0_Speech.WAV" in said
    assert "m_7_0_Cough.wav" in said
    assert "m_3: no file" in said
    strict = s5eval("score", folder, "--data", small_set, "--out", tmp_path / "strict", "--strict")
    assert strict.code == 3
    assert "m_7_0_Cough.wav" in strict.err
    assert not (tmp_path / "strict").exists()


def test_estimates_are_scored_in_memory_and_as_written_with_clipped_samples_counted(
    tmp_path: Path, s5eval: Call, make_set: Call, lines: Call
) -> None:
    data = make_set(tmp_path / "set", {"a": ["Speech"], "b": []})
    path = data / "oracle_target" / "a_0_Speech.wav"
    rewrite(path, lambda samples: 12 * samples)  # peaks far above full scale
    result = s5eval("run", "--system", "oracle", "--data", data, "--out", tmp_path / "run", "--save-audio", "--json")
    written = soundfile.info(tmp_path / "run" / "audio" / "a_0_Speech.wav")
    assert (written.subtype, written.samplerate, written.channels) == ("PCM_16", RATE, 1)
    summary = result.json
    assert summary["as_written"]["clipped_samples"] > 100
    assert summary["as_written"]["capi_sdri"]["value"] < summary["metrics"]["capi_sdri"]["value"] - 50
    rescored = s5eval("score", tmp_path / "run" / "audio", "--data", data, "--out", tmp_path / "again", "--json").json
    assert rescored["metrics"]["capi_sdri"]["value"] == pytest.approx(summary["as_written"]["capi_sdri"]["value"])


def test_an_archive_scores_as_its_folder_does(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    archive = shutil.make_archive(str(tmp_path / "estimates"), "zip", small_set, "estimate")
    folder = score(s5eval, small_set, tmp_path, "--json").json
    zipped = s5eval("score", archive, "--data", small_set, "--out", tmp_path / "zipped", "--json").json
    assert zipped["metrics"] == folder["metrics"]


def test_every_mixture_failing_is_a_failed_run(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    for path in (small_set / "soundscape").iterdir():
        path.write_bytes(b"")
    result = score(s5eval, small_set, tmp_path, "--json")
    assert (result.code, result.json["status"], result.json["n_failed"]) == (4, "failed", 5)
