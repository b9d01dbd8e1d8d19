"""Summaries as text: one table for the terminal, systems above, bounds apart below."""

from collections.abc import Mapping
from typing import Any

from s5eval.harness.report.decibels import decomposition_lines
from s5eval.harness.report.layout import aligned, is_narrow
from s5eval.harness.report.text import number, number_and_interval
from s5eval.harness.scoring.decomposition import TERMS
from s5eval.metrics.tolerance import LAST_BITS

BOUND_NOTES = {
    "silence": "no output",
    "oracle-mixture": "true labels, the mixture itself",
    "oracle-zeros": "true labels, silent waveforms",
    "oracle-gain": "true labels, the mixture scaled",
    "oracle": "true labels, the references",
}
"""What each bound is, for readers of a table, from floor to ceiling."""

SECONDARY_TITLES = {
    "casa_sdr": "CASA-SDR",
    "casa_sdri": "CASA-SDRi",
    "bss_sdr": "BSS Eval SDR",
    "bss_sir": "SIR",
    "bss_sar": "SAR",
}
"""What the metrics of `--metrics all` are called."""

_HEADER = ("", "CAPI-SDRi dB", "zero floor", "mixture acc. %", "source acc. %", "n (defined)")


def summary_table(summary: Mapping[str, Any]) -> str:
    """The result of a run: what it is, its metrics with 95 % intervals, the bounds, and what went wrong."""
    rows = [_HEADER, _row(shown_name(summary), summary["metrics"])]
    if summary["n_scored"]:
        rows.append(())
        rows += [_row(bound_title(name), summary["bounds"][name], "bound") for name in BOUND_NOTES]
    lines = [headline(summary)]
    lines += [f"decision: {summary['decided_by']}"] if summary.get("decided_by") else []
    lines += ["", *aligned(rows), *(bounds_explained() if summary["n_scored"] else [])]
    if summary.get("undefined_reason"):
        lines += ["", f"CAPI-SDRi is undefined: {summary['undefined_reason']}"]
    if summary["dataset"] == "dcase2025":
        lines += ["", f"CA-SDRi, the ranking metric of 2025: {_interval(summary['metrics']['ca_sdri'], 3)} dB"]
    if written := summary.get("as_written"):
        lines += ["", _as_written(written)]
    if summary.get("secondary"):
        lines += ["", _secondary(summary["secondary"])]
    if (parts := summary.get("decomposition")) and any(abs(parts["terms"][term]) > LAST_BITS for term in TERMS[1:]):
        lines += ["", *decomposition_lines(parts)]
    if findings := summary.get("findings"):
        counts = ", ".join(f"{count} {rule}" for rule, count in findings.items())
        lines += ["", f"findings about the files: {counts} (run.json lists them; strict runs refuse them)"]
    if summary.get("flags"):
        lines += ["", "flags: " + ", ".join(f"{name} {count}" for name, count in summary["flags"].items())]
    failures: Mapping[str, str] = summary.get("failures", {})
    if failures:
        lines += ["", f"{len(failures)} mixtures failed and are in no number above:"]
        lines += [f"  {id_}: {error}" for id_, error in list(failures.items())[:10]]
        lines += [f"  … and {len(failures) - 10} more (mixtures.jsonl lists all)"] if len(failures) > 10 else []
    return "\n".join(lines)


def bound_title(name: str) -> str:
    """A bound as it stands in a table: with what it is, where there is room."""
    return name if is_narrow() else f"{name} ({BOUND_NOTES[name]})"


def bounds_explained() -> list[str]:
    """What the bounds are, as a line below a table that has no room for it."""
    listed = "; ".join(f"{name}: {note}" for name, note in BOUND_NOTES.items())
    return ["", f"bounds: {listed}"] if is_narrow() else []


def shown_name(facts: Mapping[str, Any]) -> str:
    """What a run is called: the name it was given, else its system's."""
    return str(facts.get("name") or facts["system"])


def marks_of(facts: Mapping[str, Any]) -> list[str]:
    """The words a reader must not miss beside any number of a run; none for a complete and honest one."""
    marks = [] if facts["status"] == "complete" else [str(facts["status"]).upper()]
    marks += ["oracle: sees the references"] if facts.get("oracle") else []
    marks += ["thresholds tuned on a forbidden split"] if facts.get("tuned_on_forbidden") else []
    marks += [f"WITHOUT {part}" for part in facts.get("missing_parts", ())]
    marks += [str(facts["unverified"])] if facts.get("unverified") else []
    return marks + estimate_marks(facts)


def settings_of(facts: Mapping[str, Any]) -> list[str]:
    """`set: system.af_whisper=false`, where a system was not run as its name alone would run it; else nothing."""
    return [f"set: {', '.join(facts['set'])}"] if facts.get("set") else []


def whole(facts: Mapping[str, Any]) -> int:
    """How many mixtures there would be to evaluate, of a summary or the facts of a run: those of the whole split."""
    return max(int(facts["n_expected"]), int(facts.get("n_split", 0)))


def part_mark(facts: Mapping[str, Any]) -> str:
    """`PARTIAL: 24 of the split's 96 mixtures`, where a run was to evaluate a part only; else nothing."""
    partial = whole(facts) > facts["n_expected"]
    return f"PARTIAL: {facts['n_expected']} of the split's {whole(facts)} mixtures" if partial else ""


def headline(summary: Mapping[str, Any]) -> str:
    """One line: system, weights, data, and the words a reader must not miss."""
    marks = marks_of(summary)
    data = f"{summary['dataset']}/{summary['split']}" if summary["dataset"] != summary["split"] else summary["split"]
    name = shown_name(summary)
    system = name if name == summary["system"] else f"{name} ({summary['system']})"
    parts = [system, *settings_of(summary), f"weights: {summary['weights']}", f"data: {data}", *marks]
    counted = max(summary["n_scored"], summary.get("n_predicted", 0)) + summary["n_failed"]
    return " | ".join([*parts, f"{counted} of {whole(summary)} mixtures" if marks else f"{counted} mixtures"])


def estimate_marks(about: Mapping[str, Any]) -> list[str]:
    """What must be said of a folder or archive of estimates: that it answers a part, or that channels were averaged."""
    answered, expected = about.get("answered"), about["n_expected"]
    marks = [] if answered in (None, expected) else [f"answers {answered} of {expected} mixtures"]
    return [*marks, *(["estimates of several channels averaged"] if about.get("downmix") else [])]


def _row(name: str, metrics: Mapping[str, Any], kind: str = "system") -> tuple[str, ...]:
    capi = metrics["capi_sdri"]
    floor = metrics.get("capi_sdri_zero_floor")
    digits = 3
    return (
        f"  {name}" if kind == "bound" else name,
        _interval(capi, digits),
        "" if floor is None else number(floor["value"], digits),
        _interval(metrics["mixture_accuracy"], digits),
        _interval(metrics["source_accuracy"], digits),
        f"{capi['n']} ({capi['n_defined']})",
    )


def _interval(metric: Mapping[str, Any], digits: int) -> str:
    return number_and_interval(metric["value"], metric["ci_low"], metric["ci_high"], digits)


def _as_written(written: Mapping[str, Any]) -> str:
    value = number(written["capi_sdri"]["value"], 3)
    return f"as written to 16-bit wavs: CAPI-SDRi {value} dB, {written['clipped_samples']} samples clipped"


def _part(metric: Mapping[str, Any]) -> str:
    """What a mean is over, where it is defined for some of the mixtures only."""
    partial = metric["value"] is not None and metric["n_defined"] < metric["n"]
    return f" (over {metric['n_defined']} of {metric['n']} mixtures)" if partial else ""


def _secondary(metrics: Mapping[str, Any]) -> str:
    values = (f"{SECONDARY_TITLES[name]} {_interval(metric, 2)}{_part(metric)}" for name, metric in metrics.items())
    return f"secondary metrics, dB (they rank nothing): {', '.join(values)}"
