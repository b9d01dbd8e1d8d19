"""A library's errors in the words of the command line: they name fields in backticks, here those are options."""

import re
from collections.abc import Iterator, Mapping

import click

_FIELD = re.compile(r"`([a-z]\w*)((?:\.\w+)*)(?:=([^`\s]*))?`")
_RENAMED = {
    "decision_file": "--decision",
    "cache": "--no-cache",
    "go_on": "--resume",
}  # options of other names than their fields


def in_options(message: str, group: click.Group) -> str:
    """A message with the options of a group's commands in place of the fields that they set.

    What stands in backticks and is no field of any command (a command to type, most of all) stays as it is.

        `limit` is 0                    --limit is 0
        `allow_test=True` does it       --allow-test does it
        give `system.weights=DIR`       give --set system.weights=DIR
    """
    options = _options(group)

    def option(found: re.Match[str]) -> str:
        name, keys, value = found.groups()
        if name == "system" and keys:
            return f"--set {found[0].strip('`')}"
        if name not in options or keys:
            return found[0]
        return options[name] if value in (None, "True") else f"{options[name]} {value}"

    return _FIELD.sub(option, message)


def _options(group: click.Group) -> Mapping[str, str]:
    return {param.name or "": param.opts[0] for param in _params(group) if isinstance(param, click.Option)} | _RENAMED


def _params(group: click.Group) -> Iterator[click.Parameter]:
    for command in group.commands.values():
        yield from command.params
        if isinstance(command, click.Group):
            yield from _params(command)
