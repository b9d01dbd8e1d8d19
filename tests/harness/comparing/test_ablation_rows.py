"""An ablation that goes on in its folder holds what stands there against what would be made now."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sealed_files import edit_record

from s5eval.systems.decision import Decision
from s5eval.systems.decision_reading import load_decision
from s5eval.systems.pipeline import Pipeline

Call = Callable[..., Any]


class Changing:
    """Stands before `staged:build`: what its weights and its decision are from now on, and how often it was built."""

    def __init__(self, build: Call) -> None:
        self._build = build
        self.weights, self.decision, self.built = "untrained", Decision(), 0

    def __call__(self, config: Mapping[str, Any], device: str) -> Pipeline:
        self.built += 1
        system = self._build(config, device)
        return Pipeline(system.stages, self.decision, facts={"weights": self.weights})


@pytest.fixture
def changing(systems_on_path: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Changing:
    import staged

    monkeypatch.setenv("S5EVAL_CACHE", str(tmp_path / "cache"))
    changing = Changing(staged.build)
    monkeypatch.setattr(staged, "build", changing)
    return changing


@pytest.fixture
def ablate(staged_set: Path, tmp_path: Path, s5eval: Call) -> Call:
    """`ablate("a", "b")`: an ablation of these rows, of one stage, two, …, always in the same folder."""

    def call(*names: str) -> Any:
        grid = tmp_path / "grid.yaml"
        rows = [f"- {{name: {name}, set: {{system.stages: {k}}}}}" for k, name in enumerate(names, start=1)]
        grid.write_text("\n".join(["rows:", *rows]))
        return s5eval("ablate", grid, "--system", "staged:build", "--data", staged_set, "--out", tmp_path / "out")

    return call


def test_a_row_made_with_another_decision_is_not_set_beside_a_new_one(
    ablate: Call, changing: Changing, tmp_path: Path
) -> None:
    """The difference would be that of the decisions, and the table would call it that of the settings."""
    assert ablate("a").code == 0
    before = (tmp_path / "out" / "table.json").read_text()
    changing.decision = Decision({"default": 0.3}, provenance={"split": "valid"})
    refused = ablate("a", "b")
    assert refused.code == 2
    assert "row 'a': the decision is not as it was when" in refused.err
    assert "choose another --out" in refused.err
    assert (tmp_path / "out" / "table.json").read_text() == before
    assert not (tmp_path / "out" / "rows" / "b").exists(), "nothing is run before that is known"


def test_a_row_made_with_other_weights_is_named_with_what_differs(ablate: Call, changing: Changing) -> None:
    assert ablate("a", "b").code == 0
    changing.weights = "sha256:new"
    refused = ablate("a", "b")
    assert refused.code == 2
    assert "row 'a': system 'staged:build' is not as it was" in refused.err
    assert 'weights was "untrained" and is "sha256:new"' in refused.err


def test_a_row_made_on_other_data_is_refused(ablate: Call, changing: Changing, staged_set: Path) -> None:
    assert ablate("a").code == 0
    path = staged_set / "soundscape" / "m_03.wav"
    audio, rate = soundfile.read(path, dtype="float32")
    soundfile.write(path, np.ascontiguousarray(audio[::-1]), rate, subtype="FLOAT")
    refused = ablate("a", "b")
    assert (refused.code, "row 'a': " in refused.err) == (3, True)
    assert "other content in files of 1 mixture that had been scored, such as m_03; choose another --out" in refused.err


def test_a_row_scored_by_other_metrics_is_refused(ablate: Call, changing: Changing, tmp_path: Path) -> None:
    assert ablate("a").code == 0
    run = tmp_path / "out" / "rows" / "a"
    edit_record(run / "run.json", lambda record: record.update(metric_version=0))
    refused = ablate("a", "b")
    assert (refused.code, f"`s5eval rescore {run}` brings it up to date" in refused.err) == (2, True)


def test_a_row_whose_system_cannot_be_built_any_more_is_named(
    ablate: Call, changing: Changing, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ablate("a").code == 0

    def gone(config: Mapping[str, Any], device: str) -> None:
        raise ValueError("the weights are gone")

    monkeypatch.setattr("staged.build", gone)
    refused = ablate("a", "b")
    assert (refused.code, "row 'a': " in refused.err and "the weights are gone" in refused.err) == (2, True)


def test_a_row_goes_on_from_another_folder(
    staged_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(staged_set / "oracle_target", tmp_path / "est")
    monkeypatch.chdir(tmp_path)
    call = ("ablate", tmp_path / "grid.yaml", "--system", "folder", "--data", staged_set, "--out", tmp_path / "out")
    for path in ("est", str(tmp_path / "est")):
        (tmp_path / "grid.yaml").write_text(f"rows: [{{name: a, set: {{system.path: {path}}}}}]")
        assert s5eval(*call).code == 0, path
        monkeypatch.chdir("/")


def test_what_is_finished_costs_one_building_of_every_system(
    changing: Changing, staged_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    call = ("ablate", "--system", "staged:build", "--data", staged_set, "--limit", 2, "--out", tmp_path / "out")
    assert s5eval(*call).code == 0
    assert changing.built == 10, "no more than the rows take, where nothing stood"
    rows = json.loads((tmp_path / "out" / "table.json").read_text())["rows"]
    changing.built = 0
    again = s5eval(*call)
    assert (again.code, len(rows), changing.built) == (0, 10, 5), "five systems, each with two decisions"
    assert [row["metrics"] for row in json.loads((tmp_path / "out" / "table.json").read_text())["rows"]] == [
        row["metrics"] for row in rows
    ]


def test_a_row_says_that_its_decision_was_made_for_another_system(
    changing: Changing, staged_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision beside the weights is that of all rows; it was made on three stages, and fits those alone."""
    run = tmp_path / "run"
    assert s5eval("run", "--system", "staged:build", "--data", staged_set, "--out", run).code == 0
    assert s5eval("tune", run, "--folds", 2, "--out", tmp_path / "mine.yaml").code == 0
    changing.decision = load_decision(tmp_path / "mine.yaml")
    call = ("ablate", "--system", "staged:build", "--data", staged_set, "--out", tmp_path / "out")
    shown = s5eval(*call)
    assert shown.code == 0
    rows = json.loads((tmp_path / "out" / "table.json").read_text())["rows"]
    mark = "a decision for other weights or settings"
    fits = {row["name"] for row in rows if mark not in row["marks"]}
    untuned = {row["name"] for row in rows if "tuned decision" not in row["name"]}
    assert fits == {*untuned, "3 stages + AF-Whisper + tuned decision"}
    letter = next(line[1] for line in shown.out.splitlines() if line.endswith(mark))
    two_stages = next(line for line in shown.out.splitlines() if "2 stages + AF-Whisper + tuned decision" in line)
    assert letter in two_stages.partition("tuned decision (")[2].partition(")")[0]
    monkeypatch.setenv("COLUMNS", "80")
    table, _, _ = s5eval(*call).out.partition("tables and figure:")
    assert max(map(len, table.splitlines())) <= 80 and f"({letter}) {mark}" in table.splitlines()


@pytest.mark.usefixtures("systems_on_path")
def test_a_folder_with_rows_of_another_grid_is_refused(staged_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "ablation"
    call = ("ablate", "--system", "staged:build", "--data", staged_set, "--axes", "stages", "--out", out)
    assert s5eval(*call).code == 0
    other = s5eval(*call, "--limit", "3")
    assert other.code == 2
    assert "choose another --out" in other.err
