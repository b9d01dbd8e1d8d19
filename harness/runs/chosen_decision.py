"""Which decision a run uses: the system's own, a file's, or either with settings on top."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.run_record import TUNED
from s5eval.harness.record.same_system import made_for_another
from s5eval.harness.report.text import number
from s5eval.harness.scoring.paired import too_few
from s5eval.systems.decision import EXPECTED_SCORE, KEEP_ALL, NO_THRESHOLDS, Decision
from s5eval.systems.decision_reading import is_number, load_decision, parse_decision
from s5eval.systems.provenance import BEFORE, is_fitted, of_priors
from s5eval.systems.settings import typed

WHERE = "settings of section decision"
_ONE_FOR_ALL = "one threshold for every class that has none of its own is decision.silence_thresholds.default="
_TOLD = 4  # values of one key that are told one by one


@dataclass(frozen=True, slots=True)
class ChosenDecision:
    """The decision of a run, and who made it.

    Attributes:
        decision: the rules.
        decided_by: where its thresholds come from, for readers.
        thresholds: which are used, where `decision.thresholds` asked for one kind; None: it did not.
        missing: what was asked for and is not there.
    """

    decision: Decision
    decided_by: str
    thresholds: Literal["tuned", "default"] | None = None
    missing: tuple[str, ...] = ()


def choose_decision(
    own: Decision,
    settings: Mapping[str, Any],
    file: Path | None = None,
    *,
    weights: object = None,
    fingerprint: str | None = None,
) -> ChosenDecision:
    """Resolve the decision file and the settings of section `decision`.

    Args:
        own: the system's.
        settings: what was set of the decision: key → value.
        file: decision file that replaces the system's own; None: the system's own.
        weights: digest of the weights in use, to say when thresholds were tuned for others.
        fingerprint: `system_digest` of the system in use, to say when they were tuned for another one.

    `decision.thresholds=tuned` asks for the silence thresholds, or the expected score in their place, that came with
    the system's weights, which their provenance shows to be tuned; where there are none it equals `default`, and
    `ChosenDecision.missing` says so. `default` asks for one threshold of 0.5 for all classes. Other keys replace those
    of a decision file; thresholds of single classes, and numbers of the expected score, join the others. Without word
    of thresholds, an expected score that is set leaves them at 1, and one that is taken away at 0.5.

    Raises:
        UsageError: an unknown key or an impossible value, both a file and `decision.thresholds`, or an expected score
            beside `decision.thresholds=default`.
    """
    settings = dict(settings)
    _refuse_other_spellings(settings)
    switch = settings.pop("thresholds", None)
    if switch not in (None, "tuned", "default"):
        raise UsageError(
            f"{WHERE}: decision.thresholds is {switch!r}, expected tuned or default; {_ONE_FOR_ALL}"
            f"{switch if is_number(switch) else 0.3}, thresholds by class are "
            f"decision.silence_thresholds.{_class_typed(switch)}{_meant(switch)}"
        )
    if switch is not None and file is not None:
        raise UsageError(f"`decision_file` {file} and decision.thresholds={switch} contradict each other")
    if switch == "default" and settings.get("expected_score") is not None:
        raise UsageError(f"{WHERE}: decision.thresholds=default and an expected_score contradict each other")
    decision = own if file is None else load_decision(file)
    answered: Literal["tuned", "default"] | None = switch
    missing: tuple[str, ...] = ()
    if switch == "default":
        decision = _untuned(decision)
    elif switch == "tuned" and not is_fitted(decision.provenance):
        decision = _untuned(decision)
        answered, missing = "default", (TUNED,)
    chosen = _with_settings(decision, settings)
    decided_by = describe_decision(decision, file, weights=weights, fingerprint=fingerprint)
    if "expected_score" in settings or ("silence_thresholds" in settings and chosen.expected_score is not None):
        decided_by = rules_text(chosen)  # nobody tuned what these come to together
    if settings:
        decided_by += f"; set by hand: {', '.join(_as_typed(settings))}"
    return ChosenDecision(chosen, decided_by, answered, missing)


def _refuse_other_spellings(settings: Mapping[str, Any]) -> None:
    """Refuse one threshold for all that is not where thresholds are, and say where that is.

    Raises:
        UsageError: `threshold`, or a number in place of the thresholds by class.
    """
    for key in ("threshold", "silence_thresholds"):
        value = settings.get(key, {})
        if not isinstance(value, Mapping):
            wrong = "there is no key" if key == "threshold" else "no single number is"
            raise UsageError(f"{WHERE}: {wrong} decision.{key}; {_ONE_FOR_ALL}{value if is_number(value) else 0.3}")


def _as_typed(settings: Mapping[str, Any]) -> list[str]:
    """What was set, with its values, as it is typed; of many thresholds how many they are."""
    said: list[str] = []
    for key, value in sorted(settings.items()):
        words = typed({key: dict(sorted(value.items())) if isinstance(value, Mapping) else value})
        said += words if len(words) <= _TOLD else [f"{len(words)} values of {key}"]
    return said


def _class_typed(switch: object) -> str:
    """`Speech=0.2` where that was set under another name, else `CLASS`."""
    pairs = switch.items() if isinstance(switch, Mapping) else ()
    return next((f"{name}={value}" for name, value in pairs if name in CLASSES and is_number(value)), "CLASS")


def _meant(switch: object) -> str:
    """`'; did you mean 'Speech'?'` for a class that was set, and misspelled, where the switch is."""
    names = map(str, switch) if isinstance(switch, Mapping) else ()
    return next((suggestion(name, CLASSES) for name in names if name not in CLASSES), "")


def describe_decision(
    decision: Decision, file: Path | None, *, weights: object = None, fingerprint: str | None = None
) -> str:
    """Where a decision comes from, in words: a file, the weights it was tuned for, or neither.

    Args:
        decision: the rules.
        file: the file they were read from; None: they are the system's own.
        weights: digest of the weights in use, to say when the decision was tuned for others.
        fingerprint: `system_digest` of the system in use, to say when it was tuned for another one.
    """
    tuned = ""
    if decision.provenance is not None:
        fitted = "" if is_fitted(decision.provenance) else f"{rules_text(replace(decision, prior_factors=None))}, "
        tuned = fitted + _origin(decision.provenance, decision, weights, fingerprint)
    if file is not None:
        return f"file {file.name} ({tuned or f'{rules_text(decision)}, no word of where from'})"
    if tuned:
        return f"{tuned}, which came with the system"
    if decision == KEEP_ALL:
        return "every candidate is an estimate"
    return rules_text(decision)


def rules_text(decision: Decision) -> str:
    """The thresholds of a decision, its expected score, and what is unusual of its other rules, in words.

    Thresholds that drop nothing beside an expected score are not told.

    >>> rules_text(Decision())
    'threshold 0.5 for every class'
    >>> rules_text(Decision(max_sources=1, duplicate_correlation=None, prior_factors={"Speech": 5.0}))
    'threshold 0.5 for every class; at most 1 source; duplicates stay; priors changed'
    """
    one, expected = decision.one_threshold, decision.expected_score
    said = []
    if decision.by_thresholds:
        said.append("thresholds of its own for some classes" if one is None else f"threshold {one:g} for every class")
    if expected is not None:
        said.append(f"expected score at temperature {expected.temperature:g}")
    return "; ".join([", then ".join(said), *_unusual(decision)])


def _unusual(decision: Decision) -> list[str]:
    usual, said = Decision(), []
    if decision.max_sources is None:
        said.append("any number of sources")
    elif decision.max_sources != usual.max_sources:
        said.append(f"at most {counted(decision.max_sources, 'source')}")
    if decision.duplicate_correlation is None:
        said.append("duplicates stay")
    elif decision.duplicate_correlation != usual.duplicate_correlation:
        said.append(f"duplicates from a correlation of {decision.duplicate_correlation:g} on")
    return said if decision.prior_factors is None else [*said, "priors changed"]


def _untuned(decision: Decision) -> Decision:
    """The same with one threshold of 0.5; any duplicate rule, maximum and priors stay, with what is said of these."""
    untouched, priors = Decision().silence_thresholds, of_priors(decision.provenance)
    return replace(decision, silence_thresholds=untouched, expected_score=None, provenance=priors)


def _origin(provenance: Mapping[str, Any], decision: Decision, weights: object, fingerprint: str | None) -> str:
    """`thresholds tuned on mini/valid`, what must be known of the runs, and what it was tuned on top of."""
    where = " and ".join(dict.fromkeys(_places(provenance)))
    tuned = f"{_what(provenance, decision)}{f' on {where}' if where else ''}"
    another = made_for_another(provenance, weights=weights, fingerprint=fingerprint)
    tuned += f" {another}" if another else ""
    tuned += _earned(provenance.get("cross_validated_gain_db"))
    doubts = _doubts(provenance)
    tuned = f"{tuned}, on a run {doubts}" if doubts else tuned
    of_source = provenance.get("source_marks")
    doubts = _doubts(of_source) if isinstance(of_source, Mapping) else ""
    tuned = f"{tuned}, from the frequencies of a run {doubts}" if doubts else tuned
    before = provenance.get(BEFORE)
    if not isinstance(before, Mapping):
        return tuned
    return f"{tuned}, on top of {_origin(before, decision, weights, fingerprint)}"


def _doubts(marks: Mapping[str, Any]) -> str:
    """What must be known of the runs that a decision was made on, in words; empty: nothing."""
    missing = marks.get("missing_parts")
    doubts = [f"without {', '.join(map(str, missing))}"] if isinstance(missing, list) and missing else []
    doubts += [str(marks[key]) for key in ("partial", "unverified", "trained_on", "doubts") if marks.get(key)]
    return "; ".join(doubts)


def _places(provenance: Mapping[str, Any]) -> list[str]:
    """The data of every run that a decision was made on; earlier versions told no name of a folder."""
    told = provenance.get("data")
    if told is not None:
        return [str(name) for name in (told if isinstance(told, list) else [told])]
    names = [provenance[key] for key in ("dataset", "split") if key in provenance]
    several = [name if isinstance(name, list) else [name] for name in names]
    longest = max(map(len, several), default=0)
    rows = zip(*(name * longest if len(name) == 1 else name for name in several), strict=False)
    return ["a folder" if set(row) == {"folder"} else "/".join(map(str, row)) for row in rows]


def _what(provenance: Mapping[str, Any], decision: Decision) -> str:
    """What was tuned, by its provenance."""
    if provenance.get("unlabelled"):
        rounds = provenance.get("unsettled_after")
        return f"priors adapted (unsettled after {rounds} iterations)" if rounds else "priors adapted"
    if provenance.get("objective") == EXPECTED_SCORE and decision.expected_score is not None:
        return f"expected score at temperature {decision.expected_score.temperature:g} tuned"
    return "thresholds tuned"


def _earned(gain: object) -> str:
    """` (+0.31 dB there, cross-validated)`: what tuning brought where it was done, if that was written down; and that
    too few mixtures changed there to tell.
    """
    value = gain.get("value") if isinstance(gain, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    few = f", {words}" if isinstance(gain, Mapping) and (words := too_few(gain)) else ""
    return f" ({number(value, 2, signed=True)} dB there{few}, cross-validated)"


def is_tuned_on_forbidden(decision: Decision) -> bool:
    """Whether a decision was tuned on data that forbid it."""
    return bool((decision.provenance or {}).get("tuned_on_forbidden"))


def _with_settings(decision: Decision, settings: Mapping[str, Any]) -> Decision:
    if not settings:
        return decision
    content = {**decision.as_dict(), **settings}
    classes = settings.get("silence_thresholds")
    if isinstance(classes, Mapping):
        content["silence_thresholds"] = {**decision.silence_thresholds, **classes}
    elif "expected_score" in settings:
        expected = settings["expected_score"]
        if expected is None and decision.expected_score is not None:
            content["silence_thresholds"] = Decision().silence_thresholds
        elif expected is not None and decision.expected_score is None:
            content["silence_thresholds"] = NO_THRESHOLDS
    expected = settings.get("expected_score")
    if isinstance(expected, Mapping) and decision.expected_score is not None:
        content["expected_score"] = {**asdict(decision.expected_score), **expected}
    return parse_decision(content, where=WHERE)
