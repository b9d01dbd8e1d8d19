"""What stands below the numbers says what it is, and where to look."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from s5eval.data_manifests.naming import SOURCE_NAMES
from s5eval.harness.record.run_record import About
from s5eval.harness.record.run_summary import Summary
from s5eval.harness.record.tables import Flag, FlagKind, MixtureScore, Outcome, PairTable
from s5eval.harness.report.footnotes import FLAG_NOTES, failure_lines, finding_lines, flag_lines
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.harness.scoring.summary import summarize
from s5eval.systems.decision import Decision

Summarised = Callable[..., Summary]


@pytest.fixture
def summarised(make_tables: Callable[..., list[PairTable]]) -> Summarised:
    """`summarised(change)`: the summary of twelve mixtures, each as `change(number, score)` leaves it."""

    def make(change: Callable[[int, MixtureScore], MixtureScore]) -> Summary:
        scores = [score_candidates(f"m_{k:02d}", table, Decision()) for k, table in enumerate(make_tables(12))]
        about = About(system="a", weights="none", dataset="mini", split="test", n_split=12)
        changed = [change(k, replace(score, flags=())) for k, score in enumerate(scores)]
        return summarize(changed, n_expected=12, finished=True, about=about)

    return make


def failed(error: str, score: MixtureScore) -> MixtureScore:
    return MixtureScore(score.mixture_id, Outcome("failed", error))


@pytest.mark.parametrize("kind", get_args(FlagKind))
@pytest.mark.parametrize(("count", "shown"), [(1, "(m_00)"), (3, "(m_00, m_01, m_02)"), (5, "(m_00, m_01, m_02, …)")])
def test_a_line_per_kind_of_flag_says_what_it_is_and_where(
    kind: FlagKind, count: int, shown: str, summarised: Summarised
) -> None:
    flags = (Flag(kind, 0), Flag(kind, 1))
    summary = summarised(lambda k, score: replace(score, flags=flags) if k < count else score)
    assert flag_lines(summary) == [f"{kind} {2 * count}: {FLAG_NOTES[kind]} {shown}"]
    assert flag_lines(replace(summary, flagged={})) == [f"{kind} {2 * count}: {FLAG_NOTES[kind]}"], "runs of before"


def test_without_flags_there_is_no_line(summarised: Summarised) -> None:
    assert flag_lines(summarised(lambda k, score: score)) == []


def test_ten_findings_of_a_rule_are_named_and_the_rest_counted(summarised: Summarised) -> None:
    summary = replace(summarised(lambda k, score: score), findings={"no-estimate": 2, "orphan": 12, "suffix": 1})
    orphans = [f"warning: x_{k}.wav: not read [orphan]" for k in range(12)]
    texts = [*orphans, "warning: y.WAV: not read [suffix]", "warning: m_01: no file [no-estimate]"]
    first, *listed = finding_lines(summary, texts)
    assert "2 no-estimate, 12 orphan, 1 suffix" in first
    assert listed[:10] == [f"  x_{k}.wav: not read [orphan]" for k in range(10)]
    assert listed[10:12] == ["  … and 2 more [orphan]", "  y.WAV: not read [suffix]"]
    assert listed[12:] == [f"  a name should be {SOURCE_NAMES}"]
    assert finding_lines(summary) == [first]
    cut = finding_lines(summary, orphans[:3])
    assert cut[4] == "  … and 9 more [orphan]", "of very many `run.json` has a part, and this is none of it"


def test_failures_of_one_reason_are_one_line(summarised: Summarised) -> None:
    error = "KeyError: 'x' (my_system.py, line 31)"
    summary = summarised(lambda k, score: failed(error, score))
    assert failure_lines(summary, Path("runs/a")) == [
        "failed, and in no number above: 12 mixtures",
        f"  all 12 mixtures: {error}",
        f"  the tracebacks are in {Path('runs/a/log.txt')}",
    ]
    some = summarised(lambda k, score: failed("too short" if k % 2 else "cut", score) if k < 5 else score)
    assert failure_lines(some, Path("runs/a"))[1:] == [
        "  3 mixtures (m_00, m_02, m_04): cut",
        "  2 mixtures (m_01, m_03): too short",
    ]


def test_reasons_that_name_the_mixtures_own_files_are_one(summarised: Summarised) -> None:
    def error(k: int, score: MixtureScore) -> MixtureScore:
        name = "other" if k == 11 else score.mixture_id
        return failed(f"soundscape/{name}_0_Speech.wav: 2 channels, expected 1", score)

    assert failure_lines(summarised(error))[1:] == [
        "  11 mixtures (m_00, m_01, m_02, …), such as soundscape/m_00_0_Speech.wav: 2 channels, expected 1",
        "  m_11: soundscape/other_0_Speech.wav: 2 channels, expected 1",
    ]


def test_an_id_within_another_number_or_word_is_no_file(summarised: Summarised) -> None:
    def error(k: int, score: MixtureScore) -> MixtureScore:
        said = f"{k}60000 samples, of m_{k:02d}0 and x{score.mixture_id} {score.mixture_id}"
        return failed(f"the system returned {said}", score)

    assert len(failure_lines(summarised(error))) == 1 + 11, "twelve reasons, of which ten are told"
    long = summarised(lambda k, score: failed(score.mixture_id + 100_000 * "x", score))
    start = time.process_time()
    assert len(failure_lines(long)) == 1 + 11 and time.process_time() - start < 1


def test_ten_reasons_are_told_and_the_rest_counted(summarised: Summarised) -> None:
    summary = summarised(lambda k, score: failed(f"reason {k}", score))
    *listed, last = failure_lines(summary)[1:]
    assert listed == [f"  m_{k:02d}: reason {k}" for k in range(10)]
    assert last == "  … and 2 more, for other reasons (mixtures.jsonl lists all)"
