"""Nested settings from YAML files and the command line, checked key by key and made into records of fixed types."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.data_manifests.common.yaml_text import load_yaml

_T = TypeVar("_T")


def read_preset(
    kind: type[_T], path: Path, changes: Mapping[str, Any], *, system: str, other_keys: Sequence[str] = ()
) -> _T:
    """Read a preset file into a record, with changes.

    Args:
        kind: a dataclass of whole numbers, numbers, words, truth values, literals, tuples and further dataclasses.
        path: the YAML file; it has every field of `kind`.
        changes: nested as in the file.
        system: name of the system, for errors.
        other_keys: what else the system can be given, for errors.

    Raises:
        UsageError: an unknown key, or a value of the wrong type; names the key and what was expected.
    """
    content = load_yaml(path.read_text(encoding="utf-8"))
    merged = with_changes(content, changes, "system", owner=f"system {system!r}", others=other_keys)
    return build_record(kind, merged, "system")


def check_positive(record: Any, where: str, *, but: Sequence[str] = ()) -> None:
    """Refuse whole numbers below one anywhere in a record, save in the fields named in `but`.

    Raises:
        UsageError: names the key, as `<where>.<field>`.
    """
    for field in fields(record):
        value = getattr(record, field.name)
        if is_dataclass(value):
            check_positive(value, f"{where}.{field.name}", but=but)
        elif field.name not in but and min(_whole_numbers(value), default=1) < 1:
            expected = "a positive number" if isinstance(value, int) else "positive numbers"
            raise UsageError(f"{where}.{field.name} is {value}, expected {expected}")


def fits_json(value: object) -> bool:
    """Whether JSON can hold a value: no set, date or NaN, at any depth."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def place_of(key: str, settings: dict[str, Any], where: str) -> tuple[dict[str, Any], str]:
    """Where a dotted key stands in nested settings: the mapping, made on the way there, and the last part of the key.

    Raises:
        UsageError: a part of the key has a value that is no mapping; begins with `where`.
    """
    *parents, leaf = key.split(".")
    for parent in parents:
        settings = settings.setdefault(parent, {})
        if not isinstance(settings, dict):
            raise UsageError(f"{where}: {parent!r} has a value already, and cannot hold keys")
    return settings, leaf


def check_seed(seed: int, where: str, *, negative: bool = False) -> None:
    """Refuse a seed that torch's generator cannot take.

    Args:
        seed: as it was set.
        where: the key, for errors.
        negative: whether one below 0 will do, too.

    Raises:
        UsageError: names the key.
    """
    lowest = -_LARGEST_SEED if negative else 0
    if not lowest <= seed <= _LARGEST_SEED:
        raise UsageError(f"{where} is {seed}, expected a whole number from {lowest} to {_LARGEST_SEED}")


_LARGEST_SEED = (1 << 62) - 1
"""Of 63 bits, so that there is room for what is added to a seed to make others."""


def _whole_numbers(value: object) -> list[int]:
    if isinstance(value, tuple):
        return [number for entry in value for number in _whole_numbers(entry)]
    return [value] if type(value) is int else []


def overlay(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `changes`, mapping by mapping; nothing is checked."""
    joint = dict(base)
    for key, value in changes.items():
        old = joint.get(key)
        joint[key] = overlay(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return joint


def recorded_without(record: Any, before: Mapping[str, Any]) -> dict[str, Any]:
    """A record in plain types as digests count it: without the keys that say what earlier versions did unasked.

    So a training that was begun before a key existed goes on, and what it made is found again.

    Args:
        record: a dataclass.
        before: values of such keys, nested as in the record; a key with another value stays.
    """
    return _without(asdict(record), before)


def _without(content: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    kept = {}
    for key, value in content.items():
        if isinstance(value, Mapping) and isinstance(nested := before.get(key), Mapping):
            kept[key] = _without(value, nested)
        elif key not in before or before[key] != value:
            kept[key] = value
    return kept


def with_changes(
    base: Mapping[str, Any],
    changes: Mapping[str, Any],
    where: str,
    *,
    owner: str,
    others: Sequence[str] = (),
    free: Sequence[str] = (),
) -> dict[str, Any]:
    """`base` with the values of `changes`, which may only name keys that are there.

    Args:
        base: nested settings.
        changes: nested in the same way.
        where: name of the outermost mapping, for errors.
        owner: whose settings they are, for errors.
        others: keys that are known too, but not part of these settings; named in errors alone.
        free: names of mappings whose keys are the user's own.

    Raises:
        UsageError: an unknown key, or a value where a mapping is expected.
    """
    merged = dict(base)
    for key, value in changes.items():
        if key not in base and where.rpartition(".")[2] not in free:
            known = [*base, *others]
            listed = ", ".join(f"{where}.{name}" for name in known)
            raise UsageError(
                f"{owner} has no key {where}.{key}{suggestion(str(key), known) or '.'} Known keys: {listed}"
            )
        if isinstance(base.get(key), Mapping):
            if not isinstance(value, Mapping):
                keys = f" with the keys {', '.join(base[key])}" if base[key] else ""
                raise UsageError(f"{where}.{key} is {value!r}, expected a mapping{keys}")
            merged[key] = with_changes(base[key], value, f"{where}.{key}", owner=owner, free=free)
        else:
            merged[key] = value
    return merged


def build_record(kind: type[_T], content: Mapping[str, Any], where: str) -> _T:
    """A frozen record of `kind` from a mapping with its fields, nested records from nested mappings.

    Raises:
        UsageError: a field is missing, a value has another type than the field, or a number is not finite; names the
            key.
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


def missing_fields(kind: type, content: Mapping[str, Any]) -> list[str]:
    """Fields of a record, and of the records within it, that a mapping lacks, by dotted keys."""
    hints, found = get_type_hints(kind), []
    for name in (field.name for field in fields(cast(Any, kind))):
        if name not in content:
            found.append(name)
        elif is_dataclass(hints[name]) and isinstance(content[name], Mapping):
            found += [f"{name}.{inner}" for inner in missing_fields(cast(type, hints[name]), content[name])]
    return found


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise UsageError(f"{where} is {value!r}, expected a mapping")
        return build_record(cast(type[Any], hint), value, where)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):  # only `X | None` occurs
        return None if value is None else _value(next(arg for arg in inner if arg is not NoneType), value, where)
    if origin is Literal:
        if isinstance(value, bool):  # how YAML reads the words on and off
            word = "on" if value else "off"
            value = word if word in inner else value
        if value not in inner:
            raise UsageError(f"{where} is {value!r}; expected {' or '.join(map(str, inner))}")
        return value
    if origin is tuple:
        if isinstance(value, list | tuple) and (inner[-1] is Ellipsis or len(value) == len(inner)):
            return tuple(_value(inner[0], entry, where) for entry in value)
        raise UsageError(f"{where} is {value!r}, expected a list")
    if origin is not None and issubclass(origin, Mapping):
        if isinstance(value, Mapping):
            given = {str(key): entry for key, entry in value.items() if entry is not None}  # null takes one back
            return {key: _value(inner[1], entry, f"{where}.{key}") for key, entry in given.items()}
        raise UsageError(f"{where} is {value!r}, expected a mapping")
    if hint is float and type(value) in (int, float):
        # NaN passes every check that asks whether a number is too small
        if not abs(value) <= sys.float_info.max:
            raise UsageError(f"{where} is {value}, expected a finite number")
        return float(value)
    if type(value) is not hint:
        names = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
        raise UsageError(f"{where} is {value!r}, expected {names.get(hint, hint)}")
    return value


def dotted(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings by dotted keys, as they are typed; a mapping with keys that cannot be typed so stays a value.

    >>> dotted({"system": {"stages": 2, "clue": {"dimension": 96}}})
    {'system.stages': 2, 'system.clue.dimension': 96}
    """
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value and all(_is_plain(inner) for inner in value):
            found |= {f"{key}.{inner}": entry for inner, entry in dotted(value).items()}
        else:
            found[str(key)] = value
    return found


def _is_plain(key: object) -> bool:
    return isinstance(key, str) and key != "" and not {".", "="} & set(key)


def typed(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """`KEY=VALUE` words that the command line reads as these nested settings; a section without any has no word."""
    given = dotted({section: values for section, values in settings.items() if values != {}})
    return tuple(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given.items())
