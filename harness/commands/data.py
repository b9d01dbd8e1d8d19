"""`s5eval data`: what sets there are, and getting and checking them; `data_making` has the rest of the group."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.words import counted
from s5eval.harness.command_line.fields_as_options import in_options
from s5eval.harness.command_line.help import Group
from s5eval.harness.command_line.options import (
    PathType,
    data_options,
    given_options,
    json_option,
    refuse_folder_of_mini,
)
from s5eval.harness.command_line.progress_bar import show_bytes, show_making
from s5eval.harness.process import goes_on_with, this_command
from s5eval.harness.terminal import echo


@click.group("data", cls=Group)
def command() -> None:
    """Data sets: list, verify, fetch, make, import and more."""


@command.command(
    "list",
    short_help="Known sets and their splits.",
    example="s5eval data list --data DIR",
)
@click.option("--data", type=PathType, envvar="S5EVAL_DATA", help="Folder to look for splits in.")
@click.option("--json", "as_json", is_flag=True, help="As a JSON array, for machines.")
def list_sets(data: Path | None, as_json: bool) -> int:
    """The known sets and their splits: mixtures, whether thresholds may be tuned on them, whether they are there."""
    from s5eval.data_manifests.plain_folder import find_plain_folder
    from s5eval.data_manifests.sets.known import MINI, is_available, known_datasets

    if data is not None and not data.is_dir():
        raise DataError(f"no data folder at {data}")
    plain = find_plain_folder(data)
    rows = [
        {
            "dataset": dataset.name,
            "split": split.name,
            "mixtures": split.mixtures,
            "references": split.references is not None,
            "tune": split.tune,
            "made_from": split.made_from,
            "available": is_available(data, dataset, split),
        }
        for dataset in known_datasets().values()
        for split in dataset.splits.values()
    ]
    if as_json:
        echo(json.dumps(rows if plain is None else [*rows, plain.as_row()], indent=1))
        return 0
    echo(f"{'set':10} {'split':9} {'mixtures':>8}  {'references':10}  {'tuning':9}  here")
    for row in rows:
        here = ("made on first use" if row["made_from"] else "yes") if row["available"] else "no"
        references = "yes" if row["references"] else "no"
        count = row["mixtures"] or ("endless" if row["made_from"] == MINI else "?")
        echo(f"{row['dataset']:10} {row['split']:9} {count!s:>8}  {references:10}  {row['tune']:9}  {here}")
    if plain is not None:
        echo(f"this folder: {counted(plain.mixtures, 'mixture')}, with{'' if plain.references else 'out'} references")
    elif data is not None and not any(row["available"] and row["made_from"] != MINI for row in rows):
        echo("this folder: no split of these, and no soundscape/ of its own")
    return 0


@command.command(
    "verify",
    short_help="Check every file of a split, or every recording.",
    example="s5eval data verify --data DIR --split dev-test\ns5eval data verify --recordings MY_SOUNDS",
)
@data_options
@click.option(
    "--recordings",
    multiple=True,
    type=PathType,
    metavar="DIR",
    help="Check this folder of recordings instead, as `train` and `data make` take it; may be repeated.",
)
@json_option
@click.pass_context
def verify_set(
    context: click.Context, /, as_json: bool, strict: bool, recordings: tuple[Path, ...], **options: Any
) -> int:
    """Check every file of a split, as it stands, and list every finding. The exit code is 3 when something is wrong.

    Nothing is made or repaired. Whatever a run only warns of is an error here, so --strict changes nothing.

    With --recordings, every recording is read, in all splits or that of --split: files that a training would stumble
    over, takes that lie in two splits, and how much there is of each class.
    """
    if recordings:
        if others := {"data", "dataset", "limit", "only", "strict"} & given_options(context):
            raise UsageError(f"--{min(others)} is of sets of scenes and does not go with --recordings")
        return _verify_recordings(recordings, options["split"], as_json=as_json)
    from s5eval.data_manifests.manifest import open_manifest
    from s5eval.data_manifests.verify import verify

    refuse_folder_of_mini(context)
    root = options.pop("data")
    mixtures = 0
    try:
        with show_making("checking") as making:
            manifest = open_manifest(root, **options, as_it_stands=True)
            findings, mixtures = verify(manifest, progress=making), len(manifest.scenes)
    except DataError as error:
        if not as_json:
            raise
        findings = [Finding("set", "error", "" if root is None else str(root), str(error))]
    if as_json:
        listed = [finding.as_dict() for finding in findings]
        echo(json.dumps({"ok": not findings, "mixtures": mixtures, "findings": listed}, indent=1))
    else:
        for finding in findings:
            echo(in_options(str(finding), command))
        echo(f"{counted(mixtures, 'mixture')}, {counted(len(findings), 'finding')}")
    return DataError.exit_code if findings else 0


def _verify_recordings(folders: Sequence[Path], split: str | None, *, as_json: bool) -> int:
    from s5eval.data_manifests.verify_recordings import verify_recordings
    from s5eval.harness.report.recordings_table import verified_text

    with show_making("checking") as making:
        found = verify_recordings(folders, split=split, progress=making)
    echo(json.dumps(found.as_dict(), indent=1) if as_json else verified_text(found))
    return DataError.exit_code if found.findings else 0


@command.command(
    "fetch", short_help="Download an official record, resumable.", example="s5eval data fetch eval --out DIR"
)
@click.argument("record")
@click.option("--out", type=PathType, required=True, help="Data folder; archives are unpacked into it.")
@click.option("--only", multiple=True, metavar="FILE", help="This file of the record; may be repeated.")
@click.option("--no-unpack", is_flag=True, help="Download only.")
@click.option("--base-url", metavar="URL", help="A mirror with Zenodo's interface; default: https://zenodo.org.")
@json_option
def fetch_record(
    record: str, out: Path, only: tuple[str, ...], no_unpack: bool, base_url: str | None, as_json: bool
) -> int:
    """Download an official record (dev, eval, or a number): resumable, checked against its checksums."""
    from s5eval.data_manifests.download.fetch import ZENODO, fetch

    with show_bytes() as progress, goes_on_with(this_command()):
        paths = fetch(record, out, only=only, unpack=not no_unpack, base_url=base_url or ZENODO, progress=progress)
    if as_json:
        echo(json.dumps({"folder": str(out), "files": [str(path) for path in paths]}, indent=1))
        return 0
    echo(f"{counted(len(paths), 'file')} in {out}; point --data or S5EVAL_DATA at it")
    return 0
