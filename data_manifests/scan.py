"""Which scenes a folder of mixtures and a folder of references hold, by the names of their files."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from s5eval.data_manifests.digests import UNREADABLE, content_digests
from s5eval.data_manifests.errors import DataError
from s5eval.data_manifests.findings import Finding
from s5eval.data_manifests.naming import AUDIO_SUFFIXES, match_sources, sources_problem
from s5eval.data_manifests.records import Mixture, Reference, Scene


def scan(
    folder: Path, reference_folder: Path | None, *, expected: int | None = None, as_it_stands: bool = False
) -> tuple[tuple[Scene, ...], tuple[Finding, ...]]:
    """List the scenes of a folder of mixtures, in order of their ids.

    Args:
        folder: of the mixtures.
        reference_folder: of the references; None: the set ships none.
        expected: how many mixtures there have to be; None: unknown.
        as_it_stands: a missing reference folder is a finding, not an error (every scene is then without references).

    Returns:
        The scenes, and warnings about files that belong to nothing and a count that is not the expected one.

    Raises:
        DataError: no mixtures, or no reference folder.
    """
    mixtures: dict[str, Path] = {}
    findings: list[Finding] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.suffix not in AUDIO_SUFFIXES:
            findings.append(Finding("suffix", "warning", str(path), "not read: the suffix is not .wav or .flac"))
        elif path.stem in mixtures:
            findings.append(
                Finding("duplicate", "warning", str(path), f"not read: {mixtures[path.stem].name} is the same mixture")
            )
        else:
            mixtures[path.stem] = path
    if not mixtures:
        raise DataError(f"{folder} holds no .wav or .flac file")
    if expected not in (None, len(mixtures)):
        message = f"{len(mixtures)} mixtures, the official split has {expected}"
        findings.append(Finding("mixture-count", "warning", str(folder), message))
    if reference_folder is not None and not reference_folder.is_dir():
        if not as_it_stands:
            raise DataError(f"the references are missing: no folder {reference_folder}")
        message = "the folder of the references is missing"
        findings.append(Finding("missing", "error", str(reference_folder), message))
        reference_folder = None
    if reference_folder is None:
        return tuple(Scene(Mixture(id_, path), None) for id_, path in mixtures.items()), tuple(findings)
    listed = [path.name for path in sorted(reference_folder.iterdir()) if path.is_file() and path.name[0] != "."]
    matched, unmatched = match_sources(listed, mixtures)
    findings += [replace(finding, file=str(reference_folder / finding.file)) for finding in unmatched]
    if not matched:
        message = "no reference at all: every scene counts as silent"
        findings.append(Finding("no-references", "warning", str(reference_folder), message))
    scenes = []
    for id_, path in mixtures.items():
        sources = matched.get(id_, ())
        references = tuple(Reference(source.name.label, reference_folder / source.file) for source in sources)
        scenes.append(Scene(Mixture(id_, path), references, sources_problem(sources)))
    return tuple(scenes), tuple(findings)


def scene_digests(scenes: Sequence[Scene], *, afresh: bool = False) -> tuple[str, ...]:
    """One digest a scene, of its id, the names of its references and the content of all its files.

    Args:
        scenes: of a manifest.
        afresh: read every file; otherwise ones that are as they were by size and times are remembered.
    """
    digests = content_digests([path for scene in scenes for path in _paths(scene)], afresh=afresh)
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


def _paths(scene: Scene) -> list[Path]:
    return [scene.mixture.path, *(reference.path for reference in scene.references or ())]


def _size(path: Path) -> object:
    try:
        return path.stat().st_size
    except OSError:
        return UNREADABLE
