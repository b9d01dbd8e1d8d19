"""Presets: a YAML file of sizes and switches, changed by `system.*` keys, read into a record of fixed types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml

from s5eval.data_manifests.errors import UsageError
from s5eval.data_manifests.labels import suggestion

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Names:
    """For errors: the system, and the keys it has besides those of its preset."""

    system: str
    other_keys: tuple[str, ...]


def read_preset(
    kind: type[_T], path: Path, changes: Mapping[str, Any], *, system: str, other_keys: Sequence[str] = ()
) -> _T:
    """Read a preset file into a record, with changes.

    Args:
        kind: a dataclass of whole numbers, numbers, truth values, literals, tuples and further dataclasses.
        path: the YAML file; it has every field of `kind`.
        changes: nested as in the file.
        system: name of the system, for errors.
        other_keys: what else the system can be given, for errors.

    Raises:
        UsageError: an unknown key, or a value of the wrong type; names the key and what was expected.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return _build(kind, _merge(content, changes, "system", _Names(system, tuple(other_keys))), "system")


def check_positive(record: Any, where: str, *, but: Sequence[str] = ()) -> None:
    """Refuse whole numbers below one anywhere in a record, save in the fields named in `but`.

    Raises:
        UsageError: names the key, as `<where>.<field>`.
    """
    for field in fields(record):
        value = getattr(record, field.name)
        if is_dataclass(value):
            check_positive(value, f"{where}.{field.name}", but=but)
        elif type(value) is int and value < 1 and field.name not in but:
            raise UsageError(f"{where}.{field.name} is {value}, expected a positive number")


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any], where: str, names: _Names) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        if key not in base:
            known = [*base, *names.other_keys] if where == "system" else list(base)
            listed = ", ".join(f"{where}.{name}" for name in known)
            raise UsageError(
                f"system {names.system!r} has no key {where}.{key}{suggestion(str(key), known)} Known keys: {listed}"
            )
        if isinstance(base[key], Mapping):
            if not isinstance(value, Mapping):
                raise UsageError(f"{where}.{key} is {value!r}, expected a mapping with the keys {', '.join(base[key])}")
            merged[key] = _merge(base[key], value, f"{where}.{key}", names)
        else:
            merged[key] = value
    return merged


def _build(kind: type[_T], content: Mapping[str, Any], where: str) -> _T:
    hints = get_type_hints(kind)
    names = [field.name for field in fields(cast(Any, kind))]
    for name in names:
        if name not in content:
            raise UsageError(f"{where}.{name} is missing in the preset")
    return kind(**{name: _value(hints[name], content[name], f"{where}.{name}") for name in names})


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        return _build(cast(type[Any], hint), value, where)
    origin = get_origin(hint)
    if origin is Literal:
        if value not in get_args(hint):
            raise UsageError(f"{where} is {value!r}; expected {' or '.join(map(str, get_args(hint)))}")
        return value
    if origin is tuple:
        inner = get_args(hint)
        if isinstance(value, list | tuple) and (inner[-1] is Ellipsis or len(value) == len(inner)):
            return tuple(_value(inner[0], entry, where) for entry in value)
        raise UsageError(f"{where} is {value!r}, expected a list")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        names = {int: "a whole number", float: "a number", bool: "true or false"}
        raise UsageError(f"{where} is {value!r}, expected {names.get(hint, hint)}")
    return value
