"""Every number of a run stands below its own heading and beside its own name: terminal, page, notebook."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up_run import write_run

from s5eval.harness.record.lines import Line
from s5eval.harness.record.reading import read_scores, read_summary
from s5eval.harness.record.run_summary import MetricValue, Summary
from s5eval.harness.record.tables import Flag, MixtureScore, Outcome, PairTable
from s5eval.harness.report.charted import by_condition_of, classes_of, pairs_of, waterfall_of
from s5eval.harness.report.listening import sounds_of
from s5eval.harness.report.notebook import run_html
from s5eval.harness.report.page import worst_first, write_page
from s5eval.harness.report.rows import mixture_row
from s5eval.harness.report.table import BOUND_NOTES, interval_text, summary_table
from s5eval.harness.report.text import typeset, typeset_number

Tables = Callable[..., list[PairTable]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_tables: Tables) -> Path:
    run = tmp_path_factory.mktemp("numbers") / "run"
    write_run(run, make_tables(60, 2), threshold=0.4)
    return run


@pytest.fixture(scope="module")
def summary(run: Path) -> Summary:
    return read_summary(run)


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return write_page(run, draw=False).read_text()


def tables_of(html: str) -> list[dict[str, dict[str, str]]]:
    """Every table: name of the row → heading → cell."""
    found = []
    for table in re.findall(r"<table.*?</table>", html, re.DOTALL):
        heads = re.findall(r"<th(?: [^>]*)?>(.*?)</th>", table, re.DOTALL)
        rows = [
            re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)
        ]
        found.append({row[0]: dict(zip(heads[1:], row[1:], strict=True)) for row in rows if len(row) == len(heads)})
    return found


def texts(values: Mapping[str, MetricValue], names: Sequence[str], digits: int = 2) -> list[str]:
    return [typeset(interval_text(values[name], digits)) for name in names]


NAMES = ("capi_sdri", "mixture_accuracy", "source_accuracy")


def metrics(values: Mapping[Any, MetricValue]) -> dict[str, MetricValue]:
    return {str(name): value for name, value in values.items()}


def test_in_the_terminal(summary: Summary) -> None:
    lines = [re.split(r"\s{2,}", line.strip()) for line in summary_table(summary).splitlines()]
    (head,) = (k for k, line in enumerate(lines) if "zero floor dB" in line)
    assert lines[head] == ["CAPI-SDRi dB", "zero floor dB", "mixture acc. %", "source acc. %", "n (defined)"]
    own = metrics(summary.metrics)
    value, mixture, source = (interval_text(own[name], 3) for name in NAMES)
    capi, floor = own["capi_sdri"], own["capi_sdri_zero_floor"].value
    assert lines[head + 2] == ["made-up", value, f"{floor:.3f}", mixture, source, f"{capi.n} ({capi.n_defined})"]
    for line, (name, note) in zip(lines[head + 4 :], BOUND_NOTES.items(), strict=False):
        bound = metrics(summary.bounds[name])
        counts = f"{bound['capi_sdri'].n} ({bound['capi_sdri'].n_defined})"
        assert line == [f"{name} ({note})", *(interval_text(bound[metric], 3) for metric in NAMES), counts]


def test_on_the_page(summary: Summary, page: str) -> None:
    result, *rest = tables_of(page)
    own = metrics(summary.metrics)
    heads = ("CAPI-SDRi, dB", "zero floor, dB", "gain floor, dB", "mixture accuracy, %", "source accuracy, %")
    names = ("capi_sdri", "capi_sdri_zero_floor", "capi_sdri_gain_floor", "mixture_accuracy", "source_accuracy")
    assert [result["made-up"][head] for head in heads] == texts(own, names)
    for bound, note in BOUND_NOTES.items():
        cells = result[f"{bound}: {note}"]
        assert [cells[head] for head in (heads[0], *heads[3:])] == texts(metrics(summary.bounds[bound]), NAMES)
    by_class = next(table for table in rest if "Speech" in table and "recall, %" in table["Speech"])
    assert set(by_class) == set(summary.slices["class"])
    for label, values in summary.slices["class"].items():
        cells, told = by_class[label], metrics(values)
        shown = [cells[head] for head in ("SDRi of its entries, dB", "precision, %", "recall, %", "threshold")]
        assert shown == [*texts(told, ("sdri", "precision", "recall")), "0.400"]
        assert cells["mixtures"] == str(told["sdri"].n)
    parts = summary.decomposition
    assert parts is not None
    lost = next(table for table in rest if "confused with" in next(iter(table.values()), {}))
    for label, losses in parts.classes.items():
        for kind, title in (("miss", "misses"), ("false_alarm", "false alarms"), ("confusion", "confusions")):
            value = {str(key): loss for key, loss in losses.items()}[kind]
            assert lost[label][title] == (typeset_number(value, 3) if abs(value) > 1e-9 else "")


def test_slices_of_the_page(summary: Summary, page: str) -> None:
    for group in ("targets", "repeated_class"):
        parts = {str(key): value for key, value in summary.slices.items()}[group]
        shown = next(table for table in tables_of(page)[1:] if set(table) == set(parts))
        for name, values in parts.items():
            told = metrics(values)
            names = ("capi_sdri", "capi_sdri_zero_floor", "mixture_accuracy", "source_accuracy")
            assert list(shown[name].values()) == [*texts(told, names), str(told["capi_sdri"].n)]


def test_in_a_notebook(summary: Summary) -> None:
    (shown,) = tables_of(run_html(summary))
    own = metrics(summary.metrics)
    capi, floor = own["capi_sdri"], typeset_number(own["capi_sdri_zero_floor"].value, 2)
    value, mixture, source = texts(own, NAMES)
    counts = f"{capi.n} ({capi.n_defined})"
    assert list(shown["made-up"].values()) == [value, floor, mixture, source, counts]
    for bound, note in BOUND_NOTES.items():
        value, mixture, source = texts(metrics(summary.bounds[bound]), NAMES)
        assert list(shown[f"{bound}: {note}"].values())[:4] == [value, "", mixture, source]


def test_in_the_charts_of_classes_and_conditions(summary: Summary) -> None:
    chart = classes_of(summary.slices["class"], lambda label: 0.25)
    for label, values in summary.slices["class"].items():
        told = metrics(values)
        n = told["sdri"].n
        for name, unit, digits in (("precision", " %", 1), ("recall", " %", 1)):
            if (value := told[name].value) is not None:
                assert f"{label}: {name} {typeset_number(value, digits)}{unit}, {n} mixture" in chart
        assert f"{label}: threshold 0.250, {n} mixture" in chart
        assert f"{label}: SDRi {typeset(interval_text(told['sdri'], 2))} dB, {n} mixture" in chart
    chart = by_condition_of(summary.slices)
    for name, values in summary.slices["targets"].items():
        told = metrics(values)
        if (floor := told["capi_sdri_zero_floor"].value) is not None:
            shown = f"{name}: {typeset(interval_text(told['capi_sdri'], 2))} CAPI-SDRi, dB"
            assert f"{shown}; zero floor {typeset_number(floor, 2)}; {told['capi_sdri'].n} mixture" in chart


def test_a_step_of_the_waterfall_leads_to_the_mixtures_that_lost_it(summary: Summary) -> None:
    assert summary.decomposition is not None
    chart = waterfall_of(summary.decomposition, lambda **where: "#" + "&".join(f"{k}={v}" for k, v in where.items()))
    for kind, title in (("miss", "misses"), ("false_alarm", "false alarms"), ("confusion", "confusions")):
        value = typeset_number({str(k): v for k, v in summary.decomposition.terms.items()}[kind], 3)
        assert re.search(rf'<a href="#loss={kind}" class="mark"><title>{title}: {value} dB', chart), kind
    assert "loss=separation" not in chart


def test_a_mixture_s_line_has_what_its_pairs_say(run: Path) -> None:
    scores = list(read_scores(run).values())
    assert sum(bool(pairs_of(score)) for score in scores) > 20
    for score in scores:
        line = mixture_row(run, score, scene=None, picture=None)
        by_index = {pair.estimate: pair for pair in pairs_of(score)}
        for heard, estimate in zip(line.estimates, score.estimates, strict=True):
            pair = by_index.get(estimate.index)
            assert (heard.label, heard.sdri) == (estimate.label, "" if pair is None else typeset_number(pair.sdri, 2))
        levels = [float(level) for level in line.found_by.get("n", "").split()]
        assert levels == pytest.approx([pair.sdr_mixture for pair in pairs_of(score)])
        labels = score.reference_labels or ()
        assert line.found_by.get("r", "no") == ("yes" if len(set(labels)) < len(labels) else "no")
        assert ("false_alarm" in line.found_by.get("k", "")) == ("false alarm" in line.wrong or only_costs(score))
        told = {sound.key: sound.note for sound in sounds_of(run, Line(score), None)}
        for index, pair in by_index.items():
            levels_of_pair = f"SDR {typeset_number(pair.sdr, 2)} dB, SDRi {typeset_number(pair.sdri, 2)} dB"
            assert told[f"estimate-{index}"] == f"{levels_of_pair} to reference {pair.reference + 1}"
            assert told[f"reference-{pair.reference}"] == f"SNR of the mixture {typeset_number(pair.sdr_mixture, 2)} dB"


def test_a_line_says_what_a_mixture_is_flagged_for_or_why_it_failed(run: Path) -> None:
    score = next(iter(read_scores(run).values()))
    flagged = replace(score, flags=(Flag("silent-reference", 0), Flag("over-scale", 1)))
    assert mixture_row(run, flagged, scene=None, picture=None).notes == "silent-reference:0, over-scale:1"
    failed = replace(score, outcome=Outcome("failed", "too short"), capi=None)
    line = mixture_row(run, failed, scene=None, picture=None)
    assert (line.notes, line.score, line.failed, line.found_by.get("v")) == ("too short", "failed", True, None)


def only_costs(score: MixtureScore) -> bool:
    return score.decomposition is not None and any(loss.kind == "false_alarm" for loss in score.decomposition.losses)


def test_mixtures_stand_from_the_worst_to_the_best_and_then_those_without_a_value(run: Path, page: str) -> None:
    shown = re.findall(r'<tr id="mixture=([^"]+)"', page)
    scores = read_scores(run)
    assert shown == sorted(scores, key=lambda id_: worst_first(scores[id_]))
    values = [scores[id_].capi_sdri for id_ in shown]
    defined = [value for value in values if value is not None]
    assert defined == sorted(defined) and values[: len(defined)] == defined and None in values
