"""Sets of one's own: scenes by the official recipe from folders of recordings, in rooms that are simulated where the
folders bring none. Whoever has recordings but no measured rooms gets a set to evaluate on.

A scene is a function of the material, the split, the seed and its index; `material.json` beside the scenes says what
they were made of, with its digest. A folder holds one set: another order is refused there.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

from s5eval.data_manifests.common.digests import digest_start
from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.labels import absent_classes
from s5eval.data_manifests.sets.material import begin_set
from s5eval.data_manifests.sets.mini import RECIPE, mini_material
from s5eval.data_manifests.synthesis.mixing import MixedSources, PooledSources
from s5eval.data_manifests.synthesis.recordings import open_recordings, rooms_of
from s5eval.data_manifests.synthesis.render import SynthesizedScene
from s5eval.data_manifests.synthesis.rooms import RoomBank
from s5eval.data_manifests.synthesis.scene import Material
from s5eval.data_manifests.synthesis.scene_audio import make_scene
from s5eval.data_manifests.synthesis.write import default_workers, write_scenes

VERSION = 2
"""Changes whenever a sample of such a set changes, the material being the same.

2: no target is a part of a recording in which nothing sounds; sets that had none are what they were.
"""

ROOMS = 8
"""Simulated rooms of a set, unless another number is asked for."""

_ROOM_SEEDS = 3_026_000_000
"""Added to a set's seed for its rooms, so that no room is one of the embedded set's."""


@dataclass(frozen=True, slots=True)
class RecordedSet:
    """What all scenes of a set share; picklable.

    Attributes:
        folders: of recordings, see `open_recordings`.
        split: name of their sub-folders.
        seed: of scenes and simulated rooms.
        rooms: number of simulated rooms.
        digest: of the material of every folder.
    """

    folders: tuple[Path, ...]
    split: str
    seed: int
    rooms: int
    digest: tuple[str, ...]

    def named(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Recordings by the start of their folder's digest, which `material.json` names, and the path below the folder.

        So a set that grows after its folder has moved or been renamed calls them the same.
        """
        names = set()
        for path in map(Path, paths):
            at = next(k for k, folder in enumerate(self.folders) if path.is_relative_to(folder))
            names.add(f"{digest_start(self.digest[at])}/{path.relative_to(self.folders[at]).as_posix()}")
        return tuple(sorted(names))


@dataclass(frozen=True, slots=True)
class RecordedScene:
    """One scene of such a set, ready to be made in any process."""

    of: RecordedSet
    index: int

    @property
    def id(self) -> str:
        """The mixture id."""
        return f"recorded_{self.of.split}_{self.index:04d}"

    def content(self) -> bytes:
        """What the scene is a function of: not where the folders are, but what is in them."""
        of = self.of
        return repr((VERSION, RECIPE, of.split, of.seed, of.rooms, of.digest, self.index)).encode()

    def make(self) -> SynthesizedScene:
        """The scene's audio."""
        scene = make_scene(seed=self.of.seed, index=self.index, material=_material(self.of), recipe=RECIPE)
        return replace(scene, recordings=self.of.named(scene.recordings or ()))


@cache
def _material(of: RecordedSet) -> Material:
    """A class is drawn from every folder that has it with equal chance, and interference likewise.

    The set has the digests of its folders: recordings that were changed since are others, and are opened anew.
    """
    opened = [open_recordings(folder, of.split) for folder in of.folders]
    measured, backgrounds = rooms_of(opened)
    interference = tuple((1.0, folder.interference) for folder in opened if folder.interference is not None)
    return Material(
        MixedSources(tuple((1.0, folder.targets) for folder in opened)),
        PooledSources(interference) if interference else mini_material("valid").interference,
        measured or RoomBank(_ROOM_SEEDS + of.seed, of.rooms),
        backgrounds,
    )


def make_recorded(
    folders: Sequence[Path],
    *,
    split: str,
    count: int,
    seed: int,
    out: Path,
    rooms: int = ROOMS,
    workers: int | None = None,
    progress: CountProgress | None = None,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Make a set, or what is missing or damaged of it; a larger `count` keeps the scenes of a smaller one.

    Args:
        folders: of recordings, see `open_recordings`; of several, a class is drawn from those that have it, with equal
            chance, and where none has interference it is procedural.
        split: name of their sub-folders.
        count: number of scenes.
        seed: of scenes and rooms.
        out: gets `soundscape/`, `oracle_target/` (16-bit wavs) and `material.json`.
        rooms: simulated ones; unused where a folder brings measured rooms.
        workers: processes; default: one per core. The result does not depend on it.
        progress: is told (scenes done, scenes in all).
        say: is told of classes that no scene can have.

    Returns:
        `out`.

    Raises:
        UsageError: no folder, scene or room is asked for; or `out` holds scenes that are not of this order: made of
            something else, or more of them.
        DataError: a folder has no recordings of the split, or the disk cannot take the scenes.
    """
    if not folders or count < 1 or rooms < 1 or seed < 0:
        raise UsageError(
            f"folders {[str(folder) for folder in folders]}, count {count}, rooms {rooms}, seed {seed}: expected at "
            "least one folder, scene and room, and a seed of 0 or more"
        )
    opened = [open_recordings(folder, split) for folder in folders]
    described = [folder.described() for folder in opened]
    measured, _ = rooms_of(opened)
    whole = RecordedSet(tuple(folders), split, seed, rooms, tuple(str(entry["digest"]) for entry in described))
    scenes = [RecordedScene(whole, index) for index in range(count)]
    classes = sorted({label for folder in opened for label in folder.targets.labels})
    content = {
        "version": VERSION,
        "scenes": count,
        "split": split,
        "seed": seed,
        "rooms": {"measured": len(measured), "simulated": 0 if measured else rooms},
        "interference": "recordings" if any(folder.interference for folder in opened) else "procedural",
        "classes": classes,
        "recipe": asdict(RECIPE),
        "recordings": described,
    }
    if (lacking := absent_classes(classes)) and say is not None:
        say(f"no recording of {', '.join(lacking)} in {split}: no scene has these classes")
    begin_set(out, [scene.id for scene in scenes], content)
    write_scenes(scenes, out, workers=default_workers() if workers is None else workers, progress=progress)
    return out
