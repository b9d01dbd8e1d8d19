"""Ablations: shared stages are paid for once, failures stay in their row, tables in every format."""

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from s5eval.harness.comparing.ablation import Ablation, AblationRow, Delta
from s5eval.harness.comparing.ablation_figure import ablation_figure
from s5eval.harness.comparing.ablation_files import write_ablation
from s5eval.harness.comparing.ablation_grid import load_grid
from s5eval.harness.comparing.ablation_latex import ablation_latex, escape
from s5eval.harness.comparing.ablation_running import run_grid
from s5eval.harness.comparing.ablation_tables import ablation_csv, ablation_markdown, ablation_table, published_rows
from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.run_summary import MetricValue
from s5eval.harness.report.paper import paper_style

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
    assert withheld and all("o star below 6 mixtures" in note for note in notes)


def test_when_every_row_fails_there_is_a_table_all_the_same(staged_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "ablation"
    result = s5eval("ablate", *SYSTEM, "--data", staged_set, "--set", "system.broken=true", "--out", out)
    assert result.code == 4
    assert "no row could be run" in result.out
    assert all(row["error"] for row in table(out)["rows"])
    assert table(out)["bounds"] == []


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


def test_a_folder_with_rows_of_another_grid_is_refused(staged_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "ablation"
    call = ("ablate", *SYSTEM, "--data", staged_set, "--axes", "stages", "--out", out)
    assert s5eval(*call).code == 0
    other = s5eval(*call, "--limit", "3")
    assert other.code == 2
    assert "choose another --out" in other.err


def test_one_digest_stands_for_all_rows_or_for_none(whole: Ablation) -> None:
    assert whole.weights == ("untrained",) and {row.weights for row in whole.rows} == {"untrained"}
    first, *others = whole.rows
    mixed = replace(whole, rows=(replace(first, weights="sha256:aa"), *others))
    assert mixed.as_dict()["weights"] is None and whole.as_dict()["weights"] == "untrained"
    assert mixed.as_dict()["rows"][0]["weights"] == "sha256:aa"
    for shown in (ablation_table(mixed), ablation_markdown(mixed), ablation_latex(mixed)):
        assert "weights: of 2 kinds" in shown and "untrained" not in shown and "sha256" not in shown
    lines = list(csv.DictReader(ablation_csv(mixed).splitlines()))
    assert [line["weights"] for line in lines if line["kind"] == "row"][:2] == ["sha256:aa", "untrained"]
    assert {line["weights"] for line in lines if line["kind"] == "bound"} == {""}


def test_marks_tell_what_a_switch_could_not_do(whole: Ablation) -> None:
    rows = {row.name: row for row in whole.rows}
    assert rows["2 stages"].marks == (RANDOM,)
    assert rows["2 stages + AF-Whisper"].marks == ("without encoder of AF-Whisper", RANDOM)
    tuned = rows["3 stages + tuned decision"]
    assert any("no tuned decision" in mark for mark in tuned.marks)
    assert tuned.metrics == rows["3 stages"].metrics
    assert list(whole.notes.values()) == ["a", "b", "c"]
    many = tuple(replace(rows["3 stages"], marks=(f"differences over {n} mixtures",)) for n in range(28))
    letters = list(replace(whole, rows=many).notes.values())
    assert letters[:28:9] == ["a", "j", "s", "ab"], "a large grid has more marks than there are letters"


def test_random_weights_are_told_beside_the_numbers_in_every_file(whole: Ablation, tmp_path: Path) -> None:
    write_ablation(whole, tmp_path)
    assert all("RANDOM WEIGHTS" in (tmp_path / f"table.{kind}").read_text() for kind in ("json", "md", "csv", "tex"))
    assert RANDOM in ablation_table(whole)
    with paper_style():
        assert "RANDOM WEIGHTS" in ablation_figure(whole).get_suptitle()


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


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Ablation:
    """The default grid on a small set that says it is the official split, all of it."""
    root = tmp_path_factory.mktemp("whole")
    rng = np.random.default_rng(0)
    for file in ("oracle_target/m_0_0_Speech", "oracle_target/m_2_0_Cough", "oracle_target/m_2_1_Pour"):
        (root / "oracle_target").mkdir(exist_ok=True)
        soundfile.write(root / f"{file}.wav", 0.1 * rng.normal(size=3200), 32000, subtype="FLOAT")
    for id_ in ("m_0", "m_1", "m_2"):
        (root / "soundscape").mkdir(exist_ok=True)
        soundfile.write(root / "soundscape" / f"{id_}.wav", 0.2 * rng.normal(size=(3200, 4)), 32000, subtype="FLOAT")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("S5EVAL_CACHE", str(root / "cache"))
        patch.syspath_prepend(str(Path(__file__).parents[2] / "support"))
        result = run_grid(
            load_grid(base={"system.encoder": False}), RunConfig(system="staged:build", data=root), root / "o"
        )
    return replace(
        result, about=replace(result.about, dataset="dcase2026", split="dev-test", n_expected=1512, n_split=1512)
    )


def test_published_results_stand_beside_ours_on_the_official_split_only(whole: Ablation, tmp_path: Path) -> None:
    assert published_rows(replace(whole.about, split="valid")) == []
    assert [row["capi_sdri"] for row in published_rows(whole.about)] == [11.05, 14.43, 15.51, 8.489, 8.171]
    assert "*published* 1 stage" in ablation_markdown(whole)
    assert "published: 1 stage" in ablation_table(whole)
    write_ablation(whole, tmp_path)
    assert len(table(tmp_path)["published"]) == 5


@pytest.mark.parametrize("n_split", [1512, 24])
def test_beside_a_part_of_the_official_split_nothing_published_stands(whole: Ablation, n_split: int) -> None:
    """Published results are means over all 1,512 mixtures; a folder that lacks some of them holds a part as well."""
    part = replace(whole, about=replace(whole.about, n_expected=24, n_split=n_split))
    assert published_rows(part.about) == []
    assert "published" not in ablation_table(part) and "*published*" not in ablation_markdown(part)
    rows = list(csv.DictReader(io.StringIO(ablation_csv(part))))
    assert all(("PARTIAL: 24 of the split's 1512" in row["marks"]) == (n_split == 1512) for row in rows)


def test_the_latex_is_whole(whole: Ablation) -> None:
    text = ablation_latex(whole)
    assert text.isascii()
    assert re.findall(r"\\(?:top|mid|bottom)rule", text) == [r"\toprule", *[r"\midrule"] * 3, r"\bottomrule"]
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert {line.replace(r"\&", "").count("&") for line in rows} == {4}
    assert sum(line.startswith(("1 stage", "2 stages", "3 stages")) for line in rows) == 10 + 3
    assert text.count("{") == text.count("}")
    assert text.count(r"\begin{") == text.count(r"\end{") == 2
    assert text.replace(r"\$", "").count("$") % 2 == 0


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_latex_compiles_and_fits_a_two_column_page(whole: Ablation, tmp_path: Path) -> None:
    (tmp_path / "table.tex").write_text(ablation_latex(whole))
    (tmp_path / "page.tex").write_text(
        "\\documentclass[twocolumn]{article}\\usepackage{booktabs}\n"
        "\\setlength{\\textwidth}{505pt}\\setlength{\\oddsidemargin}{0pt}\n"
        "\\begin{document}\\input{table.tex}\\end{document}\n"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a_b & 5 %", r"a\_b \& 5 \%"), ("{x}\\", r"\{x\}\textbackslash{}"), ("Δ − –", r"$\Delta$ $-$ --"), ("日", "?")],
)
def test_latex_escapes(text: str, expected: str) -> None:
    assert escape(text) == expected


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


def test_a_narrow_terminal_cuts_neither_names_of_rows_nor_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("capi_sdri", "mixture_accuracy", "source_accuracy", "capi_sdri_zero_floor")
    metrics = {name: MetricValue(60.0, 20.0, 100.0, 10, 10) for name in names}
    rows = [AblationRow(f"{k} stages + AF-Whisper", {}, None, metrics, dict.fromkeys(names, Delta())) for k in range(2)]
    monkeypatch.setenv("COLUMNS", "80")
    text = ablation_table(Ablation(None, rows[0].name, tuple(rows), ()))
    assert "\n0 stages + AF-Whisper\n" in text
    assert text.count("[20.00, 100.00]") == 6
