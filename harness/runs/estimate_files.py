"""Writes the estimates of a mixture as the challenge wants them, 16-bit wavs, and scores what is in the files."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.audio import pcm16_header
from s5eval.data_manifests.common.files import WriteError, writing
from s5eval.data_manifests.naming import format_source_name
from s5eval.data_manifests.records import SAMPLE_RATE, Audio
from s5eval.harness.errors import RunFolderError
from s5eval.harness.record.tables import AsWritten, Flag, MixtureScore, PairTable
from s5eval.harness.runs.scene_audio import SceneAudio
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.metrics.sdr import PairScores, Waveforms, pairwise_sdr_in_blocks
from s5eval.systems.decision import Selection

_PCM_FULL_SCALE = 32768.0

Pcm = npt.NDArray[np.int16]


def write_estimates(
    folder: Path, score: MixtureScore, selections: tuple[Selection, ...], table: PairTable, audio: SceneAudio
) -> tuple[MixtureScore, dict[str, str]]:
    """Write the estimates, PCM_16, and score what is in the files.

    Args:
        folder: where they go.
        score: of the mixture.
        selections: the candidates that are its estimates.
        table: its pair table.
        audio: of the scene and all candidates.

    Returns:
        The score, and the digests of the files: path below the run folder → hexadecimal SHA-256. They are handed over
        to the disk with the mixture's line.

    Raises:
        RunFolderError: a file cannot be written.
    """
    paths = [folder / format_source_name(score.mixture_id, s.index, s.label) for s in selections]
    header = pcm16_header(audio.length, sample_rate=SAMPLE_RATE)
    clipped = 0
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(writing(path, sync=False)) for path in paths]
            for file in files:
                file.write(header)
            for estimates, _, _ in audio.blocks():
                for selection, file in zip(selections, files, strict=True):
                    samples, beyond = _quantised(estimates[selection.index])
                    clipped += beyond
                    file.write(samples.astype("<i2", copy=False).tobytes())
    except WriteError as error:
        raise RunFolderError(f"cannot write {error}; then resume the run") from error
    digests = {f"{folder.name}/{path.name}": file.sha256() for path, file in zip(paths, files, strict=True)}
    capi: float | None = None
    if table.reference_labels is not None:
        rescored = pairwise_sdr_in_blocks(lambda: _as_written(audio, selections))
        capi = score_candidates(
            score.mixture_id, _selected(table, rescored), tuple(replace(s, index=i) for i, s in enumerate(selections))
        ).capi_sdri
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
    for estimates, references, mixture in audio.blocks():
        yield [_quantised(estimates[s.index])[0] for s in selections], references, mixture


def _selected(table: PairTable, scores: PairScores) -> PairTable:
    n = len(scores.energy)
    return PairTable(scores, table.class_scores[:n], table.p_silence[:n], None, table.reference_labels)
