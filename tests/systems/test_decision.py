from pathlib import Path

import numpy as np
import pytest
import yaml

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.labels import CLASS_INDEX, CLASSES
from s5eval.systems.decision import KEEP_ALL, Decision, decide, judge
from s5eval.systems.decision_reading import load_decision
from s5eval.systems.expected_score import ExpectedScore

S, C = "Speech", "Cough"


def chosen(labels: list[str], p_silence: list[float], decision: Decision, correlation: object = None) -> list[int]:
    n = len(labels)
    scores = np.zeros((n, 18))
    scores[np.arange(n), [CLASS_INDEX[label] for label in labels]] = 0.8
    matrix = np.eye(n) if correlation is None else np.array(correlation)
    selections = decide(
        class_scores=scores, p_silence=np.array(p_silence), correlation=matrix, labels=None, decision=decision
    )
    assert [s.label for s in selections] == [labels[s.index] for s in selections]
    return [s.index for s in selections]


def test_a_slot_is_dropped_when_p_silence_exceeds_its_class_threshold() -> None:
    decision = Decision({"default": 0.5, C: 0.8})
    assert chosen([S, S, C, C], [0.5, 0.51, 0.8, 0.81], decision) == [0, 2]


def test_one_threshold_is_that_of_all_classes_and_of_those_that_are_not_named() -> None:
    expected = ExpectedScore(temperature=1.0)
    assert Decision().one_threshold == 0.5
    assert Decision({"Speech": 0.3}).one_threshold is None
    assert Decision({"Speech": 0.5}).one_threshold == 0.5
    assert Decision(dict.fromkeys(CLASSES, 0.3)).one_threshold == 0.3
    assert Decision({"Speech": 1.0}, expected_score=expected).by_thresholds
    assert not Decision(dict.fromkeys(CLASSES, 1.0), expected_score=expected).by_thresholds


def test_of_two_equal_waveforms_of_one_class_the_likelier_stays() -> None:
    twin = [[1, 0.95], [0.95, 1]]
    assert chosen([S, S], [0.3, 0.1], Decision(), twin) == [1]
    assert chosen([S, C], [0.3, 0.1], Decision(), twin) == [0, 1]
    assert chosen([S, S], [0.3, 0.1], Decision(duplicate_correlation=None), twin) == [0, 1]


def test_waveforms_that_correlate_just_so_much_or_the_other_way_round_both_stay() -> None:
    for correlation in (0.9, -0.95):
        assert chosen([S, S], [0.3, 0.1], Decision(), [[1, correlation], [correlation, 1]]) == [0, 1]


def test_between_equals_the_first_stays() -> None:
    assert chosen([S, S], [0.2, 0.2], Decision(), [[1, 0.95], [0.95, 1]]) == [0]
    assert chosen([S, C, S, C], [0.2, 0.2, 0.2, 0.2], Decision(max_sources=2)) == [0, 1]
    assert chosen([S, C], [0.2 + 1e-12, 0.2], Decision(max_sources=1)) == [0]  # the last bits of a sum tell nothing


def test_the_maximum_keeps_the_likeliest_in_candidate_order() -> None:
    assert chosen([S, C, S, C], [0.4, 0.1, 0.2, 0.3], Decision(max_sources=2)) == [1, 2]
    assert chosen([S, C, S, C], [0.4, 0.1, 0.2, 0.3], Decision(max_sources=0)) == []


def test_a_dropped_duplicate_leaves_its_place_to_another() -> None:
    correlation = [[1, 0.99, 0], [0.99, 1, 0], [0, 0, 1]]
    assert chosen([S, S, C], [0.1, 0.2, 0.3], Decision(max_sources=2), correlation) == [0, 2]


def test_keep_all_keeps_all() -> None:
    assert chosen([S] * 5, [0.0, 1.0, 0.5, 0.9, 1.0], KEEP_ALL, np.ones((5, 5))) == [0, 1, 2, 3, 4]


def test_confidence_is_class_score_times_activity() -> None:
    scores = np.zeros((1, 18))
    scores[0, 3] = 0.8
    (selection,) = decide(
        class_scores=scores, p_silence=np.array([0.25]), correlation=np.eye(1), labels=None, decision=Decision()
    )
    assert selection.confidence == pytest.approx(0.6)
    scores[0, 5] = 0.1
    (given,) = decide(
        class_scores=scores, p_silence=np.array([0.25]), correlation=np.eye(1), labels=[CLASSES[5]], decision=Decision()
    )
    assert given.confidence == pytest.approx(0.075)  # of the class that it was given, not of the likeliest


def test_a_decision_file_is_read_back(tmp_path: Path) -> None:
    decision = Decision({"default": 0.5, "Percussion": 0.8}, 2, None, {"split": "valid"})
    (tmp_path / "d.yaml").write_text(yaml.safe_dump(decision.as_dict()))
    assert load_decision(tmp_path / "d.yaml") == decision


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "expected a mapping"),
        ("silence_threshold: {}", "did you mean 'silence_thresholds'"),
        ("silence_thresholds: 0.5", "must map classes"),
        ("silence_thresholds: {Percusion: 0.5}", "did you mean 'Percussion'"),
        ("silence_thresholds: {Percussion: 1.5}", "silence_thresholds.Percussion is 1.5"),
        ("silence_thresholds: {Percussion: true}", "silence_thresholds.Percussion is True"),
        ("max_sources: -1", "max_sources is -1"),
        ("max_sources: 0", "max_sources is 0, expected a whole number above 0"),
        ("max_sources: 1.5", "max_sources is 1.5"),
        ("duplicate_correlation: high", "duplicate_correlation is 'high'"),
        ("provenance: none", "provenance must be a mapping"),
        ("a: [", "not readable as YAML"),
    ],
)
def test_a_wrong_decision_file_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "d.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        load_decision(tmp_path / "d.yaml")


def test_a_missing_decision_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"d\.yaml: No such file"):
        load_decision(tmp_path / "d.yaml")


def test_every_candidate_that_is_dropped_is_told_which_rule_dropped_it() -> None:
    labels = ["Speech", "Speech", "Pour", "Cough", "Dishes"]
    silence = np.array([0.1, 0.2, 0.3, 0.4, 0.9])
    correlation = np.eye(5)
    correlation[0, 1] = correlation[1, 0] = 0.95
    verdicts = judge(
        class_scores=np.ones((5, 18)),
        p_silence=silence,
        correlation=correlation,
        labels=labels,
        decision=Decision(max_sources=2),
    )
    assert [(verdict.rule, verdict.other) for verdict in verdicts] == [
        (None, None), ("duplicate", 0), (None, None), ("maximum", None), ("threshold", None),
    ]  # fmt: skip
    assert [verdict.label for verdict in verdicts] == labels
