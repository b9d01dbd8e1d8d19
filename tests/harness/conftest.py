"""Pair tables from a seed, and the systems of `tests/support` on the path."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.tables import PairTable
from s5eval.metrics.sdr import PairScores


def made_up_table(rng: np.random.Generator, candidates: int = 3) -> PairTable:
    """A plausible mixture: 0 to 3 references, separated, mostly labelled right, with telling silence probabilities."""
    count = int(rng.choice([0, 1, 2, 3], p=[1 / 6, 1 / 6, 1 / 3, 1 / 3]))
    references = rng.choice(len(CLASSES), count, replace=bool(rng.random() < 0.3))
    mixture = rng.normal(-3, 4, count)
    sdr = rng.normal(-8, 3, (candidates, count))
    silence = rng.beta(4, 1.2, candidates)
    scores = rng.random((candidates, len(CLASSES))) * 0.3
    for r, k in zip(range(count), rng.permutation(candidates), strict=False):
        sdr[k, r] = mixture[r] + rng.normal(9, 4)
        silence[k] = rng.beta(1.2, 3)
        scores[k, references[r] if rng.random() < 0.8 else rng.integers(len(CLASSES))] = 0.9
    correlation = np.eye(candidates)
    if rng.random() < 0.2 and candidates > 1:
        correlation[0, 1] = correlation[1, 0] = 0.95
    if rng.random() < 0.1:
        silence[:] = silence[0]
    pairs = PairScores(sdr, mixture, mixture + 2, correlation, np.ones(candidates), np.ones(count))
    return PairTable(pairs, scores, silence, None, tuple(CLASSES[k] for k in references))


@pytest.fixture(scope="session")
def make_tables() -> Callable[..., list[PairTable]]:
    """`make_tables(n, seed, candidates)`: n made-up pair tables."""

    def make(n: int, seed: int = 0, candidates: int = 3) -> list[PairTable]:
        rng = np.random.default_rng(seed)
        return [made_up_table(rng, candidates) for _ in range(n)]

    return make


@pytest.fixture
def staged_set(tmp_path: Path, make_set: Callable[..., Path]) -> Path:
    """Twelve short scenes of six classes."""
    rng = np.random.default_rng(1)
    scenes = {f"m_{k:02d}": [str(x) for x in rng.choice(CLASSES[:6], k % 4)] for k in range(12)}
    return make_set(tmp_path / "staged_set", scenes, seconds=0.25)
