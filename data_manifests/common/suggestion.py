"""Did you mean: the known name that is closest to what was typed."""

from collections.abc import Sequence
from difflib import get_close_matches


def suggestion(name: str, known: Sequence[str]) -> str:
    """`'; did you mean X?'` for the known name closest to `name`, or an empty string when none is close."""
    lowered = {entry.lower(): entry for entry in known}
    close = get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return f"; did you mean {lowered[close[0]]!r}?" if close else ""
