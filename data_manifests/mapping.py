"""A mapping: which files of somebody's folders are mixtures, and which are the sources of which class in them.

A table (CSV, UTF-8, with a head) of a row for every file:

    id,role,file,label
    scene_1,mixture,mix/scene_1.wav,
    scene_1,target,stems/scene_1/0.wav,Speech

`id` names the scene, `role` is mixture or target, `file` is relative to the table. A mixture without targets is a scene
without any. Sources that are no targets, such as interference, are left out of the table.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.safe_names import check_name
from s5eval.data_manifests.common.words import first_of
from s5eval.data_manifests.labels import label_problem

COLUMNS = ("id", "role", "file", "label")
_MOST = 1 << 28  # bytes


@dataclass(frozen=True, slots=True)
class MappedSource:
    """A source: its file, and its label as it stands in the table."""

    file: Path
    label: str


@dataclass(frozen=True, slots=True)
class MappedScene:
    """A scene: its id, its mixture, and its targets in the table's order."""

    id: str
    mixture: Path
    targets: tuple[MappedSource, ...]


def read_mapping(path: Path, *, classes: Mapping[str, str | None] | None = None) -> list[MappedScene]:
    """Read a mapping; scenes in order of their first rows.

    Args:
        path: the table.
        classes: names of somebody else → ours, or None for what is no target (see `read_classes`).

    Raises:
        DataError: the table cannot be read, or a row is wrong; every wrong row is named, twenty at most.
    """
    problems: list[str] = []
    mixtures: dict[str, Path] = {}
    heard: dict[object, str] = {}
    targets: dict[str, list[MappedSource]] = {}
    named: dict[tuple[str, object], str] = {}
    for number, row in _rows(path, COLUMNS):
        where = f"{path}, line {number}"
        id_, role, file, label = (row[key].strip() for key in COLUMNS)
        try:
            check_name(id_, where)
        except DataError as error:
            problems.append(str(error))
            continue
        place = path.parent / file
        if not file or role not in ("mixture", "target"):
            problems.append(f"{where}: expected the role mixture or target, and a file; found {role!r}, {file!r}")
        elif role == "mixture":
            if id_ in mixtures:
                problems.append(f"{where}: a second mixture of {id_!r}")
            elif (other := heard.setdefault(_identity(place), id_)) != id_:  # it would count twice in every mean
                problems.append(f"{where}: {file!r} is the mixture of {other!r} already; a scene has one id")
            mixtures.setdefault(id_, place)
        else:
            known = label if classes is None or label not in classes else classes[label]
            if known is None:
                continue
            if problem := label_problem(known):
                problems.append(f"{where}: {problem}; `classes` says what names of yours are")
            key = id_, _identity(place)
            if key in named:  # it would count as a second source
                other = "" if named[key] == file else f" as {named[key]!r}"
                problems.append(
                    f"{where}: {file!r} is a target of {id_!r} already{other}; name every file of a scene once"
                )
            named.setdefault(key, file)
            targets.setdefault(id_, []).append(MappedSource(place, known))
    problems += [f"{path}: targets of {id_!r}, which has no mixture" for id_ in targets if id_ not in mixtures]
    _refuse(problems)
    if not mixtures:
        raise DataError(f"{path}: no row has the role mixture")
    return [MappedScene(id_, file, tuple(targets.get(id_, ()))) for id_, file in mixtures.items()]


def read_classes(path: Path) -> dict[str, str | None]:
    """Read a table `theirs,ours` of class names; an empty `ours` stands for sounds that are no targets.

    Raises:
        DataError: it cannot be read, names a class twice, or one that is none of the 18, or has a row without `theirs`.
    """
    problems: list[str] = []
    classes: dict[str, str | None] = {}
    for number, row in _rows(path, ("theirs", "ours")):
        theirs, ours = row["theirs"].strip(), row["ours"].strip()
        if not theirs:  # a target without a label would have this class, or be none
            problems.append(f"{path}, line {number}: expected a name of yours; found none")
        if theirs in classes:
            problems.append(f"{path}, line {number}: {theirs!r} stands there twice")
        if ours and (problem := label_problem(ours)):
            problems.append(f"{path}, line {number}: {problem}")
        classes[theirs] = ours or None
    _refuse(problems)
    return classes


def mapping_text(rows: Iterable[Sequence[str]]) -> str:
    """The table of rows `id, role, file, label`, as `read_mapping` reads it."""
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(rows)
    return written.getvalue()


def _identity(file: Path) -> object:
    """What is equal for two names of one file, be they spelled otherwise or links; of a file that is not there, its
    path.
    """
    try:
        state = file.stat()
    except (OSError, ValueError):
        return normpath(file)
    return state.st_dev, state.st_ino


def _rows(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Line number and row of a table with these columns, others are passed over."""
    try:
        content = path.read_bytes()
        if len(content) > _MOST:
            raise DataError(f"{path}: larger than {_MOST >> 20} MB, which no table of files is")
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        rows = [(reader.line_num, {key: row.get(key) or "" for key in columns}) for row in reader]
        head = reader.fieldnames or ()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table (CSV, UTF-8): {error}") from error
    if lacking := [key for key in columns if key not in head]:
        raise DataError(f"{path}: the head lacks {', '.join(lacking)}; expected {','.join(columns)}")
    if repeated := [key for key in columns if list(head).count(key) > 1]:
        raise DataError(f"{path}: the head has {', '.join(repeated)} twice; expected each column once")
    return rows


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise DataError(first_of(problems, 20, between="\n"))
