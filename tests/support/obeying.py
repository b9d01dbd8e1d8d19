"""A job for workers that does what it is told."""

from collections.abc import Sequence
from typing import Any


class Obeys:
    """Tasks are lines of Python, and so is what it begins by: they have `sent` and `place`, and leave `answer`."""

    def __init__(self, *begins: str) -> None:
        self.begins = begins
        self.facts: dict[str, Any] = {}

    def begin(self, place: int) -> "Obeys":
        """Do the first lines."""
        self.facts = {"place": place}
        self.do(self.begins, None)
        return self

    def do(self, task: Sequence[str], sent: Any) -> Any:
        """Do the lines of a task."""
        names = {"sent": sent, **self.facts}
        exec("\n".join(task), names)
        return names.get("answer")
