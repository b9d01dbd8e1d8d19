"""The schema of a run folder's JSON files, made from the types that read and write them.

JSON Schema, draft 2020-12. Descriptions are those of the classes' docstrings.
"""

import dataclasses
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.harness.record.codec import may_be_absent, recorded_fields, union_members
from s5eval.harness.record.lines import Line
from s5eval.harness.record.reading import SCHEMA_VERSION
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.record.run_summary import Summary
from s5eval.harness.record.tables import MixtureScore
from s5eval.systems.interface import Json

FILES: dict[str, type[Any]] = {"run": RunRecord, "summary": Summary, "mixtures": MixtureScore}
"""What can be asked for: `run.json`, `summary.json`, and a line of `mixtures.jsonl`."""

_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_PLAIN: dict[object, dict[str, Any]] = {
    str: {"type": "string"},
    Path: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    NoneType: {"type": "null"},
}
_ENTRY = re.compile(r"^    ( *)(\w+(?:, \w+)*): (.*)$")


def file_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of one of `FILES`.

    Raises:
        UsageError: there is no such file.
    """
    if name not in FILES:
        raise UsageError(
            f"no file {name!r} in a run folder{suggestion(name, list(FILES))} (expected {', '.join(FILES)})"
        )
    definitions: dict[str, Any] = {}
    record = _record(FILES[name], definitions)
    if FILES[name] is MixtureScore:
        files = next(entry for entry in dataclasses.fields(Line) if entry.name == "files")
        described = {"description": descriptions(Line)["files"], **_schema(files.type, definitions)}
        record["properties"]["files"] = described
        record["required"].append("files")
        record["properties"]["number"] = {"description": descriptions(Line)["number"], "type": "integer"}
    record["properties"]["sha256"] = {"description": "Digest of all that stands before it, the last key.", **_DIGEST}
    record["required"].append("sha256")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"schema_version {SCHEMA_VERSION} of s5eval run folders; further keys are to be ignored",
        **record,
        "$defs": dict(sorted(definitions.items())),
    }


def descriptions(kind: type[Any]) -> dict[str, str]:
    """What the docstrings of a record and of those it extends say of its fields."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base):
            found |= _attributes(_in_json(base))
    return found


def _in_json(kind: type[Any]) -> str:
    return re.sub(r"\bNone\b", "null", inspect.cleandoc(kind.__doc__ or ""))


def _attributes(text: str) -> dict[str, str]:
    _, _, section = text.partition("Attributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if (match := _ENTRY.match(line)) and not match[1]:
            for name in match[2].split(", "):
                found[name] = match[3]
        elif line.startswith("     ") and name:
            found[name] += f" {line.strip()}"
        elif line.strip():
            break
    return found


def _record(kind: type[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    said = descriptions(kind)
    properties: dict[str, Any] = {}
    for entry in recorded_fields(kind):
        described = {"description": said[entry.name]} if entry.name in said else {}
        properties[entry.name] = {**described, **_schema(entry.type, definitions)}
    return {
        "title": kind.__name__,
        "description": _in_json(kind).partition("\n\nAttributes:")[0].replace("\n", " "),
        "type": "object",
        "properties": properties,
        "required": [entry.name for entry in recorded_fields(kind) if not may_be_absent(entry)],
    }


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type; records become definitions, which `$ref` points at."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind == Json or kind is Any:
        return {}
    if kind in _PLAIN:
        return _PLAIN[kind]
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}  # a place, should it hold itself
            definitions[kind.__name__] = _record(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    if origin is Annotated:
        names = get_args(get_args(arguments[0])[0])
        return {**_schema(arguments[0], definitions), "required": list(names)}
    if origin in (Union, UnionType):
        members = [_schema(member, definitions) for member in union_members(kind)]
        if all(set(member) == {"type"} for member in members):
            return {"type": [member["type"] for member in members]}
        return {"anyOf": members}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        names = get_args(arguments[0])
        values = _schema(arguments[1], definitions)
        if names:
            return {"type": "object", "properties": dict.fromkeys(names, values)}
        return {"type": "object", "additionalProperties": values}
    raise TypeError(f"no schema of a {kind}")
