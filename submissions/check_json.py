"""Reading JSON that somebody else wrote: every fault of form is a finding, and none of them an exception."""

import json
import math
from collections.abc import Callable
from typing import Any

Note = Callable[[str, str], None]
"""Takes a rule and a message about the file at hand."""

NoteOnFile = Callable[[str, str, str], None]
"""Takes a rule, the name of a file, and a message about it."""


def load_json(content: bytes, note: Note) -> Any:
    """Parse strictly: UTF-8 without byte-order mark, no repeated keys, no NaN or infinite numbers.

    Returns:
        The value, with None in place of numbers that are none; None as well when it cannot be parsed at all.
    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            keys = [key for key, _ in items]
            repeated = sorted({key for key in keys if keys.count(key) > 1}) if len(keys) < 1000 else ["…"]
            note("json-duplicate-key", f"the same object holds a key twice: {', '.join(map(repr, repeated))}")
        return found

    def constant(text: str) -> None:
        note("json-number", f"{text} is no JSON number; write null where a value is undefined")

    def decimal(text: str) -> float | None:
        value = float(text)
        if math.isfinite(value):
            return value
        note("json-number", f"{text} is too large for a number")
        return None

    try:
        text = content.decode("utf-8")
        return json.loads(text, object_pairs_hook=pairs, parse_constant=constant, parse_float=decimal)
    except UnicodeDecodeError as error:
        note("json-invalid", f"not UTF-8: {error.reason} at byte {error.start}")
    except RecursionError:
        note("json-invalid", "nested too deeply")
    except ValueError as error:
        note("json-invalid", f"not JSON: {error}")
    return None


class Node:
    """A value inside a JSON file that knows its path, so that a missing or wrong key is named exactly."""

    def __init__(self, value: Any, path: str, note: Note) -> None:
        """Wrap a value; the root has the path ``""``."""
        self.value = value
        self.path = path
        self._note = note

    def note(self, rule: str, message: str) -> None:
        """Report a fault here."""
        self._note(rule, f"{self.path}: {message}" if self.path else message)

    def get(self, key: str) -> "Node | None":
        """The value under a key of an object; a finding and None when there is none."""
        if isinstance(self.value, dict):
            if key in self.value:
                return Node(self.value[key], f"{self.path}.{key}" if self.path else key, self._note)
            self.note("json-schema", f"the key {key!r} is missing")
        else:
            self.note("json-schema", f"expected an object with the key {key!r}, found {shown_value(self.value)}")
        return None

    def items(self, key: str) -> "list[Node]":
        """The elements of the list under a key; empty, with a finding, when it is no list."""
        node = self.get(key)
        if node is None:
            return []
        if not isinstance(node.value, list):
            node.note("json-schema", f"expected a list, found {shown_value(node.value)}")
            return []
        return [Node(value, f"{node.path}[{index}]", self._note) for index, value in enumerate(node.value)]

    def text(self, key: str) -> str | None:
        """The string under a key; None, with a finding, when there is none."""
        node = self.get(key)
        if node is None or isinstance(node.value, str):
            return None if node is None else str(node.value)
        node.note("json-schema", f"expected a string, found {shown_value(node.value)}")
        return None

    def check_keys(self, known: tuple[str, ...]) -> None:
        """Name the keys that an object should not have."""
        if isinstance(self.value, dict):
            for key in self.value:
                if key not in known:
                    self.note("json-extra-key", f"unknown key {key!r}; expected {', '.join(known)}")


def shown_value(value: Any) -> str:
    """A value as errors show it: its kind, and itself when it is short."""
    kinds = {dict: "an object", list: "a list", str: "the string", bool: "the truth value", type(None): "null"}
    name = kinds.get(type(value), "the number")
    return name if value is None or isinstance(value, dict | list) else f"{name} {json.dumps(value)[:60]}"


def is_number(value: Any) -> bool:
    """A number that is neither a truth value nor infinite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e300
