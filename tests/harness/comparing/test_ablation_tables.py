"""Tables of an ablation: marks and published results beside its numbers, in every format and any width."""

import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

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

HEADLINES = ("capi_sdri", "mixture_accuracy", "source_accuracy")
RANDOM = "RANDOM WEIGHTS: the numbers say nothing about the system"


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


def test_a_setting_in_which_rows_differ_stands_in_no_caption(whole: Ablation) -> None:
    """However a grid has written it: by a dotted key, or as a mapping that holds it."""
    about = replace(whole.about, set=("system.clue.dimension=96",)) if whole.about else None
    for differing in ({"system.clue": {"dimension": 192}}, {"system.clue.dimension": 192}):
        same = {"system.clue": {"dimension": 96}}
        rows = tuple(replace(row, assignments=same) for row in whole.rows)
        assert "dimension=96" in ablation_table(replace(whole, about=about, rows=rows))
        mixed = (replace(rows[0], assignments=differing), *rows[1:])
        assert "dimension" not in ablation_table(replace(whole, about=about, rows=mixed))


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
    assert len(json.loads((tmp_path / "table.json").read_text())["published"]) == 5


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
    [
        ("a_b & 5 %", r"a\_b \& 5 \%"),
        ("{x}\\", r"\{x\}\textbackslash{}"),
        ("Δ − –", r"$\Delta$ $-$ --"),
        ("日", "?"),
        ("a<b>|c", r"a\textless{}b\textgreater{}\textbar{}c"),
        ("m_1, … and 25 more", r"m\_1, \dots{} and 25 more"),
    ],
)
def test_latex_escapes(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_a_narrow_terminal_cuts_neither_names_of_rows_nor_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("capi_sdri", "mixture_accuracy", "source_accuracy", "capi_sdri_zero_floor")
    metrics = {name: MetricValue(60.0, 20.0, 100.0, 10, 10) for name in names}
    rows = [AblationRow(f"{k} stages + AF-Whisper", {}, None, metrics, dict.fromkeys(names, Delta())) for k in range(2)]
    monkeypatch.setenv("COLUMNS", "80")
    text = ablation_table(Ablation(None, rows[0].name, tuple(rows), ()))
    assert "\n0 stages + AF-Whisper\n" in text
    assert text.count("[20.00, 100.00]") == 6


def test_the_csv_has_the_verdict_on_every_difference(whole: Ablation) -> None:
    """As that of a ranking has: no interval stands alone where too few mixtures changed."""
    first, second, *rest = whole.rows
    few = replace(second.delta["capi_sdri"], significant=False, withheld=True)
    ablation = replace(whole, rows=(first, replace(second, delta={**second.delta, "capi_sdri": few}), *rest))
    header, *lines = csv.reader(ablation_csv(ablation).splitlines())
    assert {len(line) for line in lines} == {len(header)}
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    for row, told in zip(ablation.rows, rows, strict=False):
        for metric, delta in row.delta.items():
            found = told[f"delta_{metric}_significant"], told[f"delta_{metric}_withheld"]
            assert found == (str(delta.significant), str(delta.withheld)), (row.name, metric)
    assert rows[1]["delta_capi_sdri_withheld"] == "True"
