"""What the values of a scene's metadata must be, checked before any of them is used."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.labels import label_problem


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """Check every value that synthesis uses; keys it does not need are not looked at.

    Raises:
        DataError: a key is missing or its value cannot be carried out; the message names the key.
    """
    config = _mapping(metadata, "config", "")
    if _number(config, "sr", "config.") != int(config["sr"]) or config["sr"] < 1:
        raise _wrong("config.sr", config["sr"], "a whole number of Hz above 0")
    if not 0 < _number(config, "duration", "config.") <= 3600:
        raise _wrong("config.duration", config["duration"], "seconds above 0, at most an hour")
    _level(config, "ref_db", "config.")
    for key in ("foreground_dir", "background_dir"):
        _text(config, key, "config.")
    if _value(config, "interference_dir", "config.") is not None:  # where nothing interferes, there may be none
        _text(config, "interference_dir", "config.")
    stored = _mapping(_mapping(_mapping(metadata, "room", ""), "args", "room."), "metadata", "room.args.")
    where = "room.args.metadata."
    _text(stored, "sofa_path", where)
    if _number(stored, "sr", where) != int(stored["sr"]) or stored["sr"] < 1:
        raise _wrong(f"{where}sr", stored["sr"], "a whole number of Hz above 0")
    _numbers(_value(stored, "direct_range_ms", where), 2, f"{where}direct_range_ms", lowest=0)
    for group in ("fg_events", "bg_events", "int_events"):
        events = metadata.get("int_events") or [] if group == "int_events" else _value(metadata, group, "")
        if not _is_list(events):
            raise _wrong(group, events, "a list of events")
        for i, event in enumerate(events):
            if not isinstance(event, Mapping):
                raise _wrong(f"{group}[{i}]", event, "an object")
            _check_event(event, group, f"{group}[{i}].")
            if group != "bg_events" and event["role"] != "foreground" and config["interference_dir"] is None:
                raise _wrong("config.interference_dir", None, f"a text: {group}[{i}] is read from there, by its role")


def _check_event(event: Mapping[str, Any], group: str, where: str) -> None:
    _text(event, "source_file", where)
    _level(event, "snr", where)
    whole = group == "bg_events" and _value(event, "source_time", where) is None
    if not whole:
        if _number(event, "source_time", where) < 0:
            raise _wrong(f"{where}source_time", event["source_time"], "seconds from 0 on")
        if _number(event, "event_duration", where) <= 0:
            raise _wrong(f"{where}event_duration", event["event_duration"], "seconds above 0")
    if group == "bg_events":
        return
    label = _text(event, "label", where)
    if group == "fg_events" and (problem := label_problem(label)):
        raise DataError(f"{where}label: {problem}")
    _text(event, "role", where)
    if _number(event, "event_time", where) < 0:
        raise _wrong(f"{where}event_time", event["event_time"], "seconds from 0 on")
    positions = _value(event, "event_position", where)
    if not _is_list(positions) or not positions:
        raise _wrong(f"{where}event_position", positions, "a list of one position [x, y, z]")
    if len(positions) != 1:
        raise DataError(f"{where}event_position: {len(positions)} positions; moving sources are not supported")
    _numbers(positions[0], 3, f"{where}event_position[0]")


def _value(parent: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in parent:
        raise DataError(f"{where}{key}: the key is missing")
    return parent[key]


def _mapping(parent: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = _value(parent, key, where)
    if not isinstance(value, Mapping):
        raise _wrong(f"{where}{key}", value, "an object")
    return value


def _text(parent: Mapping[str, Any], key: str, where: str) -> str:
    value = _value(parent, key, where)
    if not isinstance(value, str) or not value or "\0" in value:
        raise _wrong(f"{where}{key}", value, "a text")
    return value


def _number(parent: Mapping[str, Any], key: str, where: str) -> float:
    value = _value(parent, key, where)
    if not _is_finite(value):
        raise _wrong(f"{where}{key}", value, "a finite number")
    return float(value)


def _level(parent: Mapping[str, Any], key: str, where: str) -> None:
    if abs(_number(parent, key, where)) > 300:
        raise _wrong(f"{where}{key}", parent[key], "dB from -300 to 300")


def _numbers(value: Any, count: int, where: str, lowest: float = -math.inf) -> None:
    if not _is_list(value) or len(value) != count or not all(_is_finite(x) and x >= lowest for x in value):
        limit = "" if lowest == -math.inf else f" from {lowest:g} on"
        raise _wrong(where, value, f"{count} finite numbers{limit}")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_finite(value: Any) -> bool:
    # A million is more than any rate, time or level here, and keeps lengths within what an array can have.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e6


def _wrong(where: str, value: Any, expected: str) -> DataError:
    shown = repr(value)
    return DataError(f"{where}: {shown if len(shown) <= 60 else shown[:57] + '...'}, expected {expected}")
