"""The official validation split, and any scenes that come as metadata: made from their parts, sample-exact.

The split ships as metadata only (`dev_set/metadata/valid.json`); its audio is synthesised from `dev_set/room_ir`,
`sound_event`, `interference` and `noise` when first used, and kept in the cache.
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from s5eval.data_manifests.common.cache import cache_folder
from s5eval.data_manifests.common.digests import content_digests
from s5eval.data_manifests.common.errors import DataError, S5Error, UsageError
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.records import SAMPLE_RATE
from s5eval.data_manifests.sets.known import VALID_LISTING
from s5eval.data_manifests.synthesis.metadata import files_of_scene, list_metadata, read_metadata, synthesize
from s5eval.data_manifests.synthesis.render import SynthesizedScene
from s5eval.data_manifests.synthesis.values import check_metadata
from s5eval.data_manifests.synthesis.write import Subtype, default_workers, write_scenes


@dataclass(frozen=True, slots=True)
class MetadataScene:
    """A scene described by a metadata file.

    Attributes:
        id: the mixture id.
        path: of the metadata.
        root: what the paths in it are relative to.
        digests: of the files that it is made from, in order of their names; empty where they are not known yet.
    """

    id: str
    path: Path
    root: Path
    digests: tuple[str, ...] = ()

    def content(self) -> bytes:
        """The metadata, where their files are, and the digests of these: a recording or room that was replaced since
        gives another scene.

        Raises:
            DataError: the metadata file cannot be read.
        """
        try:
            text = self.path.read_bytes()
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read as scene metadata: {error.strerror or error}") from error
        return b"\0".join([str(self.root.resolve()).encode(), text, *(digest.encode() for digest in self.digests)])

    def make(self) -> SynthesizedScene:
        """The scene's audio.

        Raises:
            DataError: the metadata or a file they name cannot be used, or the scene is at another rate than sets are
                written at; the message names the metadata file.
        """
        metadata = read_metadata(self.path)
        try:
            check_metadata(metadata)
            if (rate := metadata["config"]["sr"]) != SAMPLE_RATE:
                raise DataError(
                    f"config.sr: scenes of {rate:g} Hz, and sets are written at {SAMPLE_RATE} Hz; set it to that, and "
                    "sounds and responses are resampled"
                )
            return synthesize(metadata, self.root)
        except DataError as error:
            raise type(error)(f"{self.path}: {error}") from error


def _with_digests(scenes: Iterable[MetadataScene]) -> list[MetadataScene]:
    """The scenes with their digests, asked for once for all of them: they share rooms, backgrounds and recordings."""
    scenes, files = list(scenes), {}
    for scene in scenes:
        with suppress(S5Error):  # making it says what is wrong
            files[scene] = files_of_scene(read_metadata(scene.path), scene.root)
    digests = content_digests(sorted(set().union(*files.values())))
    return [replace(scene, digests=tuple(digests[file] for file in files.get(scene, ()))) for scene in scenes]


def synthesize_files(
    metadata: Sequence[Path],
    *,
    root: Path,
    out: Path,
    subtype: Subtype = "FLOAT",
    workers: int | None = None,
    progress: CountProgress | None = None,
) -> Path:
    """Write the scenes of metadata files as `soundscape/<stem>.wav` and `oracle_target/<stem>_<i>_<Label>.wav`.

    Args:
        metadata: files of one scene each.
        root: the folder that holds `data/`, or the data folder itself (that holds `dev_set/`).
        out: gets the two folders, and `checksums/`.
        subtype: `FLOAT` (32 bit, exact) or `PCM_16`.
        workers: processes; default: one per core.
        progress: is told (scenes done, scenes in all).

    Returns:
        `out`.

    Raises:
        UsageError: two files have the same stem.
        DataError: a scene cannot be made.
    """
    by_stem: dict[str, Path] = {}
    for path in metadata:
        if path.stem in by_stem:
            raise UsageError(f"{path} and {by_stem[path.stem]} would both be written as {path.stem}.wav")
        by_stem[path.stem] = path
    jobs = _with_digests(MetadataScene(stem, path, root) for stem, path in by_stem.items())
    processes = default_workers() if workers is None else workers
    write_scenes(jobs, out, subtype=subtype, workers=processes, progress=progress)
    return out


@dataclass(frozen=True, slots=True)
class OfficialValid:
    """The validation split of a download.

    Attributes:
        scenes: as its list names them.
        folder: where it is made in the cache, whether it is there yet or not.
    """

    scenes: tuple[MetadataScene, ...]
    folder: Path

    def make(
        self,
        *,
        count: int | None = None,
        only: Sequence[str] = (),
        workers: int | None = None,
        progress: CountProgress | None = None,
    ) -> Path:
        """Make the split's audio; what is there already is only checked.

        Args:
            count: only the first so many scenes; a later call adds the others.
            only: of these, the scenes of these ids.
            workers: processes; default: one per core.
            progress: is told (scenes done, scenes in all).

        Returns:
            The folder with `soundscape/soundscape_0000.wav`, … and `oracle_target/`, 32-bit float.

        Raises:
            DataError: metadata or a file that a scene needs is missing or unusable.
        """
        jobs = _with_digests(scene for scene in self.scenes[:count] if not only or scene.id in only)
        processes = default_workers() if workers is None else workers
        write_scenes(jobs, self.folder, subtype="FLOAT", workers=processes, progress=progress)
        return self.folder


def open_official_valid(data: Path) -> OfficialValid:
    """The validation split of the download in `data` (that holds `dev_set/`), and where it is made.

    Another download, another place of the same one, or other metadata get another folder.

    Raises:
        DataError: the list of the split's metadata is missing or unusable.
    """
    listing = data / VALID_LISTING
    scenes = tuple(MetadataScene(id_, path, data) for id_, path in list_metadata(listing))
    digest = hashlib.sha256(f"{data.resolve()}\0".encode())
    for path in (listing, *(scene.path for scene in scenes)):
        digest.update(path.read_bytes() if path.is_file() else b"")
    return OfficialValid(scenes, cache_folder() / f"dcase2026-valid-{digest.hexdigest()[:12]}")
