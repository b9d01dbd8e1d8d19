"""Templates of pages, in files of a package: every text is escaped, and a line of instructions leaves no blank one."""

from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def templates_of(package: str, *folders: str, finalize: Callable[[Any], Any] | None = None) -> "Environment":
    """The templates of a package, for whoever adds filters and tests of its own.

    Args:
        package: that holds the files, such as `s5eval.harness.report`.
        folders: the way to them in it.
        finalize: is given every value before it is shown; None: nothing is.
    """
    from jinja2 import Environment, FunctionLoader

    place = files(package).joinpath(*folders)

    def load(name: str) -> str | None:
        file = place.joinpath(name)
        return file.read_text(encoding="utf-8") if file.is_file() else None

    return Environment(
        loader=FunctionLoader(load), autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=finalize
    )
