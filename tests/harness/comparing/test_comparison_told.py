"""What is said beside the numbers of a comparison: whose runs they are, what is left out, and what is not certain."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_run import write_run

from s5eval.data_manifests.common.words import counted
from s5eval.harness.comparing.comparison_html import comparison_html
from s5eval.harness.comparing.comparison_table import comparison_table
from s5eval.harness.comparing.pair_of_runs import PairOfRuns, compare_runs
from s5eval.harness.comparing.pair_words import remarks, title_of
from s5eval.harness.record.tables import PairTable
from s5eval.harness.report.text import typeset_interval
from s5eval.metrics.sdr import PairScores

Tables = Callable[..., list[PairTable]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, make_tables: Tables) -> tuple[Path, Path]:
    """Of five mixtures; the second is a part of its split, of another decision, and an oracle."""
    home = tmp_path_factory.mktemp("runs")
    write_run(home / "first", [sounding(table, 0.0) for table in make_tables(30, 4) if table.reference_labels][:5])
    about = {"name": "ours", "n_split": 9, "oracle": True, "set": ("system.depth=2",), "decided_by": "a file"}
    write_run(home / "second", [sounding(t, 5.0) for t in make_tables(30, 4) if t.reference_labels][:5], about=about)
    return home / "first", home / "second"


def sounding(table: PairTable, more: float) -> PairTable:
    """Every candidate is better by as much, and kept."""
    pairs = replace(table.pair_scores, sdr=table.pair_scores.sdr + more)
    return replace(table, pair_scores=pairs, p_silence=0 * table.p_silence)


@pytest.fixture(scope="module")
def compared(runs: tuple[Path, Path]) -> PairOfRuns:
    return compare_runs(*runs)


def test_a_run_is_named_with_every_word_that_must_not_be_missed(compared: PairOfRuns) -> None:
    part, *words = title_of(compared.second).removeprefix(f"{compared.second.path} (ours) | ").split(" | ")
    assert (part, words[0]) == ("set: system.depth=2", "weights: none")
    assert set(words[1:]) - {"PARTIAL"} == {
        "oracle: sees the references", "PARTIAL: 5 of the split's 9 mixtures", "decision: a file"
    }  # fmt: skip
    doubted = replace(compared.second, facts=replace(compared.second.facts, unverified="by nobody"))
    assert "by nobody" not in title_of(doubted), "which the warnings say"
    assert title_of(compared.first).startswith(f"{compared.first.path} (made-up) | weights: none")


def test_what_is_left_out_is_told_with_its_reason(compared: PairOfRuns) -> None:
    lacking = replace(
        compared,
        left_out={"first": ["a"], "second": ["b", "c"], "either": ["d", "e", "f"], "references": ["g"]},
        warnings=("they are not the same",),
    )
    assert remarks(lacking) == [
        "warning: they are not the same",
        "left out, not scored in the first run: 1 mixture",
        "left out, not scored in the second run: 2 mixtures",
        "left out, not scored in either: 3 mixtures",
        "left out, different references: 1 mixture",
    ]
    html = comparison_html(lacking)
    assert all(remark in html for remark in remarks(lacking))


def test_the_forest_of_a_notebook_has_the_differences_and_not_the_values(compared: PairOfRuns) -> None:
    html = comparison_html(compared)
    for group in ("targets", "class"):
        shown = [(part, d) for part, d in compared.by_group(group) if d.delta is not None]
        assert shown
        for part, d in shown:
            text = typeset_interval(d.delta, d.ci_low, d.ci_high, 2, signed=True)
            assert f"{part}: {text} B − A, dB; {counted(d.n, 'mixture')}" in html


def test_a_comparison_names_both_runs_in_their_order(compared: PairOfRuns) -> None:
    first, second = compared.first.path, compared.second.path
    assert repr(compared).startswith(f"<Comparison of {second} minus {first}, 5 mixtures: CAPI-SDRi +")
    told = compared.as_dict()
    assert (told["first"]["path"], told["second"]["path"]) == (first, second)
    assert "PARTIAL: 5 of the split's 9 mixtures" in told["second"]["marks"]


def test_a_star_that_is_withheld_is_so_for_machines_too(compared: PairOfRuns) -> None:
    found = compared.as_dict()["metrics"]
    assert found["capi_sdri_zero_floor"]["withheld"] is False, "equal in both"
    assert (found["capi_sdri"]["significant"], found["capi_sdri"]["withheld"]) == (False, True)


def test_references_that_nothing_answers_are_told_of_the_run_that_has_them(tmp_path: Path) -> None:
    def table(n: int) -> PairTable:
        pairs = PairScores(np.full((n, 1), 4.0), np.zeros(1), np.zeros(1), np.eye(n), np.ones(n), np.ones(1))
        return PairTable(pairs, np.eye(18)[:n], np.full(n, 0.1), None, ("Speech",))

    write_run(tmp_path / "whole", [table(1), table(1)])
    write_run(tmp_path / "lacking", [table(1), table(0)])
    for names, absent in ((("whole", "lacking"), "second"), (("lacking", "whole"), "first")):
        compared = compare_runs(*(tmp_path / name for name in names))
        assert compared.decomposition is not None
        row = compared.decomposition["unanswered"]
        other = {"first": "second", "second": "first"}[absent]
        assert (getattr(row, absent) or 0.0) > 30 and getattr(row, other) == 0.0
        assert "of it on references that no candidate answers" in comparison_table(compared)
