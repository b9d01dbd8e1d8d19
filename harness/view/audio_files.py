"""The audio of a run's mixtures and references: found by the run's record, served from below the data folder alone."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from s5eval.data_manifests.common.digests import file_stamp
from s5eval.data_manifests.common.errors import DataError, S5Error
from s5eval.data_manifests.manifest import scenes_as_they_stand
from s5eval.data_manifests.records import Scene
from s5eval.data_manifests.scan import scene_digests
from s5eval.harness.view.runs import Snapshot


@dataclass(frozen=True, slots=True)
class Scenes:
    """The scenes of a run: by mixture id, the folder they lie in, and why there are none, if so."""

    root: Path | None
    by_id: Mapping[str, Scene]
    problem: str | None = None


DataKey = tuple[str, ...]
"""A run and its data, see `data_key`."""

Stamps = tuple[tuple[int, ...] | None, ...]
"""What would tell that a file of a scene is another one by now, see `file_stamp`; empty: there is no scene."""


def data_key(run: Snapshot) -> DataKey:
    """What tells the data of a run: its folder may be removed, and be that of a run on others a moment later."""
    if run.record is None:
        return (run.key,)
    config = run.record.config
    return run.key, str(config.data), str(config.dataset), str(config.split), run.record.manifest_sha256


class DataFolders:
    """Where scenes are looked for: the folders that were given, else the one that a run recorded."""

    def __init__(self, given: Sequence[Path] = ()) -> None:
        """Take the folders that stand in place of recorded ones."""
        self._given = tuple(given)
        self._lock = threading.Lock()
        self._known: dict[DataKey, Scenes] = {}

    def of(self, run: Snapshot) -> Scenes:
        """The scenes of a run, listed once they are there."""
        with self._lock:
            key = data_key(run)
            found = self._known.get(key) or self._find(run)
            if found.problem is None:  # what is missing may be put there meanwhile
                self._known[key] = found
            return found

    def _find(self, run: Snapshot) -> Scenes:
        if run.record is None:
            return Scenes(None, {}, "run.json cannot be read, so it is not known on what data the run was made")
        config = run.record.config
        problems = []
        for root in self._given or (config.data,):
            try:
                folder, scenes = scenes_as_they_stand(root, dataset=config.dataset, split=config.split)
            except S5Error as error:
                problems.append(str(error))
                continue
            by_id = {scene.mixture.id: scene for scene in scenes}
            if any(id_ in by_id for id_ in run.record.mixtures):
                return Scenes(folder, by_id)
            problems.append(f"{folder} holds none of the run's mixtures")
        return Scenes(None, {}, "; ".join(problems))

    def stamps(self, run: Snapshot, mixture_id: str) -> Stamps:
        """Of the files of a scene as they are now: they may be changed, or put right, while they are looked at."""
        scene = self.of(run).by_id.get(mixture_id)
        stamps = [] if scene is None else [file_stamp(path) for path in scene.files]
        return tuple(None if stamp is None else tuple(stamp) for stamp in stamps)

    def differs(self, run: Snapshot, scene: Scene) -> bool:
        """Whether the files of a scene are known to be others than those that the run was made on."""
        digest = None if run.record is None else run.record.digests.get(scene.mixture.id)
        return digest is not None and scene_digests([scene])[0] != digest


def inside(root: Path, path: Path) -> Path:
    """The file, if it lies below the folder once all links are followed.

    Raises:
        DataError: it is missing, or leads out of the folder.
    """
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path.name}: not there") from error
    if not real.is_relative_to(root.resolve()):
        raise DataError(f"{path.name}: a link out of {root}; it is not served. Name the folder it leads to with `data`")
    return real
