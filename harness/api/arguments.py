"""Arguments as notebooks have them (numpy's numbers, paths, a word for a list): brought into one form, or refused."""

import operator
from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.files import expanded
from s5eval.data_manifests.sets.known import MINI
from s5eval.systems.settings import fits_json, place_of


def as_path(path: object, name: str) -> Path | None:
    """A path with `~` resolved; None stays.

    Raises:
        UsageError: no path at all, or an empty word, which would mean the working folder.
    """
    if path is None:
        return None
    if not isinstance(path, str | PathLike):
        raise UsageError(f"`{name}` is a {type(path).__name__}, expected a path")
    if not fspath(path):
        raise UsageError(f"`{name}` is an empty path (is a variable unset?)")
    return expanded(path)


def as_needed_path(path: object, name: str) -> Path:
    """A path that has to be there, with `~` resolved. Raises `UsageError` for None, and as `as_path`."""
    found = as_path(path, name)
    if found is None:
        raise UsageError(f"`{name}` is None, expected a path")
    return found


def as_data(path: object, name: str, dataset: str | None) -> Path | None:
    """The folder of a data set; None stays.

    Raises:
        UsageError: see `as_path`; or it is given beside the embedded set, and would go unread.
    """
    found = as_path(path, name)
    if found is not None and dataset == MINI:
        raise UsageError(
            f"`dataset={MINI}` is made in the cache and takes no `{name}`, which is {found}; for a folder of its "
            "scenes leave `dataset` out"
        )
    return found


def as_number(value: Any, name: str) -> int | None:
    """A whole number, numpy's as well; None stays. Raises `UsageError` for anything else."""
    try:
        if not isinstance(value, bool):
            return None if value is None else operator.index(value)
    except TypeError:
        pass
    raise UsageError(f"`{name}` is {value!r}, expected a whole number")


def as_needed_number(value: Any, name: str) -> int:
    """A whole number that has to be there. Raises `UsageError` for None, and as `as_number`."""
    number = as_number(value, name)
    if number is None:
        raise UsageError(f"`{name}` is None, expected a whole number")
    return number


def as_switch(value: Any, name: str) -> bool:
    """True or false, numpy's as well.

    Raises:
        UsageError: anything else: a word such as "no" is not false to Python.
    """
    plain = _plain(value)
    if not isinstance(plain, bool):
        raise UsageError(f"`{name}` is {value!r}, expected true or false")
    return plain


def as_words(words: object, name: str) -> tuple[str, ...]:
    """Words from a list or anything else that gives them one by one.

    Raises:
        UsageError: it is one word, whose letters nobody means, or holds something else than words.
    """
    if isinstance(words, str) or not isinstance(words, Iterable):
        raise UsageError(f"`{name}` is {words!r}, expected a list of words")
    found = tuple(words)
    for word in found:
        if not isinstance(word, str):
            raise UsageError(f"`{name}` holds {word!r}, expected words alone")
    return found


def as_settings(settings: object, name: str) -> dict[str, Any]:
    """Settings as the command line would give them: plain values of JSON, nested or by dotted keys; None: none.

    Raises:
        UsageError: no mapping, a value that JSON cannot hold, or a key that is set twice.
    """
    return _nested(as_assignments(settings, name), name)


def as_assignments(settings: object, name: str) -> dict[str, Any]:
    """The same with the keys as they are written, dotted ones as well.

    Raises:
        UsageError: no mapping, or a value that JSON cannot hold.
    """
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        raise UsageError(f"`{name}` is a {type(settings).__name__}, expected a mapping of keys to values")
    plain = {str(key): _plain(value) for key, value in settings.items()}
    for key, value in plain.items():
        if not fits_json(value):
            raise UsageError(f"`{name}`: {key} is {value!r}, which JSON cannot hold")
    return plain


def _nested(plain: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Dotted keys as the keys within mappings that they are, whatever their order."""
    nested: dict[str, Any] = {}
    for key, value in sorted(plain.items(), key=lambda setting: setting[0].count(".")):
        node, leaf = place_of(key, nested, f"`{name}`: {key}")
        if leaf in node:
            raise UsageError(f"`{name}`: {key} is set twice")
        node[leaf] = value
    return nested


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, PathLike):
        return str(expanded(value))
    if type(value).__module__ == "numpy":
        return value.tolist()
    return value
