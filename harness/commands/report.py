"""`s5eval report`: write the page of a run again."""

import json
from pathlib import Path

import click

from s5eval.harness.commands.help import Command
from s5eval.harness.commands.options import PathType
from s5eval.harness.terminal import echo


@click.command(
    "report",
    cls=Command,
    short_help="Write a run's page again: numbers, bounds, mixtures, players.",
    example="s5eval report runs/MINE",
)
@click.argument("run", type=PathType)
@click.option("--json", "as_json", is_flag=True, help="As a JSON object, for machines.")
def command(run: Path, as_json: bool) -> int:
    """Write RUN/report.html again: one static page with numbers, bounds, every mixture, and players."""
    from s5eval.harness.record.reading import coherent
    from s5eval.harness.report.page import write_page

    with coherent(run):
        page = write_page(run)
    echo(json.dumps({"page": str(page)}) if as_json else page)
    return 0
