"""Which mixtures a submission must answer, as options, and as what is checked against."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from s5eval.harness.command_line.options import PathType
from s5eval.harness.command_line.progress_bar import show_making

if TYPE_CHECKING:
    from s5eval.submissions.expected import Expected


def expected_options(function: Any) -> Any:
    """`--data`, `--dataset`, `--split`, `--mixtures`: which mixtures must be answered."""
    for option in (
        click.option("--mixtures", type=PathType, metavar="FILE", help="Ids that must be answered, one a line."),
        click.option("--split", help="Split of the data; default: eval, of mini test."),
        click.option(
            "--dataset",
            help="mini, or an official set where its root holds several; with it, $S5EVAL_DATA stands in for --data.",
        ),
        click.option(
            "--data",
            type=PathType,
            metavar="DIR",
            help="Data whose mixtures must be answered. Default: the official evaluation set, if names are from it.",
        ),
    ):
        function = option(function)
    return function


def read_expected(options: Mapping[str, Any]) -> "Expected | None":
    """The mixtures that the options of `expected_options` name; None: those that the submission's own names suggest."""
    from s5eval.submissions.expected import find_expected

    with show_making() as making:
        where = {name: options[name] for name in ("data", "dataset", "split", "mixtures")}
        return find_expected(**where, progress=making)
