"""Shows doctests as code. In Markdown `>>>` begins a quotation, and docstrings here set examples without a heading."""

from collections.abc import Iterator
from typing import Any

import griffe


class Doctests(griffe.Extension):
    """Puts a fence around every doctest of a docstring that is not indented already."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object that has just been read."""
        if obj.docstring and ">>>" in obj.docstring.value:
            obj.docstring.value = "\n".join(fenced(obj.docstring.value.splitlines()))


def fenced(lines: list[str]) -> Iterator[str]:
    """The lines, with fences; a doctest ends at an empty line."""
    inside = False
    for line in lines:
        if inside and not line.strip():
            yield "```"
            inside = False
        elif not inside and line.startswith(">>>"):
            yield "```pycon"
            inside = True
        yield line
    if inside:
        yield "```"
