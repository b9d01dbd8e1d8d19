"""`s5eval systems`: what is installed."""

import json

import click

from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import json_option
from s5eval.harness.terminal import echo


@click.command(
    "systems",
    cls=Command,
    example="s5eval systems",
)
@json_option
def command(as_json: bool) -> int:
    """List the installed systems: name and factory. A package adds one by an entry point in `s5eval.systems`."""
    from s5eval.systems.registry import installed_systems

    systems = installed_systems()
    width = max(map(len, systems), default=0)
    lines = (f"{name:{width}}  {factory}" for name, factory in systems.items())
    echo(json.dumps(systems, indent=1) if as_json else "\n".join(lines))
    return 0
