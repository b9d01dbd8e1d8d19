"""`s5eval report`: write the page of a run again."""

from pathlib import Path

import click

from s5eval.harness.commands.options import PathType


@click.command("report")
@click.argument("run", type=PathType)
def command(run: Path) -> int:
    """Write RUN/report.html again: one static page with numbers, bounds, every mixture, and players."""
    from s5eval.harness.report.page import write_page

    click.echo(write_page(run))
    return 0
