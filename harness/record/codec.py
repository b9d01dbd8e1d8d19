"""Frozen dataclasses to JSON and back, by their types alone: what a record is stands in one place.

Fields are texts, numbers, truth values, literals, tuples, mappings, unions with None, `Json`, and records of these. A
field with a default may be absent from a file; keys that no field names are left alone, so that a later version may add
some. `float` takes whole numbers as well.
"""

import dataclasses
import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from s5eval.systems.interface import Json

Record = TypeVar("Record")

COMPLETE = "complete"
"""Marks a mapping with literal keys, all of which have to be there: `Annotated[Mapping[Name, float], COMPLETE]`."""

NOT_RECORDED = {"recorded": False}
"""Metadata of a field that is never written, and never believed when it is read."""

_NAMES: dict[object, str] = {
    str: "a text", bool: "true or false", int: "a whole number", float: "a number", NoneType: "null", Path: "a text",
}  # fmt: skip

_Read = Callable[[Any], Any]


class MismatchError(ValueError):
    """A value is not what the type of its field says; names the key, and what was expected.

    Each record and list that it passes on its way out puts its own part of the key in front (`inside`), so that keys
    cost nothing where all is well.
    """

    def __init__(self, say: Callable[[str], str], key: str = "") -> None:
        """Take what is said of a key."""
        super().__init__()
        self._say = say
        self._key = key

    def inside(self, part: str) -> "MismatchError":
        """The same, for whoever holds that value under `part`."""
        joint = "." if self._key and not self._key.startswith("[") else ""
        self._key = f"{part}{joint}{self._key}"
        return self

    def __str__(self) -> str:
        return self._say(self._key)


def to_json(value: object) -> Any:
    """A record, or what a record holds, as plain JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {entry.name: to_json(getattr(value, entry.name)) for entry in recorded_fields(type(value))}
    if isinstance(value, Mapping):
        return {str(key): to_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def from_json(kind: type[Record], content: object) -> Record:
    """The record that a JSON object holds.

    Raises:
        MismatchError: a key is missing, or a value is of another kind; names the first such key.
    """
    read: Any = _reader
    record: Record = read(kind)(content)
    return record


def recorded_fields(kind: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    """The fields of a record that stand in its JSON object."""
    return tuple(entry for entry in dataclasses.fields(kind) if entry.metadata.get("recorded", True))


def may_be_absent(entry: dataclasses.Field[Any]) -> bool:
    """Whether a file may lack the key of a field."""
    return entry.default is not dataclasses.MISSING or entry.default_factory is not dataclasses.MISSING


def union_members(kind: Any) -> tuple[Any, ...]:
    """The types of a union, None last; of any other type, itself."""
    if get_origin(kind) not in (Union, UnionType):
        return (kind,)
    return tuple(sorted(get_args(kind), key=lambda member: member is NoneType))


@cache
def _reader(kind: Any) -> _Read:
    """What reads a value of a type."""
    if kind == Json or kind is Any:
        return lambda value: value
    if kind in _NAMES:
        return _plain(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _record(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _union(kind)
    if origin is Annotated:
        return _complete(arguments[0])
    if origin is Literal:
        return _literal(arguments)
    if origin is tuple:
        return _tuple(arguments[0])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(*arguments)
    raise TypeError(f"no way to read a {kind}")


def _plain(kind: Any) -> _Read:
    def read(value: object) -> object:
        if type(value) is kind and kind not in (int, float):
            return value
        if isinstance(value, bool):  # which Python takes for a number
            fits = kind is bool
        elif isinstance(value, float):
            fits = kind is float and math.isfinite(value)
        elif isinstance(value, int):
            fits = kind in (int, float) and abs(value) < 1 << 63
        elif isinstance(value, str):
            fits = kind in (str, Path)
        else:
            fits = value is None and kind is NoneType
        if not fits:
            raise wrong(value, _NAMES[kind])
        return Path(str(value)) if kind is Path else value

    return read


def _record(kind: type[Any]) -> _Read:
    types: dict[str, Any] = {entry.name: entry.type for entry in recorded_fields(kind)}
    fields = [(entry.name, _reader(types[entry.name]), may_be_absent(entry)) for entry in recorded_fields(kind)]

    def read(value: object) -> object:
        if not isinstance(value, (dict, Mapping)):  # a dict is known much sooner than a mapping
            raise wrong(value, "an object")
        found, name = {}, ""
        try:
            for name, of_field, optional in fields:
                if name in value:
                    found[name] = of_field(value[name])
                elif not optional:
                    raise _missing()
        except MismatchError as error:
            raise error.inside(name) from None
        return kind(**found)

    return read


def _union(kind: Any) -> _Read:
    *members, last = union_members(kind)
    if last is NoneType and len(members) == 1:
        inner = _reader(members[0])
        expected = f"{_NAMES.get(members[0], '')} or null"

        def optional(value: object) -> object:
            if value is None:
                return None
            try:
                return inner(value)
            except MismatchError as error:
                raise wrong(value, expected) if members[0] in _NAMES else error from None

        return optional
    raise TypeError(f"no way to read a {kind}: only unions with None")


def _literal(choices: Sequence[object]) -> _Read:
    def read(value: object) -> object:
        if not any(value == choice and type(value) is type(choice) for choice in choices):
            raise wrong(value, f"one of {', '.join(map(repr, choices))}")
        return value

    return read


def _tuple(kind: Any) -> _Read:
    inner = _reader(kind)

    def read(value: object) -> object:
        if not isinstance(value, list | tuple):
            raise wrong(value, "a list")
        found: list[object] = []
        try:
            for entry in value:
                found.append(inner(entry))  # noqa: PERF401 - an error has to know how many there were before it
        except MismatchError as error:
            raise error.inside(f"[{len(found)}]") from None
        return tuple(found)

    return read


def _mapping(names: object, kind: Any) -> _Read:
    inner, known = _reader(kind), get_args(names)

    def read(value: object) -> object:
        if not isinstance(value, (dict, Mapping)):
            raise wrong(value, "an object")
        found: dict[object, object] = {}
        for name, entry in value.items():
            if known and name not in known:
                continue
            try:
                found[name] = inner(entry)
            except MismatchError as error:
                raise error.inside(str(name)) from None
        return found

    return read


def _complete(kind: Any) -> _Read:
    inner, names = _reader(kind), get_args(get_args(kind)[0])

    def read(value: object) -> object:
        found = inner(value)
        missing = next((name for name in names if name not in found), None)
        if missing is not None:
            raise _missing().inside(missing)
        return found

    return read


def _missing() -> MismatchError:
    """The error for a key that is not there; whoever raises it says which."""
    return MismatchError(lambda key: f"the key {key!r} is missing")


def wrong(value: object, expected: str) -> MismatchError:
    """The error for a value of another kind."""
    shown = reprlib.repr(value)[:60]
    return MismatchError(lambda key: f"{repr(key) + ' is' if key else 'it holds'} {shown}, expected {expected}")
