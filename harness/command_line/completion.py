"""Values that a shell completes: systems, data sets, splits, recipes, presets, classes; nothing heavy is imported."""

import re
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path

import click
from click.shell_completion import CompletionItem

Values = Callable[[click.Context], Iterable[str]]


class _Words(click.types.StringParamType):
    """A text of which the shell knows some values; any other is taken as well."""

    def __init__(self, source: Values) -> None:
        self._source = source

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The known values that begin as what is typed."""
        return [CompletionItem(word) for word in self._source(ctx) if word.startswith(incomplete)]


def complete_values(command: click.Command) -> None:
    """Give the parameters of a command, and of those below it, their completions, by what they are called."""
    for param in command.params:
        if param.name in _SOURCES and type(param.type) is click.types.StringParamType:
            param.type = _Words(_SOURCES[param.name])
    for below in getattr(command, "commands", {}).values():
        complete_values(below)


def systems(_: click.Context) -> list[str]:
    """Installed systems, by their entry points."""
    from importlib.metadata import entry_points

    return sorted(point.name for point in entry_points(group="s5eval.systems"))


def datasets(_: click.Context) -> list[str]:
    """The data sets that are known by name."""
    return sorted(_splits())


def splits(context: click.Context) -> list[str]:
    """The splits of the data set that was typed, or of all."""
    known = _splits()
    chosen = known.get(str(context.params.get("dataset")), [name for names in known.values() for name in names])
    return sorted(set(chosen))


def recipes(_: click.Context) -> list[str]:
    """The recipes that ship, such as `mini/uss`."""
    return [
        f"{file.stem}/{name}"
        for file in _shipped("training/recipes")
        for name in _keys(file.read_text("utf-8"), "recipes")
    ]


def settings(context: click.Context) -> list[str]:
    """`system.preset=` with the presets of the system typed, and the keys of a decision with the classes."""
    from s5eval.data_manifests.labels import CLASSES
    from s5eval.systems.expected_score import RANGES

    system = str(context.params.get("system") or "")
    folder = "baseline" if system.startswith("baseline") else system
    presets = [file.stem for file in _shipped("presets") if not system or file.parent.parent.name == folder]
    thresholds = [f"decision.silence_thresholds.{name}=" for name in ("default", *CLASSES)]
    kinds = [f"decision.thresholds={kind}" for kind in ("default", "tuned")]
    expected = [f"decision.expected_score.{name}=" for name in RANGES]
    return [*(f"system.preset={name}" for name in dict.fromkeys(presets)), *kinds, *thresholds, *expected]


_SOURCES: Mapping[str, Values] = {
    "system": systems,
    "dataset": datasets,
    "split": splits,
    "recipe": recipes,
    "settings": settings,
}


def _splits() -> dict[str, list[str]]:
    folder = Path(str(files("s5eval.data_manifests.sets")))
    return {file.stem: _keys(file.read_text("utf-8"), "splits") for file in sorted(folder.glob("*.yaml"))}


def _shipped(below: str) -> list[Path]:
    return sorted(Path(str(files("s5eval.systems"))).glob(f"*/{below}/*.yaml"))


def _keys(text: str, section: str) -> list[str]:
    """The keys right below a section of a YAML file of ours; a parser would take longer than a shell may wait."""
    _, found, after = f"\n{text}".partition(f"\n{section}:\n")
    inside = re.split(r"^\S", after, maxsplit=1, flags=re.MULTILINE)[0] if found else ""
    return re.findall(r"^  ([\w-]+):", inside, flags=re.MULTILINE)
