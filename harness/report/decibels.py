"""Where the decibels of a run went, as text: from CAPI-SDRi over the losses up to the references themselves."""

from typing import Literal, NamedTuple

from s5eval.data_manifests.common.words import counted
from s5eval.harness.record.run_summary import RunDecomposition, Term
from s5eval.harness.report.terminal_layout import aligned
from s5eval.harness.report.text import number
from s5eval.harness.scoring.decomposition import ORACLES, OracleName

_CONFUSIONS = 3

LOSS_TITLES: dict[Term, str] = {
    "miss": "misses",
    "false_alarm": "false alarms",
    "confusion": "confusions",
    "repeated_class": "repeated classes",
    "separation": "separation",
}
"""What the terms are called, in the order of the ladder."""

LOSS_NOTES: dict[Term, str] = {
    "miss": "separated, and dropped by the decision",
    "false_alarm": "estimates that belong to no reference",
    "confusion": "separated, and labelled as another class",
    "repeated_class": "another estimate of the class took the place",
    "separation": "the waveforms; no label or threshold would bring it back",
}

UNANSWERED_TITLE = "no candidate"
"""Of the step for references that are there and were never separated: no decision has dropped them."""

ORACLE_TITLES: dict[OracleName, str] = {
    "oracle_labels": "labels",
    "oracle_count": "count",
    "oracle_silence": "silence",
}
"""What is put right in the what-if values."""


class Step(NamedTuple):
    """A step from CAPI-SDRi up to the references, dB: a level that is reached, or the loss `term` that leads to it."""

    title: str
    value: float
    note: str
    term: Term | Literal["unanswered"] | None = None


def ladder(decomposition: RunDecomposition) -> list[Step]:
    """CAPI-SDRi, what was lost to labels and decisions, the bound, what nobody separated, separation, ceiling."""
    absent, separation = decomposition.unanswered, decomposition.terms["separation"]
    steps = ladder_to_bound(decomposition)
    if absent is not None and absent.references:
        note = f"{counted(absent.references, 'reference')} that no candidate answers"
        steps.append(Step(f"+ {UNANSWERED_TITLE}", absent.value, note, "unanswered"))
        separation -= absent.value
    steps.append(_lost("separation", separation))
    return [*steps, Step("= ceiling", decomposition.ceiling, "the references themselves")]


def ladder_to_bound(decomposition: RunDecomposition) -> list[Step]:
    """The part of the ladder that labels and decisions are to blame for."""
    terms = decomposition.terms
    steps = [Step("CAPI-SDRi", decomposition.value, "")]
    steps += [_lost(term, terms[term]) for term in LOSS_TITLES if term != "separation"]
    return [*steps, Step("= bound", decomposition.bound, "the same waveforms with right labels and decisions")]


def _lost(term: Term, value: float) -> Step:
    return Step(f"+ {LOSS_TITLES[term]}", value, LOSS_NOTES[term], term)


def decomposition_lines(decomposition: RunDecomposition) -> list[str]:
    """The ladder as lines for the terminal, with the largest confusions and the what-if values."""
    rows: list[tuple[str, ...]] = [("where the decibels went", "dB", "")]
    for step in ladder(decomposition):
        extra = _confusions(decomposition) if step.term == "confusion" else ""
        rows.append((step.title, number(step.value, 3), f"{step.note}{extra}"))
    lines = aligned(rows, left=(0, 2))
    return [*lines, *what_if_lines(decomposition)]


def nothing_blamed(decomposition: RunDecomposition) -> str:
    """The ladder in a line, for a run that labels and decisions cost nothing: its steps above the bound."""
    above = [step for step in ladder(decomposition)[len(ladder_to_bound(decomposition)) :] if step.term is not None]
    said = (f"{step.title.removeprefix('+ ')}: {number(step.value, 3)} dB ({step.note})" for step in above)
    return f"labels and decisions cost nothing here; {'; '.join(said)}"


def what_if_lines(decomposition: RunDecomposition) -> list[str]:
    """CAPI-SDRi with one thing put right at a time, and why some of these values are below it, where they are."""
    found = {name: getattr(decomposition, name) for name in ORACLES}
    known = {ORACLE_TITLES[name]: number(value, 3) for name, value in found.items() if value is not None}
    lines = [f"CAPI-SDRi with one thing put right: {', '.join(f'{name} {text}' for name, text in known.items())} dB"]
    shown = float(number(decomposition.value, 3))  # what reads as equal needs no reason
    lower = " and ".join(name for name, text in known.items() if float(text) < shown)
    why = "a candidate with a wrong label, or worse than the mixture, then counts"
    return [*lines, f"({lower} below the score: {why})"] if lower else lines


def _confusions(decomposition: RunDecomposition) -> str:
    largest = [c for c in decomposition.confusions if round(c.loss, 2) > 0][:_CONFUSIONS]
    listed = ", ".join(f"{c.reference} → {c.estimate} {number(c.loss, 2)}" for c in largest)
    return f": {listed}" if listed else ""
