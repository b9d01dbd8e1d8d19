"""Writes the estimates of a mixture as the challenge wants them, 16-bit wavs, and scores what is in the files."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.files import WriteError, writing
from s5eval.data_manifests.naming import format_source_name
from s5eval.data_manifests.records import SAMPLE_RATE, Audio
from s5eval.data_manifests.wav_writing import pcm16_header
from s5eval.harness.errors import RunFolderError
from s5eval.harness.record.tables import AsWritten, Flag, MixtureScore
from s5eval.harness.runs.scene_audio import SceneAudio
from s5eval.metrics.capi import capi_sdri
from s5eval.metrics.sdr import Waveforms, pairwise_sdr_in_blocks
from s5eval.systems.decision import Selection

_PCM_FULL_SCALE = 32768.0

Pcm = npt.NDArray[np.int16]


def write_estimates(folder: Path, score: MixtureScore, audio: SceneAudio) -> tuple[MixtureScore, dict[str, str]]:
    """Write the estimates, PCM_16, and score what is in the files.

    Args:
        folder: where they go.
        score: of the mixture.
        audio: of the scene and all candidates.

    Returns:
        The score, and the digests of the files: path below the run folder → hexadecimal SHA-256. They are handed over
        to the disk with the mixture's line.

    Raises:
        RunFolderError: a file cannot be written.
    """
    paths = [folder / format_source_name(score.mixture_id, s.index, s.label) for s in score.estimates]
    header = pcm16_header(audio.length, sample_rate=SAMPLE_RATE)
    clipped = 0
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(writing(path, sync=False)) for path in paths]
            for file in files:
                file.write(header)
            for candidates, _, _ in audio.blocks():
                for estimate, file in zip(score.estimates, files, strict=True):
                    samples, beyond = _quantised(candidates[estimate.index])
                    clipped += beyond
                    file.write(samples.astype("<i2", copy=False).tobytes())
    except WriteError as error:
        raise RunFolderError(f"cannot write {error}; then resume the run") from error
    digests = {f"{folder.name}/{path.name}": file.sha256() for path, file in zip(paths, files, strict=True)}
    capi: float | None = None
    if score.reference_labels is not None:
        capi = capi_sdri(
            pairwise_sdr_in_blocks(lambda: _as_written(audio, score.estimates)),
            estimate_labels=[s.label for s in score.estimates],
            reference_labels=score.reference_labels,
        ).value
    flags = (*score.flags, Flag("clipped-samples", clipped)) if clipped else score.flags
    return replace(score, as_written=AsWritten(capi, clipped), flags=flags), digests


def _quantised(samples: Audio) -> tuple[Pcm, int]:
    """16-bit samples, and how many were clipped."""
    scaled = np.rint(samples * np.float32(_PCM_FULL_SCALE))
    written = np.clip(scaled, -_PCM_FULL_SCALE, _PCM_FULL_SCALE - 1).astype(np.int16)
    return written, int(np.count_nonzero(written != scaled))


def _as_written(
    audio: SceneAudio, selections: tuple[Selection, ...]
) -> Iterator[tuple[list[Pcm], Sequence[Waveforms], Waveforms]]:
    for candidates, references, mixture in audio.blocks():
        yield [_quantised(candidates[s.index])[0] for s in selections], references, mixture
