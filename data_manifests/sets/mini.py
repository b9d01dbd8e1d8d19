"""The embedded set `mini`: procedural scenes by the official recipe, made on first use, nothing to download.

Splits: `train` (endless), `valid` (1,008 scenes), `test` (1,512 scenes, as many as the official one). No split shares
a room, a recording or a draw with another. A scene is a function of split and index; the first 192 and 96, which the
set once consisted of, stay what they were. No audio and no checksum ships with s5eval: the files are
made into the cache, where recorded checksums guard them; bytes are equal per kind of processor and library versions,
samples everywhere within 1e-6 before rounding to 16 bit. Whoever asks whether two machines have the same scene asks
`mini_scene_digest`, not its bytes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.data_manifests.conditions import Conditions, SoundEvent, conditions_of_events
from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.sets.known import MINI_VERSION, mini_root
from s5eval.data_manifests.synthesis.foley import INTERFERENCE_KINDS
from s5eval.data_manifests.synthesis.render import SynthesizedScene
from s5eval.data_manifests.synthesis.rooms import RoomBank, RoomPlans
from s5eval.data_manifests.synthesis.scene import (
    VALIDATION_COUNTS,
    DrawnScene,
    Material,
    Recipe,
    draw_scene,
)
from s5eval.data_manifests.synthesis.scene_audio import make_scene
from s5eval.data_manifests.synthesis.sources import DurationAugmentation, FoleySources
from s5eval.data_manifests.synthesis.write import default_workers, refuse_other_scenes, write_scenes

RECIPE = Recipe(target_counts=VALIDATION_COUNTS)


@dataclass(frozen=True, slots=True)
class MiniSplit:
    """The scenes of a split.

    Attributes:
        seed: of scenes and rooms.
        rooms: how many.
        scenes: how many; None: endless.
        grown: the whole split where these are only its first scenes: the others are drawn from its rooms, of which
            those of the first are the first. Not part of what the first scenes are a function of.
    """

    seed: int
    rooms: int
    scenes: int | None
    grown: "MiniSplit | None" = field(default=None, repr=False)

    @property
    def whole(self) -> "MiniSplit":
        """The split with all its scenes."""
        return self if self.grown is None else self.grown

    def part(self, index: int) -> "MiniSplit":
        """What scene `index` is drawn from."""
        return self if self.scenes is None or index < self.scenes else self.whole


SPLITS: dict[str, MiniSplit] = {
    "train": MiniSplit(seed=2026_01, rooms=24, scenes=None),
    "valid": MiniSplit(2026_02, rooms=8, scenes=192, grown=MiniSplit(2026_02, rooms=32, scenes=1008)),
    "test": MiniSplit(2026_03, rooms=6, scenes=96, grown=MiniSplit(2026_03, rooms=48, scenes=1512)),
}


@dataclass(frozen=True, slots=True)
class MiniScene:
    """One scene of the set, ready to be made in any process."""

    split: str
    index: int

    @property
    def id(self) -> str:
        """The mixture id."""
        return f"mini_{self.split}_{self.index:04d}"

    def content(self) -> bytes:
        """What the scene is a function of: version, recipe, seed, rooms and index."""
        return repr((MINI_VERSION, RECIPE, SPLITS[self.split].part(self.index), self.index)).encode()

    def make(self) -> SynthesizedScene:
        """The scene's audio. A scene that would not fit into 16 bit (peak above 1) is drawn anew."""
        part = SPLITS[self.split].part(self.index)
        material = mini_material(self.split, rooms_count=part.rooms)
        return make_scene(seed=part.seed, index=self.index, material=material, recipe=RECIPE)


@cache
def mini_material(split: str, augmentation: DurationAugmentation = "off", rooms_count: int | None = None) -> Material:
    """Foley and simulated rooms of a split; rooms are simulated when first drawn and cached.

    Args:
        split: of the set.
        augmentation: how short and long Percussion is drawn.
        rooms_count: so many rooms in place of the split's own number; the first ones are the same.
    """
    chosen = _split(split)
    rooms = RoomBank(chosen.seed, chosen.rooms if rooms_count is None else rooms_count)
    return Material(FoleySources(CLASSES, augmentation), FoleySources(INTERFERENCE_KINDS), rooms)


def make_mini(
    split: str = "test",
    *,
    out: Path | None = None,
    count: int | None = None,
    only: Sequence[str] = (),
    workers: int | None = None,
    progress: CountProgress | None = None,
) -> Path:
    """Make a split of the set, or what is missing or damaged of it: FLAC files in the cache, WAV files elsewhere.

    Args:
        split: `valid`, `test`, or `train` with a `count`.
        out: where to; default: its place in the cache.
        count: only the first so many scenes; a later call adds the others. What the cache has beyond them stays there.
        only: of these, the scenes of these ids.
        workers: processes; default: one per core. The result does not depend on it.
        progress: is told (scenes done, scenes in all).

    Returns:
        The folder that holds `soundscape/` and `oracle_target/`.

    Raises:
        UsageError: no such split or id, or `train` without a count or ids; or `out` holds mixtures beside the ordered
            ones, which a run there would take for some of them.
        DataError: the disk cannot take it.
    """
    chosen = _split(split).whole
    indices = [_index(split, id_) for id_ in only]
    scenes = chosen.scenes if count is None else count if chosen.scenes is None else min(count, chosen.scenes)
    if scenes is None and only:
        scenes = max(indices, default=0) + 1
    if scenes is None or scenes < 1:
        raise UsageError(f"mini/{split}: say how many scenes to make: `limit` of a run, `count` of `s5eval data make`")
    wanted = sorted({index for index in indices if index < scenes}) if only else range(scenes)
    folder = mini_root() / split if out is None else out
    if out is not None:
        refuse_other_scenes(out, {MiniScene(split, index).id for index in range(scenes)})
    write_scenes(
        [MiniScene(split, index) for index in wanted],
        folder,
        suffix=".flac" if out is None else ".wav",
        workers=default_workers() if workers is None else workers,
        progress=progress,
    )
    return folder


def mini_conditions(mixture_id: str, labels: Sequence[str]) -> Conditions | None:
    """What scene `mixture_id` of the set is like, from its draw; no audio is made.

    Args:
        mixture_id: such as `mini_test_0003`.
        labels: of its references, in order; a scene that had to be drawn anew is the first draw that has these.

    Returns:
        None: no scene of the set has this id, or none of its first draws these labels.
    """
    if (scene := _scene(mixture_id)) is None:
        return None
    part, index = SPLITS[scene.split].part(scene.index), scene.index
    for attempt in range(_ATTEMPTS):
        material = Material(*_sources(), RoomPlans(part.seed, part.rooms))
        drawn = draw_scene(seed=part.seed, index=index, material=material, recipe=RECIPE, attempt=attempt)
        if [event.label for event in sorted(drawn.targets, key=lambda event: event.start)] == list(labels):
            return _conditions(drawn)
    return None


@cache
def _sources() -> tuple[FoleySources, FoleySources]:
    return FoleySources(CLASSES, "off"), FoleySources(INTERFERENCE_KINDS)


_ATTEMPTS = 3
"""Draws looked at; of 700 scenes five took more than one."""


def _conditions(drawn: DrawnScene) -> Conditions:
    positions = drawn.room.positions
    targets = [
        SoundEvent(event.start, event.duration, event.snr, tuple(positions[event.position].tolist()))
        for event in drawn.targets
    ]
    return conditions_of_events(targets, len(drawn.interference), drawn.recipe.duration)


def mini_ids(split: str) -> list[str]:
    """The mixture ids of a whole split; empty for the endless one."""
    return [MiniScene(split, index).id for index in range(_split(split).whole.scenes or 0)]


def mini_scene_digest(mixture_id: str) -> str | None:
    """SHA-256 of what a scene of the set is a function of, the same on every machine; None: no such id.

    >>> mini_scene_digest("mini_valid_9999") is mini_scene_digest("m_1") is None
    True
    """
    scene = _scene(mixture_id)
    return None if scene is None else hashlib.sha256(scene.content()).hexdigest()


def _scene(mixture_id: str) -> MiniScene | None:
    """The scene of the set that an id names; None: no such id."""
    split = mixture_id.removeprefix("mini_").rpartition("_")[0]
    try:
        return MiniScene(split, _index(split, mixture_id))
    except UsageError:
        return None


def _index(split: str, mixture_id: str) -> int:
    """Which scene of a split an id names."""
    digits = mixture_id.removeprefix(f"mini_{split}_")
    index = int(digits) if digits.isdecimal() and digits.isascii() and len(digits) < 10 else 0
    last = _split(split).whole.scenes
    if MiniScene(split, index).id != mixture_id or (last is not None and index >= last):
        raise UsageError(f"`only`: no mixture {mixture_id!r} in mini/{split}; expected for example mini_{split}_0000")
    return index


def _split(name: str) -> MiniSplit:
    if name not in SPLITS:
        raise UsageError(
            f"mini has no split {name!r}{suggestion(name, list(SPLITS)) or '.'} It has {', '.join(SPLITS)}"
        )
    return SPLITS[name]
