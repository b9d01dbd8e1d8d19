"""`s5eval info`: versions, devices, folders."""

import json
import os
import platform
import shutil

import click

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import json_option
from s5eval.harness.terminal import echo


@click.command(
    "info",
    cls=Command,
    short_help="What a bug report needs: versions, device, folders.",
    example="s5eval info --schema summary",
)
@json_option
@click.option("--schema", is_flag=True, help="The JSON Schema of the files of a run folder, in place of all else.")
@click.argument("file", required=False)
def command(as_json: bool, schema: bool, file: str | None) -> int:
    """What a bug report needs: versions, device, cache folder and free disk, data root.

    With --schema, what the files of a run folder hold: of FILE, which is run (run.json), summary (summary.json) or
    mixtures (a line of mixtures.jsonl); without FILE, of all three.
    """
    if schema:
        return _print_schema(file)
    if file is not None:
        raise UsageError(f"{file!r}: a file is named with --schema only, such as s5eval info --schema summary")
    from s5eval.data_manifests.common.cache import cache_folder
    from s5eval.harness.record.provenance import package_versions
    from s5eval.systems.device import resolve_device

    cache = cache_folder()
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    facts = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "device": resolve_device("auto"),
        "cache": str(cache),
        "cache_free_gb": round(shutil.disk_usage(existing).free / 1e9, 1),
        "data": os.environ.get("S5EVAL_DATA"),
        "packages": package_versions(),
    }
    if as_json:
        echo(json.dumps(facts, indent=1))
        return 0
    for name, value in facts.items():
        if isinstance(value, dict):
            for package, version in value.items():
                echo(f"{package:16} {version or 'not installed'}")
        else:
            echo(f"{name:16} {'not set' if value is None else value}")
    return 0


def _print_schema(file: str | None) -> int:
    from s5eval.harness.record.schema import FILES, file_schema

    shown = file_schema(file) if file is not None else {name: file_schema(name) for name in FILES}
    echo(json.dumps(shown, indent=1, ensure_ascii=False))
    return 0
