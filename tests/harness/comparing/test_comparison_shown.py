"""A comparison of thirteen mixtures that can be reckoned by hand: what its table, its figure and its HTML say of it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_run import write_run

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.comparing.comparison_figure import comparison_figure
from s5eval.harness.comparing.comparison_html import comparison_html
from s5eval.harness.comparing.comparison_table import comparison_table
from s5eval.harness.comparing.pair_of_runs import PairOfRuns, compare_runs
from s5eval.harness.record.tables import PairTable
from s5eval.harness.report.palette import LIGHT
from s5eval.harness.report.paper import paper_style
from s5eval.metrics.sdr import PairScores


def table(level: float, label: str, *, reference: bool = True) -> PairTable:
    """One candidate at `level` dB; the reference, if there is one, is a cough at 0 dB in the mixture."""
    r = int(reference)
    pairs = PairScores(np.full((1, r), level), np.zeros(r), np.zeros(r), np.eye(1), np.ones(1), np.ones(r))
    silence = np.array([0.9 if label == "nothing" else 0.1])
    scores = np.eye(len(CLASSES))[[CLASSES.index("Cough" if label == "nothing" else label)]]
    return PairTable(pairs, scores, silence, None, ("Cough",) * r)


def tables(levels: Sequence[float], labels: Sequence[str], silent: Sequence[str]) -> list[PairTable]:
    heard = [table(level, label) for level, label in zip(levels, labels, strict=True)]
    return heard + [table(0.0, label, reference=False) for label in silent]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The second is better on eight of eleven coughs, worse on two, and hears a cough in one of two silent scenes."""
    home = tmp_path_factory.mktemp("runs")
    right = ["Cough"] * 11
    first = tables([4.0] * 11, [*right[:10], "Pour"], ["nothing", "nothing"])
    levels = [*(5.0 + 0.1 * k for k in range(7)), 1.0, 4.0, 4.0, 4.0]
    second = tables(levels, [*right[:8], "Pour", *right[:2]], ["Cough", "nothing"])
    for name, made in (("first", first), ("second", second)):
        write_run(home / name, made, about={"name": name})
    return home / "first", home / "second"


@pytest.fixture(scope="module")
def compared(runs: tuple[Path, Path]) -> PairOfRuns:
    return compare_runs(*runs)


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def row(text: str, title: str) -> list[str]:
    (found,) = (cells(line)[1:] for line in text.splitlines() if line.startswith(f"{title}  "))
    return found


def test_the_table_has_each_value_in_its_column_and_each_change_on_its_side(compared: PairOfRuns) -> None:
    text = comparison_table(compared)
    first, second, delta, counts, p = row(text, "CAPI-SDRi dB")
    assert (first, second, counts, p) == ("3.636", "3.842", "8 / 2 / 1", "0.109")
    assert delta.startswith("+0.205 [") and not delta.endswith("*")
    assert row(text, "mixture acc. %")[:2] == ["92.308", "84.615"]
    assert "13 mixtures compared\nlabels exact only in B: 1: m_0010\n" in text
    assert "labels exact only in A: 2: m_0008, m_0011\n" in text
    gains = ", ".join(["m_0010 +4.00", *(f"m_{k:04d} +1.{k}0" for k in range(6, -1, -1))])
    assert f"largest gains, dB: {gains}\nlargest losses, dB: m_0008 -4.00, m_0007 -3.00" in text


def test_losses_are_those_of_each_run_and_their_difference_carries_its_sign(compared: PairOfRuns) -> None:
    text = comparison_table(compared)
    assert row(text, "lost to false alarms (estimates that belong to no reference)") == ["0.000", "0.349", "+0.349"]
    assert row(text, "lost to misses (separated, and dropped by the decision)") == ["0.000", "0.000", "0.000"]
    first, second, delta = row(text, "bound: the same waveforms with right labels and decisions")
    assert (first, second, delta) == ("4.000", "4.555", "+0.555")
    assert "no candidate answers" not in text


def test_a_difference_turns_with_the_order_of_the_runs(runs: tuple[Path, Path]) -> None:
    text = comparison_table(compare_runs(runs[1], runs[0]))
    first, second, delta, counts, _ = row(text, "CAPI-SDRi dB")
    assert (first, second, delta.partition(" ")[0], counts) == ("3.842", "3.636", "-0.205", "2 / 8 / 1")
    assert row(text, "lost to false alarms (estimates that belong to no reference)")[2] == "-0.349"


def test_a_star_and_a_small_p_are_for_what_is_certain(runs: tuple[Path, Path], tmp_path: Path) -> None:
    better = tables([9.0 + 0.1 * k for k in range(11)], ["Cough"] * 11, ["nothing", "nothing"])
    write_run(tmp_path / "better", better)
    text = comparison_table(compare_runs(runs[0], tmp_path / "better"))
    _, _, delta, counts, p = row(text, "CAPI-SDRi dB")
    assert (counts, p, delta.endswith("] *")) == ("11 / 0 / 0", "< 0.001", True)


def test_five_mixtures_get_no_star_and_the_reason_why(tmp_path: Path) -> None:
    for name, level in (("first", 4.0), ("second", 9.0)):
        write_run(tmp_path / name, tables([level + 0.1 * k for k in range(5)], ["Cough"] * 5, []))
    few = compare_runs(tmp_path / "first", tmp_path / "second")
    assert row(comparison_table(few), "CAPI-SDRi dB")[2:4] == ["+5.000", "5 / 0 / 0"]
    for text in (comparison_table(few), comparison_html(few)):
        assert "no star where fewer than 6 mixtures changed" in text
    with paper_style():
        axes: Any = comparison_figure(few).axes[0]
    (legend,) = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == "interval holds 0, or fewer than 6 changed"


def test_the_html_has_the_values_and_what_flipped(compared: PairOfRuns) -> None:
    html = comparison_html(compared)
    value = re.search(r"<tr[^>]*><td>CAPI-SDRi dB</td><td>([^<]*)</td><td>([^<]*)</td><td>([^<]*)</td>", html)
    assert value is not None
    assert (value[1], value[2], value[3][:8]) == ("3.636", "3.842", "+0.205 [")
    assert "labels exact only in B: 1, only in A: 2" in html
    assert html.index("A: ") < html.index("first (first)") < html.index("B: ") < html.index("second (second)")
    assert "interval excludes 0" in html and "no star where" not in html, "which none of these metrics lacks"


def test_the_figure_counts_each_mixture_once(compared: PairOfRuns) -> None:
    with paper_style():
        axes_of: Any = comparison_figure(compared).axes
    left, right = axes_of
    assert right.get_xlabel() == ("mixtures that changed:\n2 worse, 8 better; 2 as before;\n1 defined in one run alone")
    (mean,) = right.get_legend().get_texts()
    assert mean.get_text() == "B − A +0.21 dB"
    (lines,) = right.collections
    assert len(lines.get_segments()) == 10
    ends = [float(segment[1][1]) for segment in lines.get_segments()]
    assert ends == pytest.approx([change for _, change in compared.changes])
    assert ends[:2] == pytest.approx([-4.0, -3.0])
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names[0] == "all mixtures" and "targets: 1" in names and "Cough" in names


def test_the_figure_has_what_excludes_0_in_blue(runs: tuple[Path, Path], tmp_path: Path) -> None:
    write_run(tmp_path / "better", tables([9.0 + 0.1 * k for k in range(11)], ["Cough"] * 11, ["nothing"] * 2))
    for other, label, colour in (
        (tmp_path / "better", "interval excludes 0", LIGHT["s1"]),
        (runs[1], "interval holds 0", LIGHT["s4"]),
    ):
        compared = compare_runs(runs[0], other)
        with paper_style():
            figure: Any = comparison_figure(compared)
        (bars,), (told,) = figure.axes[0].get_legend_handles_labels()
        assert (told, bars.lines[0].get_color()) == (label, colour)
        found = compared.differences["metrics", "capi_sdri"]
        low, high = bars.lines[2][0].get_segments()[0][:, 0]
        assert (low, high) == pytest.approx((found.ci_low, found.ci_high))
        assert bars.lines[0].get_xdata()[0] == pytest.approx(found.delta)
    assert figure.get_suptitle().startswith("A: first") and "\nB: second" in figure.get_suptitle()
