"""Recordings that the tests of every system use."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.records import Mixture


@pytest.fixture
def noise(tmp_path: Path) -> Callable[..., Mixture]:
    """A recording of noise: `noise(samples, seed)`."""

    def make(samples: int, seed: int = 0, level: float = 0.1) -> Mixture:
        audio = np.random.default_rng(seed).normal(0, level, (samples, 4)).astype(np.float32)
        path = tmp_path / f"noise_{samples}_{seed}.wav"
        soundfile.write(path, audio, 32_000, subtype="FLOAT")
        return Mixture(path.stem, path)

    return make
