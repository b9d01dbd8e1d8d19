"""Names without a number, as in 2025 and as the official evaluator of 2026 reads them; spellings, stereo, scale."""

import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.manifest import open_manifest

Call = Callable[..., Any]
RATE = 32_000


def unnumber(folder: Path) -> None:
    """`eval_0000_0_Buzzer.wav` → `eval_0000_Buzzer.wav`."""
    for path in list(folder.iterdir()):
        mixture, _, label = path.stem.rsplit("_", 2)
        path.rename(path.with_name(f"{mixture}_{label}.wav"))


@pytest.fixture
def of_2025(tmp_path: Path, make_set: Call) -> Path:
    """The evaluation set of 2025 with its references; estimates lie in `estimate`."""
    labels = [["Buzzer"], ["Cough", "Pour"], ["Speech", "Dishes", "Typing"], []]
    scenes = {f"eval_{k:04d}": labels[k % 4] for k in range(8)}
    folder = make_set(tmp_path / "root" / "eval_set", scenes, estimates=scenes, seconds=0.1)
    for name in ("oracle_target", "estimate"):
        unnumber(folder / name)
    return tmp_path / "root"


def test_the_sets_of_2025_are_read_by_their_own_names(of_2025: Path, tmp_path: Path, s5eval: Call) -> None:
    manifest = open_manifest(of_2025)
    assert (manifest.dataset, manifest.split.name, manifest.findings) == ("dcase2025", "eval", ())
    labels = [[reference.label for reference in scene.references or ()] for scene in manifest.scenes]
    assert labels[:4] == [["Buzzer"], ["Cough", "Pour"], ["Dishes", "Speech", "Typing"], []]
    found = s5eval("score", of_2025 / "eval_set" / "estimate", "--data", of_2025, "--out", tmp_path / "run", "--json")
    assert found.code == 0
    assert found.json["metrics"]["mixture_accuracy"]["value"] == 100.0
    assert found.json["metrics"]["ca_sdri"]["value"] > 5 and found.json["metrics"]["capi_sdri"]["n_defined"] == 6
    shutil.rmtree(of_2025 / "eval_set" / "oracle_target")
    assert not open_manifest(of_2025).has_references, "before the challenge's end there were none"


def test_verify_knows_names_without_numbers(tmp_path: Path, make_set: Call, s5eval: Call) -> None:
    folder = make_set(tmp_path / "eval_set", {"eval_0003": ["Buzzer"], "eval_0004": ["Pour"]}, seconds=10)
    unnumber(folder / "oracle_target")
    assert s5eval("data", "verify", "--data", tmp_path).code == 0
    (folder / "soundscape" / "eval_0004.wav").unlink()
    found = s5eval("data", "verify", "--data", tmp_path, "--json").json["findings"]
    assert {(f["rule"], Path(f["file"]).name) for f in found} == {
        ("orphan", "eval_0004_Pour.wav"), ("missing", "eval_0004"),
    }  # fmt: skip


def test_estimates_without_numbers_score_as_those_with_them(tmp_path: Path, make_set: Call, s5eval: Call) -> None:
    scenes = {"m_1": ["Speech"], "m_10": ["Cough", "Pour"], "m_2": []}
    data = make_set(tmp_path / "set", scenes, estimates=scenes, seconds=0.1)
    score = ("score", data / "estimate", "--data", data, "--json", "--out")
    numbered = s5eval(*score, tmp_path / "a").json
    unnumber(data / "estimate")
    assert s5eval(*score, tmp_path / "b").json["metrics"] == numbered["metrics"]
    unnumber(data / "oracle_target")
    assert s5eval(*score, tmp_path / "c").json["metrics"] == numbered["metrics"]


def test_a_misspelt_label_without_a_number_fails_its_mixture(of_2025: Path, tmp_path: Path, s5eval: Call) -> None:
    folder = of_2025 / "eval_set" / "estimate"
    (folder / "eval_0000_Buzzer.wav").rename(folder / "eval_0000_Buzer.wav")
    found = s5eval("score", folder, "--data", of_2025, "--out", tmp_path / "run", "--json")
    assert (found.code, list(found.json["failures"])) == (4, ["eval_0000"])
    assert "did you mean 'Buzzer'" in found.json["failures"]["eval_0000"]


def test_a_name_that_can_be_read_both_ways_is_said(tmp_path: Path, make_set: Call, s5eval: Call) -> None:
    data = make_set(tmp_path / "set", {"m": ["Speech"], "m_1": []}, estimates={}, seconds=0.1)
    shutil.copy(data / "oracle_target" / "m_0_Speech.wav", data / "estimate" / "m_1_Speech.wav")
    found = s5eval("score", data / "estimate", "--data", data, "--out", tmp_path / "run")
    assert (found.code, "1 ambiguous" in found.out) == (0, True)


def test_a_silent_set_and_an_empty_reference_folder_are_errors(tmp_path: Path, make_set: Call, s5eval: Call) -> None:
    data = make_set(tmp_path / "set", {"a": [], "b": []})
    found = s5eval("run", "--system", "silence", "--data", data, "--out", tmp_path / "run")
    assert (found.code, "every scene would count as silent: it holds no file" in found.err) == (3, True)
    (data / "oracle_target").rmdir()
    assert s5eval("run", "--system", "silence", "--data", data, "--out", tmp_path / "run").code == 0


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_ids_are_the_same_in_either_unicode_form(
    tmp_path: Path, make_set: Call, s5eval: Call, forms: tuple[Any, Any]
) -> None:
    theirs, ours = (unicodedata.normalize(form, "salle_é") for form in forms)
    data = make_set(tmp_path / "set", {theirs: ["Speech"]}, estimates={theirs: ["Speech"]}, seconds=0.1)
    for folder in ("oracle_target", "estimate"):
        (data / folder / f"{theirs}_0_Speech.wav").rename(data / folder / f"{ours}_0_Speech.wav")
    found = s5eval("score", data / "estimate", "--data", data, "--out", tmp_path / "run", "--json").json
    assert (found["metrics"]["mixture_accuracy"]["value"], found["findings"]) == (100.0, {})


def test_stereo_estimates_fail_with_advice_and_are_averaged_on_demand(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    path = small_set / "estimate" / "m_1_0_Speech.wav"
    samples, _ = soundfile.read(path, dtype="float32")
    other = samples + np.float32(0.01)
    score = ("score", small_set / "estimate", "--data", small_set)
    soundfile.write(path, (samples + other) / 2, RATE, subtype="FLOAT")
    mono = s5eval(*score, "--out", tmp_path / "mono", "--json").json
    soundfile.write(path, np.stack([samples, other], axis=1), RATE, subtype="FLOAT")
    failed = s5eval(*score, "--out", tmp_path / "failed")
    assert (failed.code, "2 channels, expected 1; the official evaluator averages them" in failed.out) == (4, True)
    assert "--downmix" in failed.out
    mixed = s5eval(*score, "--downmix", "--out", tmp_path / "mixed", "--json")
    assert mixed.code == 0
    value = mixed.json["metrics"]["capi_sdri"]["value"]
    assert value == pytest.approx(mono["metrics"]["capi_sdri"]["value"], abs=1e-3)
    assert "estimates of several channels averaged" in (tmp_path / "mixed" / "report.html").read_text()
    resumed = s5eval(*score, "--resume", tmp_path / "mixed")
    assert (resumed.code, "the options differ" in resumed.err) == (2, True)


def test_integers_written_as_float_are_flagged(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    path = small_set / "estimate" / "m_1_0_Speech.wav"
    samples, _ = soundfile.read(path)
    soundfile.write(path, samples * 32768, RATE, subtype="FLOAT")
    found = s5eval("score", small_set / "estimate", "--data", small_set, "--out", tmp_path / "run", "--json").json
    assert (found["flags"], found["flagged"]) == ({"over-scale": 1}, {"over-scale": ["m_1"]})
    said = "over-scale 1: estimates 60 dB or more above the loudest reference: integers written as float? (m_1)"
    assert said in s5eval("rescore", tmp_path / "run").out
    assert said in (tmp_path / "run" / "report.html").read_text()
    reference = small_set / "oracle_target" / "m_1_0_Speech.wav"
    soundfile.write(reference, soundfile.read(reference)[0] * 32768, RATE, subtype="FLOAT")
    checked = s5eval("data", "verify", "--data", small_set, "--json").json["findings"]
    assert [finding["file"] for finding in checked if finding["rule"] == "scale"] == [str(reference)]


@pytest.mark.parametrize("file", ["soundscape/m_1.wav", "oracle_target/m_1_0_Speech.wav"])
def test_a_set_of_integers_written_as_float_fails_by_name(
    small_set: Path, tmp_path: Path, s5eval: Call, file: str
) -> None:
    """A mixture 90 dB too loud gave `oracle-gain` 98 dB without a word, and a system another scene to hear."""
    samples, _ = soundfile.read(small_set / file)
    soundfile.write(small_set / file, samples * 3.0, RATE, subtype="FLOAT")
    options = ("run", "--system", "oracle-gain", "--data", small_set)
    assert s5eval(*options, "--out", tmp_path / "loud").code == 0, "floats may exceed full scale"
    soundfile.write(small_set / file, samples * 32768, RATE, subtype="FLOAT")
    failed = s5eval(*options, "--out", tmp_path / "failed")
    assert failed.code == 4
    assert f"{Path(file).name}: peaks at " in failed.out and "integers written as float?" in failed.out


def test_the_validation_set_of_2025_is_not_made_and_says_what_to_do(
    tmp_path: Path, make_set: Call, s5eval: Call
) -> None:
    root = tmp_path / "root"
    make_set(root / "dev_set" / "test", {"soundscape_0000": ["Buzzer"]}, seconds=0.1)
    unnumber(root / "dev_set" / "test" / "oracle_target")
    scene = root / "dev_set" / "metadata" / "valid" / "soundscape_0000.json"
    scene.parent.mkdir(parents=True)
    scene.write_text(json.dumps({"config": {}, "fg_events": [], "bg_events": [], "room": "room1.sofa"}))
    listing = [{"metadata_path": "valid/soundscape_0000.json", "ref_event": ["Buzzer"]}]
    (root / "dev_set" / "metadata" / "valid.json").write_text(json.dumps(listing))
    for named in ((), ("--dataset", "dcase2025"), ("--dataset", "dcase2026")):
        call = ("run", "--system", "silence", "--data", root, *named, "--split", "valid", "--out", tmp_path / "run")
        refused = s5eval(*call)
        assert refused.code == 2 and not (tmp_path / "run").exists()
        assert "ships as metadata of SpatialScaper" in refused.err and "dcase2025_task4_baseline" in refused.err
    soundscapes = (root / "dev_set" / "test" / "soundscape").rename(root / "elsewhere")  # nothing else is there yet
    with pytest.raises(UsageError, match="ships as metadata of SpatialScaper"):
        open_manifest(root, split="valid")
    soundscapes.rename(root / "dev_set" / "test" / "soundscape")
    assert open_manifest(root).dataset == "dcase2025", "its list of metadata is no split of 2026"
    alone = s5eval("data", "synthesize", scene, "--root", root, "--out", tmp_path / "out")
    assert (alone.code, "a scene of SpatialScaper, as the set of 2025 has them" in alone.err) == (3, True)
    (root / "dev_set" / "synthesized").mkdir()  # both sets in one root: the list may be that of 2026
    assert open_manifest(root, dataset="dcase2025").split.name == "test"
    with pytest.raises(DataError, match="a scene of SpatialScaper"):
        open_manifest(root, split="valid")
