"""Options that several commands share, and what stands between a run and a terminal."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from s5eval.data_manifests.common.errors import UsageError

if TYPE_CHECKING:
    from s5eval.data_manifests.common.progress import CountProgress
    from s5eval.harness.runs.engine import Outcome
    from s5eval.harness.runs.run import RunResult

Command = TypeVar("Command", bound=Callable[..., Any])


class _Path(click.Path):
    """A path; an empty word (an unset shell variable, most likely) is none, and would mean the working folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("an empty path (is a shell variable unset?)", param, ctx)
        return super().convert(value, param, ctx)


PathType = _Path(path_type=Path)


metrics_option = click.option(
    "--metrics",
    type=click.Choice(["ranking", "all"]),
    default="ranking",
    show_default=True,
    help="all: secondary metrics too, CASA-SDR and the SDR, SIR, SAR of BSS Eval (slow).",
)


trust_option = click.option(
    "--trust-checkpoint",
    is_flag=True,
    help="Read checkpoints that have to run code to be read; short for --set system.trust_checkpoint=true.",
)


def with_trust(settings: tuple[str, ...], trusted: bool) -> tuple[str, ...]:
    """The `--set` values, with the one that `--trust-checkpoint` stands for."""
    return (*settings, "system.trust_checkpoint=true") if trusted else settings


def data_options(command: Command) -> Command:
    """`--data`, `--dataset`, `--split`, `--limit`, `--only`, `--strict`."""
    for option in (
        click.option(
            "--strict", is_flag=True, help="Treat orphan files, missing estimates and odd suffixes as errors."
        ),
        click.option("--only", multiple=True, metavar="ID", help="Evaluate this mixture; may be repeated."),
        click.option("--limit", type=int, metavar="N", help="Evaluate the first N mixtures."),
        click.option("--split", help="Split of the set, such as dev-test, valid, eval, test."),
        click.option("--dataset", help="dcase2026, dcase2025 or mini; default: recognised from the folders."),
        click.option(
            "--data",
            type=PathType,
            envvar="S5EVAL_DATA",
            help="Official root (dev_set/, eval_set/), or a folder with soundscape/ and, if any, oracle_target/. "
            "Default: $S5EVAL_DATA.",
        ),
    ):
        command = option(command)
    return command


def output_options(command: Command) -> Command:
    """`--out`, `--resume`, `--json`."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print summary.json on standard output, for machines."),
        click.option("--resume", type=PathType, metavar="RUN", help="Continue an interrupted run in its folder."),
        click.option("--out", type=PathType, metavar="RUN", help="Run folder to make; default: a new one in runs/."),
    ):
        command = option(command)
    return command


def resumed_folder(out: Path | None, resume: Path | None) -> Path | None:
    """The folder to continue in; None for a new run. Raises `UsageError` when --out names another one."""
    if resume is not None and out is not None and out.resolve() != resume.resolve():
        raise UsageError("--out and --resume name different folders; --resume alone is enough")
    return resume


def given_options(context: click.Context) -> set[str]:
    """Names of the parameters that were typed, rather than left at their defaults or taken from the environment."""
    typed = click.core.ParameterSource.COMMANDLINE
    return {name for name in context.params if context.get_parameter_source(name) is typed}


def show_progress(outcomes: "Iterable[Outcome]", total: int, done: int) -> "Iterator[Outcome]":
    """A progress bar on standard error, only where that is a terminal."""
    from tqdm import tqdm

    failed = 0
    with tqdm(total=total, initial=done, unit="mixture", disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:
        for outcome in outcomes:
            failed += outcome.score.status == "failed"
            if failed:
                bar.set_postfix(failed=failed)
            bar.update()
            yield outcome


def refuse_folder_of_mini(context: click.Context) -> None:
    """Refuse a typed --data beside --dataset mini, which would go unread; $S5EVAL_DATA is passed over.

    Raises:
        UsageError: both were typed.
    """
    if context.params["dataset"] == "mini" and "data" in given_options(context):
        raise UsageError(
            "--dataset mini is made in the cache and takes no --data; for a folder of its scenes leave --dataset out"
        )


@contextmanager
def show_making() -> "Iterator[CountProgress]":
    """A progress bar for scenes that are being made before a run; drawn only if some are, and on a terminal."""
    from tqdm import tqdm

    with tqdm(total=0, unit="scene", desc="making scenes", leave=False, disable=not sys.stderr.isatty()) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def show_result(result: "RunResult", as_json: bool) -> int:
    """Print a run's summary, as a table or as JSON; returns the exit code the run deserves."""
    try:
        _print_result(result, as_json)
    except BrokenPipeError:  # nobody reads any more; the run is what it is
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
    return result.exit_code


def _print_result(result: "RunResult", as_json: bool) -> None:
    from s5eval.harness.report.table import summary_table

    if as_json:
        click.echo(json.dumps(result.summary, indent=1))
        click.echo(f"run: {result.path}", err=True)
    else:
        click.echo(summary_table(result.summary))
        click.echo(f"\nrun: {result.path}\npage: {result.path / 'report.html'}")
