"""From a folder on disk to scenes: the official layout by split, or any folder with `soundscape/`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml

from s5eval.data_manifests.errors import DataError, UsageError
from s5eval.data_manifests.findings import Finding
from s5eval.data_manifests.labels import suggestion
from s5eval.data_manifests.naming import AUDIO_SUFFIXES, match_sources, sources_problem
from s5eval.data_manifests.records import Mixture, Reference, Scene

FOLDER = "folder"
"""Name of the data set, and of its only split, when `--data` holds `soundscape/` itself."""


@dataclass(frozen=True, slots=True)
class Split:
    """Where a split lies below the data root, and what may be done with it.

    Attributes:
        name: as given to `--split`.
        soundscape: folder of the mixtures, relative to the root.
        references: folder of the references, or None when the split ships none.
        mixtures: how many mixtures it has; None: unknown.
        tune: whether thresholds may be fitted on it.
    """

    name: str
    soundscape: str
    references: str | None
    mixtures: int | None = None
    tune: Literal["allowed", "forbidden"] = "allowed"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A known set: its name and splits, as its YAML manifest tells them."""

    name: str
    splits: Mapping[str, Split]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The scenes of one split, in order of their ids.

    Attributes:
        dataset: name of the set (`folder` for a plain folder).
        split: the split.
        root: the folder that `--data` named.
        scenes: what is to be evaluated, after filters.
        all_ids: the mixture ids of the whole split, before filters.
        findings: files that belong to nothing, and a mixture count that is not the official one.
        sha256: digest of ids, reference names and file sizes of the scenes: two runs with the same digest were
            made on the same data.
    """

    dataset: str
    split: Split
    root: Path
    scenes: tuple[Scene, ...]
    all_ids: tuple[str, ...]
    findings: tuple[Finding, ...]
    sha256: str

    @property
    def has_references(self) -> bool:
        """Whether the split ships references, so that its runs are scored."""
        return self.split.references is not None


@cache
def known_datasets() -> Mapping[str, Dataset]:
    """The data sets whose YAML manifests ship with s5eval, by name."""
    datasets = {}
    for entry in sorted(files("s5eval.data_manifests").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            content = yaml.safe_load(entry.read_text(encoding="utf-8"))
            splits = {name: Split(name=name, **fields) for name, fields in content["splits"].items()}
            datasets[content["name"]] = Dataset(content["name"], splits)
    return datasets


def open_manifest(
    root: Path, *, split: str | None = None, limit: int | None = None, only: Sequence[str] = ()
) -> Manifest:
    """Find the scenes of a split.

    Args:
        root: the official root (holds `dev_set/` or `eval_set/`), or a folder with `soundscape/` and, if there are
            references, `oracle_target/`.
        split: which split of an official root; may be left out when only one is there.
        limit: keep the first so many scenes.
        only: keep these mixture ids.

    Raises:
        DataError: the folder or the split is missing or empty.
        UsageError: no such split, or an id of `only` does not exist.
    """
    if not root.is_dir():
        raise DataError(f"no data folder at {root}; give --data DIR, or set S5EVAL_DATA")
    if (root / "soundscape").is_dir():
        if split not in (None, FOLDER):
            raise UsageError(f"{root} is a plain folder with soundscape/ and has no split {split!r}; leave --split out")
        references = "oracle_target" if (root / "oracle_target").is_dir() else None
        dataset, chosen = FOLDER, Split(FOLDER, "soundscape", references)
    else:
        dataset, chosen = _choose_split(root, split)
    scenes, findings = _scan(root, chosen)
    all_ids = tuple(scene.mixture.id for scene in scenes)
    kept = _filtered(scenes, root, limit=limit, only=only)
    return Manifest(dataset, chosen, root, kept, all_ids, findings, _digest(kept))


def _choose_split(root: Path, name: str | None) -> tuple[str, Split]:
    splits = {
        split.name: (dataset.name, split) for dataset in known_datasets().values() for split in dataset.splits.values()
    }
    present = [known for known, (_, split) in splits.items() if (root / split.soundscape).is_dir()]
    if name is not None and name not in splits:
        raise UsageError(f"no split {name!r}{suggestion(name, list(splits))} Known splits: {', '.join(splits)}")
    if name is None and len(present) == 1:
        name = present[0]
    if name is None and present:
        raise UsageError(f"{root} holds several splits; choose one with --split: {', '.join(present)}")
    if name is None:
        raise DataError(
            f"{root} holds neither soundscape/ nor an official split "
            f"(expected for example {next(iter(splits.values()))[1].soundscape})"
        )
    dataset, split = splits[name]
    if not (root / split.soundscape).is_dir():
        hint = f"; splits that are there: {', '.join(present)}" if present else ""
        raise DataError(f"split {name!r}: no folder {root / split.soundscape}{hint}")
    return dataset, split


def _scan(root: Path, split: Split) -> tuple[tuple[Scene, ...], tuple[Finding, ...]]:
    folder = root / split.soundscape
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
    if split.mixtures not in (None, len(mixtures)):
        message = f"{len(mixtures)} mixtures, the official split has {split.mixtures}"
        findings.append(Finding("mixture-count", "warning", str(folder), message))
    if split.references is None:
        return tuple(Scene(Mixture(id_, path), None) for id_, path in mixtures.items()), tuple(findings)

    reference_folder = root / split.references
    if not reference_folder.is_dir():
        raise DataError(f"split {split.name!r}: the references are missing, no folder {reference_folder}")
    listed = [path.name for path in sorted(reference_folder.iterdir()) if path.is_file() and path.name[0] != "."]
    matched, unmatched = match_sources(listed, mixtures)
    findings += [replace(finding, file=str(reference_folder / finding.file)) for finding in unmatched]
    scenes = []
    for id_, path in mixtures.items():
        sources = matched.get(id_, ())
        references = tuple(Reference(source.name.label, reference_folder / source.file) for source in sources)
        scenes.append(Scene(Mixture(id_, path), references, sources_problem(sources)))
    return tuple(scenes), tuple(findings)


def _filtered(scenes: tuple[Scene, ...], root: Path, *, limit: int | None, only: Sequence[str]) -> tuple[Scene, ...]:
    if only:
        ids = {scene.mixture.id for scene in scenes}
        for wanted in only:
            if wanted not in ids:
                raise UsageError(f"--only: no mixture {wanted!r} in {root}{suggestion(wanted, sorted(ids))}")
        scenes = tuple(scene for scene in scenes if scene.mixture.id in set(only))
    if limit is not None:
        if limit < 1:
            raise UsageError(f"--limit is {limit}, expected at least 1")
        scenes = scenes[:limit]
    return scenes


def _digest(scenes: Sequence[Scene]) -> str:
    def size(path: Path) -> int:
        return path.stat().st_size

    rows: list[Any] = []
    for scene in scenes:
        references = None
        if scene.references is not None:
            references = [[reference.path.name, size(reference.path)] for reference in scene.references]
        rows.append([scene.mixture.id, size(scene.mixture.path), references])
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
