"""Grid files: a base and the rows that override it, listed or as combinations of axes."""

import hashlib
import itertools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.data_manifests.common.yaml_text import load_yaml
from s5eval.harness.record.config import parse_settings
from s5eval.systems.registry import CODE, code_named, is_installed
from s5eval.systems.settings import fits_json

_KEYS = ("system", "base", "axes", "default", "skip", "rows", "baseline")
_OPTION_KEYS = ("name", "set")

Assignments = Mapping[str, Any]
"""Dotted keys as `--set` takes them → values."""


@dataclass(frozen=True, slots=True)
class GridRow:
    """One row: its name in the table, and its settings, those of the base included."""

    name: str
    assignments: Assignments

    def settings(self) -> dict[str, dict[str, Any]]:
        """As `RunConfig.settings`: section → key → value."""
        return parse_settings([f"{key}={json.dumps(value)}" for key, value in self.assignments.items()])


@dataclass(frozen=True, slots=True)
class Grid:
    """What is ablated, and where that was read: the system, if it names one, and the rows in order.

    Others are compared with the row `baseline`.
    """

    source: str
    system: str | None
    rows: tuple[GridRow, ...]
    baseline: str


def load_grid(
    path: Path | None = None,
    *,
    axes: Sequence[str] = (),
    base: Assignments | None = None,
    baseline: str | None = None,
    trusted: Collection[str] = (),
) -> Grid:
    """Read a grid file.

    Args:
        path: the file (YAML); None: the grid that ships with s5eval.
        axes: use these axes of the file, in this order; none: those of its `default`, or all.
        base: settings that join, and replace, those of the file's base.
        baseline: name of the row that the others are compared with; default: the file's, else the first.
        trusted: `module:factory` that settings of the file may name, beside what `base` names: code that was named with
            the call.

    Raises:
        UsageError: the file is missing or not a grid, or there is no such axis or row; names what was expected.
    """
    where = "the shipped grid" if path is None else f"grid {path}"
    content = _read(path, where)
    common = {**_assignments(content.get("base", {}), f"{where}: base"), **(base or {})}
    if axes or "axes" in content:
        rows = _combinations(content, axes, where)
    else:
        rows = [_option(entry, f"{where}: rows") for entry in _list(content.get("rows"), f"{where}: rows")]
    named = [GridRow(name or "base", {**common, **settings}) for name, settings in rows]
    names = [row.name for row in named]
    if not named:
        raise UsageError(f"{where}: no rows")
    if repeated := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"{where}: row names repeat: {', '.join(sorted(repeated))}")
    told = content.get("baseline") if baseline is None else baseline
    chosen = names[0] if told is None else str(told)  # a row may be called 0
    if chosen not in names:
        raise UsageError(f"{where}: no row {chosen!r} to be the baseline{suggestion(chosen, names)}")
    for row in named:
        if "trust_checkpoint" in row.settings().get("system", {}):
            raise UsageError(f"{where}: trust is not read from a file; say `trust_checkpoint` with the call")
        _refuse_unnamed_code(row, {*trusted, str((base or {}).get(f"system.{CODE}"))}, where)
    system = content.get("system")
    return Grid(where, None if system is None else str(system), tuple(named), chosen)


def system_of(grid: Grid, named: str | None) -> str:
    """The system that the rows are of: the one that is named with the call, else that of the grid.

    Raises:
        UsageError: neither names one; or the grid, which is read from a file, names code that the call has not.
    """
    if named is not None:
        return named
    if grid.system is None:
        raise UsageError(f"`system` is missing, and {grid.source} names none; `s5eval systems` lists what is installed")
    if not is_installed(grid.system):
        raise UsageError(
            f"{grid.source} names the system {grid.system!r}, which is code that would be looked for and run here. "
            f"If you trust it, name it yourself: `system={grid.system}`"
        )
    return grid.system


def row_folders(names: Sequence[str]) -> list[str]:
    """The folders of rows, by their names: letters and digits as they are, `-` for whatever else there is.

    Names that differ in other signs, scripts or capitals alone get the start of a digest as well.

    >>> row_folders(["2 stages + AF-Whisper", "+ AF", "- AF"])
    ['2-stages-af-whisper', 'af-3042a6', 'af-59841b']
    """
    plain = [re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "row" for name in names]
    return [
        folder if plain.count(folder) == 1 else f"{folder}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
        for name, folder in zip(names, plain, strict=True)
    ]


def _refuse_unnamed_code(row: GridRow, named: Collection[str], where: str) -> None:
    for code in code_named(row.settings().get("system")):
        if code not in named:
            raise UsageError(
                f"{where}: row {row.name!r} names {code!r}, which is code that would be looked for and run here. If "
                f"you trust it, name it yourself: `system.{CODE}={code}` (rows keep settings of their own)"
            )


def dotted_assignments(texts: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE` texts as dotted assignments; raises `UsageError` as `parse_settings`."""
    parse_settings(texts)
    pairs = (text.partition("=") for text in texts)
    return {key: load_yaml(value) for key, _, value in pairs}


def _read(path: Path | None, where: str) -> Mapping[str, Any]:
    try:
        source = files("s5eval.harness.comparing").joinpath("ablation_grid.yaml") if path is None else path
        content = load_yaml(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{where}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"{where}: not readable as YAML: {error}") from error
    _check_keys(content, _KEYS, where)
    if ("axes" in content) == ("rows" in content):
        raise UsageError(f"{where}: expected either axes or rows")
    return dict(content)


def _combinations(content: Mapping[str, Any], chosen: Sequence[str], where: str) -> list[tuple[str, Mapping[str, Any]]]:
    found = content.get("axes")
    if not isinstance(found, Mapping):
        raise UsageError(f"{where}: axes must map names to lists of options")
    axes = {str(name): options for name, options in found.items()}  # 2026 is a name too
    if len(axes) < len(found):
        raise UsageError(f"{where}: axes have names that are the same word: {', '.join(map(repr, found))}")
    names = list(chosen) or [str(name) for name in _list(content.get("default", list(axes)), f"{where}: default")]
    for name in names:
        if name not in axes:
            raise UsageError(f"{where}: no axis {name!r}{suggestion(name, list(axes))} (axes: {', '.join(axes)})")
    options = [
        [_option(entry, f"{where}: axis {name}") for entry in _list(axes[name], f"{where}: axis {name}")]
        for name in names
    ]
    skipped = [_assignments(entry, f"{where}: skip") for entry in _list(content.get("skip", []), f"{where}: skip")]
    rows: list[tuple[str, Mapping[str, Any]]] = []
    for combination in itertools.product(*options):
        settings: dict[str, Any] = {}
        for axis, (_, option) in zip(names, combination, strict=True):
            if twice := [key for key, value in option.items() if settings.get(key, value) != value]:
                raise UsageError(
                    f"{where}: axis {axis} sets {twice[0]}, and so does an axis before it: a row would have the names "
                    "of both values, and the last of them alone. Combine axes that set different keys"
                )
            settings |= option
        if not any(skip.items() <= settings.items() for skip in skipped):
            rows.append((" + ".join(name for name, _ in combination if name), settings))
    return rows


def _option(entry: object, where: str) -> tuple[str, Mapping[str, Any]]:
    _check_keys(entry, _OPTION_KEYS, where)
    content = dict(entry) if isinstance(entry, Mapping) else {}
    name = content.get("name")
    return "" if name is None else str(name), _assignments(content.get("set", {}), where)


def _assignments(content: object, where: str) -> dict[str, Any]:
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise UsageError(f"{where}: expected settings such as {{system.stages: 2}}")
    for key, value in content.items():
        if not fits_json(value):
            advice = "" if isinstance(value, float) else "; quote it"  # a date is a word then
            raise UsageError(f"{where}: {key} is read as {value!r}, which JSON cannot hold{advice}")
    return dict(content)


def _list(content: object, where: str) -> list[object]:
    if not isinstance(content, list):
        raise UsageError(f"{where}: expected a list")
    return content


def _check_keys(content: object, known: Sequence[str], where: str) -> None:
    if not isinstance(content, Mapping):
        raise UsageError(f"{where}: expected a mapping with the keys {', '.join(known)}")
    for key in content:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}{suggestion(str(key), known)}")
