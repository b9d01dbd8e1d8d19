"""What a run says on a terminal: where it is kept and what makes its numbers worth less, and its summary in the end."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from s5eval.harness.command_line.fields_as_options import in_options
from s5eval.harness.command_line.progress_bar import show_progress
from s5eval.harness.terminal import echo

if TYPE_CHECKING:
    from s5eval.harness.runs.engine import MixtureResult
    from s5eval.harness.runs.run import MixtureProgress, RunResult


def announcing(folder: Path) -> "MixtureProgress":
    """`show_progress` that first says where the run is kept, and what will make its numbers worth less."""
    from s5eval.harness.record.reading import facts_of, read_run_record
    from s5eval.harness.report.table import doubts_of

    home = folder.absolute()  # a system may change the working folder

    def show(outcomes: "Iterable[MixtureResult]", total: int, done: int) -> "Iterator[MixtureResult]":
        echo(f"run: {folder}", err=True)
        for doubt in doubts_of(replace(facts_of(read_run_record(home)), unverified=None)):
            echo(f"note: {doubt}", err=True)
        yield from show_progress(outcomes, total, done)

    return show


def show_result(result: "RunResult", as_json: bool, *, here: Path = Path()) -> int:
    """Print a run's summary, as a table or as JSON; returns the exit code the run deserves.

    Args:
        result: of the run.
        as_json: as JSON.
        here: the folder that a relative path of the run is seen from, where a system may have changed to another one.
    """
    try:
        _print_result(result, as_json, here / result.path)
    except BrokenPipeError:  # nobody reads any more; the run is what it is
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
    return result.exit_code


def _print_result(result: "RunResult", as_json: bool, folder: Path) -> None:
    from s5eval.harness.record.codec import to_json
    from s5eval.harness.record.reading import coherent, read_run_record
    from s5eval.harness.report.table import summary_table
    from s5eval.harness.report.terminal_layout import fitted

    if as_json:
        echo(json.dumps(to_json(result.summary), indent=1))
    else:
        with coherent(folder):
            findings = read_run_record(folder).findings
            table = fitted(summary_table(result.summary, findings=findings, folder=result.path))
        echo(in_options(table, cast(click.Group, click.get_current_context().find_root().command)))
        echo(f"\nrun: {result.path}\npage: {result.path / 'report.html'}")
