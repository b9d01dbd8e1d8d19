"""Where the decibels of a run went, as text: from CAPI-SDRi over the losses up to the references themselves."""

from collections.abc import Mapping
from typing import Any

from s5eval.harness.report.layout import aligned
from s5eval.harness.report.text import number
from s5eval.harness.scoring.decomposition import ORACLES, TERMS

_CONFUSIONS = 3

LOSS_TITLES = {
    "miss": "misses",
    "false_alarm": "false alarms",
    "confusion": "confusions",
    "repeated_class": "repeated classes",
    "separation": "separation",
}
"""What the terms are called, in the order of the ladder."""

LOSS_NOTES = {
    "miss": "separated, and judged silent",
    "false_alarm": "estimates that belong to no reference",
    "confusion": "separated, and labelled as another class",
    "repeated_class": "another estimate of the class took the place",
    "separation": "the waveforms; no label or threshold would bring it back",
}


def ladder(decomposition: Mapping[str, Any]) -> list[tuple[str, float, str]]:
    """Steps as (title, dB, note): CAPI-SDRi, what was lost to labels and decisions, the bound, separation, ceiling."""
    terms = decomposition["terms"]
    steps = [("CAPI-SDRi", decomposition["value"], "")]
    steps += [(f"+ {LOSS_TITLES[term]}", terms[term], LOSS_NOTES[term]) for term in LOSS_TITLES if term in TERMS[1:]]
    steps.append(("= bound", decomposition["bound"], "the same waveforms with right labels and decisions"))
    steps.append(("+ separation", terms["separation"], LOSS_NOTES["separation"]))
    steps.append(("= ceiling", decomposition["ceiling"], "the references themselves"))
    return steps


def decomposition_lines(decomposition: Mapping[str, Any]) -> list[str]:
    """The ladder as lines for the terminal, with the largest confusions and the what-if values."""
    notes = {"confusion": _confusions(decomposition)}
    rows: list[tuple[str, ...]] = [("where the decibels went", "dB", "")]
    for title, value, note in ladder(decomposition):
        extra = notes["confusion"] if title == f"+ {LOSS_TITLES['confusion']}" else ""
        rows.append((title, number(value, 3), f"{note}{extra}"))
    lines = aligned(rows, left=(0, 2))
    what_if = (
        f"{name.removeprefix('oracle_')} {number(decomposition[name], 3)}"
        for name in ORACLES
        if decomposition[name] is not None
    )
    return [*lines, f"CAPI-SDRi with one thing put right: {', '.join(what_if)} dB"]


def _confusions(decomposition: Mapping[str, Any]) -> str:
    largest = [c for c in decomposition["confusions"] if round(c["loss"], 2) > 0][:_CONFUSIONS]
    listed = ", ".join(f"{c['reference']} → {c['estimate']} {number(c['loss'], 2)}" for c in largest)
    return f": {listed}" if listed else ""
