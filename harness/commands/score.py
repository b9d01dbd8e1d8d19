"""`s5eval score`: score the wavs of any system."""

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


@click.command("score")
@click.argument("estimates", type=PathType)
@data_options
@output_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Score a directory or zip of <mixture>_<i>_<Label>.wav files against references.

    A mixture without files counts as "no target heard". The exit code is 4 when files could not be used.
    """
    from s5eval.harness.config import RunConfig
    from s5eval.harness.run import default_run_path, resume, run

    estimates: Path = options["estimates"]
    if not estimates.exists():
        raise UsageError(f"no directory or zip of estimates at {estimates}")
    if options["data"] is None:
        raise UsageError("--data DIR (or S5EVAL_DATA) is missing: the folder that holds the mixtures and references")
    values: dict[str, Any] = {
        "system": "folder",
        "settings": {"system": {"path": str(estimates.expanduser().resolve())}},
        "data": options["data"].expanduser().resolve(),
        **{name: options[name] for name in ("split", "limit", "only", "strict")},
    }
    config = RunConfig(**values)
    if options["resume"] is not None:
        given = {name: values[name] for name in given_options(context) & values.keys()}
        given["settings"] = values["settings"]
        result = resume(options["resume"], given=given, fresh=config, progress=show_progress)
    else:
        result = run(config, options["out"] or default_run_path(config), progress=show_progress)
    return show_result(result, options["as_json"])
