"""`s5eval report`: the pages of a run, a bundle of them with sounds, and figures for a paper."""

import json
from pathlib import Path
from typing import Any

import click

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import PathType, RunType, given_options, json_option
from s5eval.harness.terminal import echo


@click.command(
    "report",
    cls=Command,
    short_help="A run's page again; as a bundle to send; as figures.",
    example="s5eval report runs/MINE\ns5eval report runs/MINE --bundle mine.zip --sounds 10\n"
    "s5eval report runs/MINE --figures paper/",
)
@click.argument("run", type=RunType)
@click.option("--bundle", type=PathType, metavar="DIR", help="A folder, or FILE.zip, to send: pages with sounds.")
@click.option(
    "--sounds",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="With --bundle: sounds of so many of the worst, the best and random mixtures.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="With --bundle: seed of the random mixtures.",
)
@click.option("--figures", type=PathType, metavar="DIR", help="Figures for a paper: SVG, PDF and PNG.")
@json_option
@click.pass_context
def command(context: click.Context, /, run: Path, **options: Any) -> int:
    """Write RUN/report.html again: one static page with numbers, charts, every mixture, and players.

    With --bundle and --figures, these are written in its place.
    """
    from s5eval.harness.record.reading import coherent

    alone = sorted(given_options(context) & {"sounds", "seed"})
    if alone and options["bundle"] is None:
        raise UsageError(f"--{alone[0]} goes with --bundle")
    with coherent(run):
        written = _written(run, options)
    if options["as_json"]:
        echo(json.dumps(written))
        return 0
    for key, value in written.items():
        for line in value if isinstance(value, list) else [value]:
            echo(f"{'not in the bundle' if key == 'problems' else key.removesuffix('s')}: {line}")
    return 0


def _written(run: Path, options: dict[str, Any]) -> dict[str, Any]:
    """What is asked for, written: names and paths."""
    from s5eval.harness.report.bundle import write_bundle
    from s5eval.harness.report.figures import write_figures
    from s5eval.harness.report.page import write_page

    if options["bundle"] is None and options["figures"] is None:
        return {"page": str(write_page(run))}
    written: dict[str, Any] = {}
    if options["bundle"] is not None:
        bundle = write_bundle(run, options["bundle"], sounds=options["sounds"], seed=options["seed"])
        written |= {"bundle": str(bundle.path), "problems": list(bundle.problems)}
    if options["figures"] is not None:
        written["figures"] = [str(path) for path in write_figures(run, options["figures"])]
    return written
