"""The 18 target classes of DCASE Task 4, in official (alphabetical) order.

Absence of a source is an empty list everywhere in s5eval: "silence" is never a label.
Source: `nttcslab/dcase2026_task4_baseline`, configuration `labels/dcase2025t4`.
"""

from collections.abc import Iterable

from s5eval.data_manifests.common.suggestion import suggestion

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
"""The 18 classes of the challenge; class scores are in this order."""

CLASS_INDEX: dict[str, int] = {label: index for index, label in enumerate(CLASSES)}

NO_SOURCE = -1
"""The class index of a row or slot that holds no source."""


def absent_classes(present: Iterable[str]) -> list[str]:
    """The classes that are not among these, in order."""
    return sorted(set(CLASSES).difference(present))


def label_problem(label: str) -> str | None:
    """Why `label` is not one of the 18 classes, with the closest class; None when it is one."""
    if label in CLASS_INDEX:
        return None
    if label.lower() == "silence":
        return f"{label!r} is not a class: a source that is absent has no file"
    return f"unknown label {label!r}{suggestion(label, CLASSES)} (expected one of the 18 classes)"
