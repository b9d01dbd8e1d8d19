"""What a figure draws is what the summary says: each mark at its number, each interval where it ends."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up_run import write_run

from s5eval.harness.record.reading import read_scores, read_summary
from s5eval.harness.record.run_summary import Summary
from s5eval.harness.record.tables import MixtureScore, PairTable
from s5eval.harness.report.charted import confusion_cells, pairs_of
from s5eval.harness.report.decibels import ladder_to_bound
from s5eval.harness.report.figures import classes_figure, confusions_figure, decomposition_figure, sources_figure
from s5eval.harness.report.palette import LIGHT
from s5eval.harness.report.paper import paper_style
from s5eval.harness.report.text import typeset_number
from s5eval.metrics.decompose import Unanswered

Tables = Callable[..., list[PairTable]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_tables: Tables) -> Path:
    run = tmp_path_factory.mktemp("figures") / "run"
    write_run(run, make_tables(80, 6))
    return run


@pytest.fixture(scope="module")
def summary(run: Path) -> Summary:
    return read_summary(run)


@pytest.fixture(scope="module")
def scored(run: Path) -> list[MixtureScore]:
    return list(read_scores(run).values())


def axes_of(figure: Any) -> list[Any]:
    return list(figure.axes)


def segments(axes: Any) -> list[Any]:
    """The intervals of an axes, from end to end."""
    (bars,) = axes.containers
    return list(bars.lines[2][0].get_segments())


def test_classes(summary: Summary) -> None:
    slices = summary.slices["class"]
    with paper_style():
        left, middle, right = axes_of(classes_figure(slices, lambda label: len(label) / 100))
    names = list(slices)
    assert [label.get_text() for label in left.get_yticklabels()] == names
    known = [k for k, name in enumerate(names) if slices[name]["sdri"].value is not None]
    (bars,) = left.containers
    assert bars.lines[0].get_xdata() == pytest.approx([slices[names[k]]["sdri"].value for k in known])
    assert list(bars.lines[0].get_ydata()) == known
    for k, segment in zip(known, segments(left), strict=True):
        told = slices[names[k]]["sdri"]
        assert segment[:, 0] == pytest.approx([told.ci_low, told.ci_high])
    drawn = {line.get_label(): line for line in middle.get_lines()}
    for metric in ("precision", "recall"):
        values = [{str(key): value for key, value in slices[name].items()}[metric].value for name in names]
        assert list(drawn[metric].get_xdata()) == pytest.approx([value for value in values if value is not None])
    assert list(right.get_lines()[0].get_xdata()) == pytest.approx([len(name) / 100 for name in names])


def test_where_the_decibels_went(summary: Summary) -> None:
    parts = summary.decomposition
    assert parts is not None
    with paper_style():
        (axes,) = axes_of(decomposition_figure(parts))
    steps = ladder_to_bound(parts)
    assert [text.get_text() for text in axes.texts] == [typeset_number(step.value, 2) for step in steps]
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]
    level = 0.0
    for step, (start, end), bar in zip(steps, bars, axes.patches, strict=True):
        assert start == pytest.approx(0.0 if step.term is None else level)
        level = end
        assert end - start == pytest.approx(step.value)
        lost = LIGHT["s2"] if step.value >= 0 else LIGHT["s3"]
        assert bar.get_facecolor() == colour(LIGHT["s1"] if step.term is None else lost)
    assert level == pytest.approx(parts.bound)
    told = replace(parts, unanswered=None)
    with paper_style():
        (axes,) = axes_of(decomposition_figure(told))
    assert f"(+ separation: {typeset_number(parts.terms['separation'], 1)} dB more, to the" in axes.get_xlabel()
    with paper_style():
        (axes,) = axes_of(decomposition_figure(replace(parts, unanswered=Unanswered(2, 1.5))))
    rest = typeset_number(parts.terms["separation"] - 1.5, 1)
    assert f"(+ no candidate: 1.5 dB\n+ separation: {rest} dB more, to the" in axes.get_xlabel()


def colour(name: str) -> tuple[float, float, float, float]:
    from matplotlib.colors import to_rgba

    return to_rgba(name)


def test_sources_and_what_silence_would_earn(scored: list[MixtureScore]) -> None:
    with paper_style():
        (axes,) = axes_of(sources_figure(scored))
    points, silence = axes.get_lines()[:2]
    pairs = [pair for score in scored for pair in pairs_of(score)]
    assert list(points.get_xdata()) == pytest.approx([pair.sdr_mixture for pair in pairs])
    assert list(points.get_ydata()) == pytest.approx([pair.sdri for pair in pairs])
    assert list(silence.get_ydata()) == pytest.approx([-x for x in silence.get_xdata()])
    for segment in segments(axes):
        assert segment[0, 1] <= segment[1, 1]


def test_confusions(scored: list[MixtureScore]) -> None:
    counts, decibels = confusion_cells(scored)
    with paper_style():
        (axes,) = axes_of(confusions_figure(scored))
    rows, columns = ([label.get_text() for label in side] for side in (axes.get_yticklabels(), axes.get_xticklabels()))
    said = {
        (rows[round(t.get_position()[1])], columns[round(t.get_position()[0])], t.get_fontsize()): t.get_text()
        for t in axes.texts
    }
    for (row, column), count in counts.items():
        cost = decibels.get((row, column), 0.0)
        if count or abs(cost) > 1e-9:
            assert said[row, column, 7] == str(count)
        paid = row != column and abs(cost) > 1e-9
        assert said.get((row, column, 5)) == (typeset_number(cost, 2) if paid else None)
