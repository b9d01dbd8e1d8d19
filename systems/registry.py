"""Finds systems by name. Listing reads entry points only; nothing is imported until a system is built."""

import re
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, cast

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.systems.interface import Factory

GROUP = "s5eval.systems"
CODE = "frame_encoder"
"""The key of a system's settings that may name code."""

_MODULE_FACTORY = re.compile(r"[\w.]+:[\w.]+")
_FILE = re.compile(r"(?P<module>(\./)?\w+([/\\]\w+)*)(?P<suffix>\.py)?(?(suffix)(:(?P<factory>\w+))?)")

PROFILES = "s5eval.profiles"
"""Entry points of functions `profile(config, device, *, seconds)` that tell what a system costs."""


def installed_systems() -> dict[str, str]:
    """Name → `module:factory` of every installed system, sorted by name."""
    return {point.name: point.value for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def is_installed(name: str) -> bool:
    """Whether `name` is an installed system; any other name is code that is found by looking for it."""
    return name in installed_systems()


def load_factory(name: str) -> Factory:
    """The factory of an installed system, or of any `module:factory` on the Python path or in the working folder.

    Raises:
        UsageError: no such system, or its module or factory cannot be imported; says what went wrong.
    """
    systems = installed_systems()
    if name not in systems and (meant := _module_of(name)) is not None:
        raise UsageError(f"system {name!r}: a file is named as a module; write {meant}")
    if name not in systems and ":" not in name:
        known = ", ".join(systems) or "none is installed: run `pip install` once more"
        raise UsageError(
            f"unknown system {name!r}{suggestion(name, list(systems)) or '.'} "
            f"Known: {known}; or give module:factory for a system of your own"
        )
    if name not in systems and not _MODULE_FACTORY.fullmatch(name):
        raise UsageError(
            f"system {name!r}: expected an installed name or module:factory, such as my_package.system:build"
        )
    loaded = load_named(name, f"system {name!r}", systems.get(name))
    if not callable(loaded):
        raise UsageError(f"system {name!r} names a {type(loaded).__name__}, expected a factory build(config, device)")
    return cast(Factory, loaded)


def _module_of(name: str) -> str | None:
    """What to write for a name that means a file: `my_system:build` for `my_system.py:build`, and for `my_system` where
    such a file lies in the working folder; None: it means no file.
    """
    found = _FILE.fullmatch(name)
    if found is None or (found["suffix"] is None and not Path(f"{found['module']}.py").is_file()):
        return None
    module = found["module"].removeprefix("./").replace("/", ".").replace("\\", ".")
    return f"{module}:{found['factory'] or 'build'}"


def load_named(name: str, what: str, installed: str | None = None) -> object:
    """What `module:attribute` names, on the Python path or in the working folder. It is code, and importing runs it.

    Args:
        name: `module:attribute`.
        what: how errors call it.
        installed: where an installed system has it; None: it is looked for under its own name.

    Raises:
        UsageError: it cannot be imported; says what went wrong.
    """
    if installed is None and str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # a console script, unlike `python -m`, does not look there
    try:
        return cast(object, EntryPoint(name, installed or name, GROUP).load())
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"{what} cannot be imported: {error}{_what_to_do(name, error)}") from error
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        raise UsageError(f"{what} cannot be imported: {type(error).__name__}: {error}") from error


def _what_to_do(name: str, error: Exception) -> str:
    """What helps where a module is missing: it is the named one, which is looked for here, or one that this imports."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return ""
    module = name.partition(":")[0]
    if f"{module}.".startswith(f"{error.name}."):
        return f"; it is neither installed nor in {Path.cwd()}: go to the folder that holds it"
    return f"; {module} needs it: install it"


def code_named(system: object) -> tuple[str, ...]:
    """The code that settings of a system (its `system.*` keys) name as `module:factory`.

    It is run where a system is built from them: settings that were read from a file are looked through first, and what
    was not named on this very call is refused.
    """
    named = system.get(CODE) if isinstance(system, Mapping) else None
    return (named,) if isinstance(named, str) and ":" in named else ()


def load_profile(name: str) -> Callable[..., Any]:
    """The profiling function of an installed system.

    Raises:
        UsageError: there is no such system, or it has none.
    """
    profiles = {point.name: point for point in entry_points(group=PROFILES)}
    if name not in profiles:
        known = ", ".join(sorted(profiles))
        raise UsageError(
            f"system {name!r} cannot be profiled{suggestion(name, list(profiles)) or '.'} Systems that can: {known}"
        )
    return cast(Callable[..., Any], profiles[name].load())


def check_keys(config: object, known: tuple[str, ...], *, system: str) -> None:
    """Refuse configuration keys that a system does not have.

    Raises:
        UsageError: naming the first unknown key and the closest known one.
    """
    for key in cast(dict[str, object], config):
        if key not in known:
            listed = ", ".join(f"system.{name}" for name in known) or "none"
            raise UsageError(
                f"system {system!r} has no key system.{key}{suggestion(key, known) or '.'} Known keys: {listed}"
            )
