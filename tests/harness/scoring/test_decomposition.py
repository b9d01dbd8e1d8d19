"""The section `decomposition` of a summary: terms that sum to the gap, silent scenes, the table and the page."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sealed_files import edit_record

from s5eval.harness.record.reading import read_summary
from s5eval.harness.record.run_summary import Confusion
from s5eval.harness.record.tables import MixtureScore, PairTable
from s5eval.harness.report.decibels import decomposition_lines, ladder, ladder_to_bound, nothing_blamed
from s5eval.harness.report.text import number
from s5eval.harness.scoring.decomposition import BLAMED_KINDS, decompose_run, losses_by_cause
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.metrics.decompose import Unanswered
from s5eval.metrics.sdr import PairScores
from s5eval.systems.decision import Decision

Call = Callable[..., Any]
Tables = Callable[..., list[PairTable]]


def scored(tables: list[PairTable], threshold: float = 0.5) -> list[MixtureScore]:
    decision = Decision({"default": threshold})
    return [score_candidates(f"m_{k}", table, decision) for k, table in enumerate(tables)]


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_terms_sum_to_the_gap_of_the_corpus_value(make_tables: Tables, threshold: float) -> None:
    for seed in range(10):
        scores = scored(make_tables(40, seed), threshold)
        parts = decompose_run(scores)
        assert parts is not None
        defined = [score.capi_sdri for score in scores if score.capi_sdri is not None]
        assert abs(parts.value - np.mean(defined)) < 1e-9
        assert abs(sum(parts.terms.values()) - parts.gap) < 1e-9
        assert abs(parts.ceiling - parts.value - parts.gap) < 1e-9
        labels = sum(parts.terms[term] for term in BLAMED_KINDS)
        assert abs(labels - (parts.bound - parts.value)) < 1e-9
        for term in BLAMED_KINDS:
            by_class = sum(row[term] for row in parts.classes.values())
            assert abs(by_class - parts.terms[term]) < 1e-9
        assert abs(sum(c.loss for c in parts.confusions) - parts.terms["confusion"]) < 1e-9


def table(sdr: list[list[float]], labels: list[int], silence: list[float], references: tuple[str, ...]) -> PairTable:
    matrix = np.array(sdr, float).reshape(len(labels), len(references))
    n, r = matrix.shape
    scores = np.zeros((n, 18))
    scores[np.arange(n), labels] = 1.0
    zeros = np.zeros(r)
    return PairTable(
        PairScores(matrix, zeros, zeros, np.eye(n), np.ones(n), np.ones(r)), scores, np.array(silence), None, references
    )


def test_a_false_alarm_in_a_silent_scene_thins_the_corpus() -> None:
    good = table([[6.0]], [5], [0.1], ("Cough",))
    alarm = table([[]], [15], [0.1], ())
    parts = decompose_run(scored([good, alarm]))
    assert parts is not None
    assert (parts.value, parts.bound) == (3.0, 6.0)
    assert parts.terms["false_alarm"] == pytest.approx(3.0)
    assert parts.classes["Speech"]["false_alarm"] == pytest.approx(3.0)
    quiet = decompose_run(scored([good, table([[]], [15], [0.9], ())]))
    assert quiet is not None
    assert (quiet.value, quiet.terms["false_alarm"]) == (6.0, 0.0)


def test_confusions_name_the_class_they_go_to() -> None:
    parts = decompose_run(scored([table([[6.0]], [15], [0.1], ("Cough",))] * 3))
    assert parts is not None
    assert parts.confusions == (Confusion("Cough", "Speech", 6.0, 3),)
    assert (parts.oracle_labels, parts.oracle_silence) == (6.0, 0.0)
    text = "\n".join(decomposition_lines(parts))
    assert "Cough → Speech 6.00" in text
    steps = {step.title: step.value for step in ladder(parts)}
    assert steps["CAPI-SDRi"] + steps["+ confusions"] == steps["= bound"]


def test_confusions_stand_by_what_they_cost_each_with_its_own_mixtures() -> None:
    """Of eight mixtures two take a cough for speech, one water for speech, and one drops what it heard."""
    costly, cheap = table([[6.0]], [15], [0.1], ("Cough",)), table([[1.0]], [15], [0.1], ("Pour",))
    missed, right = table([[4.0]], [5], [0.9], ("Cough",)), table([[8.0]], [5], [0.1], ("Cough",))
    parts = decompose_run(scored([cheap, costly, costly, missed, right, right, right, right]))
    assert parts is not None
    assert parts.confusions == (Confusion("Cough", "Speech", 1.5, 2), Confusion("Pour", "Speech", 1 / 8, 1))
    assert (parts.value, parts.bound) == (4.0, (1 + 6 + 6 + 4 + 32) / 8)
    assert parts.terms["miss"] == 0.5


def test_the_ceiling_is_the_references_and_what_nothing_answers_a_share_of_the_mean() -> None:
    heard, empty = table([[6.0]], [5], [0.1], ("Cough",)), table([], [], [], ("Cough",))
    parts = decompose_run(scored([heard, empty, heard, heard]))
    assert parts is not None
    perfect = float(heard.pair_scores.sdr_perfect[0])
    assert parts.ceiling == pytest.approx(perfect)
    assert parts.unanswered == Unanswered(1, pytest.approx(perfect / 4))


def test_causes_count_mixtures_not_sources() -> None:
    twice = table([[6.0, -9.0], [-9.0, 4.0]], [15, 15], [0.1, 0.1], ("Cough", "Cough"))
    alarms = table([[], []], [15, 15], [0.1, 0.1], ())
    _, counts = losses_by_cause(scored([twice, alarms]))
    assert counts == {("confusion", "Cough", "Speech"): 1, ("false_alarm", "Speech", None): 1}


def test_a_run_of_wavs_has_no_count_and_no_silence_to_put_right(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    run = tmp_path / "run"
    said = s5eval("score", small_set / "estimate", "--data", small_set, "--out", run)
    (line,) = (line for line in said.out.splitlines() if "put right" in line)
    assert re.fullmatch(r"CAPI-SDRi with one thing put right: labels [\d.]+ dB", line)
    assert line in (run / "report.html").read_text()
    compared = s5eval("compare", run, run).out
    assert "with the labels put right" in compared
    assert "with the count put right" not in compared


def test_one_mixture_without_silence_probabilities_stays_as_it_was_scored() -> None:
    sure = table([[6.0], [-9.0]], [5, 15], [0.0, 0.0], ("Cough",))  # 6 dB, thinned by a false alarm
    parts = decompose_run(scored([sure, table([[8.0], [-9.0]], [5, 15], [0.1, 0.4], ("Cough",))]))
    assert parts is not None
    assert (parts.value, parts.oracle_count, parts.oracle_silence) == (3.5, 5.5, 5.5)
    alone = decompose_run(scored([sure]))
    assert alone is not None
    assert (alone.oracle_labels, alone.oracle_count, alone.oracle_silence) == (3.0, None, None)


def test_a_what_if_value_below_the_score_says_why() -> None:
    """The dropped candidate is the second source, under a wrong label: to keep it makes an entry of 0 dB more."""
    dropped = table([[6.0, -9.0], [-9.0, 4.0]], [5, 15], [0.1, 0.9], ("Cough", "Pour"))
    parts = decompose_run(scored([dropped]))
    assert parts is not None
    assert (parts.value, parts.oracle_count, parts.oracle_silence) == (3.0, 2.0, 2.0)
    assert decomposition_lines(parts)[-2:] == [
        "CAPI-SDRi with one thing put right: labels 3.000, count 2.000, silence 2.000 dB",
        "(count and silence below the score: a candidate with a wrong label, or worse than the mixture, then counts)",
    ]


def test_references_that_nothing_answers_are_a_step_of_their_own(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    for name in ("m_1_0_Speech", "m_4_1_Typing"):
        (small_set / "estimate" / f"{name}.wav").unlink()
    run = tmp_path / "run"
    said = s5eval("score", small_set / "estimate", "--data", small_set, "--out", run)
    assert "3 references that no candidate answers" in said.out  # of m_1, m_3 and m_4
    parts = read_summary(run).decomposition
    assert parts is not None
    assert parts.unanswered is not None
    assert parts.unanswered.references == 3
    steps = {step.title: step for step in ladder(parts)}
    assert steps["+ no candidate"].value + steps["+ separation"].value == pytest.approx(parts.terms["separation"])
    assert sum(step.value for step in steps.values() if step.term) == pytest.approx(parts.gap)
    assert steps["+ separation"].value == pytest.approx((parts.ceiling - parts.bound) - parts.unanswered.value)
    assert "no candidate" in (run / "report.html").read_text()
    compared = s5eval("compare", run, run)
    assert "of it on references that no candidate answers" in compared.out
    assert [step.title for step in ladder_to_bound(parts)][-1] == "= bound"


def test_where_every_reference_has_a_candidate_there_is_no_such_step(make_tables: Tables) -> None:
    parts = decompose_run(scored(make_tables(40, 1)))
    assert parts is not None
    whole = replace(parts, unanswered=Unanswered(0, 0.0))
    unknown = replace(parts, unanswered=None)  # a record of before
    assert ladder(whole) == ladder(unknown)
    assert ladder(whole)[-2].value == parts.terms["separation"]
    lines_of_before = [
        replace(score, decomposition=replace(score.decomposition, unanswered=None))
        for score in scored(make_tables(3, 1))
        if score.decomposition is not None
    ]
    before = decompose_run([*scored(make_tables(3, 2)), *lines_of_before])
    assert before is not None
    assert before.unanswered is None


def test_there_is_none_without_targets() -> None:
    assert decompose_run([]) is None
    assert decompose_run(scored([table([[]], [15], [0.1], ())])) is None


def test_run_rescore_and_page_show_it(
    systems_on_path: None, staged_set: Path, tmp_path: Path, s5eval: Call, summary: Call
) -> None:
    run = tmp_path / "run"
    result = s5eval("run", "--system", "staged:build", "--data", staged_set, "--out", run)
    assert "where the decibels went" in result.out
    assert "= bound" in result.out
    page = (run / "report.html").read_text()
    assert "Where the decibels went" in page
    assert "confused with" in page
    before = summary(run)["decomposition"]
    assert s5eval("rescore", run).code == 0
    assert summary(run)["decomposition"] == before


def test_a_run_with_nothing_lost_to_labels_stays_short(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    result = s5eval("run", "--system", "oracle-gain", "--data", small_set, "--out", tmp_path / "run")
    assert "where the decibels went" not in result.out
    parts = read_summary(tmp_path / "run").decomposition
    assert parts is not None
    separation = number(parts.terms["separation"], 3)
    assert f"labels and decisions cost nothing here; separation: {separation} dB (the waveforms;" in result.out


def test_what_nothing_answers_is_told_where_labels_and_decisions_cost_nothing() -> None:
    empty = table([], [], [], ("Cough",))
    parts = decompose_run(scored([table([[6.0]], [5], [0.1], ("Cough",)), empty]))
    assert parts is not None
    said = nothing_blamed(parts)
    assert re.fullmatch(r"labels .* here; no candidate: [\d.]+ dB \(1 reference that .*\); separation: .*", said)


def test_runs_of_before_are_read_all_the_same(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    run = tmp_path / "run"
    s5eval("run", "--system", "oracle-gain", "--data", small_set, "--out", run)
    edit_record(run / "summary.json", lambda summary: summary.pop("decomposition"))
    assert s5eval("report", run).code == 0
