"""Splits whose audio is made when it is first used: the embedded ones, and the official validation split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.sets.known import Split, mini_root


@dataclass(frozen=True, slots=True)
class MadeSplit:
    """A split that is made on use.

    Attributes:
        split: which.
        ids: all mixture ids; empty for an endless split.
        folder: where it is made, whether it is there yet or not.
        how: what makes it, for errors.
        write: makes or completes it, of `count` scenes or those of `only`; returns the folder.
    """

    split: Split
    ids: Sequence[str]
    folder: Path
    how: str
    write: Callable[..., Path]

    def make(self, *, count: int | None, only: Sequence[str], progress: CountProgress | None) -> Path:
        """The folder with the audio of the first `count` scenes, made where needed; `only` goes before `count`."""
        return self.write(count=None if only else count, only=only, progress=progress)

    def as_it_stands(self) -> Path:
        """The folder where it has been made.

        Raises:
            DataError: it has not been made yet; says what makes it.
        """
        if not (self.folder / self.split.soundscape).is_dir():
            raise DataError(f"{self.folder}: the split {self.split.name!r} has not been made yet; {self.how}")
        return self.folder


def made_split(split: Split, root: Path | None) -> MadeSplit | None:
    """A split as one that is made on use; None where its audio is on disk.

    Args:
        split: of a known set.
        root: the official root, for the split that is made from its metadata.

    Raises:
        DataError: the list of its metadata is missing or unusable.
    """
    if split.made_from is None:
        return None
    if root is None or split.made_from == "mini":  # what makes scenes is imported where some are made
        from s5eval.data_manifests.sets.mini import make_mini, mini_ids

        how = f"`s5eval data make mini --split {split.name}` makes it"
        return MadeSplit(split, mini_ids(split.name), mini_root() / split.name, how, partial(make_mini, split.name))
    from s5eval.data_manifests.sets.official import open_official_valid

    valid = open_official_valid(root)
    how = f"`s5eval run --data {root} --split {split.name}` makes it (`s5eval data make` only makes mini)"
    return MadeSplit(split, [scene.id for scene in valid.scenes], valid.folder, how, valid.make)
