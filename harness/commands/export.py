"""`s5eval export`: runs into other people's tools."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import RunType
from s5eval.harness.exporting.targets import TARGETS
from s5eval.harness.terminal import echo, plugin_output

if TYPE_CHECKING:
    from s5eval.harness.exporting.content import Content

Options = TypeVar("Options", bound=Callable[..., Any])


def place_options(required: bool) -> Callable[[Options], Options]:
    """`--to`, `--out`, `--project`, `--online`."""

    def decorated(command: Options) -> Options:
        for option in (
            click.option("--online", is_flag=True, help="wandb: send it; otherwise it stays in --out."),
            click.option("--project", default="s5eval", show_default=True, help="W&B project, or MLflow experiment."),
            click.option(
                "--out", "place", metavar="DIR", help="Folder to write in, or for mlflow a URI. Default: export/TARGET."
            ),
            click.option("--to", type=click.Choice(TARGETS), required=required, help="What to write."),
        ):
            command = option(command)
        return command

    return decorated


def write(contents: "Sequence[Content]", options: dict[str, Any], as_json: bool) -> int:
    """Export contents as the options say, and print where they are."""
    from s5eval.harness.exporting.export import Place, export

    place = Place(options["place"] or f"export/{options['to']}", options["project"], options["online"])
    with plugin_output():  # what a tracker prints is not the result
        done = export(contents, options["to"], place)
    if as_json:
        echo(json.dumps([{"name": entry.name, "where": entry.where} for entry in done], indent=1))
        return 0
    for entry in done:
        echo(f"{entry.name}: {entry.where}")
    return 0


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
