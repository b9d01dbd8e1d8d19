"""Which mixtures go through a network together."""

from collections.abc import Callable

import numpy as np
import torch

from s5eval.data_manifests.records import Mixture
from s5eval.systems.batching import mixture_batches


def test_neighbours_of_one_length_go_together_where_that_pays(noise: Callable[..., Mixture]) -> None:
    mixtures = [noise(samples, seed) for seed, samples in enumerate((100, 100, 50, 100))]
    batches = list(mixture_batches(mixtures, torch.device("meta")))  # any device but the processor
    assert [tuple(audio.shape) for audio, _ in batches] == [(2, 4, 100), (1, 4, 50), (1, 4, 100)]
    assert [(rows.start, rows.stop) for _, rows in batches] == [(0, 2), (2, 3), (3, 4)]
    alone = list(mixture_batches(mixtures, torch.device("cpu")))
    assert [(rows.start, rows.stop) for _, rows in alone] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    for mixture, (audio, _) in zip(mixtures, alone, strict=True):
        np.testing.assert_array_equal(audio[0].numpy(), mixture.audio())
