"""What `make docs` checks besides links: public objects have docstrings, and no page loads anything from elsewhere.

ProperDocs calls the functions `on_…`; with `--strict` a warning of theirs ends the build.
"""

import importlib
import inspect
import logging
import re
from collections.abc import Iterator
from typing import Any

FACES = ("s5eval", "s5eval.metrics")
"""The modules whose public objects the page of the Python interface shows."""

log = logging.getLogger("properdocs.hooks.s5eval")

_LOADS = re.compile(
    r"""<(?:script|img|iframe|audio|source)[^>]*\ssrc=["'](?:https?:)?//"""
    r"""|<link[^>]*rel=["'](?!canonical)[^>]*href=["'](?:https?:)?//"""
    r"""|<link[^>]*href=["'](?:https?:)?//[^>]*rel=["'](?!canonical)"""
)


def undocumented(module: Any) -> Iterator[str]:
    """What has no docstring: the module itself, what it exports, public members of exported classes."""
    if not inspect.getdoc(module):
        yield module.__name__
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isclass(thing):
            yield from _undocumented_in_class(f"{module.__name__}.{name}", thing)
        elif callable(thing) and not inspect.getdoc(thing):
            yield f"{module.__name__}.{name}"


def _undocumented_in_class(path: str, cls: type) -> Iterator[str]:
    # Python gives a data class its signature for a docstring, and a class that of its parent: neither counts.
    own = cls.__dict__.get("__doc__")
    if not own or own.startswith(f"{cls.__name__}("):
        yield path
    for name, member in vars(cls).items():
        is_function = inspect.isfunction(member) or isinstance(member, property | staticmethod | classmethod)
        if is_function and not name.startswith("_") and not inspect.getdoc(getattr(cls, name)):
            yield f"{path}.{name}"


def loads_from_elsewhere(html: str) -> list[str]:
    """Tags that would make a browser ask another host."""
    return _LOADS.findall(html)


def on_pre_build(config: Any) -> None:
    """Complain about missing docstrings."""
    for face in FACES:
        for name in undocumented(importlib.import_module(face)):
            log.warning("%s is public and has no docstring", name)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Complain about pages that load from elsewhere."""
    for tag in loads_from_elsewhere(output):
        log.warning("%s loads from another host: %s", page.file.src_path, tag)
    return output
