"""`s5eval rank`: finished runs in order, and how certain the order is."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import PathType, RunType, json_option
from s5eval.harness.terminal import echo


@click.command(
    "rank",
    cls=Command,
    short_help="Rank finished runs, with intervals of the ranks.",
    example="s5eval rank runs/TEAM1 runs/TEAM2 runs/TEAM3 --out RANKING",
)
@click.argument("runs", nargs=-1, metavar="RUN...", type=RunType)
@click.option("--out", type=PathType, metavar="DIR", help="Write it as page, Markdown, CSV, LaTeX and JSON too.")
@json_option
def command(runs: Sequence[Path], out: Path | None, as_json: bool) -> int:
    """Rank RUNs on the same data by what they have on disk: rank intervals, neighbours, ranks by class and condition.

    Published results of the challenge stand between them where the data are the official ones.
    """
    from s5eval.harness.comparing.ranking import rank_runs
    from s5eval.harness.comparing.ranking_files import write_ranking
    from s5eval.harness.comparing.ranking_table import ranking_table
    from s5eval.harness.record.reading import coherent
    from s5eval.harness.report.terminal_layout import fitted

    if not runs:
        raise UsageError("name the run folders to rank")
    with coherent(*runs):
        ranking = rank_runs(runs)
    written = [] if out is None else write_ranking(ranking, out)
    echo(json.dumps(ranking.as_dict(), indent=1) if as_json else fitted(ranking_table(ranking)))
    if written and not as_json:
        echo(f"\npage: {written[1]}")
    return ranking.exit_code
