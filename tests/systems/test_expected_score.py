"""The expected score against all outcomes written out, and the decisions that follow from it."""

import itertools
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.systems.decision import Decision, decide, judge
from s5eval.systems.decision_reading import load_decision
from s5eval.systems.expected_score import ExpectedScore, expected_scores, tempered

BY_SCORE = Decision({"default": 1.0}, expected_score=ExpectedScore())


def written_out(active: np.ndarray, right: np.ndarray, kept: tuple[int, ...], usual: float) -> float:
    """Every candidate silent, right or wrong: the mean over all of it."""
    total = 0.0
    for outcome in itertools.product(("silent", "right", "wrong"), repeat=len(active)):
        chance, found, false, missed = 1.0, 0, 0, 0
        for k, what in enumerate(outcome):
            chance *= {"silent": 1 - active[k], "right": right[k], "wrong": active[k] - right[k]}[what]
            found += k in kept and what == "right"
            false += k in kept and what != "right"
            missed += what != "silent" and not (k in kept and what == "right")
        entries = found + false + missed
        total += chance * (found / entries - usual) if entries else 0.0
    return total


def probabilities(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    active = rng.random(count)
    return active, active * rng.random(count)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_it_is_the_mean_over_all_outcomes(count: int) -> None:
    rng = np.random.default_rng(count)
    for usual in (0.0, 0.6, 1.0):
        active, right = probabilities(rng, count)
        expected = [written_out(active, right, tuple(range(m)), usual) for m in range(count + 1)]
        assert expected_scores(active, right, usual) == pytest.approx(expected, abs=1e-12)


def test_the_likeliest_are_as_good_as_the_best_of_all_choices() -> None:
    """The order is an approximation: what else a doubtful candidate may be matters, too. It costs next to nothing."""
    rng = np.random.default_rng(0)
    lost = []
    for _ in range(300):
        active, right = probabilities(rng, 3)
        order = np.argsort(-right)
        by_order = expected_scores(active[order], right[order], 0.7).max()
        choices = itertools.chain.from_iterable(itertools.combinations(range(3), m) for m in range(4))
        lost.append(max(written_out(active, right, kept, 0.7) for kept in choices) - by_order)
    assert min(lost) > -1e-12 and max(lost) < 0.03 and np.mean(lost) < 0.001


def verdicts(right: list[float], silence: list[float], decision: Decision) -> list[str | None]:
    """Of candidates of different classes; the rest of their scores is another class's."""
    scores = np.zeros((len(right), 18))
    for k, share in enumerate(right):
        scores[k, k], scores[k, 17] = share, 1 - share
    found = judge(
        class_scores=scores, p_silence=np.array(silence), correlation=np.eye(len(right)), labels=CLASSES[: len(right)],
        decision=decision,
    )  # fmt: skip
    return [verdict.rule for verdict in found]


def test_a_doubtful_candidate_is_kept_alone_and_not_beside_a_sure_one() -> None:
    assert verdicts([0.9], [0.55], BY_SCORE) == [None]
    assert verdicts([0.9, 0.99], [0.55, 0.0], BY_SCORE) == ["unlikely", None]
    assert verdicts([0.9], [0.55], Decision()) == ["threshold"]


def test_what_is_surely_silent_or_surely_wrong_is_dropped() -> None:
    assert verdicts([0.9, 0.9], [0.99, 0.01], BY_SCORE) == ["unlikely", None]
    assert verdicts([0.05, 0.9], [0.01, 0.01], BY_SCORE) == ["unlikely", None]
    assert verdicts([0.9], [0.97], BY_SCORE) == ["unlikely"]


def test_a_scene_that_is_usually_lost_is_answered_sooner() -> None:
    """Where little is usually earned, a wrong answer to a silent scene costs little."""
    eager, careful = (Decision({"default": 1.0}, expected_score=ExpectedScore(1.0, share)) for share in (0.1, 0.9))
    assert verdicts([0.6], [0.75], eager) == [None]
    assert verdicts([0.6], [0.75], careful) == ["unlikely"]


def test_a_low_temperature_believes_the_likeliest_class() -> None:
    cold, hot = (Decision({"default": 1.0}, expected_score=ExpectedScore(heat)) for heat in (0.3, 3.0))
    assert verdicts([0.6, 1.0], [0.3, 0.0], cold) == [None, None]
    assert verdicts([0.6, 1.0], [0.3, 0.0], hot) == ["unlikely", None]
    assert tempered(np.array([[0.6, 0.4]]), 1.0) == pytest.approx(np.array([[0.6, 0.4]]))
    assert tempered(np.zeros((1, 4)), 0.5) == pytest.approx(np.full((1, 4), 0.25))  # says nothing: all alike


def test_thresholds_and_the_maximum_act_before_and_after() -> None:
    decision = Decision({"default": 0.2}, max_sources=1, expected_score=ExpectedScore())
    assert verdicts([0.9, 0.99, 0.9], [0.1, 0.0, 0.3], decision) == ["maximum", None, "threshold"]


def test_between_equals_fewer_stay() -> None:
    """Kept or not, it earns as much: E = −0.3 either way."""
    assert expected_scores([0.5], [0.3], 0.6) == pytest.approx([-0.3, -0.3])
    decision = Decision({"default": 1.0}, expected_score=ExpectedScore(1.0, 0.6))
    assert verdicts([0.6], [0.5], decision) == ["unlikely"]
    assert verdicts([0.6 + 1e-6], [0.5], decision) == [None]


def test_of_equal_candidates_the_first_is_kept() -> None:
    decision = Decision({"default": 1.0}, max_sources=1, expected_score=ExpectedScore())
    assert verdicts([0.9, 0.9], [0.1, 0.1], decision) == [None, "maximum"]


def test_the_maximum_is_part_of_the_choice_and_no_cut_of_it() -> None:
    """What is expected to be earned is not the higher the nearer to the best number: here one is worse than none, four
    would be best, and one is the most.
    """
    active, right = [0.31, 0.327, 0.387, 0.027, 0.004], [0.306, 0.272, 0.264, 0.024, 0.004]
    earned = expected_scores(active, right, 0.95)
    assert earned.argmax() == 3 and earned[0] > earned[1]
    shares = [r / a for r, a in zip(right, active, strict=True)]
    silence = [1 - a for a in active]
    one = Decision({"default": 1.0}, max_sources=1, expected_score=ExpectedScore(1.0, 0.95))
    assert verdicts(shares, silence, one) == ["unlikely"] * 5
    assert expected_scores(active, right, 0.95, most=2) == pytest.approx(earned[:3])


def test_many_candidates_are_decided_on_soon() -> None:
    rng = np.random.default_rng(1)
    scores, silence = rng.dirichlet(np.full(18, 0.2), 200), rng.random(200)
    began = time.process_time()
    found = decide(class_scores=scores, p_silence=silence, correlation=np.eye(200), labels=None, decision=BY_SCORE)
    assert len(found) == 3 and time.process_time() - began < 1.0


def test_no_candidate_is_no_estimate() -> None:
    empty = np.zeros((0, 18))
    assert (
        judge(class_scores=empty, p_silence=np.zeros(0), correlation=np.zeros((0, 0)), labels=None, decision=BY_SCORE)
        == ()
    )


def test_it_is_read_back_from_a_file(tmp_path: Path) -> None:
    decision = Decision({"default": 1.0}, expected_score=ExpectedScore(0.9, 0.65))
    (tmp_path / "d.yaml").write_text(yaml.safe_dump(decision.as_dict()))
    assert load_decision(tmp_path / "d.yaml") == decision
    (tmp_path / "d.yaml").write_text("expected_score: {}\n")
    assert load_decision(tmp_path / "d.yaml").expected_score == ExpectedScore()
    (tmp_path / "d.yaml").write_text("expected_score: null\n")
    assert load_decision(tmp_path / "d.yaml") == Decision()


@pytest.mark.parametrize("numbers", [{"temperature": 0}, {"temperature": float("nan")}, {"usual_share": -1}])
def test_one_from_python_is_checked_too(numbers: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected a number from"):
        ExpectedScore(**numbers)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.9", "must map temperature or usual_share"),
        ("{temperatur: 1}", "did you mean 'temperature'"),
        ("{temperature: 0}", "temperature is 0, expected a number from 0.05 to 20"),
        ("{temperature: .nan}", "temperature is nan"),
        ("{temperature: true}", "temperature is True"),
        ("{usual_share: 1.2}", "usual_share is 1.2, expected a number from 0 to 1"),
    ],
)
def test_a_wrong_one_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "d.yaml").write_text(f"expected_score: {text}\n")
    with pytest.raises(UsageError, match=message):
        load_decision(tmp_path / "d.yaml")
