"""Mappings of folders that are laid out as other tools lay them out; what a layout does not tell is left to fill in.

`fuss`, as the Free Universal Sound Separation set (Wisdom et al., arXiv 2011.00803; github.com/google-research/
sound-separation, datasets/fuss): `<id>.wav` beside `<id>_sources/`, whose files are `background<n>_<name>.wav` and
`foreground<n>_<name>.wav`. Foreground files are the targets, in order of n, and <name> is their label (`sound` in FUSS
itself, which has no classes: such labels are left to `--classes`, or to whoever edits the table).

`spatialscaper`, as SpatialScaper (github.com/iranroman/SpatialScaper) and the sets of DCASE's Task 3 write scenes:
`<…>/<id>.wav` in a folder `foa…`, and `metadata…/<…>/<id>.csv` with rows frame, class, source, azimuth, elevation
(and distance). It writes no stems itself; they are expected in a folder `stems…/<…>/` under the name
`<id>_<class>_<source>.wav`, with the numbers of the metadata. Labels are the class numbers: `--classes` names them.
"""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.naming import AUDIO_SUFFIXES

MapRows = list[tuple[str, str, str, str]]


def map_folder(root: Path, layout: str) -> MapRows:
    """Rows `id, role, file, label` for the scenes below a folder, files relative to it; by id.

    Raises:
        UsageError: no such layout, or no folder at `root`.
        DataError: it holds no scene of the layout, or a file that the layout promises is not there.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"layout {layout!r}: expected one of {', '.join(LAYOUTS)}")
    if not root.is_dir():
        raise UsageError(f"no folder at {root}")
    rows = LAYOUTS[layout](root)
    if not rows:
        raise DataError(f"{root}: holds no scene as {layout} lays them out; write a mapping by hand (docs/data.md)")
    return rows


def _fuss(root: Path) -> MapRows:
    rows: MapRows = []
    for sources in sorted(path for path in root.rglob("*_sources") if path.is_dir()):
        id_ = sources.name.removesuffix("_sources")
        mixture = sources.with_name(f"{id_}.wav")
        if not mixture.is_file():
            raise DataError(f"{mixture}: is not there, but {sources} is")
        rows.append((id_, "mixture", mixture.relative_to(root).as_posix(), ""))
        found = []
        for file in sorted(sources.glob("foreground*")):
            kind, _, name = file.stem.partition("_")
            number = kind.removeprefix("foreground")
            if file.suffix == ".wav" and number.isdecimal():
                found.append((int(number), file, name))
            elif file.suffix.lower() in AUDIO_SUFFIXES:  # left out, its scene would have a target less than are heard
                raise DataError(f"{file}: expected a wav of a name such as foreground0_Speech.wav")
        rows += [(id_, "target", file.relative_to(root).as_posix(), name) for _, file, name in sorted(found)]
    return rows


def _spatialscaper(root: Path) -> MapRows:
    rows: MapRows = []
    stems, tables = _by_stem(root, "stems*", "*.wav"), _by_stem(root, "metadata*", "*.csv")
    mixtures = [path for folder in sorted(root.glob("foa*")) for path in sorted(folder.rglob("*.wav"))]
    for mixture in sorted(mixtures, key=lambda path: path.stem):
        if mixture.stem not in tables:
            raise DataError(f"{mixture}: no metadata*/…/{mixture.stem}.csv beside its folder")
        rows.append((mixture.stem, "mixture", mixture.relative_to(root).as_posix(), ""))
        for class_, source in _events(tables[mixture.stem]):
            name = f"{mixture.stem}_{class_}_{source}"
            if name not in stems:
                raise DataError(
                    f"{mixture}: its metadata have source {source} of class {class_}, but there is no stem {name}.wav"
                )
            rows.append((mixture.stem, "target", stems[name].relative_to(root).as_posix(), str(class_)))
    return rows


def _by_stem(root: Path, folders: str, files: str) -> dict[str, Path]:
    """Files below some folders by their names, of which there is one each: which of two is meant is not guessed."""
    found: dict[str, Path] = {}
    for path in (path for folder in sorted(root.glob(folders)) for path in sorted(folder.rglob(files))):
        if found.setdefault(path.stem, path) is not path:
            raise DataError(
                f"{path}: {found[path.stem]} has the same name, and either may be meant; move the folder of one away"
            )
    return found


def _events(table: Path) -> list[tuple[int, int]]:
    """(class, source) of a scene, by the frame in which each is first heard, then by the numbers of sources."""
    first: dict[tuple[int, int], int] = {}
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.reader(file):
                frame, class_, source = (int(value) for value in row[:3])
                first.setdefault((class_, source), frame)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{table}: expected rows of frame, class, source, azimuth, elevation: {error}") from error
    return sorted(first, key=lambda event: (first[event], event[1], event[0]))


LAYOUTS: Mapping[str, Callable[[Path], MapRows]] = {"fuss": _fuss, "spatialscaper": _spatialscaper}
"""The layouts that are known."""
