"""`s5eval merge`: make one run of its shards."""

from pathlib import Path

import click

from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import PathType, summary_json_option
from s5eval.harness.command_line.run_output import show_result


@click.command(
    "merge",
    cls=Command,
    short_help="Make one run of its shards.",
    example="s5eval merge R.* --out R\ns5eval run --system multistage --shard 3/16 --out R.3",
)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=PathType)
@click.option("--out", type=PathType, required=True, metavar="RUN", help="Run folder to make.")
@summary_json_option
def command(runs: tuple[Path, ...], out: Path, as_json: bool) -> int:
    """Make one run of the RUNs that `s5eval run --shard K/N` has made: the same numbers as if it had been run at once.

    All shards have to be there and finished, of the same data, system, decision and options. Those of the embedded set
    may come from several kinds of machines, which round some of its samples otherwise: then the merged run says so
    beside its numbers.
    """
    from s5eval.harness.record.reading import coherent
    from s5eval.harness.runs.merge import merge

    with coherent(*runs):
        result = merge(runs, out)
    return show_result(result, as_json)
