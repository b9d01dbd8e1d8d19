"""`s5eval check`: verify a run folder, and put it right."""

import json
from pathlib import Path

import click

from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import PathType, json_option
from s5eval.harness.command_line.progress_bar import show_progress
from s5eval.harness.terminal import echo, plugin_output


@click.command(
    "check",
    cls=Command,
    short_help="Verify what a run folder holds; with --repair, mend it.",
    example="s5eval check runs/MINE --repair",
)
@click.argument("run", type=PathType)
@click.option("--repair", is_flag=True, help="Run damaged mixtures again, and derive summary and page again.")
@click.option("--system", metavar="NAME", help="With --repair: the run's system, where it is asked for by name.")
@json_option
def command(run: Path, repair: bool, system: str | None, as_json: bool) -> int:
    """Verify lines, pair tables, wavs, summary and page of RUN. The exit code is 3 when something is wrong."""
    from s5eval.harness.runs.check import check_run, repair_run

    given = {} if system is None else {"system": system}
    with plugin_output():
        check = repair_run(run, given=given, progress=show_progress) if repair else check_run(run)
    if as_json:
        echo(json.dumps(check.as_dict(), indent=1))
        return check.exit_code
    for title, found in (("repaired", check.repaired), ("damaged", check.damage)):
        for damage in found:
            echo(f"{title}: {damage}")
    for note in check.notes:
        echo(f"note: {note}")
    reached = check.mixtures - check.not_reached
    waiting = f", {check.not_reached} not run yet" if check.not_reached else ""
    echo(f"{check.run}: {check.status}, {check.whole} of {reached} mixtures are as they were written{waiting}")
    if check.damage and not repair:
        echo(f"s5eval check {check.run} --repair redoes what is damaged", err=True)
    return check.exit_code
