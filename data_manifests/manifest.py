"""From a data set and a split to scenes: the official folders, any folder with `soundscape/`, or a set made on use."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
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

MINI = "mini"
"""Name of the embedded set, which is used where no data are named."""

MakeProgress = Callable[[int, int], None]
"""Is told (scenes done, scenes in all) while the audio of a split is being made."""


@dataclass(frozen=True, slots=True)
class Split:
    """Where a split lies below the data root, and what may be done with it.

    Attributes:
        name: as given to `--split`.
        soundscape: folder of the mixtures, relative to the root.
        references: folder of the references, or None when the split ships none.
        mixtures: how many mixtures it has; None: unknown.
        tune: whether thresholds may be fitted on it.
        made_from: None for audio that is on disk; `mini` or `metadata` for a split whose audio is made when it is
            first used (`soundscape` and `references` are then below the folder where it is made).
    """

    name: str
    soundscape: str
    references: str | None
    mixtures: int | None = None
    tune: Literal["allowed", "forbidden"] = "allowed"
    made_from: Literal["mini", "metadata"] | None = None


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
    root: Path | None,
    *,
    dataset: str | None = None,
    split: str | None = None,
    limit: int | None = None,
    only: Sequence[str] = (),
    progress: MakeProgress | None = None,
) -> Manifest:
    """Find the scenes of a split; make their audio first where the split ships none.

    Args:
        root: the official root (holds `dev_set/` or `eval_set/`), or a folder with `soundscape/` and, if there are
            references, `oracle_target/`; None: the embedded set.
        dataset: a name of `known_datasets`; None: recognised from the folders.
        split: a split of the set; may be left out where only one is there. Default of the embedded set: `test`.
        limit: keep the first so many scenes (and make no more than these).
        only: keep these mixture ids.
        progress: is told how far making is.

    Raises:
        DataError: the folder or the split is missing or empty.
        UsageError: no such data set or split, or an id of `only` does not exist.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit is {limit}, expected at least 1")
    if dataset is not None and dataset not in known_datasets():
        known = list(known_datasets())
        raise UsageError(f"no data set {dataset!r}{suggestion(dataset, known)} Known: {', '.join(known)}")
    if root is None and dataset not in (None, MINI):
        raise DataError(f"--dataset {dataset} needs its folder: give --data DIR, or set S5EVAL_DATA")
    if root is None or dataset == MINI:
        name, chosen, folder = MINI, _split_of(known_datasets()[MINI], split or "test"), Path()
    elif not root.is_dir():
        raise DataError(f"no data folder at {root}; give --data DIR, or set S5EVAL_DATA")
    elif dataset is None and (root / "soundscape").is_dir():
        if split not in (None, FOLDER):
            raise UsageError(f"{root} is a plain folder with soundscape/ and has no split {split!r}; leave --split out")
        references = "oracle_target" if (root / "oracle_target").is_dir() else None
        name, chosen, folder = FOLDER, Split(FOLDER, "soundscape", references), root
    else:
        name, chosen = _choose_split(root, dataset, split)
        folder = root
    if chosen.made_from is not None:
        folder = _make(chosen, root, limit, progress)
    scenes, findings = _scan(folder, chosen, partly_made=chosen.made_from is not None and limit is not None)
    all_ids = tuple(scene.mixture.id for scene in scenes)
    kept = _filtered(scenes, folder, limit=limit, only=only)
    return Manifest(name, chosen, folder, kept, all_ids, findings, _digest(kept))


def _split_of(dataset: Dataset, name: str) -> Split:
    if name not in dataset.splits:
        known = list(dataset.splits)
        raise UsageError(
            f"no split {name!r} in {dataset.name}{suggestion(name, known)} Known splits: {', '.join(known)}"
        )
    return dataset.splits[name]


def _choose_split(root: Path, dataset: str | None, name: str | None) -> tuple[str, Split]:
    """The split that is meant: by name, or the only one that is there. Sets are told apart by their folders."""
    sets = (
        [known_datasets()[dataset]] if dataset else [known for known in known_datasets().values() if known.name != MINI]
    )
    there = [(known.name, split) for known in sets for split in known.splits.values() if _is_there(root, split)]
    listed = ", ".join(f"{split.name} ({owner})" for owner, split in there)
    if name is None:
        if len(there) == 1:
            return there[0]
        if there:
            raise UsageError(f"{root} holds several splits; choose one with --split: {listed}")
        raise DataError(
            f"{root} holds neither soundscape/ nor an official split "
            f"(expected for example {next(iter(sets[-1].splits.values())).soundscape})"
        )
    matching = [(owner, split) for owner, split in there if split.name == name]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise UsageError(f"split {name!r} is in several sets at {root}; choose one with --dataset")
    names = sorted({split.name for known in sets for split in known.splits.values()})
    if name not in names:
        raise UsageError(f"no split {name!r}{suggestion(name, names)} Known splits: {', '.join(names)}")
    expected = next(known.splits[name] for known in sets if name in known.splits)
    hint = f"; splits that are there: {listed}" if there else ""
    raise DataError(f"split {name!r}: no folder {root / expected.soundscape}{hint}")


def is_available(root: Path | None, dataset: Dataset, split: Split) -> bool:
    """Whether a split can be opened below `root` (None: no data folder is known)."""
    return dataset.name == MINI or (root is not None and _is_there(root, split))


def _is_there(root: Path, split: Split) -> bool:
    if split.made_from == "metadata":
        return (root / "dev_set" / "metadata" / "valid.json").is_file()
    return (root / split.soundscape).is_dir()


def _make(split: Split, root: Path | None, count: int | None, progress: MakeProgress | None) -> Path:
    """The folder with the split's audio, made or completed where needed."""
    if split.made_from == "mini":
        from s5eval.data_manifests.mini import make_mini

        return make_mini(split.name, count=count, progress=progress)
    from s5eval.data_manifests.official import make_official_valid

    if root is None:
        raise ValueError("a split that is made from metadata needs its root")
    return make_official_valid(root, count=count, progress=progress)


def _scan(root: Path, split: Split, *, partly_made: bool) -> tuple[tuple[Scene, ...], tuple[Finding, ...]]:
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
    if split.mixtures not in (None, len(mixtures)) and not partly_made:
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
    if not matched:
        message = "no reference at all: every scene counts as silent"
        findings.append(Finding("no-references", "warning", str(reference_folder), message))
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
