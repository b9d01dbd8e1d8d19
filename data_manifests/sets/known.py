"""The data sets that are known by name: their splits, and by what a split is recognised on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from s5eval.data_manifests.common.cache import cache_folder
from s5eval.data_manifests.common.yaml_text import load_yaml

MINI = "mini"
"""Name of the embedded set, which is used where no data are named."""

MINI_VERSION = 1
"""Changes whenever a sample of the embedded set changes; part of its folder's name."""


VALID_LISTING = Path("dev_set", "metadata", "valid.json")
"""Below the official root: the list of the metadata that the validation split is made from."""

_TEST_2025, _TEST_2026 = Path("dev_set", "test"), Path("dev_set", "synthesized")


@dataclass(frozen=True, slots=True)
class Split:
    """Where a split lies below the data root, and what may be done with it.

    Attributes:
        name: as a run is given it.
        soundscape: folder of the mixtures, relative to the root.
        references: folder of the references, or None when the split ships none.
        mixtures: how many mixtures it has; None: unknown.
        references_required: False where the references were not published with the mixtures: a folder that is not
            there means that the split has none.
        numbered: whether its own files are `<mixture>_<i>_<Label>`, or `<mixture>_<Label>` as in 2025, when no label
            was in a scene twice.
        tune: whether thresholds may be fitted on it.
        made_from: None for audio that is on disk; `mini` or `metadata` for a split whose audio is made when it is
            first used (`soundscape` and `references` are then below the folder where it is made).
    """

    name: str
    soundscape: str
    references: str | None
    mixtures: int | None = None
    references_required: bool = True
    numbered: bool = True
    tune: Literal["allowed", "forbidden"] = "allowed"
    made_from: Literal["mini", "metadata"] | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """A known set: its name and splits, as its YAML manifest tells them.

    Attributes:
        name: as a run is given it.
        splits: by name.
        not_made: splits that the set has and that cannot be opened here, and why, with what to do.
    """

    name: str
    splits: Mapping[str, Split]
    not_made: Mapping[str, str] = field(default_factory=dict)


@cache
def known_datasets() -> Mapping[str, Dataset]:
    """The data sets whose YAML manifests ship with s5eval, by name."""
    datasets = {}
    for entry in sorted(files("s5eval.data_manifests.sets").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            content = load_yaml(entry.read_text(encoding="utf-8"))
            splits = {name: Split(name=name, **fields) for name, fields in content["splits"].items()}
            datasets[content["name"]] = Dataset(content["name"], splits, content.get("not_made", {}))
    return datasets


def is_available(root: Path | None, dataset: Dataset, split: Split) -> bool:
    """Whether a split can be opened below `root` (None: no data folder is known)."""
    return dataset.name == MINI or (root is not None and is_there(root, split))


def is_there(root: Path, split: Split) -> bool:
    """Whether a split, or what it is made from, is below an official root; the list of a set of 2025 is another's."""
    return where_it_lies(root, split).exists() and not (split.made_from == "metadata" and is_of_2025(root))


def is_of_2025(root: Path) -> bool:
    """Whether an official root is that of 2025 and not that of 2026 as well."""
    return (root / _TEST_2025).is_dir() and not (root / _TEST_2026).is_dir()


def where_it_lies(root: Path, split: Split) -> Path:
    """By what a split is recognised below an official root: its mixtures, or the list of its metadata."""
    if split.made_from == "metadata":
        return root / VALID_LISTING
    return root / split.soundscape


def mini_root() -> Path:
    """The folder in the cache that holds the splits of the embedded set, whether made or not."""
    return cache_folder() / f"mini-v{MINI_VERSION}"
