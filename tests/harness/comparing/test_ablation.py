"""Ablations: shared stages are paid for once, failures stay in their row, and what was interrupted goes on."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from s5eval.data_manifests.common.errors import DataError
from s5eval.harness.comparing.ablation_grid import load_grid
from s5eval.harness.comparing.ablation_running import run_grid
from s5eval.harness.errors import RunFolderError
from s5eval.harness.record.config import RunConfig

Call = Callable[..., Any]
SYSTEM = ("--system", "staged:build")
HEADLINES = ("capi_sdri", "mixture_accuracy", "source_accuracy")
N = 12
RANDOM = "RANDOM WEIGHTS: the numbers say nothing about the system"


@pytest.fixture(autouse=True)
def _own_store(systems_on_path: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S5EVAL_CACHE", str(tmp_path / "cache"))


def table(out: Path) -> Any:
    return json.loads((out / "table.json").read_text())


def test_the_default_grid_pays_for_five_stage_runs_a_mixture_and_then_for_none(
    staged_set: Path, tmp_path: Path, s5eval: Call, summary: Call
) -> None:
    out = tmp_path / "ablation"
    call = ("ablate", *SYSTEM, "--data", staged_set, "--out", out)
    result = s5eval(*call)
    assert result.code == 0
    content = table(out)
    assert content["stage_runs"] == {"executed": 5 * N, "reused": 17 * N}
    rows = content["rows"]
    assert len({json.dumps(row["set"], sort_keys=True) for row in rows}) == len(rows) == 10
    assert [row["stage_runs"]["executed"] for row in rows] == [N, 0, N, 0, N, 0, N, 0, N, 0]
    assert f"{5 * N} executed, {17 * N} reused" in result.out
    for row in rows:
        assert row["metrics"] == summary(Path(row["run"]))["metrics"]
        assert row["delta"]["capi_sdri"]["value"] == pytest.approx(
            row["metrics"]["capi_sdri"]["value"] - rows[0]["metrics"]["capi_sdri"]["value"]
        )
        assert row["delta"]["capi_sdri"]["ci_low"] <= row["delta"]["capi_sdri"]["value"]
    assert s5eval(*call).code == 0
    assert table(out)["stage_runs"] == {"executed": 0, "reused": 22 * N}
    assert table(out)["rows"][3]["metrics"] == rows[3]["metrics"]
    elsewhere = tmp_path / "elsewhere"
    s5eval(*call[:-1], elsewhere, "--axes", "stages")
    assert table(elsewhere)["stage_runs"] == {"executed": 0, "reused": 6 * N}


def test_every_file_is_written(staged_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "ablation"
    result = s5eval("ablate", *SYSTEM, "--data", staged_set, "--axes", "stages", "--out", out)
    assert result.code == 0
    assert "difference to '1 stage'" in result.out
    content = table(out)
    bounds = [row["name"] for row in content["bounds"]]
    assert bounds == ["silence", "oracle-mixture", "oracle-zeros", "oracle-gain", "oracle"]
    assert not set(bounds) & {row["name"] for row in content["rows"]}
    for row in content["bounds"]:
        assert row["metrics"].keys() == row["delta"].keys() == set(HEADLINES)
        assert row["delta"]["capi_sdri"]["value"] == pytest.approx(
            row["metrics"]["capi_sdri"]["value"] - content["rows"][0]["metrics"]["capi_sdri"]["value"]
        )
    lines = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    assert [line["name"] for line in lines if line["kind"] == "row"] == ["1 stage", "2 stages", "3 stages"]
    assert float(lines[2]["capi_sdri"]) == content["rows"][2]["metrics"]["capi_sdri"]["value"]
    assert float(lines[2]["delta_capi_sdri_ci_low"]) == content["rows"][2]["delta"]["capi_sdri"]["ci_low"]
    markdown = (out / "table.md").read_text()
    cells = {line.count(" | ") for line in markdown.splitlines() if line.startswith("|")}
    assert len(cells) == 1
    assert "weights: untrained" in markdown
    assert "weights: untrained" in (out / "table.tex").read_text()
    ElementTree.parse(out / "table.svg")
    assert (out / "table.png").read_bytes().startswith(b"\x89PNG")
    assert s5eval("ablate", *SYSTEM, "--data", staged_set, "--axes", "stages", "--out", out, "--json").json == table(
        out
    )


def test_a_failed_row_does_not_stop_the_others(staged_set: Path, tmp_path: Path, s5eval: Call) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text(
        "rows:\n"
        "- {name: good, set: {system.stages: 1}}\n"
        "- {name: broken, set: {system.broken: true}}\n"
        "- {name: misspelt, set: {decision.max_sauces: 2}}\n"
        "- {name: dead, set: {system.stages: 2, system.fail: always, system.fail_stage: 2}}\n"
        "- {name: limping, set: {system.stages: 2, system.fail: m_03, system.fail_stage: 2}}\n"
        "- {name: last, set: {system.stages: 3}}\n"
    )
    out = tmp_path / "ablation"
    call = ("ablate", grid, *SYSTEM, "--data", staged_set, "--out", out)
    result = s5eval(*call)
    assert result.code == 4
    rows = {row["name"]: row for row in table(out)["rows"]}
    assert list(rows) == ["good", "broken", "misspelt", "dead", "limping", "last"]
    assert "cannot be built" in rows["broken"]["error"]
    assert "max_sauces" in rows["misspelt"]["error"]
    assert "every mixture failed" in rows["dead"]["error"]
    for name in ("broken", "misspelt", "dead"):
        assert name in result.out
        for metric in HEADLINES:
            assert rows[name]["metrics"][metric]["value"] is None
            assert rows[name]["delta"][metric]["value"] is None
    assert "error" not in rows["limping"]
    told = ["partial: 1 of 12 mixtures failed", "differences over 11 of 12 mixtures"]
    assert rows["limping"]["marks"] == [RANDOM, *told]
    assert [rows[name]["delta"]["mixture_accuracy"]["n"] for name in ("limping", "last", "dead")] == [11, 12, 0]
    assert rows["limping"]["metrics"]["capi_sdri"]["value"] is not None
    assert rows["last"]["metrics"]["capi_sdri"]["value"] > rows["good"]["metrics"]["capi_sdri"]["value"]
    for name in ("md", "csv", "tex", "svg", "png"):
        assert (out / f"table.{name}").stat().st_size > 0
    assert s5eval(*call).code == 4
    assert table(out)["rows"][0]["stage_runs"]["executed"] == 0


def test_rows_without_a_value_say_why(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    """On data without references there were dashes, and no word of them."""
    shutil.rmtree(small_set / "oracle_target")
    grid = tmp_path / "grid.yaml"
    grid.write_text("rows:\n- {name: one}\n- {name: other, set: {decision.max_sources: 1}}\n")
    result = s5eval("ablate", grid, "--system", "silence", "--data", small_set, "--out", tmp_path / "ablation")
    why = "CAPI-SDRi is undefined: the set has no references"
    assert [row["marks"] for row in table(tmp_path / "ablation")["rows"]] == [[why], [why]]
    assert (result.code, f"(a) {why}" in result.out) == (0, True)


@pytest.mark.parametrize(("fail", "scored"), [("m_03", 11), ("always", 0)])
def test_bounds_are_those_of_all_mixtures_where_a_row_has_scored_all(
    fail: str, scored: int, staged_set: Path, tmp_path: Path, s5eval: Call, summary: Call
) -> None:
    grid = tmp_path / "grid.yaml"
    failing = f"{{name: first, set: {{system.stages: 2, system.fail: {fail}, system.fail_stage: 2}}}}"
    grid.write_text(f"rows:\n- {failing}\n- {{name: good, set: {{system.stages: 1}}}}\n")
    out = tmp_path / "ablation"
    result = s5eval("ablate", grid, *SYSTEM, "--data", staged_set, "--out", out)
    assert result.code == 4, result.err
    good = table(out)["rows"][1]
    bounds = {bound["name"]: bound["metrics"]["capi_sdri"]["value"] for bound in table(out)["bounds"]}
    expected = summary(Path(good["run"]))["bounds"]
    assert bounds == {name: expected[name]["capi_sdri"]["value"] for name in bounds}
    assert good["delta"]["mixture_accuracy"]["n"] == scored
    over = "differences over 11 of 12 mixtures"
    told = [over] if scored else []
    assert good["marks"] == [RANDOM, *told] and "over" not in " ".join(table(out)["rows"][0]["marks"])
    assert all((over in (out / f"table.{kind}").read_text()) == bool(scored) for kind in ("md", "tex", "csv"))
    assert all(bound["marks"] == told for bound in table(out)["bounds"]), "no weights have made a bound"
    assert (over in result.out) == bool(scored)


def test_rows_whose_names_differ_in_signs_alone_have_folders_of_their_own(
    staged_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text(
        "rows:\n- {name: + AF, set: {system.stages: 1}}\n- {name: '- AF', set: {system.stages: 2}}\n"
        "- {name: тишина, set: {system.stages: 3}}\n- {name: хлопок, set: {system.stages: 1}}\n"
    )
    call = ("ablate", grid, *SYSTEM, "--data", staged_set, "--limit", 5, "--out", tmp_path / "ablation")
    results = [s5eval(*call) for _ in range(2)]
    assert [result.code for result in results] == [0, 0], results[0].err
    rows = table(tmp_path / "ablation")["rows"]
    assert len({row["run"] for row in rows}) == 4 and not any("error" in row for row in rows)
    notes = [(tmp_path / "ablation" / f"table.{kind}").read_text() for kind in ("md", "tex")]
    withheld = any(delta["withheld"] for row in rows for delta in row["delta"].values())
    assert withheld and all("o star where fewer than 6 mixtures changed" in note for note in notes)


def test_when_every_row_fails_there_is_a_table_all_the_same(staged_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out, grid = tmp_path / "ablation", tmp_path / "grid.yaml"
    grid.write_text(
        "rows:\n- {name: first, set: {system.broken: true}}\n- {name: second, set: {system.broken: true}}\n"
        "- {name: third, set: {system.stages: many}}\n"
    )
    result = s5eval("ablate", grid, *SYSTEM, "--data", staged_set, "--out", out)
    assert result.code == 4
    assert "no row could be run" in result.out
    assert all(row["error"] for row in table(out)["rows"])
    assert table(out)["bounds"] == []
    for text in (result.out, (out / "table.md").read_text()):
        reasons = [line.removeprefix("- ") for line in text.splitlines() if " failed: " in line]
        assert [reason.partition(" failed: ")[0] for reason in reasons] == ["first, second", "third"], "each once"


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (
            ("--set", "system.broken=true"),
            2,
            "no row of the grid, which is of 'multistage', can be run: system 'staged:",
        ),
        (("--system", "multistage", "--data", "nowhere"), 3, "no row of the grid can be run: no data folder at"),
    ],
)
def test_what_keeps_every_row_from_beginning_is_the_error_of_the_whole(
    staged_set: Path, tmp_path: Path, s5eval: Call, options: tuple[str, ...], code: int, said: str
) -> None:
    out = tmp_path / "ablation"
    result = s5eval("ablate", *SYSTEM, "--data", staged_set, *options, "--out", out)
    assert (result.code, result.out, said in result.err) == (code, "", True), result.err
    assert not (out / "table.md").exists()


def test_what_stops_a_row_that_has_begun_stands_in_its_row(
    staged_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise RunFolderError("the disk is full")

    monkeypatch.setattr("s5eval.harness.record.run_folder.RunFolder.append", full)
    grid = tmp_path / "grid.yaml"
    grid.write_text("rows: [{name: a}, {name: b}]")
    found = run_grid(load_grid(grid), RunConfig("staged:build", data=staged_set), tmp_path / "ablation")
    assert [row.error for row in found.rows] == ["the disk is full"] * 2
    with pytest.raises(DataError, match=r"^no row of the grid can be run: no data folder") as caught:
        run_grid(load_grid(grid), RunConfig("staged:build", data=tmp_path / "nowhere"), tmp_path / "other")
    assert type(caught.value) is DataError


def test_a_system_that_is_not_there_is_named_before_any_row(staged_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "ablation"
    result = s5eval("ablate", "--system", "multistag", "--data", staged_set, "--out", out)
    assert (result.code, "unknown system 'multistag'; did you mean 'multistage'?" in result.err) == (2, True)
    assert not (out / "rows").exists()


def test_interrupted_and_called_again_nothing_is_paid_twice(staged_set: Path, tmp_path: Path) -> None:
    grid, out = load_grid(axes=["stages"]), tmp_path / "ablation"
    config = RunConfig(system="staged:build", data=staged_set)
    done = 0

    def interrupt(outcomes: Any, total: int, before: int) -> Any:
        nonlocal done
        for outcome in outcomes:
            done += 1
            if done == N + 5:  # in the second row
                raise KeyboardInterrupt
            yield outcome

    with pytest.raises(KeyboardInterrupt):
        run_grid(grid, config, out, progress=interrupt)
    result = run_grid(grid, config, out)
    # Of the second row four mixtures were recorded and the fifth was stored: three rows cost 3 stage runs a mixture.
    assert result.executed == 3 * N - N - 5
    assert [row.error for row in result.rows] == [None] * 3
    assert result.rows[1].metrics["capi_sdri"].n == N


def test_thresholds_are_those_of_the_weights_or_the_default(staged_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "ablation"
    call = ("ablate", *SYSTEM, "--data", staged_set, "--axes", "thresholds", "--out", out)
    assert s5eval(*call, "--set", "system.tuned=true").code == 0
    assert [row["marks"] for row in table(out)["rows"]] == [[RANDOM], [RANDOM]]
    decisions = [json.loads((Path(row["run"]) / "run.json").read_text())["decision"] for row in table(out)["rows"]]
    assert [d["silence_thresholds"] for d in decisions] == [{"default": 0.5}, {"default": 0.6, "Speech": 0.7}]


def test_another_baseline(staged_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "ablation"
    call = ("ablate", *SYSTEM, "--data", staged_set, "--limit", "4", "--axes", "stages", "--out", out)
    assert s5eval(*call, "--baseline", "3 stages").code == 0
    rows = table(out)["rows"]
    assert rows[2]["delta"]["capi_sdri"]["value"] == 0
    assert rows[0]["delta"]["capi_sdri"]["value"] < 0
    assert s5eval(*call, "--baseline", "3 stage").code == 2


def test_an_ablation_by_workers_is_the_same_and_pays_as_much(staged_set: Path, tmp_path: Path, s5eval: Call) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text("rows:\n  - {name: one, set: {system.stages: 1}}\n  - {name: two, set: {system.stages: 2}}\n")
    call = ("ablate", grid, *SYSTEM, "--data", staged_set)
    contents = []
    for name, options in (("alone", ()), ("shared", ("--workers", 2))):
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        assert s5eval(*call, "--out", tmp_path / name, *options).code == 0
        contents.append(table(tmp_path / name))
    alone, shared = contents
    assert alone["stage_runs"] == shared["stage_runs"] == {"executed": 2 * N, "reused": N}
    for one, other in zip(alone["rows"], shared["rows"], strict=True):
        assert {key: one[key] for key in ("name", "metrics", "delta", "stage_runs")} == {
            key: other[key] for key in ("name", "metrics", "delta", "stage_runs")
        }
