"""Figures for a paper: no label on another, fonts embedded, text that is text, the same bytes every time."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch
from xml.etree import ElementTree

import numpy as np
import pytest
from made_up_run import write_run
from PIL import Image
from sealed_files import edit_record

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.comparing.ablation import Ablation, AblationRow
from s5eval.harness.comparing.ablation_figure import ablation_figure
from s5eval.harness.comparing.comparison_figure import comparison_figure
from s5eval.harness.comparing.pair_of_runs import compare_runs
from s5eval.harness.record.reading import read_scores
from s5eval.harness.record.run_record import Facts
from s5eval.harness.record.run_summary import MetricValue
from s5eval.harness.record.tables import PairTable
from s5eval.harness.report.figure_title import figure_title
from s5eval.harness.report.figures import confusions_figure, run_figures
from s5eval.harness.report.palette import LIGHT
from s5eval.harness.report.paper import figure_target, paper_style
from s5eval.harness.tuning.threshold_curves import tuning_curves, tuning_figure, write_tuning_figure
from s5eval.harness.tuning.tune import tune_runs

Tables = Callable[..., list[PairTable]]
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, make_tables: Tables) -> tuple[Path, Path]:
    """The same mixtures, decided by two thresholds."""
    home = tmp_path_factory.mktemp("figures")
    tables = make_tables(100, 3)
    for name, threshold in (("first", 0.5), ("second", 0.8)):
        write_run(home / name, tables, threshold=threshold, with_tables=True, about={"name": name})
    return home / "first", home / "second"


def assert_nothing_collides(figure: Any) -> None:
    """Every text stands within the figure, and on no other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    drawn: list[Text] = []  # ticks beyond the axes exist, and are not drawn
    with patch.object(Text, "draw", autospec=True, side_effect=lambda text, _: drawn.append(text)):
        figure.draw(renderer)
    shown = [text for text in drawn if text.get_text().strip() and text.get_visible()]
    boxes = [(text.get_text(), text.get_rotation(), text.get_window_extent(renderer)) for text in shown]
    width, height = canvas.get_width_height()
    upright = [(said, box) for said, turned, box in boxes if turned in (0.0, 90.0)]
    assert len(upright) > 5
    for said, _, box in boxes:
        assert box.x0 >= -1 and box.x1 <= width + 1, (said, box, width)
        assert box.y0 >= -1 and box.y1 <= height + 1, (said, box, height)
    for k, (said, box) in enumerate(upright):
        for other, theirs in upright[:k]:
            assert not box.shrunk(0.96, 0.9).overlaps(theirs), (said, other)
    turned = [text for text in shown if text.get_rotation() == 50.0]
    anchors = sorted(text.get_window_extent(renderer).x0 for text in turned)
    type_height = 7 * figure.dpi / 72
    assert all(np.diff(anchors) * np.sin(np.radians(50)) > type_height)


def test_no_label_of_a_run_s_figures_stands_on_another(runs: tuple[Path, Path]) -> None:
    with paper_style():
        figures = run_figures(runs[0])
        assert set(figures) == {"decomposition", "sources", "classes", "confusions"}
        for draw in figures.values():
            assert_nothing_collides(draw())


def test_a_matrix_of_few_classes_says_what_its_last_row_and_column_are(runs: tuple[Path, Path]) -> None:
    """Of few classes the figure is narrow: words that a wide one has room for are cut at its edge."""
    scored = [score for score in read_scores(runs[0]).values() if score.status == "scored"]
    few = [score for score in scored if len(score.reference_labels) == 1][:4]
    with paper_style():
        figure = confusions_figure(few)
        assert_nothing_collides(figure)
    (axes,) = figure.axes
    rows, columns = ([label.get_text() for label in side] for side in (axes.get_yticklabels(), axes.get_xticklabels()))
    assert (rows[-1], columns[-1]) == ("false alarm", "missed")
    assert "false alarm: those without a reference" in axes.get_xlabel(), "a row of estimates"
    assert "missed: those without an estimate" in axes.get_ylabel(), "a column of references"


LONG = {
    "name": "ours, after a night of training and with a name that tells of it",
    "system": "multistage",
    "set": ("system.weights=/a/folder/far/away/and/of/many/parts/that/no/line/has/any/room/for/however/wide/it/is.pt",),
    "dataset": "folder",
    "split": "folder",
    "n_split": 400,
    "decided_by": "file thresholds.yaml (thresholds tuned on mini/valid, for other weights, partial: 12 of 24), " * 3,
    "missing_parts": ("af_whisper",),
}


def test_a_figure_tells_what_it_is_of_and_no_word_is_cut(tmp_path: Path, make_tables: Tables) -> None:
    """It goes into a paper or onto a slide alone: its title is all that it takes with it."""
    for k in range(2):
        write_run(tmp_path / f"run{k}", make_tables(30, 3), about=LONG, with_tables=True)
    compared = compare_runs(tmp_path / "run0", tmp_path / "run1")
    result = tune_runs(tmp_path / "run0", out=tmp_path / "t.yaml", folds=2)
    result = replace(result, gain={"value": -0.4, "ci_low": -0.9, "ci_high": 0.1})
    with paper_style():
        figures = {name: draw() for name, draw in run_figures(tmp_path / "run0").items()}
        figures["compared"] = comparison_figure(compared)
        written = patch("s5eval.harness.tuning.threshold_curves.save_figure", side_effect=lambda figure, *_: [figure])
        with written:
            (figures["tuned"],) = write_tuning_figure([tmp_path / "run0"], result, tmp_path / "f.svg")
        for name, figure in figures.items():
            said = figure.get_suptitle().replace("\n", " ")
            for words in (
                "multistage",
                LONG["name"],
                "data: folder",
                "decision: file thresholds.yaml",
                "30 of the split's 400 mixtures",
            ):
                assert words in said, (name, words)
            assert "folder/folder" not in said
            assert re.search(r"(\n| \| )data: folder(\n| \| )", figure.get_suptitle()), "parts stay apart"
            assert "PARTIAL" in said and "WITHOUT af_whisper" in said, name
            assert LONG["set"][0] in figure.get_suptitle().replace("\n", ""), "cut between lines, not off"
            assert_nothing_collides(figure)
    tuned = figures["tuned"].get_suptitle()
    assert tuned.endswith("gain in CAPI-SDRi when cross-validated: −0.400 [−0.900, +0.100] dB")
    assert "thresholds fitted to these 30 mixtures" in tuned


def test_where_a_decision_comes_from_is_told_without_what_the_page_has_room_for() -> None:
    facts = Facts(
        system="s", weights="none", dataset="mini", split="valid", status="complete", n_expected=1,
        decided_by="expected score at temperature 0.93 tuned on mini/valid for other weights (+0.10 dB there, "
        "cross-validated), which came with the system",
    )  # fmt: skip
    told = "expected score at temperature 0.93 tuned on mini/valid for other weights"
    assert figure_title(facts) == f"s | data: mini/valid | decision: {told} | 1 mixture"
    assert figure_title(replace(facts, n_expected=3), n=2).endswith("| 2 of 3 mixtures")
    assert figure_title(replace(facts, oracle=True), folder="r").startswith("s (r) | ")


def test_no_label_of_a_comparison_stands_on_another(runs: tuple[Path, Path]) -> None:
    with paper_style():
        assert_nothing_collides(comparison_figure(compare_runs(*runs)))
        assert_nothing_collides(comparison_figure(compare_runs(runs[0], runs[0])))


def test_what_makes_two_runs_differ_is_told_above_the_figure_of_their_comparison(
    tmp_path: Path, make_tables: Tables
) -> None:
    """Of 30 mixtures the other run has 20, scored by another version: they are compared only when that is asked for."""
    for k, n in enumerate((30, 20)):
        write_run(tmp_path / f"run{k}", make_tables(30, 3)[:n], with_tables=True)
    edit_record(tmp_path / "run1" / "run.json", metric_version=0)
    compared = compare_runs(tmp_path / "run0", tmp_path / "run1", allow_different=True)
    with paper_style():
        figure = comparison_figure(compared)
    said = figure.get_suptitle().replace("\n", " ")
    assert compared.warnings and all(f"warning: {warning}" in said for warning in compared.warnings)
    assert "metric versions 1 and 0" in said
    assert all(f"{len(ids)} mixtures" in said for ids in compared.left_out.values())
    assert said.endswith(f"{compared.n} mixtures compared")
    assert_nothing_collides(figure)


def test_no_label_of_tuning_curves_stands_on_another(runs: tuple[Path, Path], tmp_path: Path) -> None:
    result = tune_runs(runs[0], out=tmp_path / "t.yaml", folds=2)
    curves = tuning_curves([runs[0]], result.decision)
    assert curves.before == pytest.approx(result.scores["untuned"]["capi_sdri"])
    assert curves.tuned == pytest.approx(result.scores["fitted"]["capi_sdri"])
    assert curves.common[50] == pytest.approx(curves.before)  # 0.5 for all
    for label, values in curves.classes.items():
        at = np.interp(result.decision.threshold(label), curves.thresholds, values)
        assert abs(at - curves.tuned) < 0.2
    with paper_style():
        assert_nothing_collides(tuning_figure(curves, result))


def test_no_label_of_an_ablation_stands_on_another(runs: tuple[Path, Path]) -> None:
    metrics = {
        name: MetricValue(5.0 + k, 4.0 + k, 6.0 + k, 10, 10)
        for k, name in enumerate(("capi_sdri", "mixture_accuracy", "source_accuracy", "capi_sdri_zero_floor"))
    }
    marks = ("WITHOUT af_whisper",)
    rows = [
        AblationRow(
            f"{k} stages, AF-Whisper, tuned decision",
            {"system.stages": k, "system.bits": 8},
            None,
            metrics,
            {},
            marks=marks,
        )
        for k in range(10)
    ]
    bounds = [AblationRow(name, {}, None, metrics, {}) for name in ("oracle-zeros", "oracle-gain")]
    with paper_style():
        assert_nothing_collides(ablation_figure(Ablation(None, rows[0].name, tuple(rows), tuple(bounds))))
        facts = Facts(
            system="multistage", weights="none", dataset="folder", split="folder", status="complete", n_expected=4,
            n_split=20, set=("system.stages=0", "system.preset=mini", "system.bits=8"),
        )  # fmt: skip
        figure = ablation_figure(Ablation(facts, rows[0].name, tuple(rows), tuple(bounds)))
        assert_nothing_collides(figure)
    told = "multistage | set: system.preset=mini, system.bits=8 | data: folder | PARTIAL: 4 of the split's 20 mixtures"
    assert figure.get_suptitle() == f"{told}\n(a) WITHOUT af_whisper"
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0].endswith("(baseline, a)") and labels[1].endswith("(a)")


def test_figures_are_written_in_every_format_with_their_fonts(
    runs: tuple[Path, Path], tmp_path: Path, s5eval: Call
) -> None:
    for folder in ("one", "two"):
        assert s5eval("report", runs[0], "--figures", tmp_path / folder).code == 0
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names == {
        f"{name}.{suffix}"
        for name in ("decomposition", "sources", "classes", "confusions")
        for suffix in ("svg", "pdf", "png")
    }
    for name in names:
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes(), name
        if name.endswith(".pdf"):
            assert b"/FontFile2" in content, "TrueType, embedded"
            assert b"/Type3" not in content
        elif name.endswith(".svg"):
            root = ElementTree.fromstring(content)
            assert list(root.iter("{http://www.w3.org/2000/svg}text")), "text stays text"
            colours = set(re.findall(rb"#[0-9a-f]{6}", content))
            known = {colour.encode() for colour in LIGHT.values()}
            assert colours <= known | {b"#ffffff", b"#000000"}, colours - known
        else:
            with Image.open(tmp_path / "one" / name) as image:
                assert image.size[0] >= 1000


@pytest.mark.parametrize("name", ["f.pdf", "f"])
def test_commands_write_the_figure_that_is_named(
    runs: tuple[Path, Path], tmp_path: Path, s5eval: Call, name: str
) -> None:
    suffixes = {Path(name).suffix} if Path(name).suffix else {".svg", ".pdf", ".png"}
    compared = s5eval("compare", *runs, "--figure", tmp_path / "compared" / name)
    assert compared.code == 0
    assert {path.suffix for path in (tmp_path / "compared").iterdir()} == suffixes
    assert "figure: " in compared.out
    tuned = s5eval("tune", runs[0], "--folds", "2", "--figure", tmp_path / "tuned" / name, "--out", tmp_path / "t.yaml")
    assert tuned.code == 0, tuned.err
    assert {path.suffix for path in (tmp_path / "tuned").iterdir()} == suffixes


def test_a_figure_of_another_kind_is_refused(runs: tuple[Path, Path], tmp_path: Path, s5eval: Call) -> None:
    result = s5eval("compare", *runs, "--figure", tmp_path / "f.jpg")
    assert result.code == 2
    assert "a figure is .svg, .pdf or .png" in result.err
    with pytest.raises(UsageError):
        figure_target(tmp_path / "f.docx")


def test_hostile_names_are_text_in_figures(tmp_path: Path, make_tables: Tables, s5eval: Call) -> None:
    name = "<script>alert(1)</script> $x^2$ \\frac{ & \x1b[31m"
    write_run(tmp_path / "run", make_tables(20, 1), about={"name": name})
    assert s5eval("report", tmp_path / "run", "--figures", tmp_path / "f").code == 0
    for path in (tmp_path / "f").glob("*.svg"):
        root = ElementTree.fromstring(path.read_bytes())
        assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
        assert any("<script>alert(1)</script> $x^2$" in (node.text or "") for node in root.iter())
