"""Where the audio behind a run's numbers lies, and how a recording of four channels is listened to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from s5eval.data_manifests.common.errors import S5Error
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.manifest import Manifest, scenes_as_they_stand
from s5eval.data_manifests.records import Audio, Scene
from s5eval.data_manifests.scan import scene_digests
from s5eval.harness.record.run_record import RunRecord


@dataclass(frozen=True, slots=True)
class Sounds:
    """The scenes of a run that can be found where it was made: mixture id → scene; and why some or all cannot."""

    scenes: Mapping[str, Scene] = field(default_factory=dict)
    problem: str | None = None


def find_sounds(
    record: RunRecord, *, only: Sequence[str] | None = None, check: bool = False, manifest: Manifest | None = None
) -> Sounds:
    """Look for the mixtures and references that a run was made on; nothing is made, and no audio is read.

    Args:
        record: its `run.json`.
        only: these mixtures; None: all of the run.
        check: leave out those whose files are others by now than the run recorded.
        manifest: of the data, where they are open already.
    """
    config = record.config
    try:
        folder, found = (
            scenes_as_they_stand(config.data, dataset=config.dataset, split=config.split)
            if manifest is None
            else (manifest.root, manifest.scenes)
        )
    except (S5Error, OSError) as error:
        return Sounds(problem=f"mixtures and references cannot be heard here: {error}")
    wanted = set(record.mixtures if only is None else only)
    scenes = [scene for scene in found if scene.mixture.id in wanted]
    problems = [f"{counted(len(wanted) - len(scenes), 'mixture')} not in {folder}"] if len(scenes) < len(wanted) else []
    if check and scenes:
        recorded = record.digests
        digests = scene_digests(scenes)
        same = [s for s, d in zip(scenes, digests, strict=True) if recorded.get(s.mixture.id, d) == d]
        if len(same) < len(scenes):
            changed = counted(len(scenes) - len(same), "mixture")
            problems.append(f"the files of {changed} in {folder} are others than those of the run")
        scenes = same
    return Sounds({scene.mixture.id: scene for scene in scenes}, "; ".join(problems) or None)


def decode_stereo(foa: Audio) -> Audio:
    """Left and right (2, T) of a first-order recording (W, Y, Z, X) (4, T): two cardioids 60 degrees to the sides.

    What lies in front is as loud in each as in W.
    """
    w, y, _, x = foa
    side, front = np.float32(np.sin(np.pi / 3)), np.float32(np.cos(np.pi / 3))
    scale = np.float32(1.0 / 1.5)
    return np.stack([(w + side * y + front * x) * scale, (w - side * y + front * x) * scale])
