"""`s5eval export`: runs into other people's tools."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from s5eval.harness.command_line.export_options import place_options, write
from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import RunType


@click.command(
    "export",
    cls=Command,
    short_help="Write the tables of runs for other tools.",
    example="s5eval export runs/first --to parquet --out tables\n"
    "s5eval export runs/first --to mlflow --out http://localhost:5000",
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=RunType)
@place_options(required=True)
@click.option("--json", "as_json", is_flag=True, help="Where it is, as a JSON array.")
def command(runs: Sequence[Path], as_json: bool, **options: Any) -> int:
    """Write the tables of RUNs (folders or packed runs) as files, or into an experiment tracker's store.

    Everything that `s5eval.read_run` gives: mixtures, sources, estimates, pairs, slices, losses, with the run's facts
    and what a reader must not miss. Nothing leaves this machine unless --out is a server's URI, or --online is given.
    """
    from s5eval import read_run
    from s5eval.harness.exporting.content import run_content
    from s5eval.harness.record.reading import coherent

    with coherent(*runs):
        contents = [run_content(read_run(run)) for run in runs]
    return write(contents, options, as_json)
