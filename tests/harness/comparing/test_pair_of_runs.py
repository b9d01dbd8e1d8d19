"""Comparing runs: values, intervals, sign test, what flipped, refusals and the gate."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import soundfile
from made_up_run import write_run
from sealed_files import edit_lines, edit_record

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.comparing.pair_of_runs import check_not_worse, compare_runs
from s5eval.harness.comparing.pair_words import TITLES
from s5eval.harness.errors import GateError
from s5eval.harness.record.run_summary import AnyMetricName
from s5eval.harness.record.tables import Outcome, SecondaryName
from s5eval.harness.scoring.columns import METRICS, SECONDARY
from s5eval.harness.scoring.decomposition import TERMS
from s5eval.harness.view import comparison_page

SCORED = Outcome("scored")
Call = Callable[..., Any]


@pytest.fixture
def runs(systems_on_path: None, staged_set: Path, tmp_path: Path, s5eval: Call) -> tuple[Path, Path]:
    paths = tmp_path / "one", tmp_path / "three"
    for path, stages in zip(paths, (1, 3), strict=True):
        s5eval(
            "run", "--system", "staged:build", "--data", staged_set, "--set", f"system.stages={stages}", "--out", path
        )
    return paths


def edit(run: Path, **changes: Any) -> None:
    edit_record(run / "run.json", **changes)


def test_every_metric_and_slice_is_the_difference_of_the_summaries(runs: tuple[Path, Path], summary: Call) -> None:
    comparison = compare_runs(*runs)
    first, second = (summary(run) for run in runs)
    seen = set()
    for path, difference in comparison.differences.items():
        values = []
        for tree in (first, second):
            node: Any = tree
            for key in path:
                node = node.get(key, {}) if isinstance(node, dict) else {}
            values.append(node.get("value"))
        assert [difference.first, difference.second] == [None if v is None else pytest.approx(v) for v in values], path
        if difference.delta is not None:
            assert difference.delta == pytest.approx(values[1] - values[0])
            assert difference.ci_low is not None
            assert difference.ci_high is not None
            assert difference.ci_low <= difference.delta + 1e-9
            assert difference.ci_high >= difference.delta - 1e-9
        seen.add(path[:2])
    expected = {("metrics", metric.name) for metric in METRICS}
    assert seen == expected | {("slices", group) for group in ("targets", "repeated_class", "class")}


def test_the_decomposition_explains_the_difference(runs: tuple[Path, Path]) -> None:
    comparison = compare_runs(*runs)
    assert comparison.decomposition is not None
    rows = comparison.decomposition
    for side in ("first", "second"):
        found = {name: getattr(row, side) or 0 for name, row in rows.items()}
        terms = sum(found[term] for term in TERMS)
        assert terms == pytest.approx(found["ceiling"] - found["value"], abs=1e-9)
    assert rows["value"].delta == pytest.approx(comparison.differences["metrics", "capi_sdri"].delta)


def test_every_metric_has_a_title_with_its_unit() -> None:
    names = {*get_args(AnyMetricName), *get_args(SecondaryName)}
    assert names >= {metric.name for metric in (*METRICS, *SECONDARY)}
    for titles in (TITLES, comparison_page._TITLES):
        assert set(titles) == names
        assert all(title.endswith(("dB", "%")) for title in titles.values())


def test_flipped_mixtures_and_changes(runs: tuple[Path, Path], lines: Call) -> None:
    comparison = compare_runs(*runs)
    a, b = (lines(run) for run in runs)
    right = [{id_ for id_ in side if side[id_]["labels"]["fp"] == side[id_]["labels"]["fn"] == 0} for side in (a, b)]
    assert set(comparison.fixed) == right[1] - right[0]
    assert set(comparison.broken) == right[0] - right[1]
    changes = [change for _, change in comparison.changes]
    assert changes == sorted(changes)
    for id_, change in comparison.changes:
        assert change == pytest.approx(b[id_]["capi"]["value"] - a[id_]["capi"]["value"])


def test_the_command(runs: tuple[Path, Path], s5eval: Call) -> None:
    result = s5eval("compare", *runs)
    assert result.code == 0
    for words in ("B − A [95 %]", "sign test p", "number of targets", "lost to confusions", "labels exact only in B"):
        assert words in result.out
    content = s5eval("compare", *runs, "--json").json
    assert content["metrics"]["capi_sdri"]["significant"] is True
    assert content["slices"]["targets"]["1"]["capi_sdri"]["n"] == 3
    assert content["n"] == 12


def test_the_gate(runs: tuple[Path, Path], s5eval: Call) -> None:
    one, three = runs
    assert s5eval("compare", one, three, "--fail-if-worse").code == 0
    assert s5eval("compare", one, one, "--fail-if-worse").code == 0
    worse = s5eval("compare", three, one, "--fail-if-worse")
    assert worse.code == 6
    assert re.search(r"gate not met: CAPI-SDRi changes by -\d+\.\d{3} \[-\d+\.\d\d, -\d+\.\d\d\] dB\n$", worse.err)
    assert "CAPI-SDRi dB" in worse.out


def test_the_gate_is_not_decided_by_five_mixtures(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    for system in ("oracle", "silence"):
        s5eval("run", "--system", system, "--data", small_set, "--out", tmp_path / system)
    worse = s5eval("compare", tmp_path / "oracle", tmp_path / "silence", "--fail-if-worse")
    assert worse.code == 6
    assert "gate not decided: 4 mixtures, at least 6 needed" in worse.err  # of five one is silent, rightly
    assert "CAPI-SDRi dB" in worse.out
    assert s5eval("compare", tmp_path / "oracle", tmp_path / "silence").code == 0


def test_the_gate_is_not_met_by_failing_mixtures(
    runs: tuple[Path, Path], staged_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    limping = tmp_path / "limping"
    s5eval(
        "run",
        "--system",
        "staged:build",
        "--data",
        staged_set,
        "--set",
        "system.fail=m_03",
        "--no-cache",
        "--out",
        limping,
    )
    result = s5eval("compare", runs[0], limping, "--fail-if-worse")
    assert result.code == 6
    assert "m_03" in result.err
    assert "not scored in the second run: 1" in result.out
    assert s5eval("compare", limping, runs[1], "--fail-if-worse").code == 0


def test_the_gate_is_not_met_by_a_value_that_is_undefined(runs: tuple[Path, Path]) -> None:
    comparison = compare_runs(*runs)
    path = ("metrics", "capi_sdri")
    gone = replace(comparison.differences[path], second=None, delta=None, ci_low=None, ci_high=None)
    with pytest.raises(GateError, match=f"gate not met: CAPI-SDRi of {runs[1]} is undefined"):
        check_not_worse(replace(comparison, differences={**comparison.differences, path: gone}))


def test_the_gate_is_not_decided_by_five_changes_and_met_by_none(runs: tuple[Path, Path]) -> None:
    comparison = compare_runs(*runs)
    path = ("metrics", "capi_sdri")
    few = replace(comparison.differences[path], delta=-2.0, ci_low=-4.0, ci_high=-0.5, n=100, ties=95, changed=5)

    def gate(**changes: Any) -> None:
        differences = {**comparison.differences, path: replace(few, **changes)}
        check_not_worse(replace(comparison, differences=differences))

    with pytest.raises(GateError, match="gate not decided: only 5 of 100 mixtures changed, for the worse; at least 6"):
        gate()
    gate(delta=2.0, ci_low=0.5, ci_high=4.0)
    gate(ci_high=0.5)
    gate(delta=0.0, ci_low=0.0, ci_high=0.0, ties=100, changed=0)
    with pytest.raises(GateError, match="gate not met"):
        gate(ties=94, changed=6)


def test_what_neither_run_has_come_to_is_left_out_too(runs: tuple[Path, Path], s5eval: Call) -> None:
    """Both were killed early: the table told of seven mixtures, and nowhere that there are twelve."""
    for run, reached in zip(runs, (9, 7), strict=True):
        journal = run / "mixtures.jsonl"
        journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:reached]))
        edit_record(run / "run.json", status="running", lines=None)
    comparison = compare_runs(*runs)
    assert (comparison.n, {why: len(ids) for why, ids in comparison.left_out.items()}) == (
        7,
        {"second": 2, "either": 3},
    )
    assert "left out, not scored in either: 3 mixtures\n" in s5eval("compare", *runs).out


def test_mixtures_of_other_references_and_those_that_failed_on_both_sides_are_left_out_and_said(
    runs: tuple[Path, Path], s5eval: Call
) -> None:
    def fail(line: dict[str, Any]) -> None:
        if line["mixture_id"] == "m_02":
            line["outcome"] = {"status": "failed", "error": "out of order", "seconds": 0.0}

    def relabel(line: dict[str, Any]) -> None:
        if line["mixture_id"] == "m_01":
            line["reference_labels"] = ["Typing"]

    for run in runs:
        edit_lines(run, fail)
    edit_lines(runs[1], relabel)
    comparison = compare_runs(*runs)
    assert (comparison.n, comparison.left_out) == (10, {"either": ["m_02"], "references": ["m_01"]})
    assert {"m_01", "m_02"}.isdisjoint(id_ for id_, _ in comparison.changes)


def test_different_data_or_metric_versions_are_refused_unless_told(
    runs: tuple[Path, Path], staged_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    part = tmp_path / "part"
    s5eval("run", "--system", "staged:build", "--data", staged_set, "--limit", "5", "--out", part)
    refused = s5eval("compare", runs[0], part)
    assert refused.code == 2
    assert "cannot be compared: B has 5 of the 12 mixtures of A (folder staged_set). " in refused.err
    assert "A has 5 of the 12 mixtures of B (folder staged_set)" in s5eval("compare", part, runs[0]).err
    allowed = s5eval("compare", runs[0], part, "--allow-different")
    assert allowed.code == 0
    assert "warning: B has 5 of the 12 mixtures of A (folder staged_set)" in allowed.out
    assert "5 mixtures compared" in allowed.out
    gate = s5eval("compare", runs[0], part, "--allow-different", "--fail-if-worse")
    assert "gate not met: 7 mixtures without a score in " in gate.err
    assert gate.err.rstrip().endswith("m_09, … and 2 more")
    edit(runs[1], metric_version=0)
    refused = s5eval("compare", *runs)
    assert refused.code == 2
    assert "metric versions 1 and 0" in refused.err
    assert s5eval("compare", *runs, "--allow-different").code == 0


def test_a_part_with_other_content_is_different_data(
    runs: tuple[Path, Path], staged_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    samples, rate = soundfile.read(staged_set / "soundscape" / "m_00.wav")
    soundfile.write(staged_set / "soundscape" / "m_00.wav", samples[::-1], rate, subtype="FLOAT")
    part = tmp_path / "part"
    s5eval("run", "--system", "staged:build", "--data", staged_set, "--limit", "5", "--out", part)
    said = "made on different data (folder staged_set, 12 mixtures and folder staged_set, 5 mixtures; the files of 1 "
    assert said in s5eval("compare", runs[0], part).err


def test_shards_of_one_run_are_told_to_be_merged(
    systems_on_path: None, staged_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    """They are not on other data than each other, but each on a part that the other lacks."""
    shards = [tmp_path / f"R.{k}" for k in (1, 2)]
    for k, out in enumerate(shards, start=1):
        options = ("--system", "staged:build", "--data", staged_set, "--shard", f"{k}/2", "--out", out)
        assert s5eval("run", *options).code == 0
    said = "(shards 1/2 and 2/2 of one data set; `s5eval merge` makes one run of all shards of a system)"
    for command in ("compare", "rank"):
        refused = s5eval(command, *shards)
        assert (refused.code, said in refused.err) == (2, True), refused.err


def test_where_all_references_differ_that_is_said(tmp_path: Path, make_tables: Call) -> None:
    runs = tmp_path / "one", tmp_path / "two"
    for run, seed in zip(runs, (1, 2), strict=True):
        write_run(run, [table for table in make_tables(20, seed) if len(table.reference_labels or ()) > 1][:4])
    with pytest.raises(UsageError, match="in common: the references of 4 mixtures of the same names differ"):
        compare_runs(*runs)


def test_nothing_in_common(runs: tuple[Path, Path], small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    other = tmp_path / "other"
    s5eval("run", "--system", "silence", "--data", small_set, "--out", other)
    result = s5eval("compare", runs[0], other, "--allow-different")
    assert result.code == 2
    assert "no scored mixture in common" in result.err
    assert s5eval("compare", runs[0], tmp_path / "none").code == 2


def test_a_comparison_with_itself_is_never_worse(runs: tuple[Path, Path]) -> None:
    comparison = compare_runs(runs[0], runs[0])
    check_not_worse(comparison)
    assert all(d.delta in (0.0, None) and not d.significant for d in comparison.differences.values())
    assert comparison.fixed == comparison.broken == comparison.changes == ()
