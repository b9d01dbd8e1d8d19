"""`s5eval rescore`: score a run again from its stored tables."""

from pathlib import Path

import click

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import PathType, RunType, summary_json_option
from s5eval.harness.command_line.run_output import show_result


@click.command(
    "rescore",
    cls=Command,
    short_help="Score a run again from its tables, with another decision.",
    example="s5eval rescore runs/MINE --decision thresholds.yaml --out runs/TUNED",
)
@click.argument("run", type=RunType)
@click.option("--decision", type=PathType, metavar="FILE", help="Another decision file; needs --out.")
@click.option("--out", type=PathType, metavar="RUN2", help="New run folder; default: rebuild RUN in place.")
@summary_json_option
def command(run: Path, decision: Path | None, out: Path | None, as_json: bool) -> int:
    """Rebuild a run's scores and summary; no audio is read and no network is run."""
    from s5eval.harness.record.reading import coherent
    from s5eval.harness.runs.rescore import rescore

    if decision is not None and out is None:
        raise UsageError("--decision changes the result: name a new run folder with --out")
    with coherent(run):
        result = rescore(run, decision_file=decision, out=out)
    return show_result(result, as_json)
