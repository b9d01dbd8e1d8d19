"""`s5eval pack` and `s5eval unpack`: a run in one file."""

import json
from pathlib import Path

import click

from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import PathType, json_option
from s5eval.harness.terminal import echo


@click.command(
    "pack",
    cls=Command,
    short_help="Pack a run into one file, enough to rescore it anywhere.",
    example="s5eval pack runs/first --out first.s5run.zip",
)
@click.argument("run", type=PathType)
@click.option("--out", type=PathType, metavar="FILE", help="The file to make; default: RUN.s5run.zip, beside RUN.")
@click.option("--replace", is_flag=True, help="Replace another file that stands there.")
@json_option
def command(run: Path, out: Path | None, replace: bool, as_json: bool) -> int:
    """Pack RUN into one file: its record, decision, scores, pair tables and environment, without audio.

    Enough to look at it, compare it and rescore it anywhere: compare, rank, rescore, tune, export, runs, report
    (--bundle, --figures) and, in Python, `s5eval.read_run`, `compare` and `tune` take the packed run as they
    take the folder, after verifying all of it.
    """
    from s5eval.harness.exporting.packed_run import pack

    packed = pack(run, out, replace=replace)
    if as_json:
        facts = {"packed_run": str(packed.path), "sha256": packed.sha256, "files": packed.files}
        echo(json.dumps({**facts, "bytes": packed.path.stat().st_size}, indent=1))
        return 0
    echo(f"packed run: {packed.path} ({packed.files} files, {packed.path.stat().st_size / 1e6:.2f} MB)")
    echo(f"sha256: {packed.sha256}")
    return 0


@click.command(
    "unpack",
    cls=Command,
    short_help="Make a run folder of a packed run, verified.",
    example="s5eval unpack first.s5run.zip --out runs/first",
)
@click.argument("packed", type=PathType)
@click.option("--out", type=PathType, metavar="RUN", required=True, help="The run folder to make.")
def unpack_command(packed: Path, out: Path) -> int:
    """Make a run folder of PACKED, once every file of it has been verified."""
    from s5eval.harness.exporting.packed_run import unpack

    echo(f"run: {unpack(packed, out)}")
    return 0
