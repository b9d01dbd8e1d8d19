"""The 18 target classes of DCASE Task 4, in official (alphabetical) order.

Absence of a source is an empty list everywhere in s5eval: "silence" is never a label.
Source: `nttcslab/dcase2026_task4_baseline`, configuration `labels/dcase2025t4`.
"""

from collections.abc import Sequence
from difflib import get_close_matches

CLASSES: tuple[str, ...] = (
    "AlarmClock",
    "BicycleBell",
    "Blender",
    "Buzzer",
    "Clapping",
    "Cough",
    "CupboardOpenClose",
    "Dishes",
    "Doorbell",
    "FootSteps",
    "HairDryer",
    "MechanicalFans",
    "MusicalKeyboard",
    "Percussion",
    "Pour",
    "Speech",
    "Typing",
    "VacuumCleaner",
)

CLASS_INDEX: dict[str, int] = {label: index for index, label in enumerate(CLASSES)}


def suggestion(name: str, known: Sequence[str]) -> str:
    """`'; did you mean X?'` for the known name closest to `name`, or an empty string when none is close."""
    lowered = {entry.lower(): entry for entry in known}
    close = get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return f"; did you mean {lowered[close[0]]!r}?" if close else ""


def label_problem(label: str) -> str | None:
    """Why `label` is not one of the 18 classes, with the closest class; None when it is one."""
    if label in CLASS_INDEX:
        return None
    if label.lower() == "silence":
        return f"{label!r} is not a class: a source that is absent has no file"
    return f"unknown label {label!r}{suggestion(label, CLASSES)} (expected one of the 18 classes)"
