"""Nested settings from YAML files and the command line, checked key by key and made into frozen records."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from s5eval.data_manifests.errors import UsageError
from s5eval.data_manifests.labels import suggestion

_T = TypeVar("_T")


def merge(
    base: Mapping[str, Any], changes: Mapping[str, Any], where: str, *, others: Sequence[str] = ()
) -> dict[str, Any]:
    """`base` with the values of `changes`, which may only name keys that are there.

    Args:
        base: nested settings; an empty mapping takes any keys.
        changes: nested in the same way.
        where: name of the outermost mapping, for errors.
        others: keys that are known too, but not part of these settings; named in errors alone.

    Raises:
        UsageError: an unknown key, or a value where a mapping is expected.
    """
    merged = dict(base)
    for key, value in changes.items():
        if key not in base and base:
            known = [*base, *others]
            listed = ", ".join(f"{where}.{name}" for name in known)
            raise UsageError(f"there is no key {where}.{key}{suggestion(str(key), known)} Known keys: {listed}")
        if isinstance(base.get(key), Mapping):
            if not isinstance(value, Mapping):
                raise UsageError(f"{where}.{key} is {value!r}, expected a mapping with the keys {', '.join(base[key])}")
            merged[key] = merge(base[key], value, f"{where}.{key}")
        else:
            merged[key] = value
    return merged


def build_record(kind: type[_T], content: Mapping[str, Any], where: str) -> _T:
    """A frozen record of `kind` from a mapping with its fields, nested records from nested mappings.

    Raises:
        UsageError: a field is missing, or a value has another type than the field; names the key.
    """
    hints = get_type_hints(kind)
    names = [field.name for field in fields(cast(Any, kind))]
    for name in names:
        if name not in content:
            raise UsageError(f"{where}.{name} is missing")
    for name in content:
        if name not in names:
            raise UsageError(f"there is no key {where}.{name}{suggestion(str(name), names)}")
    return kind(**{name: _value(hints[name], content[name], f"{where}.{name}") for name in names})


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise UsageError(f"{where} is {value!r}, expected a mapping")
        return build_record(cast(type[Any], hint), value, where)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):  # only `X | None` occurs
        return None if value is None else _value(next(arg for arg in inner if arg is not NoneType), value, where)
    if origin is Literal:
        if value not in inner:
            raise UsageError(f"{where} is {value!r}; expected {' or '.join(map(str, inner))}")
        return value
    if origin is tuple:
        if isinstance(value, list | tuple) and (inner[-1] is Ellipsis or len(value) == len(inner)):
            return tuple(_value(inner[0], entry, where) for entry in value)
        raise UsageError(f"{where} is {value!r}, expected a list")
    if origin is not None and issubclass(origin, Mapping):
        if isinstance(value, Mapping):
            return {str(key): _value(inner[1], entry, f"{where}.{key}") for key, entry in value.items()}
        raise UsageError(f"{where} is {value!r}, expected a mapping")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        names = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
        raise UsageError(f"{where} is {value!r}, expected {names.get(hint, hint)}")
    return value
