"""A folder with `soundscape/` as it stands in lists beside the sets that are known by name."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from s5eval.data_manifests.chosen_split import FOLDER
from s5eval.data_manifests.manifest import scenes_as_they_stand


@dataclass(frozen=True, slots=True)
class PlainFolder:
    """What names alone tell of it: how many mixtures, and whether there are references to score against."""

    mixtures: int
    references: bool

    def as_row(self) -> dict[str, Any]:
        """A row of the list of sets for machines; whether one may tune on it depends on the recordings in it."""
        there = {"tune": None, "made_from": None, "available": True}
        return {"dataset": FOLDER, "split": FOLDER, **asdict(self), **there}


def find_plain_folder(root: Path | None) -> PlainFolder | None:
    """The plain folder that `root` is, if it is one; no audio is read.

    Raises:
        DataError: it is one, and holds no mixture.
    """
    if root is None or not (root / "soundscape").is_dir():
        return None
    _, scenes = scenes_as_they_stand(root)
    return PlainFolder(len(scenes), any(scene.references is not None for scene in scenes))
