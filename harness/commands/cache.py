"""`s5eval cache`: look at the stage store, and make it smaller."""

import json
import sys

import click

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.words import counted
from s5eval.harness.command_line.help import Group
from s5eval.harness.command_line.number_type import NumberType
from s5eval.harness.command_line.options import json_option
from s5eval.harness.terminal import echo


@click.group("cache", cls=Group)
def command() -> None:
    """The stage store: results of stages that later runs reuse."""


@command.command("ls", short_help="Entries and bytes per stage.", example="s5eval cache ls")
@json_option
def list_entries(as_json: bool) -> int:
    """Entries and bytes per stage, and where they are."""
    from s5eval.data_manifests.common.cache import cache_folder
    from s5eval.systems.stage_store import DiskStore

    store = DiskStore(cache_folder() / "stages")
    stages: dict[str, dict[str, int]] = {}
    for entry in store.entries():
        counts = stages.setdefault(entry.stage, {"entries": 0, "bytes": 0})
        counts["entries"] += 1
        counts["bytes"] += entry.size
    if as_json:
        echo(json.dumps({"folder": str(store.root), "stages": stages}, indent=1))
        return 0
    echo(f"{store.root}")
    for stage, counts in sorted(stages.items()):
        echo(f"{stage:12} {counts['entries']:7d} entries  {counts['bytes'] / 1e9:8.2f} GB")
    return 0


@command.command(
    "prune", short_help="Remove the entries that were used longest ago.", example="s5eval cache prune --keep-gb 5"
)
@click.option(
    "--keep-gb",
    type=NumberType(min=0),
    default=0.0,
    show_default=True,
    help="Keep so many GB of the entries that were used last.",
)
@click.option("--yes", is_flag=True, help="Do not ask before everything is removed.")
@json_option
def prune(keep_gb: float, yes: bool, as_json: bool) -> int:
    """Remove the entries that were used longest ago; without --keep-gb all of them, which is asked before.

    Runs under way may go on: what they miss they make again.
    """
    from s5eval.data_manifests.common.cache import cache_folder
    from s5eval.systems.stage_store import DiskStore

    store = DiskStore(cache_folder() / "stages")
    if keep_gb == 0 and not yes:
        entries = list(store.entries())
        size = sum(entry.size for entry in entries) / 1e9
        what = f"{counted(len(entries), 'entry')}, {size:.2f} GB, which is all of {store.root}"
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(f"this would remove {what}: say --yes, or how much to keep with --keep-gb")
        if not click.confirm(f"Remove {what}?", err=True):
            echo("nothing was removed", err=True)
            return 0
    removed, freed = store.prune(keep_bytes=int(keep_gb * 1e9))
    if as_json:
        echo(json.dumps({"folder": str(store.root), "removed": removed, "bytes": freed}))
        return 0
    echo(f"removed {counted(removed, 'entry')}, {freed / 1e9:.2f} GB")
    return 0
