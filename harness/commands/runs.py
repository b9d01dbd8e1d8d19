"""`s5eval runs`: what has been run, and how it came out."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from s5eval.harness.command_line.export_options import place_options, write
from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import RunType
from s5eval.harness.terminal import echo


@click.command(
    "runs",
    cls=Command,
    short_help="List runs: data, status, scores, and what to be wary of.",
    example="s5eval runs runs\ns5eval runs runs --to csv --out tables",
)
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", type=RunType)
@place_options(required=False)
@click.option("--json", "as_json", is_flag=True, help="As a JSON array, for machines.")
def command(folders: Sequence[Path], as_json: bool, **options: Any) -> int:
    """List the runs in and below FOLDERs (default: runs): name, data, status, scores, and what to be wary of.

    With --to the table is written for other tools, as `s5eval export` writes the tables of one run. Packed runs are
    listed where they are named.
    """
    from s5eval.harness.comparing.run_list import list_runs, runs_table
    from s5eval.harness.report.terminal_layout import fitted

    given = list(folders) or [Path("runs")]
    runs = [] if not folders and not given[0].is_dir() else list_runs(given)
    if options["to"] is not None:
        from s5eval.harness.exporting.content import listing_content

        return write([listing_content(runs)], options, as_json)
    if as_json:
        echo(json.dumps([run.as_dict() for run in runs], indent=1))
    elif runs:
        echo(fitted(runs_table(runs)))
    else:
        echo(f"no runs in {', '.join(map(str, given))}")
    return 0
