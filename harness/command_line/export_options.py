"""Where an export goes, as options, and what is said of it when it is there."""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

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
