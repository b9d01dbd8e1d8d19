"""`s5eval runs`: what has been run, and how it came out."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from s5eval.harness.commands.help import Command
from s5eval.harness.commands.options import PathType
from s5eval.harness.terminal import echo


@click.command(
    "runs",
    cls=Command,
    short_help="List runs: data, status, scores, and what to be wary of.",
    example="s5eval runs runs",
)
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", type=PathType)
@click.option("--json", "as_json", is_flag=True, help="As a JSON array, for machines.")
def command(folders: Sequence[Path], as_json: bool) -> int:
    """List the runs in and below FOLDERs (default: runs): name, data, status, scores, and what to be wary of."""
    from s5eval.harness.comparing.listing import list_runs, runs_table
    from s5eval.harness.report.layout import fitted

    given = list(folders) or [Path("runs")]
    runs = [] if not folders and not given[0].is_dir() else list_runs(given)
    if as_json:
        echo(json.dumps([run.as_dict() for run in runs], indent=1))
    elif runs:
        echo(fitted(runs_table(runs)))
    else:
        echo(f"no runs in {', '.join(map(str, given))}")
    return 0
