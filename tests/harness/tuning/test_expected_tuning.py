"""Fitting an expected score: calibration, cross-validation, what stays of the decision, the command."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from s5eval import tune
from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.tables import PairTable
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.harness.tuning.expected_tuning import temperature, tune_expected_score
from s5eval.harness.tuning.folds import folds_of
from s5eval.harness.tuning.threshold_table import Objective
from s5eval.harness.tuning.tune import tune_tables
from s5eval.harness.tuning.tune_result import TuneResult
from s5eval.harness.tuning.tuned_table import tuning_table
from s5eval.metrics.sdr import PairScores
from s5eval.systems.decision import Decision, adapt_scores, candidate_labels
from s5eval.systems.decision_reading import load_decision
from s5eval.systems.expected_score import ExpectedScore, tempered
from s5eval.systems.provenance import BEFORE

Tables = Callable[..., list[PairTable]]
Call = Callable[..., Any]


def probable(tables: list[PairTable]) -> list[PairTable]:
    """The same with class scores that add up to one."""
    return [replace(t, class_scores=t.class_scores / t.class_scores.sum(axis=1, keepdims=True)) for t in tables]


def believed(rng: np.random.Generator, heat: float, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n, 18), own class first, that are right as often as they say at temperature `heat`."""
    true = rng.dirichlet(np.full(18, 0.3), n)
    true = np.take_along_axis(true, np.argsort(-true, axis=1), axis=1)
    right = (rng.random(n) < true[:, 0]).astype(float)
    return tempered(true, 1 / heat), right


@pytest.mark.parametrize("heat", [0.6, 1.0, 1.8])
def test_the_temperature_is_found_again(heat: float) -> None:
    assert temperature(*believed(np.random.default_rng(0), heat)) == pytest.approx(heat, rel=0.06)


def test_where_nothing_tells_it_is_one() -> None:
    scores, right = believed(np.random.default_rng(0), 2.0, 50)
    assert temperature(scores, np.ones(50)) == temperature(scores[:0], right[:0]) == 1.0


def doubtful_scenes(n: int = 300) -> list[PairTable]:
    """A sure source, and a second candidate that holds one in half of the scenes and has its class in half of these:
    its silence looks a little less likely than not, so that a threshold of 0.5 keeps it always.
    """
    rng = np.random.default_rng(2)
    tables = []
    for _ in range(n):
        real, right = rng.random() < 0.5, rng.random() < 0.5
        references = [CLASSES[0], *([CLASSES[1 if right else 2]] if real else [])]
        sdr = np.full((2, len(references)), -30.0)
        sdr[0, 0] = 8.0
        if real:
            sdr[1, 1] = 8.0
        scores = np.zeros((2, 18))
        scores[0, 0] = 1.0
        scores[1, [1, 3]] = 0.51, 0.49
        zeros = np.zeros(len(references))
        pairs = PairScores(sdr, zeros, zeros, np.eye(2), np.ones(2), np.ones(len(references)))
        tables.append(PairTable(pairs, scores, np.array([0.0, 0.49]), None, tuple(references)))
    return tables


def test_it_drops_what_costs_more_than_it_brings() -> None:
    result = tune_expected_score(doubtful_scenes(), base=Decision(), folds=3)
    assert (result.gain["ci_low"] or 0.0) > 0.2  # kept: 8 dB in a quarter of the scenes, 8/2 or 8/3 in the others
    assert result.decision.silence_thresholds == {"default": 1.0}
    assert result.classes[CLASSES[1]]["silenced"] == 300
    assert result.scores["cross_validated"]["capi_sdri"] == pytest.approx(result.scores["fitted"]["capi_sdri"])


def test_its_figures_are_those_of_scoring_with_it(make_tables: Tables) -> None:
    tables = probable(make_tables(40, 3))
    base = Decision(max_sources=2)
    result = tune_expected_score(tables, base=base, folds=4)
    for name, decision in (("untuned", base), ("fitted", result.decision)):
        scores = [score_candidates("m", table, decision) for table in tables]
        defined = [score.capi_sdri for score in scores if score.capi_sdri is not None]
        assert result.scores[name]["capi_sdri"] == pytest.approx(np.mean(defined))
        assert result.scores[name]["mixture_accuracy"] == pytest.approx(100 * np.mean([s.exact for s in scores]))
    assert result.decision.max_sources == 2
    expected = result.decision.expected_score
    assert expected is not None
    shares = [
        score.labels.tp / entries
        for table in tables
        if (score := score_candidates("m", table, result.decision)).labels is not None
        if (entries := score.labels.tp + score.labels.fp + score.labels.fn)
    ]
    assert expected.usual_share == pytest.approx(np.mean(shares), abs=0.02)


@pytest.mark.parametrize("rule", ["expected score", "thresholds"])
def test_every_part_is_judged_by_a_fit_that_has_not_seen_it(make_tables: Tables, rule: str) -> None:
    """Part by part, as by tuning on the others alone."""
    tables, base = probable(make_tables(12, 5)), Decision()

    def tuned(some: list[PairTable]) -> TuneResult:
        if rule == "thresholds":
            return tune_tables(some, base=base, objective=Objective(), folds=3, shrinkage=0.0)
        return tune_expected_score(some, base=base, folds=3)

    held_out: list[float] = []
    for fold in folds_of(12, 3, 0):
        decision = tuned([tables[k] for k in fold.fit]).decision
        values = [score_candidates("m", tables[k], decision).capi_sdri for k in fold.out]
        held_out += [value for value in values if value is not None]
    found = tuned(tables).scores
    assert found["cross_validated"]["capi_sdri"] == pytest.approx(np.mean(held_out))
    assert found["cross_validated"]["capi_sdri"] != pytest.approx(found["fitted"]["capi_sdri"])


def test_the_usual_share_is_what_mixtures_earn_by_the_decision_that_it_is_a_part_of(make_tables: Tables) -> None:
    for seed in range(4):
        tables = probable(make_tables(40, seed))
        decision = tune_expected_score(tables, base=Decision(), folds=2).decision
        counts = [score_candidates("m", table, decision).labels for table in tables]
        shares = [c.tp / (c.tp + c.fp + c.fn) for c in counts if c is not None and c.tp + c.fp + c.fn]
        assert decision.expected_score is not None
        assert decision.expected_score.usual_share == pytest.approx(np.mean(shares), abs=1e-3)


def test_priors_stay_and_are_seen(make_tables: Tables) -> None:
    tables, factors = probable(make_tables(60, 4)), {"silence": 3.0}
    adapted = []
    for table in tables:
        scores, silence = adapt_scores(table.class_scores, table.p_silence, factors)
        adapted.append(replace(table, class_scores=scores, p_silence=silence))
    with_priors = tune_expected_score(tables, base=Decision(prior_factors=factors), folds=3)
    assert with_priors.decision.prior_factors == factors
    assert with_priors.scores == tune_expected_score(adapted, base=Decision(), folds=3).scores


def test_thresholds_tuned_afterwards_leave_it_in_place(make_tables: Tables) -> None:
    base = Decision({"default": 1.0}, expected_score=ExpectedScore(0.8, 0.6))
    tuned = tune_tables(make_tables(60, 5), base=base, objective=Objective(), folds=3).decision
    assert tuned.expected_score == base.expected_score
    assert tuned.provenance is not None


def test_too_little_is_refused(make_tables: Tables) -> None:
    with pytest.raises(UsageError, match="`folds` is 11"):
        tune_expected_score(probable(make_tables(10, 6)), base=Decision(), folds=11)
    silent = [table for table in probable(make_tables(60, 4)) if not table.reference_labels]
    with pytest.raises(UsageError, match="mixtures holds a source, by its waveform"):
        tune_expected_score(silent, base=Decision(), folds=2)


def test_scores_that_are_no_probabilities_are_refused(make_tables: Tables) -> None:
    tables = probable(make_tables(20, 7))
    for scores, why in ((tables[3].class_scores - 0.5, "negative"), (2 * tables[3].class_scores, "add up to 2")):
        with pytest.raises(UsageError, match=why):
            tune_expected_score([*tables, replace(tables[3], class_scores=scores)], base=Decision(), folds=3)
    named = replace(tables[3], labels=candidate_labels(tables[3].class_scores, None))
    with pytest.raises(UsageError, match="fixed classes"):
        tune_expected_score([*tables, named], base=Decision(), folds=3)


def test_where_every_class_is_right_the_table_claims_nothing() -> None:
    sure = [table for table in doubtful_scenes(60) if len(table.reference_labels or ()) == 1]
    result = tune_expected_score(sure, base=Decision(), folds=2)
    assert "temperature of the class scores: 1.000, not fitted" in tuning_table(result)


def test_thresholds_tuned_on_top_say_so(make_tables: Tables) -> None:
    base = Decision({"default": 1.0}, expected_score=ExpectedScore(0.8, 0.6), provenance={"split": "valid"})
    result = tune_tables(make_tables(60, 5), base=base, objective=Objective(), folds=3)
    assert "on top of the expected score at temperature 0.800, which stays" in tuning_table(result)
    assert (result.decision.provenance or {})["on_top_of"] == {"split": "valid"}


def test_it_stands_on_no_decision_that_it_replaces(make_tables: Tables) -> None:
    tables = probable(make_tables(40, 11))
    tuned = {"objective": "capi_sdri", "split": "valid"}
    adapted = {"unlabelled": True, "split": "here"}

    def below(provenance: dict[str, Any] | None) -> Any:
        result = tune_expected_score(tables, base=Decision(provenance=provenance))
        return (result.decision.provenance or {}).get(BEFORE)

    assert below(None) is None
    assert below(tuned) is None
    assert below({**tuned, BEFORE: adapted}) == below({**adapted, BEFORE: tuned}) == adapted


def test_python_refuses_a_rule_that_is_none_and_options_of_the_other(staged_run: Path) -> None:
    with pytest.raises(UsageError, match="`rule` is 'expected-score', expected thresholds or expected_score"):
        tune(staged_run, rule="expected-score")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="`objective` and `shrinkage` are of thresholds"):
        tune(staged_run, rule="expected_score", objective="mixture_accuracy", shrinkage=0)


def test_priors_without_labels_go_on_top(probable_run: Path, tmp_path: Path, s5eval: Call) -> None:
    file, run = tmp_path / "expected.yaml", tmp_path / "by_score"
    assert s5eval("tune", probable_run, "--rule", "expected_score", "--folds", 2, "--out", file).code == 0
    assert s5eval("rescore", probable_run, "--decision", file, "--out", run).code == 0
    priors = tmp_path / "priors.yaml"
    assert s5eval("tune", run, "--unlabelled", "--out", priors).code == 0
    again = s5eval("rescore", run, "--decision", priors, "--out", tmp_path / "again")
    assert load_decision(priors).expected_score == load_decision(file).expected_score
    words = " ".join(again.out.split())
    assert "file priors.yaml (priors adapted on" in words and "on top of expected score at temperature" in words


def test_the_command_writes_a_decision_that_runs_take(
    probable_run: Path, staged_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    file = tmp_path / "expected.yaml"
    result = s5eval("tune", probable_run, "--rule", "expected_score", "--folds", 2, "--out", file)
    assert result.code == 0, result.err
    assert "temperature of the class scores:" in result.out and "after" not in result.out
    content = yaml.safe_load(file.read_text())
    decision = load_decision(file)
    assert decision.expected_score is not None
    assert content["silence_thresholds"] == {"default": 1.0}
    shown = s5eval(
        "run", "--system", "staged:build", "--data", staged_set, "--decision", file, "--out", tmp_path / "shown"
    )
    assert f"expected score at temperature {decision.expected_score.temperature:g} tuned on" in shown.out
    again = s5eval("rescore", probable_run, "--decision", file, "--out", tmp_path / "again", "--json")
    fitted = content["provenance"]["scores"]["fitted"]
    assert again.json["metrics"]["capi_sdri"]["value"] == pytest.approx(fitted["capi_sdri"])
    plain = s5eval(
        "run", "--system", "staged:build", "--data", staged_set, "--decision", file,
        "--set", "decision.expected_score=null", "--set", "decision.silence_thresholds.default=0.5",
        "--out", tmp_path / "plain",
    )  # fmt: skip
    assert "set by hand: expected_score=null, silence_thresholds.default=0.5" in plain.out


def test_options_of_thresholds_do_not_go_with_it(probable_run: Path, s5eval: Call) -> None:
    refused = s5eval("tune", probable_run, "--rule", "expected_score", "--shrinkage", 0)
    assert (refused.code, "--shrinkage is of thresholds" in refused.err) == (2, True)
    refused = s5eval("tune", probable_run, "--rule", "expected_score", "--unlabelled")
    assert (refused.code, "--rule does not go with --unlabelled" in refused.err) == (2, True)
