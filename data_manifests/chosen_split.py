"""Which data set and split a folder and some names mean, told by the names of folders alone."""

import re
from dataclasses import replace
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.data_manifests.listing import has_name, is_hidden
from s5eval.data_manifests.naming import AUDIO_SUFFIXES
from s5eval.data_manifests.sets.known import (
    MINI,
    Dataset,
    Split,
    is_of_2025,
    is_there,
    known_datasets,
    where_it_lies,
)

FOLDER = "folder"
"""Name of the data set, and of its only split, when the folder of data holds `soundscape/` itself."""

_MINI_ID = re.compile(r"mini_([a-z]+)_[0-9]{4,}")


def locate(root: Path | None, dataset: str | None, split: str | None) -> tuple[str, Split, Path]:
    """Find out which split is meant. Reads the names of folders alone.

    Args:
        root: the folder of data; None: the embedded set.
        dataset: a name of `known_datasets`; None: recognised from the folders.
        split: a split of the set; None: the only one that is there, and of the embedded set `test`.

    Returns:
        The data set, the split, and the folder that its paths begin at (empty for the embedded set, which is made on
        use).

    Raises:
        DataError: the folder, or the split in it, is missing.
        UsageError: there is no such split, or there are several to choose from.
    """
    if root is None and dataset not in (None, MINI):
        raise DataError(f"`dataset={dataset}` needs its folder: give `data` (commands take S5EVAL_DATA)")
    if root is None or dataset == MINI:
        return MINI, _split_of(known_datasets()[MINI], split or "test"), Path()
    if not root.is_dir():
        raise DataError(
            f"no data folder at {root}; expected in `data` (or S5EVAL_DATA) a folder with soundscape/, or the official "
            "root with dev_set/"
        )
    if dataset is None and (root / "soundscape").is_dir():
        name, chosen = _plain_split(root)
        if split not in (None, FOLDER, chosen.name):
            what = "a plain folder with soundscape/" if name == FOLDER else f"the split {chosen.name!r} of {name}"
            raise UsageError(f"{root} is {what} and has no split {split!r}; leave `split` out")
        return name, chosen, root
    name, chosen = _choose_split(root, dataset, split)
    return name, chosen, root


def _plain_split(root: Path) -> tuple[str, Split]:
    """What a folder with `soundscape/` is: a split of the embedded set if all its ids are of one, else just a folder.

    How many scenes of the embedded set were wanted is not known, so no count is expected.
    """
    references = "oracle_target" if has_name(root / "oracle_target") else None
    matches = [
        _MINI_ID.fullmatch(path.stem)
        for path in (root / "soundscape").iterdir()
        if path.suffix in AUDIO_SUFFIXES and not is_hidden(path.name)
    ]
    names = {match and match[1] for match in matches}
    for split in known_datasets()[MINI].splits.values():
        if names == {split.name}:
            return MINI, replace(split, references=references, mixtures=None, made_from=None)
    return FOLDER, Split(FOLDER, "soundscape", references)


def _split_of(dataset: Dataset, name: str) -> Split:
    if name not in dataset.splits:
        known = list(dataset.splits)
        raise UsageError(f"no split {name!r} in {dataset.name}{suggestion(name, known)} (known: {', '.join(known)})")
    return dataset.splits[name]


def _choose_split(root: Path, dataset: str | None, name: str | None) -> tuple[str, Split]:
    """The split that is meant: by name, or the only one that is there. Sets are told apart by their folders."""
    sets = (
        [known_datasets()[dataset]] if dataset else [known for known in known_datasets().values() if known.name != MINI]
    )
    there = [(known.name, split) for known in sets for split in known.splits.values() if is_there(root, split)]
    listed = ", ".join(f"{split.name} ({owner})" for owner, split in there)
    if name is None:
        if len(there) == 1:
            return there[0]
        if there:
            raise UsageError(f"{root} holds several splits; choose one with `split`: {listed}")
        example = f"expected for example {where_it_lies(root, next(iter(sets[-1].splits.values())))}"
        if dataset is not None:
            plain = "; it holds soundscape/ itself: leave `dataset` out" if (root / "soundscape").is_dir() else ""
            raise DataError(f"{root} holds no split of {dataset} ({example}){plain}")
        above = f"; did you mean {root.parent}?" if (root.parent / "soundscape").is_dir() else ""
        raise DataError(f"{root} holds neither soundscape/ nor an official split ({example}){above}")
    matching = [(owner, split) for owner, split in there if split.name == name]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise UsageError(f"split {name!r} is in several sets at {root}; choose one with `dataset`")
    for known in sets:
        if name in known.not_made and (dataset is not None or known.name in {owner for owner, _ in there}):
            raise UsageError(f"split {name!r} of {known.name}: {known.not_made[name]}")
    names = sorted({split.name for known in sets for split in known.splits.values()})
    if name not in names:
        raise UsageError(f"no split {name!r}{suggestion(name, names)} (known: {', '.join(names)})")
    expected = next(known.splits[name] for known in sets if name in known.splits)
    if expected.made_from == "metadata" and is_of_2025(root):
        raise UsageError(
            f"split {name!r} at {root}, a root of dcase2025: {known_datasets()['dcase2025'].not_made[name]}"
        )
    hint = f"; splits that are there: {listed}" if there else ""
    raise DataError(f"split {name!r}: {where_it_lies(root, expected)} is not there{hint}")
