"""Summaries as text: one table for the terminal, systems above, bounds apart below."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from s5eval.data_manifests.common.words import counted
from s5eval.harness.record.run_record import About, Facts, RunRecord
from s5eval.harness.record.run_summary import (
    BoundMetricName,
    CorpusBoundName,
    MetricName,
    MetricValue,
    RunAsWritten,
    Summary,
)
from s5eval.harness.record.tables import MixtureScore, SecondaryName
from s5eval.harness.report.decibels import decomposition_lines, nothing_blamed
from s5eval.harness.report.footnotes import failure_lines, finding_lines, flag_lines, undefined_lines
from s5eval.harness.report.terminal_layout import aligned, is_narrow
from s5eval.harness.report.text import number, number_and_interval
from s5eval.harness.scoring.decomposition import BLAMED_KINDS
from s5eval.metrics.tolerance import LAST_BITS
from s5eval.systems.energy import energy_text

BOUND_NOTES: dict[CorpusBoundName, str] = {
    "silence": "no output",
    "oracle-mixture": "true labels, the mixture itself",
    "oracle-zeros": "true labels, silent waveforms",
    "oracle-gain": "true labels, the mixture scaled",
    "oracle": "true labels, the references",
}
"""What each bound is, for readers of a table, from floor to ceiling."""

SECONDARY_TITLES: dict[SecondaryName, str] = {
    "casa_sdr": "CASA-SDR",
    "casa_sdri": "CASA-SDRi",
    "bss_sdr": "BSS Eval SDR",
    "bss_sir": "SIR",
    "bss_sar": "SAR",
}
"""What the metrics of `--metrics all` are called."""

_HEADER = ("", "CAPI-SDRi dB", "zero floor dB", "mixture acc. %", "source acc. %", "n (defined)")


def summary_table(summary: Summary, *, findings: Sequence[str] = (), folder: Path | None = None) -> str:
    """The result of a run: what it is, its metrics with 95 % intervals, the bounds, and what went wrong.

    Args:
        summary: of the run.
        findings: about its files, as `run.json` has them; empty: the summary's counts alone are told.
        folder: of the run, to say where its log is; None: not told.
    """
    lines = [headline(summary)]
    lines += [f"decision: {summary.decided_by}"] if summary.decided_by else []
    lines += _apart([found] if (found := predicted(summary)) else _metrics_table(summary))
    lines += _apart(undefined_lines(summary))
    for line in lines_beside(summary):
        lines += ["", line]
    parts = summary.decomposition
    if parts is not None:
        blamed = any(abs(parts.terms[term]) > LAST_BITS for term in BLAMED_KINDS)
        lines += ["", *(decomposition_lines(parts) if blamed else [nothing_blamed(parts)])]
    lines += _apart(finding_lines(summary, findings))
    lines += _apart(flag_lines(summary))
    lines += _apart(failure_lines(summary, folder))
    return "\n".join(lines)


def lines_beside(summary: Summary) -> list[str]:
    """Numbers of a run that are in no row of its table, a line each: the metric that ranks the data of 2025, what the
    written files earn, secondary metrics.
    """
    lines = [year] if (year := ranking_of_2025(summary)) else []
    lines += [as_written_line(summary, summary.as_written)] if summary.as_written is not None else []
    return [*lines, *([_secondary(summary.secondary)] if summary.secondary else [])]


def result_of(score: MixtureScore) -> str:
    """The result of one mixture: its value, or why there is none."""
    if score.status == "failed":
        return "failed"
    if score.status == "predicted":
        return "not scored: there are no references"
    return f"CAPI-SDRi {number(score.capi_sdri, 2)} dB"


def ranking_of_2025(summary: Summary) -> str:
    """CA-SDRi, where it is what ranks; else nothing."""
    if summary.dataset != "dcase2025":
        return ""
    return f"CA-SDRi, the ranking metric of 2025: {interval_text(summary.metrics['ca_sdri'], 3)} dB"


def _metrics_table(summary: Summary) -> list[str]:
    rows = [_HEADER, _row(shown_name(summary), summary.metrics, summary.metrics["capi_sdri_zero_floor"])]
    if not summary.n_scored:
        return aligned(rows)
    rows += [(), *(_row(f"  {bound_title(name)}", summary.bounds[name]) for name in BOUND_NOTES)]
    return [*aligned(rows, firm=max(len(f"  {name}") for name in BOUND_NOTES)), *bounds_explained()]


def predicted(summary: Summary) -> str | None:
    """What was found, in place of a table of metrics, where there are no references to score it against; else None."""
    if summary.n_scored or not summary.n_predicted:
        return None
    sources = "" if summary.n_estimates is None else f"{counted(summary.n_estimates, 'source')} in "
    return f"predicted, and not scored: {sources}{counted(summary.n_predicted, 'mixture')}"


def _apart(lines: list[str]) -> list[str]:
    return ["", *lines] if lines else []


def bound_title(name: CorpusBoundName) -> str:
    """A bound as it stands in a table: with what it is, where there is room."""
    return name if is_narrow() else f"{name} ({BOUND_NOTES[name]})"


def bounds_explained() -> list[str]:
    """What the bounds are, as a line below a table that has no room for it."""
    listed = "; ".join(f"{name}: {note}" for name, note in BOUND_NOTES.items())
    return ["", f"bounds: {listed}"] if is_narrow() else []


def shown_name(about: About) -> str:
    """What a run is called: the name it was given, else its system's."""
    return about.name or about.system


_UNPACKED = re.compile(r"packed_runs[/\\]([0-9a-f]{8})[0-9a-f]{56}[/\\]([^/\\]+)$")


def shown_path(path: str | Path) -> str:
    """A run folder as readers are shown it: what was unpacked of a packed run has a name, not its place in the cache.

    >>> shown_path("cache/packed_runs/" + 8 * "ab345678" + "/first"), shown_path("runs/first")
    ('first (packed ab345678)', 'runs/first')
    """
    found = _UNPACKED.search(str(path))
    return f"{found[2]} (packed {found[1]})" if found else str(path)


def data_name(about: About) -> str:
    """`mini/test`; where the set is its own split, one word; `folder NAME` for a plain folder."""
    return named_data(about.dataset, about.split, about.folder)


def named_data(dataset: str, split: str, folder: str | None) -> str:
    """What `data_name` calls the data, where there is no run yet; `folder`: the name of a plain folder, else None."""
    if folder is not None:
        return f"folder {folder}"
    return split if dataset == split else f"{dataset}/{split}"


def marks_of(facts: Facts) -> list[str]:
    """The words a reader must not miss beside any number of a run; none for a complete and honest one."""
    return [*([] if facts.status == "complete" else [facts.status.upper()]), *doubts_of(facts)]


def all_marks_of(facts: Facts) -> list[str]:
    """`marks_of`, and before them of how much of the split a run is, for where nothing else tells that."""
    part = part_mark(facts.n_expected, facts.n_split)
    return [*([part] if part else []), *marks_of(facts)]


def doubts_of(facts: Facts) -> list[str]:
    """The marks but for the status."""
    return doubts_of_system(facts) + estimate_marks(facts)


def doubts_of_system(facts: Facts) -> list[str]:
    """Those that are not about files of estimates, for where `estimate_marks` stand in a place of their own."""
    marks = ["RANDOM WEIGHTS: the numbers say nothing about the system"] if facts.weights == "untrained" else []
    marks += ["oracle: sees the references"] if facts.oracle else []
    marks += ["decision tuned on a forbidden split"] if facts.tuned_on_forbidden else []
    marks += trained_marks(facts)
    marks += fitted_marks(facts)
    marks += [f"WITHOUT {part}" for part in facts.missing_parts]
    marks += [f"scenes made on {facts.made_on} kinds of machines"] if facts.made_on > 1 else []
    marks += [facts.unverified] if facts.unverified else []
    return marks


def fitted_marks(facts: Facts) -> list[str]:
    """That the decision was fitted to what it is scored on, all or some of it; else nothing."""
    return [f"decision fitted to {_some(facts, facts.fitted_here)}these mixtures"] if facts.fitted_here else []


def trained_marks(facts: Facts) -> list[str]:
    """That the weights were trained on what sounds in the mixtures, all or some of them; else nothing."""
    count = facts.trained_here
    return [f"weights trained on recordings of {_some(facts, count)}these mixtures"] if count else []


def _some(facts: Facts, count: int) -> str:
    return f"{count:,} of " if count < facts.n_expected else ""


def settings_of(about: About) -> list[str]:
    """`set: system.af_whisper=false`, where a system was not run as its name alone would run it; else nothing."""
    return [f"set: {', '.join(about.set)}"] if about.set else []


def whole(facts: Facts) -> int:
    """How many mixtures there would be to evaluate: those of the whole split."""
    return max(facts.n_expected, facts.n_split)


def part_mark(n_expected: int, n_split: int) -> str:
    """`PARTIAL: 24 of the split's 96 mixtures`, where a run was to evaluate a part only; else nothing."""
    return f"PARTIAL: {n_expected} of the split's {n_split} mixtures" if n_split > n_expected else ""


def headline(summary: Summary) -> str:
    """One line: system, weights, data, and the words a reader must not miss."""
    marks = marks_of(summary)
    name = shown_name(summary)
    system = name if name == summary.system else f"{name} ({summary.system})"
    parts = [system, *settings_of(summary), f"weights: {summary.weights}", f"data: {data_name(summary)}", *marks]
    n = summary.n_predicted  # those of them that have references are scored
    return " | ".join([*parts, how_many(summary) if marks else counted(n, "mixture")])


def how_many(summary: Summary) -> str:
    """`18 of 20 mixtures scored, 2 failed`: what a number is over, of how many, and what is in no number.

    Without references it is the mixtures that were answered; where none failed, the count needs no verb.
    """
    share = f"{summary.n_predicted} of {whole(summary)} mixtures"
    if not summary.n_failed:
        return share
    answered = summary.n_predicted and not summary.n_scored
    return f"{share} {'answered' if answered else 'scored'}, {summary.n_failed} failed"


def estimate_marks(facts: Facts) -> list[str]:
    """What must be said of a folder or archive of estimates: that it answers a part, or that channels were averaged."""
    answered, expected = facts.answered, facts.n_expected
    marks = [] if answered in (None, expected) else [f"answers {answered} of {expected} mixtures"]
    return [*marks, *(["estimates of several channels averaged"] if facts.downmix else [])]


def energy_of_run(record: RunRecord) -> str | None:
    """What a run took from the wall, in words; of what the store had, nothing. None: it was not measured."""
    if record.energy is None:
        return None
    reused = f"; {record.reused} results of stages came from the store, and took none of it" if record.reused else ""
    return f"{energy_text(record.energy)}{reused}"


def interval_text(metric: MetricValue, digits: int) -> str:
    """`value [low, high]` of a metric."""
    return number_and_interval(metric.value, metric.ci_low, metric.ci_high, digits)


def _row(
    name: str,
    metrics: Mapping[MetricName, MetricValue] | Mapping[BoundMetricName, MetricValue],
    floor: MetricValue | None = None,
) -> tuple[str, ...]:
    capi = metrics["capi_sdri"]
    digits = 3
    return (
        name,
        interval_text(capi, digits),
        "" if floor is None else number(floor.value, digits),
        interval_text(metrics["mixture_accuracy"], digits),
        interval_text(metrics["source_accuracy"], digits),
        f"{capi.n} ({capi.n_defined})",
    )


def as_written_line(summary: Summary, written: RunAsWritten) -> str:
    """What became of the estimates in their 16-bit files: their score, or, without references, how many there are."""
    clipped = f"{counted(written.clipped_samples, 'sample')} clipped"
    if not predicted(summary):
        return f"as written to 16-bit wavs: CAPI-SDRi {number(written.capi_sdri.value, 3)} dB, {clipped}"
    sources = "" if summary.n_estimates is None else f"{counted(summary.n_estimates, 'source')}, "
    return f"written to 16-bit wavs: {sources}{clipped}"


def _part(metric: MetricValue) -> str:
    """What a mean is over, where it is defined for some of the mixtures only."""
    partial = metric.value is not None and metric.n_defined < metric.n
    return f" (over {metric.n_defined} of {metric.n} mixtures)" if partial else ""


def _secondary(metrics: Mapping[SecondaryName, MetricValue]) -> str:
    values = (f"{SECONDARY_TITLES[name]} {interval_text(metric, 2)}{_part(metric)}" for name, metric in metrics.items())
    return f"secondary metrics, dB (they rank nothing): {', '.join(values)}"
