"""`s5eval submit` as a user meets it: from runs to a package, and what is told beside it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
from sealed_files import edit_lines, edit_record
from submitting import NAMED, OF_ANOTHER_SET, copied, refresh

from s5eval.data_manifests.sets import mini
from s5eval.submissions.expected import find_expected

Call = Callable[..., Any]


def test_from_runs_to_a_package(s5eval: Call, build: Call, data: Path, tmp_path: Path) -> None:
    built = build()
    assert built.code == 0, built.err
    assert "3 outputs for 3 mixtures, 1,000 parameters" in built.out
    assert "in memory" in built.out and "as written to 16-bit wavs" in built.out
    assert "0 samples clipped" in built.out
    archive = tmp_path / "out" / "Choi_KAIST_task4_1.zip"
    checked = s5eval("submit", "validate", archive, "--data", data)
    assert (checked.code, checked.out.splitlines()[-1]) == (0, "valid")
    as_json = s5eval("submit", "validate", archive, "--data", data, "--json").json
    assert (as_json["ok"], as_json["findings"]) == (True, [])
    assert s5eval("submit", "init", archive, "--out", tmp_path / "meta").code == 0
    report = tmp_path / "report.pdf"
    report.write_bytes(b"%PDF-1.4\nstream\nBT (text) Tj ET\nendstream\n%%EOF\n")
    arguments = ("submit", "package", archive, "--meta", tmp_path / "meta", "--report", report, "--data", data)
    refused = s5eval(*arguments, "--out", tmp_path / "package")
    assert refused.code == 5
    assert "submission.name: is still to be filled in [meta-field]" in refused.out
    assert "nothing was written" in refused.out
    as_json = s5eval(*arguments, "--out", tmp_path / "package", "--json")
    assert (as_json.code, as_json.json["ok"], as_json.json["package"]) == (5, False, None)


def test_as_json_and_twice_the_same(build: Call, tmp_path: Path) -> None:
    first, second = build("--json").json, build("--json", "--out-suffix", "--no-folder").json
    assert first["sha256"] == second["sha256"]
    assert second["archive"].endswith("_out.zip") and second["folder"] is None
    assert (first["ok"], first["mixtures"], first["files"], first["nparams"]) == (True, 3, 3, 1000)
    assert first["inference"]["method"] == "mean over 3 mixtures of the run" and first["inference"]["seconds"] >= 0
    assert first["scores"]["run"]["capi_sdri"] == pytest.approx(
        first["scores"]["run"]["capi_sdri_as_written"], abs=0.01
    )


def test_scores_of_zip_and_folder_and_run_are_the_same(s5eval: Call, build: Call, data: Path, tmp_path: Path) -> None:
    build()
    metrics = [
        s5eval("score", tmp_path / "out" / name, "--data", data, "--out", tmp_path / name, "--json").json["metrics"]
        for name in ("Choi_KAIST_task4_1.zip", "Choi_KAIST_task4_1")
    ]
    assert metrics[0] == metrics[1]
    own = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert metrics[0]["mixture_accuracy"] == own["metrics"]["mixture_accuracy"]
    assert metrics[0]["capi_sdri"]["value"] == pytest.approx(own["as_written"]["capi_sdri"]["value"], abs=1e-9)
    strict = s5eval(
        "score", tmp_path / "out" / "Choi_KAIST_task4_1.zip", "--data", data, "--out", tmp_path / "strict", "--strict"
    )  # fmt: skip
    assert strict.code == 0, strict.err


def test_parameters_come_from_the_run(s5eval: Call, run: Path, tmp_path: Path) -> None:
    def built(**about: str) -> Any:
        edit_record(run / "run.json", lambda record: record["about"].update(about))
        out = ("--out", tmp_path / "out", "--no-profile", "--replace", "--json")
        return s5eval("submit", "build", run, *NAMED, "--dev-run", copied(run), *out).json

    plain = built()
    assert (plain["ok"], plain["nparams"]) == (True, 0)
    assert [found["rule"] for found in plain["findings"]] == OF_ANOTHER_SET
    for unsaid in (built(system="folder"), built(system="mine", weights="ab12")):
        assert (unsaid["ok"], unsaid["nparams"]) == (True, None)
        rules = [found["rule"] for found in unsaid["findings"]]
        assert sorted(rules) == [*OF_ANOTHER_SET, *["nparams-unknown"] * 2]
    edit_record(run / "run.json", lambda record: record["fingerprint"].update(parameters=77))
    assert built()["nparams"] == 77


def test_build_and_validate_count_the_same_clipped_samples(
    s5eval: Call, data: Path, build: Call, run: Path, tmp_path: Path
) -> None:
    path = run / "audio" / "m_0_0_Speech.wav"
    samples, rate = soundfile.read(path, dtype="int16")
    samples[: 2 * 320 : 2] = 32767
    soundfile.write(path, samples, rate, subtype="PCM_16")
    edit_lines(run, lambda line: refresh(run, line))
    built = build("--no-profile", "--json").json
    checked = s5eval("submit", "validate", built["archive"], "--data", data, "--json").json
    assert built["clipped_samples"] == checked["clipped_samples"] == 320
    assert {found["rule"] for found in built["findings"]} == {*OF_ANOTHER_SET, "audio-clipped"}
    assert "320 samples clipped" in build().out


def test_what_a_partial_run_leaves_out_is_said(
    s5eval: Call, data: Path, build: Call, tmp_path: Path, plugin: str
) -> None:
    limited = tmp_path / "limited"
    s5eval("run", "--system", plugin, "--data", data, "--save-audio", "--out", limited, "--limit", 2)
    built = build("--allow-partial", "--json", run_=limited).json
    (partial,) = (found for found in built["findings"] if found["rule"] == "partial")
    assert partial["message"].endswith("answered with silence, the split's others are left out")
    checked = s5eval("submit", "validate", built["archive"], "--data", data, "--json").json
    assert [found["message"].split("'")[1] for found in checked["findings"]] == ["m_2"]


def test_data_set_of_the_mixtures(
    s5eval: Call, build: Call, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = build("--json").json["archive"]
    sets = tmp_path / "root" / "eval_set"
    shutil.copytree(data / "soundscape", sets / "synthesized" / "eval" / "soundscape")  # of 2026
    (sets / "soundscape").mkdir()  # of 2025
    root = ("--data", tmp_path / "root")
    assert "choose one with --dataset" in s5eval("submit", "validate", archive, *root).err
    assert s5eval("submit", "validate", archive, *root, "--dataset", "dcase2026").code == 0
    monkeypatch.setenv("S5EVAL_DATA", str(tmp_path / "root"))
    named = s5eval("submit", "validate", archive, "--dataset", "dcase2026", "--json").json
    assert str(tmp_path / "root") in named["expected"]
    assert "not known" in s5eval("submit", "validate", archive, "--json").json["expected"]
    rest = ("--meta", tmp_path, "--report", tmp_path / "r.pdf", "--out", tmp_path / "package", "--json")
    packed = s5eval("submit", "package", archive, "--dataset", "dcase2026", *rest).json["findings"]
    assert {found["rule"] for found in packed} == {"meta-missing", "report-missing", "audio-url"}
    both = s5eval("submit", "validate", archive, *root, "--dataset", "mini")
    assert (both.code, "leave --data out" in both.err) == (2, True)
    listed = s5eval("submit", "validate", archive, "--dataset", "mini", "--mixtures", tmp_path / "ids.txt")
    assert (listed.code, "give one of them" in listed.err) == (2, True)


def test_the_embedded_set_is_known_by_name_without_making_a_scene(
    s5eval: Call, build: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a scene is made")

    monkeypatch.setattr(mini, "write_scenes", refuse)
    archive = build("--json").json["archive"]
    found = s5eval("submit", "validate", archive, "--dataset", "mini", "--json").json
    assert "mini/test (1512 mixtures)" in found["expected"]
    assert sum(entry["rule"] == "soundscape-missing" for entry in found["findings"]) == 1512
    valid = find_expected(data=None, dataset="mini", split="valid", mixtures=None)
    assert valid is not None and (len(valid.ids or ()), valid.length("mini_valid_0000")) == (1008, 320_000)
    endless = s5eval("submit", "validate", archive, "--dataset", "mini", "--split", "train")
    assert (endless.code, "has no end" in endless.err) == (2, True)
    unknown = s5eval("submit", "validate", archive, "--dataset", "mini", "--split", "tset")
    assert (unknown.code, "did you mean 'test'" in unknown.err) == (2, True)


def test_a_run_that_was_resumed_takes_the_place_of_its_own_part(
    s5eval: Call, data: Path, build: Call, tmp_path: Path, plugin: str
) -> None:
    out = tmp_path / "resumed"
    s5eval("run", "--system", plugin, "--data", data, "--out", out, "--save-audio")
    edit_record(out / "run.json", lambda record: record.update(status="running", lines=None))  # killed
    journal = (out / "mixtures.jsonl").read_bytes()
    (out / "mixtures.jsonl").write_bytes(b"".join(journal.splitlines(keepends=True)[:2]))
    assert build("--allow-partial", run_=out).code == 0
    assert s5eval("run", "--system", plugin, "--resume", out).code == 0
    assert build(run_=out).code == 0


def test_a_dev_run_of_another_decision_is_a_warning(build: Call, run: Path) -> None:
    dev = copied(run)
    edit_record(dev / "run.json", lambda record: record["decision"]["silence_thresholds"].update(default=0.25))
    built = build(dev=dev)
    assert (built.code, "[decision-differs]" in built.out, "[system-differs]" in built.out) == (0, True, False)


def test_doubts_about_a_run_are_warnings(build: Call, run: Path) -> None:
    dev = copied(run)
    edit_record(dev / "run.json", lambda record: record["about"].update(tuned_on_forbidden=True), adopted_unverified=1)
    built = build(dev=dev)
    assert (built.code, "[tuned-on-forbidden]" in built.out, "[unverified]" in built.out) == (0, True, True), built.out


def test_of_folders_of_estimates_it_is_not_known_who_made_them(
    s5eval: Call, data: Path, build: Call, run: Path, tmp_path: Path
) -> None:
    for name in ("eval", "dev"):
        estimates = shutil.copytree(run / "audio", tmp_path / f"estimates_{name}")
        made = ("--system", "folder", "--set", f"system.path={estimates}", "--save-audio", "--out", tmp_path / name)
        assert s5eval("run", "--data", data, *made).code == 0
    built = build(run_=tmp_path / "eval", dev=tmp_path / "dev")
    assert (built.code, "[system-unknown]" in built.out, "[system-differs]" in built.out) == (0, True, False)


def test_init_without_submissions(s5eval: Call, tmp_path: Path) -> None:
    assert s5eval("submit", "init", "--out", tmp_path / "m").code == 2
    assert s5eval("submit", "init", *NAMED, "--systems", 2, "--out", tmp_path / "m").code == 0
    again = s5eval("submit", "init", *NAMED, "--systems", 2, "--out", tmp_path / "m")
    assert again.out.count("kept as it is") == 3
    assert s5eval("submit", "init", tmp_path / "x.zip", "--out", tmp_path / "m").code == 2


def test_init_takes_names_from_submissions_or_from_options(s5eval: Call, tmp_path: Path) -> None:
    """What would go unread is refused: other names, a number of systems, a second archive of the same name."""
    folder, meta = tmp_path / "out" / "Choi_KAIST_task4_1", tmp_path / "meta"
    other = tmp_path / "other" / "Choi_KAIST_task4_1"
    for made in (folder, other):
        made.mkdir(parents=True)
    for option in (("--author", "Saijo"), ("--affiliation", "MERL"), ("--systems", 2)):
        refused = s5eval("submit", "init", folder, *option, "--out", meta)
        assert (refused.code, f"{option[0]} is for when there is no submission yet" in refused.err) == (2, True)
    twice = s5eval("submit", "init", folder, other, "--out", meta)
    assert (twice.code, f"{folder} and {other} are both Choi_KAIST_task4_1" in twice.err) == (2, True), twice.err
    assert not meta.exists()


@pytest.mark.shared
def test_real_recordings(s5eval: Call, shared: Path, tmp_path: Path, plugin: str) -> None:
    data = shared / "audio" / "realtest"
    s5eval("run", "--system", plugin, "--data", data, "--out", tmp_path / "r", "--save-audio", "--limit", 4)
    common = ("submit", "build", tmp_path / "r", *NAMED, "--dev-run", copied(tmp_path / "r"), "--out", tmp_path / "o")
    assert s5eval(*common, "--nparams", 1, "--allow-partial").code == 0
    checked = s5eval("submit", "validate", tmp_path / "o" / "Choi_KAIST_task4_1.zip", "--json").json
    assert checked["ok"] and {found["rule"] for found in checked["findings"]} == {"dev-count", "eval-count"}


@pytest.mark.slow
def test_the_embedded_set(s5eval: Call, build: Call, tmp_path: Path, plugin: str) -> None:
    """A submission built from a run on the set that ships with s5eval validates clean, whoever looks at it."""
    out = tmp_path / "embedded"
    assert s5eval("run", "--system", plugin, "--out", out, "--save-audio", "--limit", 5).code == 0
    refused = build(run_=out, dev=copied(out))
    assert (refused.code, "--allow-partial" in refused.err) == (2, True)
    built = build("--allow-partial", "--no-profile", "--json", run_=out, dev=copied(out))
    assert {found["rule"] for found in built.json["findings"]} == {"partial", "dev-count", "eval-count"}
    checked = s5eval("submit", "validate", built.json["archive"], "--json")
    assert (checked.code, checked.json["mixtures"]) == (0, 5)
    assert {found["rule"] for found in checked.json["findings"]} == {"dev-count", "eval-count"}
    whole = s5eval("submit", "validate", built.json["archive"], "--dataset", "mini", "--json").json
    assert {found["rule"] for found in whole["findings"]} == {"soundscape-missing"}
    assert len(whole["findings"]) == 1512 - 5


def test_an_official_run_answers_every_official_mixture(s5eval: Call, build: Call, run: Path) -> None:
    """Also where some were not run: a submission without them is not accepted."""
    edit_record(run / "run.json", lambda record: record["about"].update(dataset="dcase2026", split="dev-test"))
    assert "has 1512; --allow-partial" in build().err
    short = build("--allow-partial")
    assert (short.code, "audio-length" in short.err) == (5, True)  # half a second is not 10 s
    for wav in (run / "audio").iterdir():
        wav.unlink()
    edit_lines(run, lambda line: line.update(estimates=[]))
    edit_record(run / "run.json", lambda record: record["about"].update(split="eval"))
    built = build("--allow-partial", "--json").json
    assert built["mixtures"] == 2567
    messages = {found["rule"]: found["message"] for found in built["findings"]}
    assert "left out: 3 mixtures that the official set does not have, such as 'm_0'" in messages["foreign-mixtures"]
    assert "empty-eval-out" in {found["rule"] for found in built["findings"]}


def test_a_plain_folder_of_official_mixtures_is_the_official_set_as_it_is_to_validate(
    s5eval: Call, build: Call, make_set: Call, plugin: str, tmp_path: Path
) -> None:
    """A part of it made a zip that passed `build`, and was invalid to `validate` for want of the others."""
    data = make_set(tmp_path / "eval", {"eval_0000": ["Speech"], "eval_2566": []})
    shutil.rmtree(data / "oracle_target")
    assert s5eval("run", "--system", plugin, "--data", data, "--out", tmp_path / "part", "--save-audio").code == 0
    assert "2565 of the 2567 official mixtures are not in it; --allow-partial" in build(run_=tmp_path / "part").err
    short = build("--allow-partial", run_=tmp_path / "part")
    assert (short.code, "audio-length" in short.err) == (5, True)  # half a second is not 10 s
