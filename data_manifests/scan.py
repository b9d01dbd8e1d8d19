"""Which scenes a folder of mixtures and a folder of references hold, by the names of their files."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.digests import UNREADABLE, content_digests
from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.listing import absence, list_folder
from s5eval.data_manifests.naming import (
    AUDIO_SUFFIXES,
    SOURCE_NAMES,
    format_source_name,
    match_sources,
    sources_problem,
)
from s5eval.data_manifests.records import Mixture, Reference, Scene


def scan(
    folder: Path,
    reference_folder: Path | None,
    *,
    expected: int | None = None,
    as_it_stands: bool = False,
    numbered: bool = True,
    part: bool = False,
) -> tuple[tuple[Scene, ...], tuple[Finding, ...]]:
    """List the scenes of a folder of mixtures, in order of their ids.

    Every name in the two folders is of a scene or in the findings. A name whose content cannot be read is listed like
    any other: whoever reads it says why.

    Args:
        folder: of the mixtures.
        reference_folder: of the references; None: the set ships none.
        expected: how many mixtures there have to be; None: unknown.
        as_it_stands: missing references are a finding, not an error (every scene is then without references).
        numbered: the names of this set's references have a number.
        part: the scenes may be a few of a set that is known to have references, so that all may be silent.

    Returns:
        The scenes, and warnings about names that belong to nothing and a count that is not the expected one.

    Raises:
        DataError: no mixtures, no reference folder, or no reference in it.
    """
    mixtures, findings = _mixtures(folder)
    if expected not in (None, len(mixtures)):
        message = f"{counted(len(mixtures), 'mixture')}, the official split has {expected}"
        findings.append(Finding("mixture-count", "warning", str(folder), message))
    if reference_folder is not None and not reference_folder.is_dir():
        if not as_it_stands:
            why = absence(reference_folder)
            where = f"no folder {reference_folder}" if why is None else f"{reference_folder}: {why}"
            raise DataError(f"the references are missing: {where}")
        message = "the folder of the references is missing"
        findings.append(Finding("missing", "error", str(reference_folder), message))
        reference_folder = None
    if reference_folder is None:
        return tuple(Scene(Mixture(id_, path), None) for id_, path in mixtures.items()), tuple(findings)
    listing = list_folder(reference_folder)
    matched, unmatched = match_sources(listing.names, mixtures, numbered=numbered)
    findings += _below(reference_folder, [*listing.findings, *unmatched])
    if not matched and not (part and _all_silent(reference_folder.parent, mixtures, listing.names)):
        message = _no_references(reference_folder, listing.names, mixtures)
        if not as_it_stands:
            raise DataError(f"{reference_folder}: {message}")
        findings.append(Finding("no-references", "error", str(reference_folder), message))
    scenes = []
    for id_, path in mixtures.items():
        sources = matched.get(id_, ())
        references = tuple(Reference(source.name.label, reference_folder / source.file) for source in sources)
        problem = sources_problem(sources)
        told = None if problem is None else f"{reference_folder}/{problem}"  # else taken for one of the estimates
        scenes.append(Scene(Mixture(id_, path), references, told))
    return tuple(scenes), tuple(findings)


def _mixtures(folder: Path) -> tuple[dict[str, Path], list[Finding]]:
    """The mixtures by id, and what the other names in their folder are."""
    mixtures: dict[str, Path] = {}
    listing = list_folder(folder)
    findings = _below(folder, listing.findings)
    for path in (folder / name for name in listing.names):
        if path.suffix not in AUDIO_SUFFIXES:
            findings.append(Finding("suffix", "warning", str(path), "not read: the suffix is not .wav or .flac"))
        elif path.stem in mixtures:
            findings.append(
                Finding("duplicate", "warning", str(path), f"not read: {mixtures[path.stem].name} is the same mixture")
            )
        else:
            mixtures[path.stem] = path
    if not mixtures:
        first = f": {findings[0].file}: {findings[0].message}" if findings else ""
        raise DataError(f"{folder} holds no .wav or .flac file{first}")
    return mixtures, findings


def _below(folder: Path, findings: Iterable[Finding]) -> list[Finding]:
    return [replace(finding, file=str(folder / finding.file)) for finding in findings]


def _all_silent(root: Path, mixtures: Collection[str], names: Sequence[str]) -> bool:
    """Whether scenes of the embedded set without any reference are what was made: their records tell of none."""
    from s5eval.data_manifests.synthesis.write import ORACLE_TARGET, list_records, read_record

    if names:
        return False
    records = [read_record(path) for path in list_records(root) if path.stem in mixtures]
    told = any(name.startswith(f"{ORACLE_TARGET}/") for record in records for name in record.files)
    return len(records) == len(mixtures) and not told


def _no_references(folder: Path, names: Sequence[str], mixtures: Mapping[str, Path]) -> str:
    found = f"0 of {len(names)} files match a mixture; the first is {names[0]}" if names else "it holds no file"
    return (
        f"no reference can be read, and every scene would count as silent: {found}; names must be {SOURCE_NAMES}, "
        f"such as {format_source_name(next(iter(mixtures)), 0, 'Speech')}; a set without references has no "
        f"{folder.name}/"
    )


def scene_digests(scenes: Sequence[Scene], *, afresh: bool = False) -> tuple[str, ...]:
    """One digest a scene, of its id, the names of its references and the content of all its files.

    Args:
        scenes: of a manifest.
        afresh: read every file; otherwise ones that are as they were by size and times are remembered.
    """
    digests = content_digests([path for scene in scenes for path in scene.files], afresh=afresh)
    return tuple(_digest(_row(scene, digests.__getitem__))[:32] for scene in scenes)


def scenes_digest(digests: Sequence[str]) -> str:
    """SHA-256 of the digests of scenes, in their order: two equal ones are of the same data."""
    return _digest(list(digests))


def sizes_digest(scenes: Sequence[Scene]) -> str:
    """SHA-256 of the ids, reference names and file sizes of scenes, which runs of version 1 were known by."""
    return _digest([_row(scene, _size) for scene in scenes])


def _row(scene: Scene, fact: Callable[[Path], object]) -> list[Any]:
    references = None
    if scene.references is not None:
        references = [[reference.path.name, fact(reference.path)] for reference in scene.references]
    return [scene.mixture.id, fact(scene.mixture.path), references]


def _digest(rows: list[Any]) -> str:
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _size(path: Path) -> object:
    try:
        return path.stat().st_size
    except OSError:
        return UNREADABLE
