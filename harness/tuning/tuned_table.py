"""What `tune` prints: gains as fitted and cross-validated, and what became of every class."""

from collections.abc import Mapping
from typing import Any

from s5eval.data_manifests.common.words import counted
from s5eval.harness.report.terminal_layout import aligned
from s5eval.harness.report.text import ABSENT, number, number_and_interval
from s5eval.harness.scoring.paired import BY_CHANCE
from s5eval.harness.tuning.decision_file import inherited_lines
from s5eval.harness.tuning.tune_result import TuneResult
from s5eval.metrics.tolerance import LAST_BITS
from s5eval.systems.decision import EXPECTED_SCORE
from s5eval.systems.expected_score import RANGES, ExpectedScore

_TELLING = 0.05  # a temperature so near to 1 says nothing

_NAMES = {"untuned": "before", "fitted": "fitted (on the same mixtures)", "cross_validated": "cross-validated"}


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
    expected = result.decision.expected_score if result.by_expected_score else None
    of_thresholds = ("before", "after") if expected is None else ()
    changes = ("revived (in scene)", "silenced (in scene)")
    classes: list[tuple[str, ...]] = [("class", "candidates", *of_thresholds, *changes)]
    classes += [(label, *_changes(row, thresholds=expected is None)) for label, row in result.classes.items()]
    provenance = result.decision.provenance or {}
    left_out = f"; {result.n_left_out} without a score left out" if result.n_left_out else ""
    mixtures = counted(result.n_mixtures, "mixture")
    lines = [
        f"objective: {provenance['objective']}, {provenance['folds']} folds, {mixtures}{left_out}",
        *_recordings(provenance, result.n_mixtures),
        "",
        *aligned(rows),
        "",
        *_gains(result, provenance["objective"]),
        *_known(result),
        *([] if expected is None else _fitted_numbers(expected, provenance)),
        *_what_stays(result),
        "",
        *aligned(classes),
    ]
    return "\n".join([*lines, *inherited_lines(provenance, "tuned on")])


def _gains(result: TuneResult, objective: str) -> list[str]:
    """The cross-validated gain in the objective, with a verdict, and in CAPI-SDRi where that is another metric; and
    that too few mixtures changed for an interval.
    """

    def told(name: str, gain: Mapping[str, float | None], unit: str) -> str:
        gained = number_and_interval(gain["value"], gain["ci_low"], gain["ci_high"], 3, signed=True, places=3)
        return f"gain in {name}, cross-validated: {gained}{unit}"

    verdict = "" if (result.objective_gain["value"] or 0.0) > LAST_BITS else ": none, so keep the decision of before"
    in_db = told("CAPI-SDRi", result.gain, " dB")
    few = [f"{result.too_few}: {BY_CHANCE}, whatever the interval says"] if result.too_few else []
    if objective in ("capi_sdri", EXPECTED_SCORE):
        return [in_db + verdict, *few]
    unit = "" if objective.startswith("capi_sdri +") else " %"
    return [told(objective.replace("_", " "), result.objective_gain, unit) + verdict, in_db, *few]


def _recordings(provenance: Mapping[str, Any], mixtures: int) -> list[str]:
    """How the folds have kept recordings apart that sound in several mixtures, and whether they could."""
    lines = []
    if (seen := provenance["fits_saw"]) < 1:
        share = number(100 * seen, 1)  # of whole percents "100%: the others share recordings" could stand there
        lines.append(f"of the mixtures outside its part a fit saw {share} %: the others share recordings with it")
    if silent := provenance["recordings_not_told"]:
        some = "" if silent == mixtures else f" of {silent:,} of {mixtures:,} mixtures"
        lines.append(f"recordings{some} are not told: where mixtures share any, the cross-validated gain is too high")
    return lines


def _known(result: TuneResult) -> list[str]:
    """That the row `before` is no measure of the decision of before."""
    if not result.n_known:
        return []
    some = f"{result.n_known:,} of " if result.n_known < result.n_mixtures else ""
    return [f"the decision of before was fitted to {some}these mixtures: its row is too high, and the gain too low"]


def _what_stays(result: TuneResult) -> list[str]:
    """That thresholds were fitted on top of an expected score."""
    stays = result.decision.expected_score
    if stays is None or result.by_expected_score:
        return []
    return [
        f"on top of the expected score at temperature {number(stays.temperature, 3)}, which stays and acts after them"
    ]


def _fitted_numbers(expected: ExpectedScore, provenance: Mapping[str, Any]) -> list[str]:
    holding, named = provenance["candidates_with_a_source"], provenance["of_these_named_right"]
    words = "the system is as sure of its classes as it is right"
    if named in (0, holding):
        words = "not fitted: all or none of the classes are right"
    elif not RANGES["temperature"][0] * 1.01 < expected.temperature < RANGES["temperature"][1] / 1.01:
        words = "at the end of what is searched: these scores are hardly probabilities"
    elif abs(expected.temperature - 1.0) >= _TELLING:
        words = (
            f"the system is {'surer' if expected.temperature > 1.0 else 'less sure'} of its classes than it is right"
        )
    return [
        f"temperature of the class scores: {number(expected.temperature, 3)}, {words}",
        f"{named:,} of {holding:,} candidates with a source have its class",
        f"of what they could, mixtures usually earn {number(expected.usual_share, 2)}",
    ]


def _changes(row: Mapping[str, float], *, thresholds: bool) -> tuple[str, ...]:
    changes = (
        f"{row[change]:.0f} ({row[f'{change}_right']:.0f})" if row[change] else ABSENT
        for change in ("revived", "silenced")
    )
    moved = (number(row["before"], 3), number(row["after"], 3)) if thresholds else ()
    return (f"{row['candidates']:.0f}", *moved, *changes)
