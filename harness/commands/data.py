"""`s5eval data`: what sets there are, and getting, making and checking them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.layouts import LAYOUTS
from s5eval.harness.command_line.fields_as_options import in_options
from s5eval.harness.command_line.help import Group
from s5eval.harness.command_line.options import (
    PathType,
    data_options,
    given_options,
    refuse_folder_of_mini,
    show_making,
)
from s5eval.harness.command_line.progress_bar import show_bytes
from s5eval.harness.process import goes_on_with, this_command
from s5eval.harness.terminal import echo

json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, for machines.")
processes_option = click.option("--workers", type=click.IntRange(min=1), help="Processes; default: one per core.")


@click.group("data", cls=Group)
def command() -> None:
    """Data sets: list, verify, fetch, make, import and more."""


@command.command(
    "list",
    short_help="Known sets and their splits.",
    example="s5eval data list --data DIR",
)
@click.option("--data", type=PathType, envvar="S5EVAL_DATA", help="Folder to look for splits in.")
@json_option
def list_sets(data: Path | None, as_json: bool) -> int:
    """The known sets and their splits: mixtures, whether thresholds may be tuned on them, whether they are there."""
    from s5eval.data_manifests.plain_folder import find_plain_folder
    from s5eval.data_manifests.sets.known import is_available, known_datasets

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
        count = row["mixtures"] or "?"
        echo(f"{row['dataset']:10} {row['split']:9} {count!s:>8}  {references:10}  {row['tune']:9}  {here}")
    if plain is not None:
        echo(f"this folder: {counted(plain.mixtures, 'mixture')}, with{'' if plain.references else 'out'} references")
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


@command.command(
    "make",
    short_help="Make the embedded set, or one of your own recordings.",
    example="s5eval data make mini --split valid\ns5eval data make --recordings MY_SOUNDS --out MY_SET",
)
@click.argument("dataset", type=click.Choice(["mini"]), required=False)
@click.option(
    "--recordings",
    multiple=True,
    type=PathType,
    metavar="DIR",
    help="Make a set of one's own from this folder of recordings instead; may be repeated.",
)
@click.option("--split", help="Of mini: valid, test (default), or train with --count. Of recordings: default valid.")
@click.option("--out", type=PathType, help="Folder to write in; default: mini's place in the cache.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Only the first N scenes.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of a set made from recordings."
)
@click.option(
    "--rooms",
    type=click.IntRange(min=1),
    metavar="N",
    help="Simulated rooms of a set made from recordings; default: 8.",
)
@processes_option
@json_option
@click.pass_context
def make_set(
    context: click.Context,
    dataset: str | None,
    recordings: tuple[Path, ...],
    split: str | None,
    out: Path | None,
    count: int | None,
    seed: int,
    rooms: int | None,
    workers: int | None,
    as_json: bool,
) -> int:
    """Make a split of the embedded set (mini), or with --recordings a set of one's own by the official recipe.

    Both are wavs in the official layout; what is there and whole is kept. DIR holds sound_event/SPLIT/CLASS/…, and
    possibly interference/, noise/ and room_ir/ as in the official dev_set; or SPLIT/CLASS/….
    """
    with show_making() as making, goes_on_with(this_command()):
        if recordings:
            if dataset is not None or out is None or count is None:
                raise UsageError("--recordings needs --out DIR and --count N, and no name of a set")
            from s5eval.data_manifests.sets.recorded import ROOMS, make_recorded

            folder = make_recorded(
                recordings,
                split=split or "valid",
                count=count,
                seed=seed,
                out=out,
                rooms=rooms or ROOMS,
                workers=workers,
                progress=making,
                say=lambda text: echo(text, err=True),
            )
        else:
            alone = {"seed", "rooms"} & given_options(context)
            if dataset is None or alone:
                named = f"--{min(alone)} goes with --recordings DIR" if alone else "say what to make"
                raise UsageError(f"{named}; expected: data make mini, or data make --recordings DIR")
            from s5eval.data_manifests.sets.mini import make_mini

            folder = make_mini(split or "test", out=out, count=count, workers=workers, progress=making)
    echo(json.dumps({"folder": str(folder)}) if as_json else folder)
    return 0


@command.command(
    "synthesize",
    example="s5eval data synthesize dev_set/metadata/valid/*.json --root . --out SCENES",
)
@click.argument("metadata", nargs=-1, required=True, type=PathType)
@click.option("--root", type=PathType, required=True, help="What the paths in the metadata are relative to.")
@click.option("--out", type=PathType, required=True, help="Gets soundscape/ and oracle_target/, 32-bit float.")
@processes_option
@json_option
def synthesize_metadata(metadata: tuple[Path, ...], root: Path, out: Path, workers: int | None, as_json: bool) -> int:
    """Make the scenes of official metadata files, sample-exact."""
    from s5eval.data_manifests.sets.official import synthesize_files

    with show_making() as making, goes_on_with(this_command()):
        folder = synthesize_files(metadata, root=root, out=out, workers=workers, progress=making)
    echo(json.dumps({"folder": str(folder)}) if as_json else folder)
    return 0


@command.command(
    "preview", short_help="Write a page of the procedural sounds.", example="s5eval data preview --out SOUNDS"
)
@click.option("--out", type=PathType, required=True, help="Folder of the page.")
@click.option("--draws", type=click.IntRange(min=1), default=3, show_default=True, help="Sounds per class.")
@click.option("--seed", default=0, show_default=True, help="Another seed shows other draws.")
@json_option
def preview_sounds(out: Path, draws: int, seed: int, as_json: bool) -> int:
    """Write a page of the procedural sounds: a spectrogram per class, and players."""
    from s5eval.data_manifests.synthesis.foley.gallery import write_preview

    page = write_preview(out, draws=draws, seed=seed)
    echo(json.dumps({"folder": str(out), "page": str(page)}) if as_json else page)
    return 0


@command.command(
    "map",
    short_help="A mapping of a folder in another tool's layout.",
    example="s5eval data map FOLDER --layout fuss --out FOLDER/MAP.csv",
)
@click.argument("folder", type=PathType)
@click.option("--layout", type=click.Choice(sorted(LAYOUTS)), required=True, help="How FOLDER is laid out.")
@click.option("--out", type=PathType, metavar="MAP.csv", help="Where to write it, in FOLDER; default: standard output.")
def map_layout(folder: Path, layout: str, out: Path | None) -> int:
    """Write a mapping (id, role, file, label) of the scenes in FOLDER, to look through and give to `data import`.

    Nothing is guessed: labels are those of the files or numbers that the layout has.
    """
    from s5eval.data_manifests.common.files import write_atomically
    from s5eval.data_manifests.layouts import map_folder
    from s5eval.data_manifests.mapping import mapping_text

    if out is not None and out.resolve().parent != folder.resolve():
        raise UsageError(f"--out {out}: a mapping names files relative to itself; write it into {folder}")
    rows = map_folder(folder, layout)
    if out is None:
        echo(mapping_text(rows).rstrip("\n"))
        return 0
    try:
        write_atomically(out, mapping_text(rows))
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror or error}") from error
    echo(f"mapping: {out} ({counted(sum(row[1] == 'mixture' for row in rows), 'scene')})")
    return 0


@command.command(
    "import",
    short_help="Make a set of anybody's stems, by a mapping.",
    example="s5eval data import MAP.csv --out SET\n"
    "s5eval data import MAP.csv --classes CLASSES.csv --order fuma --norm fuma --out SET",
)
@click.argument("table", metavar="MAP.csv", type=PathType)
@click.option("--out", type=PathType, required=True, metavar="DIR", help="The set to make.")
@click.option("--classes", type=PathType, metavar="FILE", help="Table theirs,ours of class names; no ours: no target.")
@click.option(
    "--order", type=click.Choice(["acn", "fuma"]), default="acn", show_default=True, help="acn: WYZX; fuma: WXYZ."
)
@click.option(
    "--norm",
    type=click.Choice(["sn3d", "n3d", "fuma"]),
    default="sn3d",
    show_default=True,
    help="Normalisation of the mixtures.",
)
@click.option(
    "--target-channel", type=int, metavar="N", help="Channel of the source, counted from 0, where targets have four."
)
@json_option
def import_command(table: Path, out: Path, as_json: bool, **options: Any) -> int:
    """Make a set in the layout of the challenge of the files that MAP.csv names (columns id, role, file, label).

    Files that need no conversion are copied byte by byte. Order and norm are never guessed: what is said is converted.
    """
    from s5eval.data_manifests.importing import Convention, import_set

    convention = Convention(options["order"], options["norm"], options["target_channel"])
    with show_making("importing") as making:
        done = import_set(table, out, classes=options["classes"], convention=convention, progress=making)
    if as_json:
        echo(json.dumps({"folder": str(done.folder), "scenes": done.scenes, "targets": done.targets}, indent=1))
        return 0
    converted = "as they are" if convention.as_it_is else f"from {convention.order} order, {convention.norm}"
    echo(f"set: {done.folder} ({counted(done.scenes, 'scene')}, targets: {done.targets}; mixtures {converted})")
    return 0
