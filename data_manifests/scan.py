"""Which scenes a folder of mixtures and a folder of references hold, by the names of their files."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.findings import Finding
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


def scenes_digest(scenes: Sequence[Scene]) -> str:
    """SHA-256 of the ids, reference names and file sizes of scenes."""

    def size(path: Path) -> int:
        return path.stat().st_size

    rows: list[Any] = []
    for scene in scenes:
        references = None
        if scene.references is not None:
            references = [[reference.path.name, size(reference.path)] for reference in scene.references]
        rows.append([scene.mixture.id, size(scene.mixture.path), references])
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
