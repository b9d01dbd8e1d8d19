"""The charts of a run hold what its summary holds, and each mark leads to the mixtures behind it."""

import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from svg_boxes import SVG, assert_readable, parsed

from s5eval.harness.record.run_record import About
from s5eval.harness.record.tables import MixtureScore, Outcome, PairTable
from s5eval.harness.report import charted
from s5eval.harness.report.charts.confusion import FALSE_ALARM, MISSED
from s5eval.harness.scoring.decomposition import decompose_run
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.harness.scoring.summary import summarize
from s5eval.metrics.decompose import Decomposition, Loss
from s5eval.systems.decision import Decision, Selection

Tables = Callable[..., list[PairTable]]


def link(**where: str) -> str:
    return "#" + "&".join(f"{key}={value}" for key, value in where.items())


@pytest.fixture(scope="module")
def scores(make_tables: Tables) -> list[MixtureScore]:
    decision = Decision({"default": 0.5})
    return [score_candidates(f"m_{k}", t, decision) for k, t in enumerate(make_tables(120, 5))]


def test_rows_of_the_matrix_sum_to_references_and_columns_to_estimates(scores: list[MixtureScore]) -> None:
    counts, decibels = charted.confusion_cells(scores)
    references = Counter(label for score in scores for label in score.reference_labels or ())
    estimates = Counter(e.label for score in scores for e in score.estimates)
    for label, n in references.items():
        assert sum(count for (row, _), count in counts.items() if row == label) == n
    for label, n in estimates.items():
        assert sum(count for (_, column), count in counts.items() if column == label) == n
    parts = decompose_run(scores)
    assert parts is not None
    terms = parts.terms
    of = {"confusion": 0.0, "false_alarm": 0.0, "missed": 0.0}
    for (row, column), loss in decibels.items():
        of["false_alarm" if row == FALSE_ALARM else "missed" if column == MISSED else "confusion"] += loss
    assert of["confusion"] == pytest.approx(terms["confusion"])
    assert of["false_alarm"] == pytest.approx(terms["false_alarm"])
    assert of["missed"] == pytest.approx(terms["miss"] + terms["repeated_class"])


def test_the_cells_of_one_mixture_are_what_happened_in_it() -> None:
    losses = (Loss("confusion", "Cough", "Speech", 1.0), Loss("miss", "Pour", None, 0.5))
    score = MixtureScore(
        "m",
        Outcome("scored"),
        ("Cough", "Cough", "Pour"),
        tuple(Selection(k, label, 0.9) for k, label in enumerate(("Cough", "Speech", "Typing"))),
        decomposition=Decomposition(1.0, 2.5, 1.0, 1.0, 1.0, losses),
    )
    assert charted.cells_of(score) == {
        ("Cough", "Cough"): 1, ("Cough", "Speech"): 1, ("Pour", MISSED): 1, (FALSE_ALARM, "Typing"): 1
    }  # fmt: skip


def test_every_chart_of_a_run_is_readable_and_leads_to_its_mixtures(scores: list[MixtureScore]) -> None:
    about = About(system="made-up", weights="none", dataset="made-up", split="valid")
    summary = summarize(scores, n_expected=120, finished=True, about=about)
    mean = summary.metrics["capi_sdri"].value
    assert summary.decomposition is not None
    charts = {
        "loss=": charted.waterfall_of(summary.decomposition, link),
        "reference=": charted.confusions_of(scores, link),
        "label=": charted.classes_of(summary.slices["class"], lambda label: 0.5, link),
        "targets=": charted.by_condition_of(summary.slices, link),
        "low=": charted.scores_of(scores, mean, link),
        "mixture=": charted.by_snr_of(scores, link),
    }
    for key, svg in charts.items():
        assert_readable(svg)
        links = [node.get("href", "") for node in parsed(svg).iter(f"{SVG}a")]
        assert [found for found in links if found.startswith(f"#{key}")], key
    assert f"mean {mean:.2f}" in charts["low="]
    assert f"{summary.decomposition.value:.3f}" in charts["loss="]


def test_means_over_ranges_of_snr_are_those_of_the_sources_in_them(scores: list[MixtureScore]) -> None:
    pairs = [(p.sdr_mixture, p.sdri) for score in scores for p in charted.pairs_of(score)]
    bins = charted.snr_bins(scores)
    assert sum(entry.n for entry in bins) <= len(pairs)
    for entry in bins:
        inside = [sdri for snr, sdri in pairs if entry.low <= snr < entry.high]
        assert len(inside) == entry.n >= 3
        assert entry.mean == pytest.approx(np.mean(inside))
        assert entry.ci_low is not None
        assert entry.ci_low <= entry.mean <= (entry.ci_high or np.inf)
    assert charted.snr_bins([]) == []


def test_a_run_without_a_pair_has_charts_all_the_same() -> None:
    empty = [MixtureScore("m", Outcome("scored"), reference_labels=())]
    for svg in (charted.by_snr_of(empty), charted.scores_of(empty, None), charted.confusions_of(empty)):
        assert_readable(svg)
    assert re.search("1 undefined", charted.scores_of(empty, None))
