"""Writes contents to where somebody wants them: files, or an experiment tracker's own store."""

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import atomic_folder, expanded, no_empty_folder
from s5eval.harness.exporting.content import Content
from s5eval.harness.exporting.targets import TARGETS, Target


@dataclass(frozen=True, slots=True)
class Place:
    """Where an export goes.

    Attributes:
        out: a folder, or for MLflow the URI of a tracking server or store.
        project: W&B's project, MLflow's experiment; files have none.
        online: W&B sends what it is given to its service, as the login of this machine says; otherwise nothing leaves
            the folder until somebody calls `wandb sync`.
    """

    out: str
    project: str = "s5eval"
    online: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """Where a content stands now: a folder, or a run in a tracker's words."""

    name: str
    where: str


Write = Callable[[Content, Path | None, Place], str]

_OWN_FOLDERS = ("parquet", "csv", "tensorboard")
"""Targets that write each content into a folder of its own, by its name."""


def export(contents: Sequence[Content], to: Target, place: Place) -> list[Exported]:
    """Export contents, each as one run, folder or series of the target.

    What cannot be exported is refused before the first is written. Where a disk or a server fails between two of them,
    those before stay.

    Raises:
        UsageError: no such target, its library is not installed, an option that it has not, the place is taken, or a
            text is the word that means missing in CSV.
        DataError: what is there cannot be written.
    """
    if to not in TARGETS:
        raise UsageError(f"`to` {to!r}: expected one of {', '.join(TARGETS)}")
    if place.online and to != "wandb":
        raise UsageError(f"`online` is for wandb; {to} writes where `out` says")
    write = _writer(to)
    named = _renamed(contents)
    if to == "mlflow" and "://" in place.out:
        return _each(named, write, None, place)
    folder = expanded(place.out.removeprefix("file:")).absolute()
    if to in _OWN_FOLDERS:
        for content in named:
            _check_free(folder / content.name)
    if to == "csv":
        _module(to).refuse_missing_word(named)
    with _made(folder):
        return _each(named, write, folder, place)


def _each(contents: Sequence[Content], write: Write, folder: Path | None, place: Place) -> list[Exported]:
    try:
        return [Exported(content.name, write(content, folder, place)) for content in contents]
    except OSError as error:
        raise DataError(f"{place.out}: cannot be written: {error.strerror or error}") from error


def _module(to: Target) -> ModuleType:
    """What writes to a target; it writes through this module, and brings libraries that others do not need."""
    return importlib.import_module(f"s5eval.harness.exporting.to_{'files' if to in ('parquet', 'csv') else to}")


def _writer(to: Target) -> Write:
    module = _module(to)
    if to in ("parquet", "csv"):
        return lambda content, folder, place: module.write(content, folder, to)
    return lambda content, folder, place: module.write(content, folder, place)


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """A folder, which is gone again where the block fails and has written nothing there."""
    with no_empty_folder(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"`out` {folder}: cannot be made: {error.strerror or error}") from error
        yield


def _renamed(contents: Sequence[Content]) -> list[Content]:
    """Contents with names of their own: of two folders of one name the second is `name-2`."""
    from dataclasses import replace

    taken: set[str] = set()
    named = []
    for content in contents:
        choices = (content.name if n == 1 else f"{content.name}-{n}" for n in range(1, len(contents) + 1))
        name = next(choice for choice in choices if choice not in taken)
        taken.add(name)
        named.append(replace(content, name=name))
    return named


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder of this export alone, which stands at `out` once the block has come to its end; else nothing does.

    Raises:
        UsageError: something is at `out` already.
        OSError: it cannot be made.
    """
    _check_free(out)
    with atomic_folder(out) as draft:
        yield draft


def _check_free(out: Path) -> None:
    if os.path.lexists(out):
        raise UsageError(f"{out} is there already; move it away, or choose another `out`")


def missing(library: str, error: ImportError, extra: str = "export") -> UsageError:
    """What to say where a library is not installed."""
    return UsageError(f"{library} is not installed ({error}): pip install 's5eval[{extra}]'")
