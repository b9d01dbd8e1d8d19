"""The figures of the two JSON files: ranges to their ends, and means against what they are the means of."""

import json
from typing import Any

import pytest

from s5eval.submissions.check_results import check_dev_results, check_eval_results


def detail(id_: str, reference: list[str], estimate: list[str], capi: float | None) -> dict[str, Any]:
    tp = len(set(reference) & set(estimate))
    counts = {"tp": tp, "fp": len(estimate) - tp, "fn": len(reference) - tp}
    padded = [labels + ["silence"] * (3 - len(labels)) for labels in (reference, estimate)]
    return {
        "soundscape": id_,
        "ref_labels": padded[0],
        "est_labels": padded[1],
        "probabilities": [1.0] * len(estimate) + [0.0] * (3 - len(estimate)),
        "metrics": [
            {"metric": "CAPI-SDRi", "value": capi},
            {"metric": "label_metrics", "value": {**counts, "acc": counts["fp"] == counts["fn"] == 0}},
        ],
    }


def dev() -> dict[str, Any]:
    """Three mixtures: one right, one with a label too many and one missed, one silent and rightly so."""
    details = [
        detail("d_0", ["Cough"], ["Cough"], 5.0),
        detail("d_1", ["Pour", "Speech"], ["Pour", "Dishes"], 1.0),
        detail("d_2", [], [], None),
    ]
    return {
        "CAPI-SDRi": {"mean": 3.0},  # of the two that are defined
        "label_metrics": {"accuracy_mix": 66.6667, "accuracy_src": 50.0},  # 2 of 3; 2 of 2 + 1 + 1
        "nparams": 10,
        "details": details,
        "config": {},
    }


def found(value: dict[str, Any]) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    check_dev_results(json.dumps(value).encode(), lambda rule, text: told.append((rule, text)), official=False)
    return told


@pytest.mark.parametrize(
    ("section", "key", "right"),
    [
        ("CAPI-SDRi", "mean", 3.0),
        ("label_metrics", "accuracy_mix", 100 * 2 / 3),
        ("label_metrics", "accuracy_src", 50.0),
    ],
)
def test_every_mean_is_held_against_its_mixtures_to_the_digits_that_are_published(
    section: str, key: str, right: float
) -> None:
    assert found(dev()) == []
    for stated, said in ((round(right, 2), False), (right + 0.02, True), (right - 0.02, True)):
        value = dev()
        value[section][key] = stated
        assert [rule for rule, _ in found(value)] == ["dev-inconsistent"] * said, stated


@pytest.mark.parametrize(("section", "key"), [("CAPI-SDRi", "mean"), ("label_metrics", "accuracy_src")])
def test_a_mean_is_null_where_no_mixture_gives_one_and_nowhere_else(section: str, key: str) -> None:
    value = dev()
    value[section][key] = None
    assert [rule for rule, _ in found(value)] == ["dev-inconsistent"]
    assert found(value)[0][1].startswith(f"{section}.{key} is null, but 'details' give ")
    silent = dev() | {"details": [detail("d_2", [], [], None)]}
    silent["label_metrics"]["accuracy_mix"] = 100.0
    assert [text for _, text in found(silent)] == [
        "CAPI-SDRi.mean is 3.0000, but 'details' give null",
        "label_metrics.accuracy_src is 50.0000, but 'details' give null",
    ]
    silent["CAPI-SDRi"]["mean"] = silent["label_metrics"]["accuracy_src"] = None
    assert found(silent) == []


def test_a_mixture_is_undefined_where_its_labels_have_no_entry_and_nowhere_else() -> None:
    """Else whoever writes null for the worst ones has a higher mean that agrees with its own details."""
    value = dev()
    value["details"][1]["metrics"][0]["value"] = None
    value["CAPI-SDRi"]["mean"] = 5.0
    assert found(value) == [
        ("dev-inconsistent", "details[1].metrics[0].value: null, but the labels beside it give 3 sources to score")
    ]
    value = dev()
    value["details"][2]["metrics"][0]["value"] = 3.0
    assert found(value) == [
        (
            "dev-inconsistent",
            "details[2].metrics[0].value: the number 3.0, but the labels beside it give no source to score",
        )
    ]


def test_counts_are_held_against_the_labels_beside_them() -> None:
    value = dev()
    value["details"][1]["metrics"][1]["value"].update(fp=0, fn=2)
    told = found(value)
    assert [rule for rule, _ in told] == ["dev-inconsistent"] * 2
    assert "the labels beside it give 1" in told[0][1]


@pytest.mark.parametrize(("probability", "right"), [(0, True), (1, True), (1.0000001, False), (-1e-9, False)])
def test_probabilities_reach_from_0_to_1_with_both_ends(probability: float, right: bool) -> None:
    estimate = {"filename": "m_1_0_Cough.wav", "label": "Cough", "probability": probability}
    value = {"nparams": 1, "probabilities": [{"soundscape": "m_1", "estimate": [estimate]}], "config": {}}
    told: list[str] = []
    check_eval_results(json.dumps(value).encode(), lambda rule, _: told.append(rule))
    assert told == ([] if right else ["probability"])
