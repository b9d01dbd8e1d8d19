"""Summaries as text: one table for the terminal, systems above, bounds apart below."""

from collections.abc import Mapping, Sequence
from typing import Any

from s5eval.harness.scoring.decomposition import TERMS

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
    rows = [_HEADER, _row(str(summary["system"]), summary["metrics"])]
    if summary["n_scored"]:
        rows.append(())
        rows += [_row(f"{name} ({note})", summary["bounds"][name], "bound") for name, note in BOUND_NOTES.items()]
    lines = [headline(summary), "", *aligned(rows)]
    if summary.get("undefined_reason"):
        lines += ["", f"CAPI-SDRi is undefined: {summary['undefined_reason']}"]
    if summary["dataset"] == "dcase2025":
        lines += ["", f"CA-SDRi, the ranking metric of 2025: {_interval(summary['metrics']['ca_sdri'], 3)} dB"]
    if written := summary.get("as_written"):
        lines += ["", _as_written(written)]
    if summary.get("secondary"):
        lines += ["", _secondary(summary["secondary"])]
    if (parts := summary.get("decomposition")) and any(parts["terms"][term] for term in TERMS[1:]):
        from s5eval.harness.report.decibels import decomposition_lines

        lines += ["", *decomposition_lines(parts)]
    if findings := summary.get("findings"):
        counts = ", ".join(f"{count} {rule}" for rule, count in findings.items())
        lines += ["", f"findings about the files: {counts} (run.json lists them; --strict makes them errors)"]
    if summary.get("flags"):
        lines += ["", "flags: " + ", ".join(f"{name} {count}" for name, count in summary["flags"].items())]
    failures: Mapping[str, str] = summary.get("failures", {})
    if failures:
        lines += ["", f"{len(failures)} mixtures failed and are in no number above:"]
        lines += [f"  {id_}: {error}" for id_, error in list(failures.items())[:10]]
        lines += [f"  … and {len(failures) - 10} more (mixtures.jsonl lists all)"] if len(failures) > 10 else []
    return "\n".join(lines)


def headline(summary: Mapping[str, Any]) -> str:
    """One line: system, weights, data, and the words a reader must not miss."""
    marks = [] if summary["status"] == "complete" else [str(summary["status"]).upper()]
    marks += ["oracle: sees the references"] if summary.get("oracle") else []
    marks += ["thresholds tuned on a forbidden split"] if summary.get("tuned_on_forbidden") else []
    data = f"{summary['dataset']}/{summary['split']}" if summary["dataset"] != summary["split"] else summary["split"]
    parts = [f"{summary['system']}", f"weights: {summary['weights']}", f"data: {data}", *marks]
    counted = summary["n_scored"] + summary.get("n_predicted", 0) + summary["n_failed"]
    return " | ".join([*parts, f"{counted} of {summary['n_expected']} mixtures" if marks else f"{counted} mixtures"])


def _row(name: str, metrics: Mapping[str, Any], kind: str = "system") -> tuple[str, ...]:
    capi = metrics["capi_sdri"]
    floor = metrics.get("capi_sdri_zero_floor")
    digits = 3
    return (
        f"  {name}" if kind == "bound" else name,
        _interval(capi, digits),
        "" if floor is None else _number(floor["value"], digits),
        _interval(metrics["mixture_accuracy"], digits),
        _interval(metrics["source_accuracy"], digits),
        f"{capi['n']} ({capi['n_defined']})",
    )


def _interval(metric: Mapping[str, Any], digits: int) -> str:
    if metric["value"] is None:
        return "–"
    if metric["ci_low"] is None or metric["ci_low"] == metric["ci_high"]:
        return _number(metric["value"], digits)
    return f"{_number(metric['value'], digits)} [{metric['ci_low']:.2f}, {metric['ci_high']:.2f}]"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no "-0.000"


def _as_written(written: Mapping[str, Any]) -> str:
    value = _number(written["capi_sdri"]["value"], 3)
    return f"as written to 16-bit wavs: CAPI-SDRi {value} dB, {written['clipped_samples']} samples clipped"


def _secondary(metrics: Mapping[str, Any]) -> str:
    values = (f"{SECONDARY_TITLES[name]} {_interval(metric, 2)}" for name, metric in metrics.items())
    return f"secondary metrics, dB (they rank nothing): {', '.join(values)}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines of equal columns, the first to the left; rules below the header and for empty rows."""
    widths = [max(len(row[k]) for row in rows if row) for k in range(len(rows[0]))]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    lines = []
    for number, row in enumerate(rows):
        if not row:
            lines.append(rule)
            continue
        cells = [
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
        if number == 0:
            lines.append(rule)
    return lines
