"""Thresholds moved by hand: the numbers are those that `rescore` gives, and what is saved tells where it is from."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sealed_files import edit_record
from viewing import ORIGIN, Made, key

from s5eval.data_manifests.labels import CLASSES
from s5eval.systems.decision_reading import load_decision

Call = Callable[..., Any]


def ask(client: Any, run: Path, question: str, **content: Any) -> Any:
    answer = client.post(f"/thresholds/{question}", json={"run": key(run), **content}, headers={"origin": ORIGIN})
    return answer if answer.status_code != 200 else answer.json()


@pytest.mark.parametrize("seed", range(4))
def test_the_number_of_any_sliders_is_the_one_that_rescore_gives_for_the_saved_file(
    copied: Made, browse: Call, s5eval: Call, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    thresholds = {"default": float(rng.random()), **{label: float(rng.random()) for label in CLASSES[::2]}}
    client, run = browse(copied.runs), copied.staged
    told = ask(client, run, "evaluate", thresholds=thresholds)
    assert ask(client, run, "save", thresholds=thresholds, name="mine.yaml")["file"] == str(run / "mine.yaml")
    out = run.parent / "again"
    found = s5eval("rescore", run, "--decision", run / "mine.yaml", "--out", out, "--json").json
    for name, metric in told["metrics"].items():
        for part in ("value", "ci_low", "ci_high"):
            expected = found["metrics"][name][part]
            if expected is None:
                assert metric[part] is None
            else:
                assert metric[part] == pytest.approx(expected, abs=1e-9), (name, part)
    lines = list(map(json.loads, (out / "mixtures.jsonl").read_text().splitlines()))
    counts = told["counts"]
    assert counts["right"] == sum(line["labels"]["tp"] for line in lines)
    assert counts["false"] == sum(line["labels"]["fp"] for line in lines)
    assert counts["missed"] == sum(line["labels"]["fn"] for line in lines)
    assert counts["exact"] == sum(line["labels"]["fp"] == line["labels"]["fn"] == 0 for line in lines)
    assert counts["estimates"] == sum(len(line["estimates"]) for line in lines)


def test_differences_and_flips_are_those_that_compare_gives(copied: Made, browse: Call, s5eval: Call) -> None:
    client, run = browse(copied.runs), copied.staged
    thresholds = {"default": 0.95, "Speech": 0.0}
    told = ask(client, run, "evaluate", thresholds=thresholds, against="run")
    ask(client, run, "save", thresholds=thresholds, name="mine.yaml")
    out = run.parent / "again"
    s5eval("rescore", run, "--decision", run / "mine.yaml", "--out", out)
    found = s5eval("compare", run, out, "--json").json
    for name in ("capi_sdri", "mixture_accuracy", "source_accuracy"):
        expected, metric = found["metrics"][name], told["metrics"][name]
        assert metric["delta"] == pytest.approx(expected["delta"], abs=1e-9)
        assert metric["delta_low"] == pytest.approx(expected["ci_low"], abs=1e-9)
        assert metric["delta_high"] == pytest.approx(expected["ci_high"], abs=1e-9)
    flips = {flip["id"]: (flip["exact_before"], flip["exact"]) for flip in told["flipped"]}
    assert {id_ for id_, flip in flips.items() if flip == (False, True)} == set(found["fixed"])
    assert {id_ for id_, flip in flips.items() if flip == (True, False)} == set(found["broken"])
    assert {id_ for id_, _ in found["changes"]} <= flips.keys()


def test_few_flips_are_told_to_be_few(copied: Made, browse: Call) -> None:
    client, run = browse(copied.runs), copied.staged
    counts = {}
    for default in np.linspace(0.02, 0.98, 25):
        told = ask(client, run, "evaluate", thresholds={"default": float(default)}, against="run")
        counts[told["n_flipped"]] = told["few"]
    assert any(0 < n < 6 for n in counts), counts
    for n, few in counts.items():
        changed = f"only {n} mixture{'' if n == 1 else 's'} changed: so few can all fall to one side by chance"
        assert few == (changed if 0 < n < 6 else "")


def test_sliders_at_the_runs_own_thresholds_flip_nothing(made: Made, browse: Call) -> None:
    client = browse(made.runs)
    asked = ask(client, made.staged, "named", against="run", thresholds={})["thresholds"]
    told = ask(client, made.staged, "evaluate", thresholds=asked)
    assert told["n_flipped"] == 0
    summary = json.loads((made.staged / "summary.json").read_text())
    assert told["metrics"]["capi_sdri"]["value"] == pytest.approx(summary["metrics"]["capi_sdri"]["value"])


def test_the_optimum_is_what_tune_fits_and_its_gain_is_cross_validated(
    copied: Made, browse: Call, s5eval: Call
) -> None:
    run = copied.staged
    tuned = s5eval("tune", run, "--folds", "5", "--out", run.parent / "tuned.yaml", "--json").json
    found = ask(browse(copied.runs), run, "named", against="optimum", thresholds={})
    decision = load_decision(run.parent / "tuned.yaml")
    assert found["thresholds"]["Speech"] == pytest.approx(decision.threshold("Speech"))
    assert f"{tuned['gain']['value']:+.3f}".replace("-", "−") in found["words"]
    assert "cross-validation" in found["words"]


def test_a_run_by_expected_score_says_what_it_dropped_and_its_sliders_flip_nothing(
    copied: Made, browse: Call, s5eval: Call
) -> None:
    file, run = copied.runs / "expected.yaml", copied.runs / "expected"
    file.write_text("silence_thresholds: {default: 1.0}\nexpected_score: {temperature: 0.5}\n")
    words = ("--system", "staged:build", "--set", "system.probable=true", "--data", copied.data, "--decision", file)
    assert s5eval("run", *words, "--out", run).code == 0
    client = browse(copied.runs)
    asked = ask(client, run, "named", against="run", thresholds={})["thresholds"]
    told = ask(client, run, "evaluate", thresholds=asked)
    summary = json.loads((run / "summary.json").read_text())
    assert told["n_flipped"] == 0
    assert told["metrics"]["capi_sdri"]["value"] == pytest.approx(summary["metrics"]["capi_sdri"]["value"])
    mixtures = json.loads((run / "run.json").read_text())["mixtures"]
    pages = [client.get("/mixture", params={"run": key(run), "id": id_}).text for id_ in mixtures]
    assert any(re.search(r"not worth it: right with a probability of 0\.\d+", page) for page in pages)
    assert all("<th>right</th>" in page and "<th>threshold</th>" not in page for page in pages)
    assert (
        "0.5 for every class, then the expected score"
        in ask(client, run, "evaluate", against="0.5", thresholds=asked)["against"]
    )
    sliders = client.get("/thresholds", params={"run": key(run)}).text
    assert "as the expected score is highest with" in sliders
    assert 'id="all" min="0" max="1" step="0.005" value="1.0"' in sliders and "<output>1.000</output>" in sliders
    assert "<th>threshold</th>" not in (run / "report.html").read_text()
    assert "<th>threshold</th>" in (copied.staged / "report.html").read_text()


def test_a_decision_file_of_the_run_folder_can_be_compared_with(copied: Made, browse: Call) -> None:
    run = copied.staged
    (run / "strict.yaml").write_text("silence_thresholds: {default: 0.0}\n")
    (run / "other.yaml").write_text("silence_thresholds: {default: 0.5}\nmax_sources: 1\n")
    (run / "broken.yaml").write_text("silence_thresholds: 3\n")
    client = browse(copied.runs)
    html = client.get("/thresholds", params={"run": key(run)}).text
    assert ">strict.yaml<" in html
    told = ask(client, run, "evaluate", thresholds={"default": 0.5}, against="strict.yaml")
    assert (told["against"], told["n_flipped"] > 0) == ("strict.yaml", True)
    refused = ask(client, run, "evaluate", thresholds={"default": 0.5}, against="other.yaml")
    assert (refused.status_code, "in more than thresholds" in refused.json()["error"]) == (404, True)
    assert ask(client, run, "evaluate", thresholds={}, against="broken.yaml").status_code == 404
    (run.parent / "elsewhere.yaml").write_text("silence_thresholds: {default: 0.0}\n")
    (run / "link.yaml").symlink_to(run.parent / "elsewhere.yaml")
    for key_ in ("../elsewhere.yaml", "link.yaml", "gone.yaml", str(run.parent / "elsewhere.yaml"), "pairs"):
        for question in ("evaluate", "named"):
            answer = ask(client, run, question, thresholds={"default": 0.5}, against=key_)
            assert (answer.status_code, answer.json()["error"]) == (
                404, f"{key_}: expected run, 0.5, optimum, or a decision file in the run folder"
            )  # fmt: skip


def test_what_is_saved_on_a_forbidden_split_carries_the_mark(copied: Made, browse: Call, s5eval: Call) -> None:
    run = copied.staged
    edit_record(run / "run.json", lambda record: record["about"].update(tune="forbidden"))
    client = browse(copied.runs)
    assert "must not be tuned on" in client.get("/thresholds", params={"run": key(run)}).text
    assert ask(client, run, "save", thresholds={"default": 0.3}, name="mine.yaml")["marked"]
    provenance = yaml.safe_load((run / "mine.yaml").read_text())["provenance"]
    assert provenance["tuned_on_forbidden"]
    assert "by hand" in provenance["objective"]
    s5eval("rescore", run, "--decision", run / "mine.yaml", "--out", run.parent / "again")
    assert "decision tuned on a forbidden split" in browse(copied.runs).get("/").text


def test_what_is_saved_on_another_split_carries_none(copied: Made, browse: Call) -> None:
    client, run = browse(copied.runs), copied.staged
    assert "must not be tuned on" not in client.get("/thresholds", params={"run": key(run)}).text
    assert not ask(client, run, "save", thresholds={"default": 0.3}, name="mine.yaml")["marked"]
    assert not yaml.safe_load((run / "mine.yaml").read_text())["provenance"]["tuned_on_forbidden"]


@pytest.mark.parametrize(
    "name", ["../x.yaml", "/tmp/x.yaml", "x", "run.json", ".x.yaml", "a/b.yaml", "x.yaml\0", "x" * 99 + ".yaml", ""]
)
def test_a_file_is_saved_in_the_run_folder_alone(copied: Made, browse: Call, name: str) -> None:
    before = sorted(copied.runs.parent.rglob("*"))
    answer = ask(browse(copied.runs), copied.staged, "save", thresholds={}, name=name)
    assert answer.status_code == 404
    assert sorted(copied.runs.parent.rglob("*")) == before


def test_no_file_is_overwritten_and_no_link_written_through(copied: Made, browse: Call, tmp_path: Path) -> None:
    client, run = browse(copied.runs), copied.staged
    (run / "mine.yaml").write_text("kept")
    (run / "link.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    for name in ("mine.yaml", "link.yaml"):
        assert "is there already" in ask(client, run, "save", thresholds={}, name=name).json()["error"]
    assert (run / "mine.yaml").read_text() == "kept"
    assert not (tmp_path / "elsewhere.yaml").exists()


@pytest.mark.parametrize("wrong", [{"Speech": 1.5}, {"Speech": None}, {"Nobody": 0.5}, {"Speech": "0.5"}, [], None, 3])
def test_thresholds_that_are_none_are_refused_with_a_word(made: Made, browse: Call, wrong: Any) -> None:
    answer = ask(browse(made.runs), made.staged, "evaluate", thresholds=wrong)
    assert answer.status_code == 404
    assert "threshold" in answer.json()["error"]


def test_a_run_without_references_has_nothing_to_decide_anew(
    copied: Made, browse: Call, s5eval: Call, tmp_path: Path
) -> None:
    from shutil import rmtree

    rmtree(copied.data / "oracle_target")
    out = tmp_path / "runs" / "predicted"
    run = s5eval("run", "--system", "plugins:build", "--data", copied.data, "--out", out)
    assert run.code == 0, run.err
    html = browse(out).get("/thresholds", params={"run": key(out)}).text
    assert "nothing to decide anew" in html
