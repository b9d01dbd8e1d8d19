"""Several mono signals read side by side, block by block: an hour of them takes no more memory than ten seconds."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.audio import BLOCK_FRAMES, StoredSamples
from s5eval.data_manifests.common.errors import AudioError

S = TypeVar("S", npt.NDArray[np.float32], StoredSamples)


def in_step(signals: Sequence[tuple[str, Iterable[S]]], length: int) -> Iterator[list[S]]:
    """For each block of `BLOCK_FRAMES` samples (the last one shorter) the rows (t,) of all signals, in order.

    Args:
        signals: what errors call each, and its blocks (1, t).
        length: T, which each has to have, that of the mixture.

    Raises:
        AudioError: a signal is of another length; names it.
    """
    readers = [iter(blocks) for _, blocks in signals]
    for start in range(0, length, BLOCK_FRAMES):
        wanted = min(BLOCK_FRAMES, length - start)
        rows = []
        for (name, _), reader in zip(signals, readers, strict=True):
            block = next(reader, _NOTHING)
            if block.shape[1] != wanted:
                raise _of_other_length(name, start + block.shape[1] + _rest(reader), length)
            rows.append(block[0])
        yield rows
    for (name, _), reader in zip(signals, readers, strict=True):
        if more := _rest(reader):
            raise _of_other_length(name, length + more, length)


_NOTHING = np.empty((1, 0), np.float32)


def _rest(reader: Iterator[StoredSamples]) -> int:
    return sum(block.shape[1] for block in reader)


def _of_other_length(name: str, found: int, length: int) -> AudioError:
    return AudioError(f"{name}: {found} samples, the mixture has {length}")
