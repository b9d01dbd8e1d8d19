"""What `tune` prints: gains as fitted and cross-validated, and what became of every class."""

from collections.abc import Mapping

from s5eval.harness.report.terminal_layout import aligned
from s5eval.harness.report.text import ABSENT, number, number_and_interval
from s5eval.harness.tuning.decision_file import inherited_lines
from s5eval.harness.tuning.tune import TuneResult
from s5eval.metrics.tolerance import LAST_BITS

_NAMES = {"untuned": "untuned", "fitted": "fitted (on the same mixtures)", "cross_validated": "cross-validated"}


def tuning_table(result: TuneResult) -> str:
    """The result of a tuning as text."""
    rows: list[tuple[str, ...]] = [("", "CAPI-SDRi dB", "mixture acc. %", "source acc. %", "objective")]
    for name, title in _NAMES.items():
        values = result.scores[name]
        rows.append(
            (
                title,
                *(number(values[key], 3) for key in ("capi_sdri", "mixture_accuracy", "source_accuracy", "objective")),
            )
        )
    classes: list[tuple[str, ...]] = [("class", "candidates", "before", "after", "revived (right)", "silenced (right)")]
    classes += [(label, *_changes(row)) for label, row in result.classes.items()]
    provenance = result.decision.provenance or {}
    left_out = f"; {result.n_left_out} without a score left out" if result.n_left_out else ""
    gain = result.gain
    verdict = "" if (gain["value"] or 0.0) > LAST_BITS else ": none, so keep the untuned thresholds"
    gained = number_and_interval(gain["value"], gain["ci_low"], gain["ci_high"], 3, signed=True, places=3)
    lines = [
        f"objective: {provenance['objective']}, {provenance['folds']} folds, {result.n_mixtures} mixtures{left_out}",
        "",
        *aligned(rows),
        "",
        f"gain in CAPI-SDRi, cross-validated: {gained} dB{verdict}",
        "",
        *aligned(classes),
    ]
    return "\n".join([*lines, *inherited_lines(provenance, "tuned on")])


def _changes(row: Mapping[str, float]) -> tuple[str, ...]:
    changes = (
        f"{row[change]:.0f} ({row[f'{change}_right']:.0f})" if row[change] else ABSENT
        for change in ("revived", "silenced")
    )
    return (f"{row['candidates']:.0f}", number(row["before"], 3), number(row["after"], 3), *changes)
