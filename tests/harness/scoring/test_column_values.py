"""What a summary says of five mixtures whose values can be reckoned by hand: metrics, bounds, slices and counts."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.run_record import About
from s5eval.harness.record.run_summary import MetricValue, Summary
from s5eval.harness.record.tables import Flag, MixtureScore, Outcome, PairTable
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.harness.scoring.summary import summarize
from s5eval.metrics.sdr import PairScores
from s5eval.systems.decision import KEEP_ALL

ABOUT = About(system="made-up", weights="none", dataset="made-up", split="valid", n_split=5)


def scored(
    name: str, references: list[str], estimates: list[str], sdr: list[list[float]] | None = None
) -> MixtureScore:
    """Every reference is at -2 dB in the mixture, and at 1 dB in the mixture as it is best scaled."""
    n, r = len(estimates), len(references)
    matrix = np.array(sdr or np.zeros((n, r)), float).reshape(n, r)
    pairs = PairScores(matrix, np.full(r, -2.0), np.full(r, 1.0), np.eye(n), np.ones(n), np.ones(r))
    scores = np.eye(len(CLASSES))[[CLASSES.index(label) for label in estimates]].reshape(n, len(CLASSES))
    table = PairTable(pairs, scores, np.full(n, 0.1), None, tuple(references))
    return score_candidates(name, table, KEEP_ALL)


SCORES = [
    scored("m_0", ["Cough", "Pour"], ["Cough", "Speech"], [[6.0, -9.0], [-9.0, -9.0]]),  # 8 dB of three entries
    scored("m_1", ["Cough", "Cough"], ["Cough"], [[4.0, 0.0]]),  # 6 dB of two
    scored("m_2", [], []),
    scored("m_3", ["Pour"], ["Pour", "Pour"], [[5.0], [1.0]]),  # 7 dB of two
    scored("m_4", [], ["Speech"]),  # 0 dB
]


def summarised(scores: list[MixtureScore] = SCORES, **facts: Any) -> Summary:
    return summarize(scores, **{"n_expected": 5, "finished": True, "about": ABOUT, **facts})


def told(values: Any) -> dict[str, tuple[float | None, int, int]]:
    """Value, members and those that define it, of every metric."""
    return {name: (value.value, value.n, value.n_defined) for name, value in values.items()}


def near(**values: tuple[float | None, int, int]) -> dict[str, Any]:
    return {name: (None if v is None else pytest.approx(v), n, defined) for name, (v, n, defined) in values.items()}


def test_the_metrics_of_all_mixtures() -> None:
    found = summarised().metrics
    assert told(found) == near(
        capi_sdri=((8 / 3 + 3 + 3.5 + 0) / 4, 5, 4),
        mixture_accuracy=(100 / 5, 5, 5),
        source_accuracy=(100 * 3 / 8, 5, 4),
        capi_sdri_zero_floor=((2 / 3 + 1 + 1 + 0) / 4, 5, 4),
        capi_sdri_gain_floor=((1 + 1.5 + 1.5 + 0) / 4, 5, 4),
        ca_sdri=((8 / 3 + 6 + 7 + 0) / 4, 5, 4),
    )
    for value in found.values():
        assert value.ci_low is not None and value.ci_high is not None and value.value is not None
        assert value.ci_low <= value.value <= value.ci_high, "in one unit, which is percent of accuracies"


def test_a_class_is_judged_by_its_own_entries_and_labels() -> None:
    by_class = summarised().slices["class"]
    assert list(by_class) == ["Cough", "Pour", "Speech"]
    assert told(by_class["Cough"]) == near(sdri=(14 / 3, 2, 2), precision=(100.0, 2, 2), recall=(100 * 2 / 3, 2, 2))
    assert told(by_class["Pour"]) == near(sdri=(7 / 3, 2, 2), precision=(50.0, 2, 1), recall=(50.0, 2, 2))
    assert told(by_class["Speech"]) == near(sdri=(0.0, 2, 2), precision=(0.0, 2, 2), recall=(None, 2, 0))


def test_slices_are_of_the_mixtures_that_they_name() -> None:
    slices = summarised().slices
    by_count = {count: told(values)["capi_sdri"] for count, values in slices["targets"].items()}
    assert by_count == near(**{"0": (0.0, 2, 1), "1": (3.5, 1, 1), "2": ((8 / 3 + 3) / 2, 2, 2)})
    repeated = {name: told(values)["capi_sdri"] for name, values in slices["repeated_class"].items()}
    assert repeated == near(yes=(3.0, 1, 1), no=((8 / 3 + 3.5 + 0) / 3, 4, 3))


def test_bounds_are_what_other_answers_would_earn() -> None:
    bounds: Any = summarised().bounds
    assert told(bounds["silence"]) == near(
        capi_sdri=(0.0, 5, 3), mixture_accuracy=(40.0, 5, 5), source_accuracy=(0.0, 5, 3)
    )
    perfect = float(10 * np.log10((1 + 1.1920929e-07) / 1.1920929e-07)) + 2
    for name, level in {"oracle-mixture": 0.0, "oracle-zeros": 2.0, "oracle-gain": 3.0, "oracle": perfect}.items():
        assert told(bounds[name]) == near(
            capi_sdri=(level, 5, 3), mixture_accuracy=(100.0, 5, 5), source_accuracy=(100.0, 5, 3)
        ), name


def failed(name: str) -> MixtureScore:
    return MixtureScore(name, Outcome("failed", "off"))


def predicted(name: str) -> MixtureScore:
    estimates = SCORES[0].estimates
    return MixtureScore(name, Outcome("predicted"), estimates=estimates, flags=(Flag("clipped-samples", 7),))


def test_what_failed_is_in_no_number_and_no_run_with_it_is_complete() -> None:
    one = summarised([*SCORES[:4], failed("m_4")])
    assert (one.status, one.n_scored, one.n_predicted, one.n_failed) == ("partial", 4, 4, 1)
    assert one.failures == {"m_4": "off"} and one.metrics["mixture_accuracy"].n == 4
    assert (one.without_metadata, one.n_estimates) == (4, 5), "of those that were scored, and answered"
    none = summarised([failed(f"m_{k}") for k in range(5)])
    assert (none.status, none.undefined_reason) == ("failed", "every mixture failed")
    for unfinished in (summarised(SCORES[:4]), summarised(finished=False), summarised(n_expected=6)):
        assert unfinished.status == "partial"
    assert summarised(about=replace(ABOUT, n_split=6)).status == "partial"
    assert summarised().status == "complete"


def test_without_references_what_was_answered_is_counted_and_flagged() -> None:
    found = summarised([*(predicted(f"m_{k}") for k in range(4)), failed("m_4")])
    assert (found.n_scored, found.n_predicted, found.n_estimates) == (0, 4, 8)
    assert found.undefined_reason == "the set has no references"
    assert found.flags == {"clipped-samples": 4} and found.flagged["clipped-samples"] == ("m_0", "m_1", "m_2", "m_3")
    assert found.metrics["capi_sdri"] == MetricValue(None, None, None, 0, 0)


def test_the_score_is_undefined_only_where_no_mixture_defines_it() -> None:
    silent = [replace(SCORES[2], mixture_id=f"m_{k}") for k in range(5)]
    assert str(summarised(silent).undefined_reason).startswith("every scene is silent")
    assert summarised().undefined_reason is None
    assert summarised([]).undefined_reason == "no mixture has been evaluated"
