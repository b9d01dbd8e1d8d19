"""`s5eval data`: sets that are made: the embedded one, one's own of recordings, scenes of metadata, anybody's stems."""

import json
from pathlib import Path
from typing import Any

import click

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.layouts import LAYOUTS
from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import PathType, given_options, json_option
from s5eval.harness.command_line.progress_bar import show_making
from s5eval.harness.process import goes_on_with, this_command
from s5eval.harness.terminal import echo

processes_option = click.option("--workers", type=click.IntRange(min=1), help="Processes; default: one per core.")


@click.command(
    "make",
    cls=Command,
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
@click.option(
    "--count",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only the first N scenes; default: all that a split of mini has.",
)
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
    return _show_set(folder, as_json)


@click.command(
    "synthesize",
    cls=Command,
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
    return _show_set(folder, as_json)


def _show_set(folder: Path, as_json: bool) -> int:
    """Print where a set is and how many scenes it holds by now, those of earlier orders among them."""
    from s5eval.data_manifests.plain_folder import find_plain_folder

    found = find_plain_folder(folder)
    scenes = 0 if found is None else found.mixtures
    told = f"set: {folder} ({counted(scenes, 'scene')})"
    echo(json.dumps({"folder": str(folder), "scenes": scenes}) if as_json else told)
    return 0


@click.command(
    "preview",
    cls=Command,
    short_help="Write a page of the procedural sounds.",
    example="s5eval data preview --out SOUNDS",
)
@click.option("--out", type=PathType, required=True, help="Folder of the page.")
@click.option("--draws", type=click.IntRange(min=1), default=3, show_default=True, help="Sounds per class.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Another seed shows other draws."
)
@json_option
def preview_sounds(out: Path, draws: int, seed: int, as_json: bool) -> int:
    """Write a page of the procedural sounds: a spectrogram per class, and players."""
    from s5eval.data_manifests.synthesis.foley.gallery import write_preview

    page = write_preview(out, draws=draws, seed=seed)
    echo(json.dumps({"folder": str(out), "page": str(page)}) if as_json else f"page: {page}")
    return 0


@click.command(
    "map",
    cls=Command,
    short_help="A mapping of a folder in another tool's layout.",
    example="s5eval data map FOLDER --layout fuss --out FOLDER/MAP.csv",
)
@click.argument("folder", type=PathType)
@click.option("--layout", type=click.Choice(sorted(LAYOUTS)), required=True, help="How FOLDER is laid out.")
@click.option("--out", type=PathType, metavar="MAP.csv", help="Where to write it, in FOLDER; default: standard output.")
@click.option("--replace", is_flag=True, help="Replace another file that stands there.")
def map_layout(folder: Path, layout: str, out: Path | None, replace: bool) -> int:
    """Write a mapping (id, role, file, label) of the scenes in FOLDER, to look through and give to `data import`.

    Nothing is guessed: labels are those of the files or numbers that the layout has.
    """
    from s5eval.data_manifests.common.files import write_atomically
    from s5eval.data_manifests.layouts import map_folder
    from s5eval.data_manifests.mapping import mapping_text

    if out is not None and out.resolve().parent != folder.resolve():
        raise UsageError(f"--out {out}: a mapping names files relative to itself; write it into {folder}")
    rows = map_folder(folder, layout)
    text = mapping_text(rows)
    if out is None:
        echo(text.rstrip("\n"))
        return 0
    if not replace and out.is_file() and out.read_bytes() != text.encode():
        raise UsageError(f"{out} is there, and is another mapping, or one that was edited; name another, or --replace")
    try:
        write_atomically(out, text)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror or error}") from error
    echo(f"mapping: {out} ({counted(sum(row[1] == 'mixture' for row in rows), 'scene')})")
    return 0


@click.command(
    "import",
    cls=Command,
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
    help="Normalisation of the mixtures, and of targets of four channels.",
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
    targets = f"targets: {done.targets}" if done.targets else "no target in the table: a set without references"
    echo(f"set: {done.folder} ({counted(done.scenes, 'scene')}, {targets}; mixtures {converted})")
    return 0


commands = (make_set, synthesize_metadata, preview_sounds, map_layout, import_command)
"""The rest of `s5eval data`."""
