"""Four runs that lie close together, on a part of a split: their places, and the cells that show them."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from made_up_run import write_run

from s5eval.harness.comparing.ranking import Ranking, rank_runs
from s5eval.harness.comparing.ranking_files import ranking_latex, ranking_markdown
from s5eval.harness.comparing.ranking_page import ranking_page
from s5eval.harness.comparing.ranking_table import behind_text, rank_text, ranking_table
from s5eval.harness.record.tables import MixtureScore, PairTable
from s5eval.harness.report.table import interval_text
from s5eval.harness.report.text import typeset
from s5eval.harness.scoring.paired import Difference
from s5eval.metrics.ranks import rank_intervals

Tables = Callable[..., list[PairTable]]
N = 40


@pytest.fixture(scope="module")
def ranking(tmp_path_factory: pytest.TempPathFactory, make_tables: Tables) -> Ranking:
    home = tmp_path_factory.mktemp("runs")
    for threshold in (0.5, 0.4, 0.3, 0.1):
        about = {"name": f"at {threshold}", "n_split": 50, "set": ("system.depth=2",) if threshold == 0.4 else ()}
        write_run(home / str(threshold), make_tables(N, 5), threshold=threshold, about=about)
    return rank_runs(sorted(home.iterdir()))


def test_places_are_those_of_the_scores_alone_and_all_at_once(ranking: Ranking) -> None:
    table = np.array([[s.capi_sdri for s in entry.scores.values()] for entry in ranking.entries], np.float64).T
    found = rank_intervals(np.nan_to_num(table), (~np.isnan(table)).astype(float))
    for k, entry in enumerate(ranking.entries):
        place = entry.place
        assert place is not None
        assert (place.low, place.high) == (found.low[k], found.high[k])
        assert (place.low_all, place.high_all) == (found.low_all[k], found.high_all[k])
        assert place.first == pytest.approx(found.first[k])
    ends = [(e.place.low, e.place.high, e.place.low_all, e.place.high_all) for e in ranking.entries if e.place]
    assert any(low < high for low, high, _, _ in ends) and any(end[:2] != end[2:] for end in ends), (
        "what tells them apart"
    )


def test_the_interval_of_a_rank_under_a_condition_holds_it(ranking: Ranking) -> None:
    places = [place for condition in ranking.conditions for place in condition.places.values() if place.rank]
    for place in places:
        assert place.low is not None and place.high is not None and place.rank is not None
        assert place.low <= place.rank <= place.high
    assert any((place.low or 0) < (place.high or 0) for place in places)


def test_the_mixtures_of_a_class_are_the_most_that_concern_one_of_them(ranking: Ranking) -> None:
    def concerns(label: str, score: MixtureScore) -> bool:
        return label in (score.reference_labels or ()) or any(e.label == label for e in score.estimates)

    differing = 0
    for condition in ranking.conditions:
        if condition.group == "class":
            counts = [sum(concerns(condition.name, s) for s in entry.scores.values()) for entry in ranking.entries]
            assert condition.n == max(counts)
            differing += min(counts) < max(counts)
    assert differing


def test_a_part_of_a_split_is_told_in_numbers_and_words(ranking: Ranking) -> None:
    told = ranking.as_dict()
    assert (told["n"], told["n_split"]) == (N, 50)
    assert "A part of the split: 40 of 50 mixtures." in ranking_page(ranking)
    for text in (ranking_table(ranking), ranking_markdown(ranking), ranking_latex(ranking)):
        assert "PARTIAL: 40 of the split's 50 mixtures" in text


def test_a_system_that_was_not_run_as_its_name_says_is_told_of(ranking: Ranking) -> None:
    assert ranking.warnings == ("at 0.4: set: system.depth=2",)
    assert "warning: at 0.4: set: system.depth=2" in ranking_table(ranking)
    for text in (ranking_page(ranking), ranking_markdown(ranking)):
        assert "at 0.4: set: system.depth=2" in text
    assert r"set: system.depth=2" in ranking_latex(ranking)


def test_the_terminal_has_each_cell_below_its_heading(ranking: Ranking) -> None:
    lines = [re.split(r"\s{2,}", line.strip()) for line in ranking_table(ranking).splitlines()]
    (head,) = (k for k, line in enumerate(lines) if line[0] == "rank [95 %]")
    assert lines[head][2:4] == ["behind the first dB", "behind the previous dB"]
    for line, entry in zip(lines[head + 2 :], ranking.entries, strict=False):
        metrics, place = entry.result.summary.metrics, entry.place
        assert place is not None
        behind = [behind_text(entry.difference), behind_text(entry.to_previous)] if entry.rank != 1 else []
        accuracies = [interval_text(metrics[name], 2) for name in ("mixture_accuracy", "source_accuracy")]
        counts = f"{entry.ranking_value.n} ({entry.ranking_value.n_defined})"
        value = interval_text(entry.ranking_value, 3)
        assert line == [
            f"{entry.rank} {entry.name}",
            f"[{place.low}, {place.high}]",
            value,
            *behind,
            *accuracies,
            counts,
        ]


def test_the_page_has_each_cell_below_its_heading(ranking: Ranking) -> None:
    table = re.findall(r"<table>.*?</table>", ranking_page(ranking), re.DOTALL)[0]
    heads = re.findall(r"<th(?: [^>]*)?>(.*?)</th>", table)
    rows = re.findall(r"<tr[^>]*>(<td>.*?)</tr>", table)
    for row, entry in zip(rows, ranking.entries, strict=True):
        cells = dict(zip(heads, re.findall(r"<td[^>]*>(.*?)</td>", row), strict=True))
        metrics, place = entry.result.summary.metrics, entry.place
        assert place is not None
        assert (cells["system"], cells["rank [95 %]"]) == (entry.name, rank_text(entry))
        assert cells["all at once"] == f"[{place.low_all}, {place.high_all}]"
        assert cells["CAPI-SDRi, dB"] == typeset(interval_text(entry.ranking_value, 3))
        assert cells["to the one before, dB"] == typeset(behind_text(entry.to_previous))
        for name in ("mixture", "source"):
            assert cells[f"{name} accuracy, %"] == typeset(interval_text(metrics[f"{name}_accuracy"], 2))
        assert f'width="{10 * (place.high - place.low + 1)}" height="4"' in cells["ranks that the mixtures allow"]


def test_the_latex_has_each_cell_below_its_heading(ranking: Ranking) -> None:
    lines = [line.removesuffix(r" \\").split(" & ") for line in ranking_latex(ranking).splitlines() if " & " in line]
    assert lines[0][2:] == ["CAPI-SDRi, dB", "To the one before", r"Mixture acc., \%", r"Source acc., \%"]
    for line, entry in zip(lines[1:], ranking.entries, strict=True):
        metrics = entry.result.summary.metrics
        values = [interval_text(metrics[name], 2) for name in ("mixture_accuracy", "source_accuracy")]
        assert [line[0], line[1], *line[4:]] == [rank_text(entry), entry.name, *values]
        assert line[3].replace("$-$", "-") == behind_text(entry.to_previous)


@pytest.mark.parametrize(
    ("high", "n", "shown"),
    [(-0.1, 40, "-0.412 [-0.73, -0.10] *"), (-0.1, 5, "-0.412 [-0.73, -0.10]"), (0.1, 40, "-0.412 [-0.73, 0.10]")],
)
def test_a_star_is_for_what_many_mixtures_tell_for_certain(high: float, n: int, shown: str) -> None:
    change = Difference(5.0, 4.588, -0.412, -0.73, high, better=1, worse=n - 1, ties=0, p_sign=0.1, n=n, changed=n)
    assert behind_text(change) == shown


def test_a_star_is_no_markup_in_markdown(ranking: Ranking) -> None:
    text = ranking_markdown(ranking)
    assert r"\*: the paired interval excludes 0" in text
    assert not re.search(r"(?<!\\)\*", text)
