"""The one way to read JSON that somebody else may have written: what is not whole, plain data is refused.

Parsers raise a dozen unlike errors (nesting beyond the stack, numbers of a million digits, bytes that
are no text); here they become one, which names the file.
"""

import json
import math
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from s5eval.data_manifests.common.errors import DataError

Shape = Any
"""What a value must be: a type, a tuple of types, a list of one shape (each entry), or a mapping of keys to shapes.

`Either` is one of several shapes. In a mapping `key?` may be missing, and `*` stands for every other key. `float` takes
whole numbers as well.
"""


class Either:
    """One of several shapes; errors speak of the last of them."""

    def __init__(self, *shapes: Shape) -> None:
        """Take the shapes, the one that is meant last."""
        self.shapes = shapes


_DEEPEST = 64
"""Levels of nesting; ours have less than ten, and what is deeper than the stack could be read but not written again."""

_NAMES = {
    dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a whole number", float: "a number",
    type(None): "null",
}  # fmt: skip


def read_json(path: Path, *, what: str) -> Any:
    """The content of a JSON file.

    Args:
        path: the file.
        what: what it should be, and where one gets it from, for errors.

    Raises:
        FileNotFoundError: there is none; passed on, for what that means differs.
        DataError: it cannot be read, or is not JSON.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}; expected {what}") from error
    except ValueError as error:  # of which UnicodeDecodeError is one
        raise DataError(f"{path}: cannot be read as JSON: {error}; expected {what}") from error


def parse_json(text: str) -> Any:
    """JSON from a text.

    Raises:
        ValueError: it is not JSON (which has no NaN and no infinity), or nested too deeply.
    """
    try:
        content = json.loads(text, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    # what has few brackets has few levels, and need not be walked through
    if text.count("{") + text.count("[") > _DEEPEST and _is_deeper(content, _DEEPEST):
        raise ValueError(f"nested more than {_DEEPEST} levels deep")
    return content


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _is_deeper(content: object, levels: int) -> bool:
    layer = [content]
    for _ in range(levels):
        inner: list[object] = []
        for value in layer:
            values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
            inner += [entry for entry in values if isinstance(entry, dict | list)]
        if not inner:
            return False
        layer = inner
    return True


def check_shape(content: object, shape: Shape, where: str, advice: str) -> None:
    """Refuse content that lacks a key, or has a value of another kind.

    Args:
        content: what a file holds.
        shape: what it must be; keys that a mapping of shapes does not name are not looked at.
        where: the file, for errors.
        advice: what to do about it, for errors.

    Raises:
        DataError: names the file, the first key that is missing or wrong, and what was expected.
    """
    if not _fits(content, shape) and (problem := _problem(content, shape, "")) is not None:
        raise DataError(f"{where}: {problem}; {advice}")


def _fits(content: object, shape: Shape) -> bool:
    """Whether `_problem` has nothing to say: several times faster, since no words are made; a run has 10,000 lines."""
    if isinstance(shape, Mapping):
        if not isinstance(content, Mapping):
            return False
        required, named, other = _compiled(shape)
        for name in required:
            if name not in content:
                return False
        for name, value in content.items():
            inner = named.get(name, other)
            if inner is not None and not _fits(value, inner):
                return False
        return True
    if isinstance(shape, list):
        return isinstance(content, list) and all(_fits(entry, shape[0]) for entry in content)
    if isinstance(shape, Either):
        return any(_fits(content, inner) for inner in shape.shapes)
    return _is_of(content, shape if isinstance(shape, tuple) else (shape,))


_Mapped = tuple[tuple[str, ...], dict[Any, Shape], Shape]
_known: dict[int, tuple[Shape, _Mapped]] = {}  # by identity of the shape, which is kept so that no other has it
_MOST_KNOWN = 512


def _compiled(shape: Mapping[str, Shape]) -> _Mapped:
    """Of a mapping of shapes: the keys that may not be missing, the shapes by key, and that of every other key."""
    if (found := _known.get(id(shape))) is not None:
        return found[1]
    named = {name.removesuffix("?"): inner for name, inner in shape.items() if name != "*"}
    required = tuple(name for name in shape if name != "*" and name[-1] != "?")
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[id(shape)] = shape, (required, named, shape.get("*"))
    return _known[id(shape)][1]


def _is_of(content: object, kinds: tuple[type, ...]) -> bool:
    if isinstance(content, bool):  # which Python takes for a number
        return bool in kinds or object in kinds
    if isinstance(content, int | float):
        sane = math.isfinite(content) if isinstance(content, float) else abs(content) < 1 << 63
        return sane and (isinstance(content, kinds) or float in kinds)
    return isinstance(content, kinds)


def _problem(content: object, shape: Shape, key: str) -> str | None:
    if isinstance(shape, Either):
        tried = [_problem(content, inner, key) for inner in shape.shapes]
        return None if None in tried else tried[-1]
    if isinstance(shape, Mapping):
        if not isinstance(content, Mapping):
            return _wrong(content, dict, key)
        return _problem_inside(content, shape, key)
    if isinstance(shape, list):
        if not isinstance(content, list):
            return _wrong(content, list, key)
        problems = (_problem(entry, shape[0], f"{key}[{k}]") for k, entry in enumerate(content))
        return next((problem for problem in problems if problem is not None), None)
    return None if _is_of(content, shape if isinstance(shape, tuple) else (shape,)) else _wrong(content, shape, key)


def _problem_inside(content: Mapping[Any, Any], shape: Mapping[str, Shape], key: str) -> str | None:
    required, named, other = _compiled(shape)
    missing = next((name for name in required if name not in content), None)
    if missing is not None:
        return f"the key {_inside(key, missing)!r} is missing"
    wanted = [(name, named.get(name, other)) for name in content]
    problems = (_problem(content[name], inner, _inside(key, name)) for name, inner in wanted if inner is not None)
    return next((problem for problem in problems if problem is not None), None)


def _inside(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)


def _wrong(content: object, shape: Shape, key: str) -> str:
    kinds = shape if isinstance(shape, tuple) else (shape,)
    expected = " or ".join(_NAMES.get(kind, kind.__name__) for kind in kinds)
    shown = reprlib.repr(content)[:60]
    return f"{repr(key) + ' is' if key else 'it holds'} {shown}, expected {expected}"
