"""Meta files of systems that ship: nothing is left to fill in but names, and what is not known says why."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from sealed_files import edit_lines, edit_record

from s5eval.harness.runs import submission_facts
from s5eval.harness.runs.submission_facts import decision_text, gather_facts
from s5eval.systems.decision import Decision
from s5eval.systems.expected_score import ExpectedScore
from s5eval.systems.profiling import Profile, StageProfile

Call = Callable[..., Any]
NAMED = ("--author", "Choi", "--affiliation", "KAIST")
NAMES = {"name", "abbreviation", "lastname", "firstname", "email", "institute", "location"}
PDF = b"%PDF-1.4\nstream\nBT (text) Tj ET\nendstream\n%%EOF\n"


@pytest.fixture
def data(tmp_path: Path, make_set: Call) -> Path:
    return make_set(tmp_path / "set", {"m_0": ["Speech"], "m_1": [], "m_2": ["Cough", "Pour"]})


def todos(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in todos(inner, f"{path}.{key}")]
    if isinstance(value, list):
        return [found for inner in value for found in todos(inner, path)]
    return [path] if isinstance(value, str) and value.startswith("TODO") else []


@pytest.mark.parametrize("system", [("multistage",), ("baseline-4c", "--set", "system.preset=mini")])
def test_a_meta_file_has_no_field_to_fill_but_names(
    s5eval: Call, data: Path, tmp_path: Path, system: tuple[str, ...]
) -> None:
    run, dev, out, meta = (tmp_path / name for name in ("run", "dev", "out", "meta"))
    done = s5eval("run", "--system", *system, "--data", data, "--out", run, "--save-audio", "--no-cache")
    assert done.code == 0, done.err
    shutil.copytree(run, dev)
    built = s5eval("submit", "build", run, "--dev-run", dev, *NAMED, "--out", out)
    assert built.code == 0, built.err
    assert re.search(r"^inference of a mixture: [\d.e-]+ s, mean over 3 mixtures of the run$", built.out, re.MULTILINE)
    archive = out / "Choi_KAIST_task4_1.zip"
    assert s5eval("submit", "init", archive, "--out", meta).code == 0
    path = meta / "Choi_KAIST_task4_1.meta.yaml"
    text = path.read_text()
    content = yaml.safe_load(text)
    assert {field.rpartition(".")[2] for field in todos(content)} == NAMES
    complexity, record = content["system"]["complexity"], json.loads((run / "run.json").read_text())
    profiled = s5eval("profile", "--system", *system, "--json").json
    assert complexity["total_parameters"] == record["fingerprint"]["parameters"] == profiled["parameters"]
    assert complexity["trainable_parameters"] == profiled["trainable_parameters"]
    assert complexity["macs"] == pytest.approx(10 * profiled["macs_per_second"])
    assert complexity["inference_seconds_per_mixture"] > 0 and complexity["training_hours"] > 5
    assert complexity["inference_method"] == "mean over 3 mixtures of the run"
    energy = content["system"]["energy_consumption"]
    assert (energy["evaluation_kwh"], energy["training_kwh"]) == (None, None)
    assert energy["evaluation_method"] == "not measured: the run was made without --energy"
    resources = content["system"]["external_resources"]
    assert resources and all(set(entry) == {"name", "url", "licence"} for entry in resources)
    assert all(entry["url"] is None or entry["url"].startswith("https://") for entry in resources)
    for field in NAMES:
        value = "a.choi@kaist.example" if field == "email" else "Multi"
        text = "\n".join(
            line.split(": ")[0] + f": {value}" if f'{field}: "TODO' in line else line for line in text.splitlines()
        )
    path.write_text(text)
    (meta / "Choi_KAIST_task4.audio_url.txt").write_text("Choi_KAIST_task4_1 https://zenodo.example/a.zip\n")
    (tmp_path / "report.pdf").write_bytes(PDF)
    where = ("--meta", meta, "--report", tmp_path / "report.pdf", "--data", data, "--out", tmp_path / "package")
    packaged = s5eval("submit", "package", archive, *where)
    assert packaged.code == 0, packaged.out


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_energy_of_the_run_reaches_the_facts(s5eval: Call, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("codecarbon")
    found = s5eval("run", "--system", "silence", "--data", data, "--out", tmp_path / "run", "--energy")
    assert found.code == 0 and " kWh in " in found.err and ": estimate; CodeCarbon" in found.err
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["energy"]["kwh"] == record["sittings"][0]["energy"]["kwh"] > 0
    facts, found = gather_facts(tmp_path / "run", profile=False)
    assert facts["evaluation_kwh"] == pytest.approx(record["energy"]["kwh"], rel=1e-4)
    assert facts["evaluation_mixtures"] == 3 and facts["evaluation_method"].startswith("estimate; CodeCarbon")
    assert found == [] and facts["macs"] is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_energy_of_a_run_on_kept_stages_is_said_to_be_without_them(
    systems_on_path: None, staged_set: Path, s5eval: Call, tmp_path: Path
) -> None:
    pytest.importorskip("codecarbon")
    call = ("run", "--system", "staged:build", "--data", staged_set, "--energy", "--out")
    first, again = (s5eval(*call, tmp_path / name) for name in ("first", "again"))
    assert "came from the store" not in first.err
    reused = sum(stage["reused"] for stage in json.loads((tmp_path / "again/run.json").read_text())["stages"].values())
    said = f"; {reused} results of stages came from the store, and took none of it"
    assert reused and said in again.err
    pages = [(tmp_path / name / "report.html").read_text() for name in ("first", "again")]
    assert [" kWh in " in page for page in pages] == [True, True] and [said in page for page in pages] == [False, True]


def test_what_is_less_than_the_whole_is_said(s5eval: Call, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    s5eval("run", "--system", "silence", "--data", data, "--out", run)
    energy = {"kwh": 0.25, "seconds": 9.0, "method": "M", "hardware": "H", "unmeasured_sittings": 2}
    stages = {"one": {"executed": 1, "reused": 2, "seconds": 3.0}}
    edit_record(run / "run.json", lambda record: record.update(energy=energy, stages=stages))
    facts, found = gather_facts(run)
    assert facts["evaluation_kwh"] == 0.25
    assert "less than the whole: 2 sittings were not measured" in facts["evaluation_method"]
    assert "2 stage results came from the store" in facts["evaluation_method"]
    method = "not measured: what every stage takes is known of 1 of 3 mixtures of the run"
    assert (facts["inference_seconds"], facts["inference_method"]) == (None, method)
    assert [finding.rule for finding in found] == ["not-profiled"], "silence cannot be profiled"


def test_the_mean_of_a_few_executed_mixtures_does_not_stand_for_all(
    s5eval: Call, make_set: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The few may be mixtures without candidates, for which later stages have nothing to do."""
    run = tmp_path / "run"
    data = make_set(tmp_path / "twenty", {f"m_{k:02d}": ["Speech"] for k in range(20)}, seconds=0.1)
    s5eval("run", "--system", "silence", "--data", data, "--out", run)
    stages = (StageProfile("one", 4.0, 1.0, 0.4), StageProfile("two", 0.5, 1.0, 0.05))
    monkeypatch.setattr(submission_facts, "load_profile", lambda name: lambda *_, **__: Profile((), stages, 0))

    def inference(*executed: int, of: int = 20, profile: bool = True) -> tuple[float | None, str]:
        costs = {f"{k}": {"executed": n, "reused": of - n, "seconds": 2.0 * n} for k, n in enumerate(executed)}
        edit_record(run / "run.json", lambda record: record.update(stages=costs))
        facts, _ = gather_facts(run, profile=profile)
        return facts["inference_seconds"], facts["inference_method"]

    profiled = (4.5, "profiled: 10 s of noise, no slot silent, the faster of two passes")
    assert inference(20, 20)[1] == "mean over 20 mixtures of the run"
    mean = "sum over stages of the mean over the mixtures that each was executed for, 18 or more"
    assert inference(18, 20) == (4.0, mean)
    assert inference(20, 17) == inference(1, 1) == inference(20, 0) == profiled
    assert inference(5, 5, of=5) == profiled, "sittings that were killed have not told what came from the store"
    told = "not measured: what every stage takes is known of 1 of 20 mixtures of the run"
    assert inference(1, 20, profile=False) == (None, told)
    stages = (StageProfile("one", 4.0, 1.0, 0.4, waited=3.5), StageProfile("two", 0.5, 1.0, 0.05, waited=None))
    busy = "; other work held the machine up: 3.5 of 4.5 s went by without a processor"
    assert inference(1, 1) == (4.5, profiled[1] + busy), "what a busy machine needed is not what the system needs"


def test_seconds_are_those_of_mixtures_that_the_system_has_done(s5eval: Call, data: Path, tmp_path: Path) -> None:
    """What failed took none, what came from the store took less, and of outputs that came as files nobody knows."""
    run, seconds = tmp_path / "run", {"m_0": 2.0, "m_1": 4.0, "m_2": 0.0}
    s5eval("run", "--system", "silence", "--data", data, "--out", run)
    edit_lines(run, lambda line: line["outcome"].update(seconds=seconds[line["mixture_id"]]))
    failed = {"status": "failed", "error": "out of order", "seconds": 0.0}
    edit_lines(run, lambda line: line["outcome"].update(failed if line["mixture_id"] == "m_2" else {}))

    def inference(**about: str) -> tuple[float | None, str]:
        edit_record(run / "run.json", lambda record: record["about"].update(about))
        facts, _ = gather_facts(run, profile=False)
        return facts["inference_seconds"], facts["inference_method"]

    assert inference() == (3.0, "mean over 2 mixtures of the run")
    stages = {"one": {"executed": 2, "reused": 1, "seconds": 9.0}}
    edit_record(run / "run.json", lambda record: record.update(stages=stages))
    assert inference() == (4.5, "sum over stages of the mean over the mixtures that each was executed for, 2 or more")
    edit_record(run / "run.json", lambda record: record.update(stages={}))
    assert inference(system="folder") == (None, "not measured: the outputs came as files")


def test_seconds_of_several_machines_name_all_of_them(s5eval: Call, data: Path, tmp_path: Path) -> None:
    """Of a run that was gone on with elsewhere, or merged, the machine of one sitting stood for all; and what workers
    beside each other took, for what one would take alone.
    """
    run = tmp_path / "run"
    s5eval("run", "--system", "silence", "--data", data, "--out", run)

    def sittings(record: dict[str, Any]) -> None:
        (first,) = record["sittings"]
        made = {**first["provenance"], "device": "cuda", "hardware": "H200"}
        first["provenance"] |= {"hardware": "EPYC", "cpus": 8}
        staff = {"size": 4, "engine": "processes", "devices": ["cpu"], "threads": 2}
        record["sittings"] = [first, {**first, "staff": staff}, {**first, "provenance": made}, first]

    edit_record(run / "run.json", sittings)
    facts, _ = gather_facts(run, profile=False)
    assert facts["inference_hardware"] == "EPYC, 8 cores | EPYC, 8 cores, 4 workers at once | H200"


def test_a_profile_of_other_weights_than_those_of_the_run_is_none_of_its_system(
    s5eval: Call, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    s5eval("run", "--system", "silence", "--data", data, "--out", run)
    monkeypatch.setattr(submission_facts, "load_profile", lambda name: lambda *_, **__: Profile((), (), 0))
    edit_record(run / "run.json", lambda record: record["fingerprint"].update(parameters=1234))
    facts, (finding,) = gather_facts(run)
    assert facts["macs"] is None
    assert "the system that is here has 0 parameters, the one of the run 1,234" in str(finding)


def test_facts_of_another_archive_are_refused(s5eval: Call, data: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    s5eval("run", "--system", "silence", "--data", data, "--out", run, "--save-audio")
    shutil.copytree(run, tmp_path / "dev")
    assert s5eval("submit", "build", run, "--dev-run", tmp_path / "dev", *NAMED, "--out", out).code == 0
    archive = out / "Choi_KAIST_task4_1.zip"
    archive.write_bytes(archive.read_bytes() + b"\0")
    refused = s5eval("submit", "init", archive, "--out", tmp_path / "meta")
    assert (refused.code, "belongs to another archive" in refused.err) == (3, True)


def test_decisions_in_words() -> None:
    said = decision_text(
        Decision(
            {"default": 0.5, "Speech": 0.61}, max_sources=None, duplicate_correlation=None, prior_factors={"Speech": 2}
        )
    )
    assert (
        said == "class-specific silence thresholds (Speech 0.61; others 0.5); class scores adapted to estimated priors"
    )
    said = decision_text(Decision({"default": 1.0}, 2, None, expected_score=ExpectedScore(0.9)))
    assert said == (
        "as many of the likeliest as maximise the expected score, E[TP / (TP + FP + FN)] less 0.7 P(TP + FP + FN > 0), "
        "class scores at temperature 0.9; at most 2 sources"
    )
