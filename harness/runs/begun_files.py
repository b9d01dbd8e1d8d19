"""Whether the files of a mixture are still those that a run began with.

What is copied or mended while a run is at work would be scored under the digest of what was there before, and its
numbers would pass for those of other data.
"""

from collections.abc import Sequence

from s5eval.data_manifests.common.digests import file_stamp
from s5eval.data_manifests.manifest import Manifest
from s5eval.data_manifests.records import Scene
from s5eval.data_manifests.scan import scene_digests


class BegunFiles:
    """The files of a manifest as they were when it was opened."""

    def __init__(self, manifest: Manifest) -> None:
        """Take their sizes and times; no file is read."""
        self.scenes = {scene.mixture.id: scene for scene in manifest.scenes}
        self._digests = dict(zip(self.scenes, manifest.digests, strict=True))
        self._stamps = {id_: _stamps(scene) for id_, scene in self.scenes.items()}

    def changed(self, mixture_id: str) -> bool:
        """Whether a file of a mixture has other content by now; one that is gone had its own when it was read."""
        now = _stamps(self.scenes[mixture_id])
        if None in now or now == self._stamps[mixture_id]:
            return False
        return scene_digests([self.scenes[mixture_id]])[0] != self._digests[mixture_id]


def _stamps(scene: Scene) -> Sequence[list[int] | None]:
    return [file_stamp(file) for file in scene.files]
