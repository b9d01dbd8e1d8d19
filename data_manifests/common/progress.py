"""How those who work tell those who show how far they are: three shapes, for whatever takes time."""

from collections.abc import Callable, Iterable
from typing import Any

CountProgress = Callable[[int, int], None]
"""Is told (done, in all): scenes that are being made."""

FileProgress = Callable[[str, int, int], None]
"""Is told (name of the file, bytes done, bytes in all): downloads."""

WorkProgress = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Wraps what is worked through; gets (items, how many, what is being done with them)."""
