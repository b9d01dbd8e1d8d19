"""The audio of one scene and of its candidates, read side by side, so that an hour of it need not be in memory."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from s5eval.data_manifests.audio import BLOCK_FRAMES, StoredSamples, as_float32
from s5eval.data_manifests.common.errors import AudioError
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.in_step import in_step
from s5eval.data_manifests.records import Audio, Scene
from s5eval.systems.interface import Proposal, Rows

Block = tuple[Rows, Sequence[StoredSamples], StoredSamples]
"""Rows of N candidates, rows of R references, channel 0 of the mixture: each (t,); 16-bit samples of files as int16."""


class SceneAudio:
    """Channel 0 of a mixture, its references and its candidates, block by block.

    What fits into one block, as every recording of the challenge does, is read once and kept.
    """

    def __init__(self, scene: Scene, candidates: Proposal) -> None:
        """Take the scene and what a system proposed for it.

        Raises:
            AudioError: the mixture cannot be read, or holds no sample.
        """
        self._scene = scene
        self._candidates = candidates
        self._kept: list[Block] | None = None
        self.length = scene.mixture.length()
        if self.length == 0:
            raise AudioError(f"{scene.mixture.path}: no samples")

    def blocks(self) -> Iterable[Block]:
        """All of it from the beginning. What it raises: `AudioError` of a file, or what the candidates raise."""
        if self._kept is None:
            read = self._read()
            if self.length > BLOCK_FRAMES:
                return read
            self._kept = list(read)
        return self._kept

    def references(self) -> Audio:
        """All references, float32 (R, T), in memory."""
        whole = np.empty((len(self._scene.references or ()), self.length), np.float32)
        for row, reference in zip(whole, self._scene.references or (), strict=True):
            reference.audio(out=row)
        return whole

    def omni(self) -> Audio:
        """Channel 0 of the mixture, float32 (T,), in memory; what is kept is not read again."""
        blocks = self._scene.mixture.channel_0() if self._kept is None else [mixture for _, _, mixture in self._kept]
        return np.concatenate([as_float32(block).reshape(-1) for block in blocks])

    def _read(self) -> Iterator[Block]:
        scene = self._scene
        files = [(str(scene.mixture.path), scene.mixture.stored_channel_0())]
        files += [(str(reference.path), reference.stored_blocks()) for reference in scene.references or ()]
        rows = in_step(files, self.length)
        n = len(self._candidates.p_silence)
        for estimates, (mixture, *references) in zip(self._candidates.blocks(), rows, strict=True):
            _check_rows(estimates, n, mixture.size)
            yield estimates, references, mixture


def _check_rows(estimates: Rows, n: int, samples: int) -> None:
    """Refuse a block that is none of n candidates: whole numbers would be taken for those of a file of 16 bits.

    Raises:
        ValueError: says what it is, and what was expected.
    """
    given = [(row.dtype, row.shape) for row in estimates]
    if given != [(np.dtype(np.float32), (samples,))] * n:
        told = ", ".join(f"{kind} {shape}" for kind, shape in given[:4]) or "no row"
        raise ValueError(f"a block of candidates holds {told}; expected {counted(n, 'row')}: float32 ({samples},)")
