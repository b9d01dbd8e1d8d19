"""Priors adapted without labels, where the truth is known."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sealed_files import edit_record

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.reading import read_run_record
from s5eval.harness.record.tables import PairTable
from s5eval.harness.scoring.mixture import adapted
from s5eval.harness.tuning.priors import OUTCOMES, PriorResult, expectation_maximisation, outcome_probabilities
from s5eval.harness.tuning.priors_table import priors_table
from s5eval.metrics.arrays import Array
from s5eval.systems.card import write_card
from s5eval.systems.decision import Decision, adapt_scores
from s5eval.systems.decision_reading import parse_decision, thresholds_file

Call = Callable[..., Any]
Tables = Callable[..., list[PairTable]]


def world(priors: Array, n: int, seed: int, old: Array) -> tuple[Array, np.ndarray]:
    """Outcomes drawn by `priors`, seen through noise that does not depend on them, and what a classifier that is right
    about the noise but believes in `old` says of each: probabilities (n, C), outcomes (n,)."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(priors), size=n, p=priors)
    seen = np.eye(len(priors))[truth] * 2.0 + rng.standard_normal((n, len(priors)))
    likelihood = np.exp(2.0 * seen)  # of unit-variance noise around 2 e_k, up to a factor
    joint = likelihood * old
    return joint / joint.sum(axis=1, keepdims=True), truth


def shifted(strong: int) -> Array:
    priors = np.full(len(OUTCOMES), 0.01)
    priors[strong] = priors[-1] = 0.3
    return priors / priors.sum()


OLD = np.full(len(OUTCOMES), 1 / len(OUTCOMES))


@pytest.mark.parametrize("strong", [0, 7, 15])
def test_a_known_shift_is_found_and_makes_fewer_errors(strong: int) -> None:
    new = shifted(strong)
    probabilities, truth = world(new, 3000, seed=strong, old=OLD)
    found, *_ = expectation_maximisation(probabilities, OLD, strength=30.0)
    assert np.abs(found - new).max() < 0.03
    before = np.mean(probabilities.argmax(1) == truth)
    after = np.mean((probabilities * found / OLD).argmax(1) == truth)
    best = np.mean((probabilities * new / OLD).argmax(1) == truth)
    assert after > before + 0.05 and after > best - 0.01


def test_without_a_shift_the_priors_stay_and_nothing_is_lost() -> None:
    probabilities, truth = world(OLD, 3000, seed=3, old=OLD)
    found, *_ = expectation_maximisation(probabilities, OLD)
    assert np.abs(found / OLD - 1).max() < 0.35
    before = np.mean(probabilities.argmax(1) == truth)
    assert np.mean((probabilities * found / OLD).argmax(1) == truth) > before - 0.01


def test_it_is_where_the_likelihood_is_largest() -> None:
    """The slow way: the likelihood of the candidates under the priors found is not raised by any small move."""
    new = shifted(4)
    probabilities, _ = world(new, 400, seed=9, old=OLD)
    found, *_ = expectation_maximisation(probabilities, OLD, strength=0.0)

    def likelihood(priors: Array) -> float:
        return float(np.log((probabilities / OLD * priors).sum(axis=1)).sum())

    assert found.sum() == pytest.approx(1.0)
    rng = np.random.default_rng(0)
    for _ in range(50):
        moved = np.clip(found + 0.01 * rng.standard_normal(len(found)), 1e-6, None)
        assert likelihood(moved / moved.sum()) <= likelihood(found) + 1e-3


def test_few_candidates_hold_on_to_the_old_priors() -> None:
    probabilities, _ = world(shifted(2), 10, seed=1, old=OLD)
    loose, *_ = expectation_maximisation(probabilities, OLD, strength=0.0)
    held, *_ = expectation_maximisation(probabilities, OLD, strength=1000.0)
    assert np.abs(held - OLD).max() < 0.02 < np.abs(loose - OLD).max()


def test_priors_that_did_not_settle_say_so() -> None:
    """Two candidates whose likelihood ratios are 0.9 and 1.1: the likelihood is flat where its maximum is."""
    probabilities = np.array([[1 / (1 + ratio), ratio / (1 + ratio)] for ratio in (0.9, 1.1)])
    old = np.array([0.5, 0.5])
    _, iterations, settled = expectation_maximisation(probabilities, old, strength=0.0)
    assert (iterations, settled) == (2000, False)
    assert expectation_maximisation(probabilities, old, strength=10.0)[2]
    result = PriorResult(
        Decision(prior_factors=dict.fromkeys(OUTCOMES, 1.0), provenance={"source": None}),
        *(dict.fromkeys(OUTCOMES, 1 / len(OUTCOMES)) for _ in range(2)),
        changed=0,
        n_mixtures=1,
        n_candidates=2,
        iterations=iterations,
        settled=settled,
    )
    assert "still moved" in priors_table(result)
    assert "still moved" not in priors_table(replace(result, settled=True))


def test_bayes_rule_candidate_by_candidate() -> None:
    rng = np.random.default_rng(2)
    scores = rng.dirichlet(np.ones(len(CLASSES)), 5)
    silence = rng.random(5)
    factors = {"Speech": 3.0, "silence": 0.5}
    new_scores, new_silence = adapt_scores(scores, silence, factors)
    for k in range(5):
        joint = {label: (1 - silence[k]) * scores[k, i] * factors.get(label, 1.0) for i, label in enumerate(CLASSES)}
        total = sum(joint.values()) + silence[k] * 0.5
        assert new_silence[k] == pytest.approx(silence[k] * 0.5 / total)
        assert new_scores[k] == pytest.approx(np.array(list(joint.values())) / sum(joint.values()))
    same = adapt_scores(scores, silence, {})
    assert np.allclose(same[0], scores) and np.allclose(same[1], silence)


def test_certain_candidates_stay_certain() -> None:
    scores = np.zeros((2, len(CLASSES)))
    new_scores, new_silence = adapt_scores(scores, np.array([0.0, 1.0]), {"silence": 9.0})
    assert np.array_equal(new_scores, scores) and new_silence.tolist() == [0.0, 1.0]


def test_factors_survive_a_decision_file_and_wrong_ones_are_named() -> None:
    decision = Decision(prior_factors={"Speech": 2.0, "silence": 0.5})
    assert parse_decision(decision.as_dict(), where="file") == decision
    assert "prior_factors" not in Decision().as_dict()
    for wrong, said in (({"Speach": 1.0}, "unknown class"), ({"Speech": 0}, "above 0"), ([1.0], "must map")):
        with pytest.raises(UsageError, match=said):
            parse_decision({"prior_factors": wrong}, where="file")


def test_only_probabilities_are_adapted(make_tables: Tables) -> None:
    (table,) = make_tables(1)
    with pytest.raises(UsageError, match=r"add up to [\d.]+ \(the baseline"):
        outcome_probabilities([replace(table, class_scores=table.class_scores * 3)], Path("run"))
    with pytest.raises(UsageError, match="there is a negative one, -"):
        outcome_probabilities([replace(table, class_scores=-table.class_scores)], Path("run"))
    with pytest.raises(UsageError, match="fixed classes"):
        outcome_probabilities([replace(table, labels=("Speech",) * len(table.p_silence))], Path("run"))
    with pytest.raises(UsageError, match="no candidates"):
        outcome_probabilities([], Path("run"))
    assert adapted(table, Decision()) is table


def test_the_command_writes_a_decision_that_rescoring_and_tuning_use(
    probable_run: Path, tmp_path: Path, s5eval: Call
) -> None:
    result = s5eval("tune", probable_run, "--unlabelled", "--strength", 0, "--json")
    assert result.code == 0
    content = yaml.safe_load((probable_run / "priors.yaml").read_text())
    assert set(content["prior_factors"]) == set(OUTCOMES)
    assert sum(result.json["after"].values()) == pytest.approx(1.0)
    words = ("rescore", probable_run, "--decision", probable_run / "priors.yaml", "--out", tmp_path / "again")
    assert s5eval(*words).code == 0
    tuned = s5eval("tune", tmp_path / "again", "--folds", 2, "--json")
    assert tuned.code == 0 and tuned.json["decision"]["prior_factors"] == content["prior_factors"]
    refused = s5eval("tune", tmp_path / "again", "--unlabelled")
    assert (refused.code, "adapted already" in refused.err) == (2, True)
    shown = s5eval("tune", probable_run, "--unlabelled", "--source", probable_run)
    assert shown.code == 0 and "silence" in shown.out and "before: run" in shown.out


def test_against_itself_as_source_nothing_moves(probable_run: Path, s5eval: Call) -> None:
    result = s5eval("tune", probable_run, "--unlabelled", "--source", probable_run, "--strength", 1e9, "--json")
    assert all(factor == pytest.approx(1.0, abs=1e-3) for factor in result.json["decision"]["prior_factors"].values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--unlabelled", "--folds", "3"], "--folds does not go with --unlabelled"),
        (["--strength", "3"], "--strength goes with --unlabelled"),
    ],
)
def test_options_of_the_other_kind_of_tuning_are_refused(
    words: list[str], said: str, probable_run: Path, s5eval: Call
) -> None:
    result = s5eval("tune", probable_run, *words)
    assert (result.code, said in result.err) == (2, True)


def test_marks_of_the_run_and_of_its_decision_go_on_to_the_adapted_one(
    probable_run: Path, tmp_path: Path, s5eval: Call
) -> None:
    """Thresholds that were tuned on a forbidden split stay in the decision, and so must the mark."""

    def marked(record: dict[str, Any]) -> None:
        record["decision"]["provenance"] = {"tuned_on_forbidden": True}
        record["about"]["missing_parts"] = ["an ear"]
        record["about"]["n_split"] = 40

    edit_record(probable_run / "run.json", marked)
    shown = s5eval("tune", probable_run, "--unlabelled").out
    provenance = yaml.safe_load((probable_run / "priors.yaml").read_text())["provenance"]
    assert provenance["tuned_on_forbidden"] is True
    assert provenance["missing_parts"] == ["an ear"]
    assert f"PARTIAL: {len(read_run_record(probable_run).mixtures)} of the split's 40 mixtures" == provenance["partial"]
    assert "adapted to a forbidden split" in shown and "adapted to a run without an ear" in shown
    again = s5eval("rescore", probable_run, "--decision", probable_run / "priors.yaml", "--out", tmp_path / "again")
    assert "decision tuned on a forbidden split" in again.out


def test_a_source_that_was_tuned_on_a_forbidden_split_marks_what_is_adapted_from_it(
    probable_run: Path, tmp_path: Path, s5eval: Call
) -> None:
    source = tmp_path / "source"
    assert s5eval("rescore", probable_run, "--out", source).code == 0
    edit_record(source / "run.json", lambda record: record["decision"].update(provenance={"tuned_on_forbidden": True}))
    assert s5eval("tune", probable_run, "--unlabelled", "--source", source).code == 0
    assert yaml.safe_load((probable_run / "priors.yaml").read_text())["provenance"]["tuned_on_forbidden"] is True


@pytest.mark.parametrize("partial", ["the run", "the source"])
def test_it_is_said_which_of_run_and_source_is_a_part(
    partial: str, probable_run: Path, tmp_path: Path, s5eval: Call
) -> None:
    source = probable_run.with_name("source")
    assert s5eval("rescore", probable_run, "--out", source).code == 0
    part = {"the run": probable_run, "the source": source}[partial]
    edit_record(part / "run.json", lambda record: record["about"].update(n_split=40))
    shown = s5eval("tune", probable_run, "--unlabelled", "--source", source).out
    said = "a part: PARTIAL: 12 of the split's 40 mixtures"
    assert (f"adapted to {said}" in shown) == (partial == "the run")
    assert (f"source source: frequencies of {said}" in shown) == (partial == "the source")
    later = s5eval("rescore", probable_run, "--decision", probable_run / "priors.yaml", "--out", tmp_path / "later").out
    assert (", on a run PARTIAL: 12 of" in later) == (partial == "the run")
    assert (", from the frequencies of a run PARTIAL: 12 of" in later) == (partial == "the source")


def test_adapted_priors_beside_weights_are_put_on_their_card(probable_run: Path, tmp_path: Path, s5eval: Call) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    write_card(weights, {"history": [], "files": {"thresholds.yaml": "sha256:0"}})
    assert s5eval("tune", probable_run, "--unlabelled", "--out", weights / "thresholds.yaml").code == 0
    assert thresholds_file(weights) == weights / "thresholds.yaml"
