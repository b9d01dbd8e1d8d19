"""`s5eval run`: evaluate a system."""

from pathlib import Path
from typing import Any

import click

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import (
    PathType,
    data_options,
    energy_option,
    given_options,
    hook_option,
    hooks_of,
    metrics_option,
    output_options,
    read_worker_options,
    refuse_folder_of_mini,
    resumed_folder,
    shard_option,
    timeout_option,
    trust_option,
    worker_options,
)
from s5eval.harness.command_line.progress_bar import show_making
from s5eval.harness.command_line.run_output import announcing, show_result
from s5eval.harness.terminal import echo, plugin_output, showing_warnings_of


@click.command(
    "run",
    cls=Command,
    example=(
        "s5eval run --system multistage --data DIR --split dev-test --out runs/MINE\ns5eval run --resume runs/MINE"
    ),
)
@click.option("--system", metavar="NAME", help="Installed system (see `s5eval systems`), or module:factory.")
@data_options
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Setting, such as system.stages=2.")
@trust_option
@click.option("--decision", type=PathType, metavar="FILE", help="Decision file (YAML) in place of the system's own.")
@timeout_option
@click.option(
    "--retry-given-up",
    is_flag=True,
    help="With --resume: try mixtures again that were given up after the process ended thrice.",
)
@click.option("--batch-size", type=click.IntRange(min=1), default=1, show_default=True, help="Mixtures at once.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, …")
@worker_options
@shard_option
@metrics_option
@click.option("--save-audio", is_flag=True, help="Write the estimates as PCM_16 wavs, and score those as well.")
@energy_option
@hook_option
@click.option("--no-cache", is_flag=True, help="Neither read nor write the stage store.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@output_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Run a system over mixtures and score what comes out.

    Without --data and $S5EVAL_DATA the embedded set is used; its scenes are made on first use.
    """
    from s5eval.harness.record.config import RunConfig, parse_settings, take_trust
    from s5eval.harness.record.reading import read_run_record
    from s5eval.harness.report.table import energy_of_run
    from s5eval.harness.runs.dry_run import describe_plan
    from s5eval.harness.runs.plan import default_run_path, plan_run
    from s5eval.harness.runs.resume import resume
    from s5eval.harness.runs.run import start_run
    from s5eval.systems.stage_store import LOGGER as STORE_LOGGER

    refuse_folder_of_mini(context)
    settings, trusted = take_trust(parse_settings(options["settings"]), options["trust_checkpoint"])
    values = _values(options, settings, trusted)
    renamed = {"decision": "decision_file", "no_cache": "cache"}
    typed = {renamed.get(name, name) for name in given_options(context)}
    given = {name: values[name] for name in typed & values.keys()} | {"trust_checkpoint": trusted}
    if trusted and not settings:
        given.pop("settings", None)  # trust alone was set, which is none of the run's settings
    out = options["out"]
    resumed = resumed_folder(out, options["resume"])
    if resumed is not None and options["dry_run"]:
        raise UsageError("--dry-run describes a new run; leave --resume out")
    if resumed is None and options["retry_given_up"]:
        raise UsageError("--retry-given-up goes with --resume RUN")
    if resumed is None and values["system"] is None:
        raise UsageError("--system is missing; `s5eval systems` lists what is installed")
    config = None if values["system"] is None else RunConfig(**values)
    hooks = hooks_of(options["hook"])
    here = Path.cwd()  # a system may change it
    with show_making() as making, plugin_output(), showing_warnings_of(STORE_LOGGER):
        if config is not None and options["dry_run"]:
            described = describe_plan(plan_run(config, making=making), as_json=options["as_json"])
        elif resumed is not None:
            result = resume(
                resumed,
                given=given,
                fresh=config,
                retry=options["retry_given_up"],
                progress=announcing(resumed),
                making=making,
                hooks=hooks,
            )
        elif config is not None:
            out = out or default_run_path(config)
            result = start_run(config, out, progress=announcing(out), making=making, hooks=hooks)
    if options["dry_run"]:
        echo(described)
        if not options["as_json"]:
            echo("\nwith --json: the whole decision and fingerprint, and every name")
        return 0
    code = show_result(result, options["as_json"], here=here)
    if (energy := energy_of_run(read_run_record(here / result.path))) is not None:
        echo(energy, err=True)
    return code


def _values(options: dict[str, Any], settings: dict[str, Any], trusted: bool) -> dict[str, Any]:
    """The fields of `RunConfig`."""
    return {
        "system": options["system"],
        "data": options["data"],
        "dataset": options["dataset"],
        "split": options["split"],
        "settings": settings,
        "trust_checkpoint": trusted,
        "decision_file": options["decision"],
        "limit": options["limit"],
        "only": options["only"],
        "batch_size": options["batch_size"],
        "device": options["device"],
        "save_audio": options["save_audio"],
        "cache": not options["no_cache"],
        "strict": options["strict"],
        "metrics": options["metrics"],
        "mixture_timeout": options["mixture_timeout"],
        "energy": options["energy"],
        "name": options["name"],
        "shard": options["shard"],
        **read_worker_options(options),
    }
