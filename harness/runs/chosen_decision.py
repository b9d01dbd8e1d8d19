"""Which decision a run uses: the system's own, a file's, or either with settings on top."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.record.config import RunConfig
from s5eval.systems.decision import Decision, load_decision, parse_decision
from s5eval.systems.interface import OracleSystem, System

WHERE = "--set decision.…"


@dataclass(frozen=True, slots=True)
class ChosenDecision:
    """The decision of a run, and how `decision.thresholds` was answered; None when it was not asked for."""

    decision: Decision
    thresholds: str | None = None


def choose_decision(config: RunConfig, system: System | OracleSystem) -> ChosenDecision:
    """Resolve `--decision FILE` and the settings of section `decision`.

    `decision.thresholds=tuned` asks for the silence thresholds that came with the system's weights, which their
    provenance shows to be tuned; where there are none it equals `default`, and `ChosenDecision.thresholds` says
    so. `default` asks for one threshold of 0.5 for all classes. Other keys replace those of a decision file;
    thresholds of single classes join the others.

    Raises:
        UsageError: an unknown key or an impossible value, or both a file and `decision.thresholds`.
    """
    settings = dict(config.settings.get("decision", {}))
    switch = settings.pop("thresholds", None)
    if switch not in (None, "tuned", "default"):
        raise UsageError(f"{WHERE}: decision.thresholds is {switch!r}, expected tuned or default")
    if switch is not None and config.decision_file is not None:
        raise UsageError(f"--decision {config.decision_file} and decision.thresholds={switch} contradict each other")
    decision = load_decision(config.decision_file) if config.decision_file else system.decision
    answered = switch
    if switch == "default":
        decision = replace(decision, silence_thresholds=Decision().silence_thresholds, provenance=None)
    elif switch == "tuned" and decision.provenance is None:
        decision = replace(decision, silence_thresholds=Decision().silence_thresholds)
        answered = "default (these weights have no tuned thresholds)"
    return ChosenDecision(_with_settings(decision, settings), answered)


def decision_marks(decision: Decision, thresholds: str | None = None) -> dict[str, Any]:
    """What the facts of a run (`about`) say of its decision, whoever reads only the summary."""
    marks: dict[str, Any] = {"tuned_on_forbidden": bool((decision.provenance or {}).get("tuned_on_forbidden"))}
    return marks if thresholds is None else {**marks, "thresholds": thresholds}


def _with_settings(decision: Decision, settings: Mapping[str, Any]) -> Decision:
    if not settings:
        return decision
    content = {**decision.as_dict(), **settings}
    classes = settings.get("silence_thresholds")
    if isinstance(classes, Mapping):
        content["silence_thresholds"] = {**decision.silence_thresholds, **classes}
    return parse_decision(content, where=WHERE)
