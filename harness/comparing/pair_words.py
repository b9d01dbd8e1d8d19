"""The words of a comparison, in the terminal's table and in notebooks: metrics, differences, whose runs they are."""

from dataclasses import replace

from s5eval.data_manifests.common.words import counted
from s5eval.harness.comparing.pair_of_runs import LeftOut, PairOfRuns, Side
from s5eval.harness.report.table import SECONDARY_TITLES, marks_of, part_mark, settings_of, shown_name, shown_path
from s5eval.harness.report.text import ABSENT, number_and_interval
from s5eval.harness.scoring.paired import BY_CHANCE, LEAST_MIXTURES, Difference

TITLES: dict[str, str] = {
    "capi_sdri": "CAPI-SDRi dB",
    "mixture_accuracy": "mixture acc. %",
    "source_accuracy": "source acc. %",
    "capi_sdri_zero_floor": "zero floor dB",
    "capi_sdri_gain_floor": "gain floor dB",
    "ca_sdri": "CA-SDRi dB",
    "sdri": "SDRi dB",
    "precision": "precision %",
    "recall": "recall %",
    **{str(name): f"{title} dB" for name, title in SECONDARY_TITLES.items()},
}
"""What the metrics are called in tables; every one that a column can have."""

LEFT_OUT: dict[LeftOut, str] = {
    "first": "not scored in the first run",
    "second": "not scored in the second run",
    "either": "not scored in either",
    "references": "different references",
}
"""Why mixtures are not compared, in words."""

NO_STAR = f"no star where fewer than {LEAST_MIXTURES} mixtures changed: {BY_CHANCE}"
"""Why an interval that excludes 0 may have no star; `Difference.withheld` says of which that holds."""


def remarks(comparison: PairOfRuns) -> list[str]:
    """What keeps the two from being compared as they look, and which mixtures are in no difference; a line each."""
    left_out = (
        f"left out, {LEFT_OUT[why]}: {counted(len(ids), 'mixture')}" for why, ids in comparison.left_out.items()
    )
    return [*(f"warning: {warning}" for warning in comparison.warnings), *left_out]


def delta_text(difference: Difference) -> str:
    """`+0.412 [+0.10, +0.73] *`; the star when the interval excludes 0."""
    if difference.delta is None:
        return ABSENT
    text = number_and_interval(difference.delta, difference.ci_low, difference.ci_high, 3, signed=True)
    return f"{text} *" if difference.significant else text


def title_of(side: Side) -> str:
    """A run of a comparison: its path and name, and every word that a reader must not miss."""
    facts = replace(side.facts, unverified=None)  # which the warnings say
    decided = [f"decision: {facts.decided_by}"] if facts.decided_by else []
    part = part_mark(facts.n_expected, facts.n_split)
    marks = [*marks_of(facts), *([part] if part else []), *decided]
    named = [f"{shown_path(side.path)} ({shown_name(facts)})", *settings_of(facts)]
    return " | ".join([*named, f"weights: {facts.weights}", *marks])
