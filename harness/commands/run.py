"""`s5eval run`: evaluate a system."""

from pathlib import Path
from typing import Any

import click

from s5eval.data_manifests.errors import UsageError
from s5eval.harness.commands.options import (
    PathType,
    data_options,
    given_options,
    output_options,
    show_progress,
    show_result,
)


@click.command("run")
@click.option("--system", metavar="NAME", help="Installed system (see `s5eval systems`), or module:factory.")
@data_options
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Setting, such as system.stages=2.")
@click.option("--decision", type=PathType, metavar="FILE", help="Decision file (YAML) in place of the system's own.")
@click.option("--batch-size", type=click.IntRange(min=1), default=1, show_default=True, help="Mixtures at once.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, …")
@click.option("--save-audio", is_flag=True, help="Write the estimates as PCM_16 wavs, and score those as well.")
@click.option("--no-cache", is_flag=True, help="Neither read nor write the stage store.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@output_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Run a system over mixtures and score what comes out.

    Without --data and $S5EVAL_DATA a toy set is made and used.
    """
    from s5eval.harness.config import RunConfig, parse_settings
    from s5eval.harness.run import default_run_path, plan_run, resume, run

    values: dict[str, Any] = {
        "system": options["system"],
        "data": options["data"],
        "split": options["split"],
        "settings": parse_settings(options["settings"]),
        "decision_file": options["decision"],
        "limit": options["limit"],
        "only": options["only"],
        "batch_size": options["batch_size"],
        "device": options["device"],
        "save_audio": options["save_audio"],
        "cache": not options["no_cache"],
        "strict": options["strict"],
    }
    typed = given_options(context)
    renamed = {"decision": "decision_file", "no_cache": "cache"}
    given = {renamed.get(name, name): None for name in typed}
    given = {name: _absolute(values[name]) for name in given if name in values}
    if options["resume"] is not None:
        if options["out"] not in (None, options["resume"]):
            raise UsageError("--out and --resume name different folders; --resume alone is enough")
        fresh = None
        if options["system"] is not None:
            fresh = RunConfig(**{name: _absolute(value) for name, value in _with_data(values).items()})
        return show_result(
            resume(options["resume"], given=given, fresh=fresh, progress=show_progress), options["as_json"]
        )
    if options["system"] is None:
        raise UsageError("--system is missing; `s5eval systems` lists what is installed")
    config = RunConfig(**{name: _absolute(value) for name, value in _with_data(values).items()})
    if options["dry_run"]:
        from s5eval.harness.preview import describe_plan

        click.echo(describe_plan(plan_run(config), as_json=options["as_json"]))
        return 0
    return show_result(
        run(config, options["out"] or default_run_path(config), progress=show_progress), options["as_json"]
    )


def _with_data(values: dict[str, Any]) -> dict[str, Any]:
    if values["data"] is not None:
        return values
    from s5eval.data_manifests.toy import toy_set

    return {**values, "data": toy_set()}


def _absolute(value: Any) -> Any:
    return value.expanduser().resolve() if isinstance(value, Path) else value
