"""Properties of names and JSON: what is written reads back and validates, and no JSON value is an exception."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.naming import parse_source_stem
from s5eval.submissions.check_results import check_dev_results, check_eval_results
from s5eval.submissions.results import as_json, dev_results, eval_results, output_file_name
from s5eval.submissions.rules import (
    EVAL_FRAMES,
    MAX_DIRECTORY_BYTES,
    MAX_ENTRIES,
    MAX_JSON_BYTES,
    MAX_TOTAL_BYTES,
    archive_label,
    make_name,
    parse_label,
    shortened,
)
from s5eval.submissions.submission import DevResults, DevScore, MixtureOutputs, Output, Submission

PART = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,12}", fullmatch=True)
MIXTURE = st.from_regex(r"[A-Za-z0-9_]{1,12}", fullmatch=True)
LABELS = st.lists(st.sampled_from(CLASSES), max_size=3)
WORDS = (
    "nparams probabilities config soundscape estimate filename label probability CAPI-SDRi label_metrics mean "
    "accuracy_mix accuracy_src details ref_labels est_labels metrics metric value acc tp fp fn"
)
KEYS = st.text(max_size=6) | st.sampled_from(WORDS.split())
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["Cough", "silence"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


def findings(check: Any, content: bytes, **options: Any) -> list[tuple[str, str]]:
    notes: list[tuple[str, str]] = []
    check(content, lambda rule, message: notes.append((rule, message)), **options)
    return notes


@given(PART, PART, st.integers(1, 4))
def test_labels_read_back(author: str, affiliation: str, number: int) -> None:
    name = make_name(author, affiliation, number)
    assert parse_label(name.label) == name
    assert parse_label(archive_label(f"{name.label}_out")) == name


@given(st.text(max_size=20))
def test_any_text_as_a_part_is_taken_or_refused(text: str) -> None:
    try:
        name = make_name(text, "KAIST", 1)
    except UsageError:
        assert not text.isascii() or not text or "_" in text or not text.replace("-", "a").isalnum() or text[0] == "-"
    else:
        assert parse_label(name.label) == name


@pytest.mark.parametrize("number", [0, 5, -1])
def test_numbers_are_1_to_4(number: int) -> None:
    with pytest.raises(UsageError, match="expected 1 to 4"):
        make_name("Choi", "KAIST", number)
    assert parse_label(f"Choi_KAIST_task4_{number}") is None


@given(st.text(max_size=400), st.integers(10, 60))
def test_printable_is_printable_and_bounded(text: str, limit: int) -> None:
    shown = shortened(text, limit)
    assert shown.isprintable()
    assert len(shown) <= 10 * (limit + 1)
    assert not (text.isprintable() and len(text) <= limit) or shown == text


@given(MIXTURE, st.integers(0, 99), st.sampled_from(CLASSES))
def test_output_names_read_back(mixture: str, index: int, label: str) -> None:
    name = parse_source_stem(output_file_name(mixture, Output(index, label, 1.0, Path("x"))).removesuffix(".wav"))
    assert name is not None
    assert (name.mixture_id, name.index, name.label) == (mixture, index, label)


@st.composite
def submissions(draw: st.DrawFn) -> Submission:
    outputs = []
    for id_ in draw(st.sets(MIXTURE, max_size=5)):
        labels = draw(LABELS)
        outputs.append(
            MixtureOutputs(
                id_, tuple(Output(k, label, draw(st.floats(0, 1)), Path("x")) for k, label in enumerate(labels))
            )
        )
    scores = []
    for id_ in draw(st.sets(MIXTURE, max_size=5)):
        reference, estimate = draw(LABELS), draw(LABELS)
        tp = sum(min(reference.count(label), estimate.count(label)) for label in set(reference))
        scores.append(
            DevScore(
                id_,
                tuple(reference),
                tuple(estimate),
                tuple(draw(st.floats(0, 1)) for _ in estimate),
                draw(st.floats(-50, 100)) if reference or estimate else None,
                tp,
                len(estimate) - tp,
                len(reference) - tp,
            )
        )
    defined = [score.capi_sdri for score in scores if score.capi_sdri is not None]
    entries = sum(score.tp + score.fp + score.fn for score in scores)
    dev = DevResults(
        sum(defined) / len(defined) if defined else None,
        100 * sum(score.fp == score.fn == 0 for score in scores) / len(scores) if scores else None,
        100 * sum(score.tp for score in scores) / entries if entries else None,
        scores,
    )
    config = draw(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3))
    return Submission(outputs, dev, draw(st.integers(0, 10**9)), config, config)


def test_mixtures_are_listed_by_id_in_whatever_order_they_were_answered(submission: Submission) -> None:
    dev = replace(submission.dev, scores=submission.dev.scores[::-1])
    backwards = replace(submission, outputs=submission.outputs[::-1], dev=dev)
    assert [entry["soundscape"] for entry in eval_results(backwards)["probabilities"]] == [
        "m_0", "m_1", "m_2", "m_3", "m_4",
    ]  # fmt: skip
    assert [entry["soundscape"] for entry in dev_results(backwards)["details"]] == ["d_0", "d_1"]


@given(submissions())
@settings(max_examples=60)
def test_what_is_written_is_valid(submission: Submission) -> None:
    assert findings(check_eval_results, as_json(eval_results(submission))) == []
    assert findings(check_dev_results, as_json(dev_results(submission)), official=False) == []
    shuffled = Submission(submission.outputs[::-1], submission.dev, submission.nparams, submission.config, {})
    assert as_json(eval_results(shuffled)) == as_json(eval_results(submission))


@given(JSON)
@settings(max_examples=150)
def test_no_json_value_is_an_exception(value: Any) -> None:
    content = json.dumps(value).encode()
    findings(check_eval_results, content)
    findings(check_dev_results, content, official=True)


@given(submissions(), st.data())
@settings(max_examples=80)
def test_no_change_in_the_right_place_is_an_exception(submission: Submission, data: st.DataObject) -> None:
    """A value somewhere in otherwise right files becomes any other one."""
    for make, check, options in (
        (eval_results, check_eval_results, {}),
        (dev_results, check_dev_results, {"official": False}),
    ):
        value: Any = json.loads(as_json(make(submission)))
        node = value
        for _ in range(data.draw(st.integers(0, 5))):
            keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []
            inner = [key for key in keys if isinstance(node[key], dict | list) and node[key]]
            if not inner:
                break
            node = node[data.draw(st.sampled_from(inner))]
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        node[data.draw(st.sampled_from(keys))] = data.draw(JSON)
        findings(check, json.dumps(value).encode(), **options)


@given(st.binary(max_size=200))
def test_no_bytes_are_an_exception(content: bytes) -> None:
    findings(check_eval_results, content)
    findings(check_dev_results, content, official=False)


def test_twenty_thousand_mixtures_stay_within_the_limits_of_the_checks() -> None:
    """A submission of 20,000 mixtures was refused by its own check, for a results file of 9.1 MB."""
    n, path = 20_000, Path("x.wav")
    labels = ("MechanicalFans", "MusicalKeyboard", "VacuumCleaner")
    ids = [f"eval_set_of_2026_{k:06d}" for k in range(n)]
    outputs = tuple(Output(k, label, 0.123456, path) for k, label in enumerate(labels))
    scores = [DevScore(id_, labels, labels, (0.123456,) * 3, -12.345678901234567, 3, 0, 0) for id_ in ids]
    submission = Submission(
        [MixtureOutputs(id_, outputs) for id_ in ids], DevResults(1.0, 50.0, 50.0, scores), 1000, {}, {}
    )
    names = [output_file_name(id_, output) for id_ in ids for output in outputs]
    assert max(len(as_json(eval_results(submission))), len(as_json(dev_results(submission)))) < 0.8 * MAX_JSON_BYTES
    assert len(names) + 2 < MAX_ENTRIES
    assert sum(46 + len("Choi_KAIST_task4_1/eval_out/") + len(name) for name in names) < 0.8 * MAX_DIRECTORY_BYTES
    assert 3 * n * 2 * EVAL_FRAMES < MAX_TOTAL_BYTES
