"""Makes a set in the official layout of anybody's stems: named by a mapping, converted only where that is asked for.

Files that need no conversion are copied byte by byte, so that scores are those of the originals; what is called neither
.wav nor .flac (AIFF, W64), and would not be looked for in a set, becomes a wav of 32-bit floats. What is asked for is
written down in `import.json`. Orders and norms of first-order Ambisonics: AmbiX (ACN order W, Y, Z, X; SN3D) is the
challenge's. N3D has Y, Z, X larger by √3. FuMa (Furse-Malham) has the order W, X, Y, Z and W smaller by √2. Sources:
Nachbar et al., Ambisonics Symposium 2011 (AmbiX); Malham, Higher order Ambisonic systems, 2003 (FuMa).
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from s5eval.data_manifests.audio import read_audio
from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import AudioError, DataError, UsageError
from s5eval.data_manifests.common.files import atomic_folder
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.common.words import first_of
from s5eval.data_manifests.mapping import MappedScene, read_classes, read_mapping
from s5eval.data_manifests.naming import AUDIO_SUFFIXES, format_source_name
from s5eval.data_manifests.records import MIXTURE_CHANNELS, SAMPLE_RATE, Audio
from s5eval.data_manifests.wav_writing import wav_bytes

Order = Literal["acn", "fuma"]
Norm = Literal["sn3d", "n3d", "fuma"]
_GAINS: Mapping[Norm, tuple[float, float]] = {"sn3d": (1, 1), "n3d": (1, 1 / np.sqrt(3)), "fuma": (np.sqrt(2), 1)}
_FOLDERS = ("soundscape", "oracle_target")


@dataclass(frozen=True, slots=True)
class Convention:
    """What the channels of somebody's files are.

    Attributes:
        order: of mixtures. `acn`: W, Y, Z, X; `fuma`: W, X, Y, Z.
        norm: of mixtures, and of targets of four channels. `sn3d`; `n3d`; `fuma`, whose W is smaller by √2.
        target_channel: which channel of a target file is the source, from 0; None: target files are mono.
    """

    order: Order = "acn"
    norm: Norm = "sn3d"
    target_channel: int | None = None

    @property
    def as_it_is(self) -> bool:
        """Mixtures need no conversion."""
        return (self.order, self.norm) == ("acn", "sn3d")


def to_ambix(foa: Audio, order: Order, norm: Norm) -> Audio:
    """First-order Ambisonics (4, T) as the challenge has it: W, Y, Z, X, SN3D.

    >>> to_ambix(np.array([[1.0], [2.0], [3.0], [4.0]], np.float32), "fuma", "sn3d")[:, 0].tolist()
    [1.0, 3.0, 4.0, 2.0]
    """
    ordered = foa[[0, 2, 3, 1]] if order == "fuma" else foa.copy()
    for channel in range(MIXTURE_CHANNELS):
        ordered[channel] *= _gain(norm, channel)
    return ordered


def _gain(norm: Norm, channel: int) -> np.float32:
    """What makes SN3D of a channel; W is the first in either order, and the others have one gain."""
    omnidirectional, others = _GAINS[norm]
    return np.float32(others if channel else omnidirectional)


@dataclass(frozen=True, slots=True)
class Imported:
    """A set that stands: its folder, and how many scenes and targets it has."""

    folder: Path
    scenes: int
    targets: int


def import_set(
    table: Path,
    out: Path,
    *,
    classes: Path | None = None,
    convention: Convention | None = None,
    progress: CountProgress | None = None,
) -> Imported:
    """Make a set of the files that a mapping names.

    Args:
        table: see `s5eval.data_manifests.mapping`.
        out: folder to make, with `soundscape/` and `oracle_target/`; without the latter where no scene has a target,
            since nothing tells mixtures without references from silent ones then, and a run would refuse the set.
        classes: a table of class names (`read_classes`); None: the mapping has ours.
        convention: what the files are; None: as the challenge's.
        progress: is told (scenes done, scenes in all).

    Raises:
        UsageError: something is at `out`, or the channel of targets is negative.
        DataError: a table or a file is missing or wrong, or a target is not as long as its mixture; names all of
            them, twenty at most. Nothing is made then.
    """
    told = convention or Convention()
    if told.target_channel is not None and told.target_channel < 0:
        raise UsageError(f"`target_channel` is {told.target_channel}, expected 0 or more")
    if out.exists():
        raise UsageError(f"{out} is there already; move it away, or choose another `out`")
    scenes = read_mapping(table, classes=None if classes is None else read_classes(classes))
    problems: list[str] = []
    try:
        with atomic_folder(out) as draft:
            for folder in _FOLDERS if any(scene.targets for scene in scenes) else _FOLDERS[:1]:
                (draft / folder).mkdir(parents=True)
            for number, scene in enumerate(scenes, start=1):
                problems += _write_scene(scene, draft, told)
                if progress is not None:
                    progress(number, len(scenes))
            if problems:
                raise DataError(first_of(problems, 20, between="\n"))
            record = {"table_sha256": file_sha256(table), **asdict(told), **_counts(scenes)}
            (draft / "import.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror or error}") from error
    return Imported(out, len(scenes), sum(len(scene.targets) for scene in scenes))


def _counts(scenes: Sequence[MappedScene]) -> dict[str, Any]:
    return {"scenes": len(scenes), "targets": sum(len(scene.targets) for scene in scenes)}


def _write_scene(scene: MappedScene, draft: Path, told: Convention) -> list[str]:
    """Write a scene's files; returns what is wrong with them."""
    try:
        mixture = read_audio(scene.mixture, channels=MIXTURE_CHANNELS, sample_rate=SAMPLE_RATE)
    except AudioError as error:
        return [str(error)]
    suffix = _suffix_of_copy(scene.mixture) if told.as_it_is else None
    target = draft / "soundscape" / f"{scene.id}{suffix or '.wav'}"
    if suffix is not None:
        shutil.copyfile(scene.mixture, target)
    else:
        converted = to_ambix(mixture, told.order, told.norm)
        target.write_bytes(wav_bytes(converted.T, sample_rate=SAMPLE_RATE, subtype="FLOAT"))
    problems = []
    for index, source in enumerate(scene.targets):
        suffix = _suffix_of_copy(source.file) if told.target_channel is None else None
        place = draft / "oracle_target" / format_source_name(scene.id, index, source.label, suffix=suffix or ".wav")
        try:
            samples = _read_target(source.file, told)
        except AudioError as error:
            problems.append(str(error))
            continue
        if samples.shape[1] != mixture.shape[1]:
            problems.append(f"{source.file}: {samples.shape[1]} samples, its mixture has {mixture.shape[1]}")
        elif suffix is not None:
            shutil.copyfile(source.file, place)
        else:
            place.write_bytes(wav_bytes(samples[0], sample_rate=SAMPLE_RATE, subtype="FLOAT"))
    return problems


def _suffix_of_copy(path: Path) -> str | None:
    """What a copy of a file is called by in a set; None where sets have no files of its suffix."""
    suffix = path.suffix.lower()
    return suffix if suffix in AUDIO_SUFFIXES else None


def _read_target(path: Path, told: Convention) -> Audio:
    """The source in a target file, (1, T), as loud as it is in a mixture that was converted."""
    channel = told.target_channel
    if channel is None:
        return read_audio(path, channels=1, sample_rate=SAMPLE_RATE, advice="; `target_channel=N` takes one of them")
    samples = read_audio(path, channels=MIXTURE_CHANNELS, sample_rate=SAMPLE_RATE, only=channel)
    return samples * _gain(told.norm, channel)
