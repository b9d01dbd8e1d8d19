"""Options that several commands share, and what is read from them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.files import expanded
from s5eval.harness.command_line.number_type import NumberType
from s5eval.harness.dispatch.machine import AS_MANY_AS_PAY
from s5eval.harness.terminal import echo

if TYPE_CHECKING:
    from s5eval.systems.hooks import Hooks

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class _Path(click.Path):
    """A path; an empty word (an unset shell variable, most likely) is none, and would mean the working folder.

    `~` is the home folder. Shells leave it as it is in `--out=~/runs/a` and between quotes, and what is made of it then
    is a folder of that name in the working folder.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("an empty path (is a shell variable unset?)", param, ctx)
        path = super().convert(value, param, ctx)
        return expanded(path) if isinstance(path, Path) else path


PathType = _Path(path_type=Path)


class _Run(_Path):
    """A run folder, or a packed run, which is verified and unpacked into the cache."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = super().convert(value, param, ctx)
        if isinstance(path, Path) and path.is_file():
            from s5eval.harness.exporting.packed_run import run_folder_of

            return run_folder_of(path)
        return path


RunType = _Run(path_type=Path)


json_option = click.option("--json", "as_json", is_flag=True, help="As a JSON object, for machines.")

summary_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print summary.json on standard output, for machines."
)


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


timeout_option = click.option(
    "--mixture-timeout",
    type=NumberType(min=0, min_open=True),
    metavar="SECONDS",
    help="Fail a mixture for which the system takes longer; default: no limit. Native code that does not return is "
    "ended with the process; --resume then goes on without the mixture.",
)


WORKER_FIELDS = ("workers", "devices", "engine", "address", "gpus_per_worker")
"""Options of `worker_options`, and fields of `RunConfig`."""


workers_option = click.option(
    "--workers",
    metavar="N|auto",
    help="Share the work among so many processes; auto: as many as pay. Default: this process alone.",
)

shard_option = click.option(
    "--shard", metavar="K/N", help="Evaluate part K of N, for a batch queue; `s5eval merge` joins the parts."
)


def worker_options(command: Decorated) -> Decorated:
    """`--workers`, `--devices`, `--engine`, `--address`, `--gpus-per-worker`."""
    for option in (
        click.option(
            "--gpus-per-worker",
            type=NumberType(min=0),
            metavar="N",
            help="With --engine ray: GPUs of each worker; default: none.",
        ),
        click.option(
            "--address", metavar="HOST:PORT", help="With --engine ray: the cluster; default: auto, one on this machine."
        ),
        click.option(
            "--engine",
            type=click.Choice(["processes", "ray"]),
            default="processes",
            show_default=True,
            help="What workers are: processes of this machine, or actors of a Ray cluster.",
        ),
        click.option("--devices", metavar="N,N", help="GPUs to spread workers over, one each without --workers."),
        workers_option,
    ):
        command = option(command)
    return command


def read_workers(word: str | None) -> int | None:
    """A number of workers; 0 stands for `auto`. Raises `UsageError` for what is no number."""
    if word is None or word == "auto":
        return None if word is None else AS_MANY_AS_PAY
    if not word.isdecimal() or int(word) == 0:
        raise UsageError(f"--workers is {word!r}, expected a number from 1, or auto")
    return int(word)


def read_worker_options(options: dict[str, Any]) -> dict[str, Any]:
    """Fields of `RunConfig` from the options of `worker_options`.

    Raises:
        UsageError: no number, or an option that is for the other engine.
    """
    if options["engine"] == "ray" and options["devices"]:
        raise UsageError("--devices is for processes of this machine; with --engine ray say --gpus-per-worker")
    if options["engine"] != "ray" and (options["address"] or options["gpus_per_worker"]):
        raise UsageError("--address and --gpus-per-worker go with --engine ray")
    devices = tuple(word.strip() for word in (options["devices"] or "").split(",") if word.strip())
    return {
        "workers": read_workers(options["workers"]),
        "devices": devices,
        **{name: options[name] for name in ("engine", "address", "gpus_per_worker")},
    }


energy_option = click.option(
    "--energy",
    is_flag=True,
    help="Estimate the energy it takes, in kWh, with CodeCarbon's offline tracker (extra energy).",
)


hook_option = click.option(
    "--hook",
    multiple=True,
    metavar="MODULE:NAME",
    help="An s5eval.Hook that is told how it goes; may be repeated.",
)


def hooks_of(names: Sequence[str]) -> "Hooks":
    """The hooks that `--hook` names; what one of them raises is said on standard error. Raises `UsageError`."""
    from s5eval.systems.hooks import Hooks, load_hook

    return Hooks([load_hook(name) for name in names], say=lambda text: echo(text, err=True))


def data_options(command: Decorated) -> Decorated:
    """`--data`, `--dataset`, `--split`, `--limit`, `--only`, `--strict`."""
    for option in (
        click.option(
            "--strict", is_flag=True, help="Treat orphan files, missing estimates and odd suffixes as errors."
        ),
        click.option("--only", multiple=True, metavar="ID", help="Take this mixture; may be repeated."),
        click.option("--limit", type=int, metavar="N", help="Take the first N mixtures; default: all."),
        click.option(
            "--split",
            help="Split of the set, such as dev-test, valid, eval, test; default: the only one there, of mini test.",
        ),
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


def output_options(command: Decorated) -> Decorated:
    """`--name`, `--out`, `--resume`, `--json`."""
    for option in (
        summary_json_option,
        click.option("--resume", type=PathType, metavar="RUN", help="Continue an interrupted run in its folder."),
        click.option("--out", type=PathType, metavar="RUN", help="Run folder to make; default: a new one in runs/."),
        click.option(
            "--name", metavar="WORD", help="Name of the run in tables, page and run folder; default: its system's."
        ),
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


def refuse_folder_of_mini(context: click.Context) -> None:
    """Refuse a typed --data beside --dataset mini, which would go unread; $S5EVAL_DATA is passed over.

    Raises:
        UsageError: both were typed.
    """
    if context.params["dataset"] == "mini" and "data" in given_options(context):
        raise UsageError(
            "--dataset mini is made in the cache and takes no --data; for a folder of its scenes leave --dataset out"
        )
