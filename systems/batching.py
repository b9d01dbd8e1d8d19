"""Mixtures of equal length go through a network together."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from s5eval.data_manifests.records import Mixture


def mixture_batches(mixtures: Sequence[Mixture], device: torch.device) -> Iterator[tuple[Tensor, slice]]:
    """Audio (B, 4, T) of neighbouring mixtures of one length, and which they are.

    On a CPU every mixture goes alone: a batch would only cost memory there.
    """
    start, waiting = 0, list[np.ndarray]()
    for index, mixture in enumerate(mixtures):
        audio = np.ascontiguousarray(mixture.audio())
        if waiting and (device.type == "cpu" or audio.shape != waiting[0].shape):
            yield torch.from_numpy(np.stack(waiting)).to(device), slice(start, index)
            start, waiting = index, []
        waiting.append(audio)
    if waiting:
        yield torch.from_numpy(np.stack(waiting)).to(device), slice(start, len(mixtures))


def device_of(network: torch.nn.Module) -> torch.device:
    """Where a network's weights are, and its input has to be."""
    return next(network.parameters()).device
