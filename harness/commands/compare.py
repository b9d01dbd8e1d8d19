"""`s5eval compare`: whether run B is better than run A."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import PathType, RunType, json_option
from s5eval.harness.terminal import echo

if TYPE_CHECKING:
    from s5eval.harness.comparing.pair_of_runs import PairOfRuns


@click.command(
    "compare",
    cls=Command,
    short_help="Compare two runs, paired, with intervals.",
    example="s5eval compare runs/BEFORE runs/AFTER --fail-if-worse",
)
@click.argument("first", metavar="A", type=RunType)
@click.argument("second", metavar="B", type=RunType)
@click.option(
    "--fail-if-worse",
    is_flag=True,
    help="Exit with 6 when CAPI-SDRi of B is lower, at the 5 % level, or lower by too few mixtures to tell.",
)
@click.option("--allow-different", is_flag=True, help="Compare what both have although data or metric versions differ.")
@click.option("--figure", type=PathType, metavar="FILE", help="A figure: .svg, .pdf, .png; without a suffix all three.")
@json_option
def command(
    first: Path, second: Path, fail_if_worse: bool, allow_different: bool, figure: Path | None, as_json: bool
) -> int:
    """Compare run B with run A on every metric and slice: paired bootstrap, sign test, what flipped."""
    from s5eval.harness.comparing.comparison_table import comparison_table
    from s5eval.harness.comparing.pair_of_runs import check_not_worse, compare_runs
    from s5eval.harness.record.reading import coherent
    from s5eval.harness.report.terminal_layout import fitted

    with coherent(first, second):
        comparison = compare_runs(first, second, allow_different=allow_different)
        drawn = [] if figure is None else _drawn(comparison, figure)
        shown = json.dumps(comparison.as_dict(), indent=1) if as_json else fitted(comparison_table(comparison))
    echo(shown)
    if drawn and not as_json:
        echo(f"\nfigure: {', '.join(map(str, drawn))}")
    if fail_if_worse:
        check_not_worse(comparison)
    return 0


def _drawn(comparison: "PairOfRuns", file: Path) -> list[Path]:
    from s5eval.harness.comparing.comparison_figure import write_comparison_figure

    return write_comparison_figure(comparison, file)
