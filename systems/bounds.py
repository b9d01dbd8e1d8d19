"""The floors that a separator must clear, and the ceiling: outputs that need no network.

`silence` answers every mixture with nothing. The `oracle-…` systems know the labels: `oracle-mixture` answers
each with the mixture itself, `oracle-gain` with the mixture times its least-squares gain for that reference,
`oracle-zeros` with a silent waveform, `oracle` with the reference. CAPI-SDRi rewards silence in noisy
mixtures (SDRi of a silent waveform is −SNR of the mixture), so a score alone proves no separation.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.labels import CLASS_INDEX, CLASSES
from s5eval.data_manifests.records import Audio, Mixture, Scene
from s5eval.systems.decision import KEEP_ALL
from s5eval.systems.interface import Candidates, Json
from s5eval.systems.registry import check_keys

Answer = Callable[[Audio, Audio], Audio]
"""From the mixture's channel 0 and one reference, both (T,), to the estimate (T,)."""


class Silence:
    """Hears nothing in any mixture; needs no reference."""

    decision = KEEP_ALL

    def fingerprint(self) -> Mapping[str, Json]:
        """There is nothing to it."""
        return {"weights": "none", "bound": "silence"}

    def propose(self, mixtures: Sequence[Mixture]) -> Sequence[Candidates]:
        """No candidates for every mixture."""
        return [labelled_candidates([], np.empty((0, mixture.audio().shape[1]), np.float32)) for mixture in mixtures]


class OracleBound:
    """Knows labels and count from the references, and answers each by a fixed rule."""

    decision = KEEP_ALL
    needs_references: Literal[True] = True

    def __init__(self, name: str, answer: Answer) -> None:
        """Take the bound's name and its rule."""
        self._name = name
        self._answer = answer

    def fingerprint(self) -> Mapping[str, Json]:
        """The bound's name."""
        return {"weights": "none", "bound": self._name}

    def propose_with_references(self, scenes: Sequence[Scene]) -> Sequence[Candidates]:
        """One candidate per reference, in order.

        Raises:
            DataError: a scene has no references, or they cannot be used.
        """
        return [self._propose(scene) for scene in scenes]

    def _propose(self, scene: Scene) -> Candidates:
        if scene.references is None:
            raise DataError(f"{scene.mixture.id}: bound {self._name!r} needs references, and this set has none")
        if scene.problem is not None:
            raise DataError(scene.problem)
        mixture = scene.mixture.audio()[0]
        audio = np.empty((len(scene.references), len(mixture)), np.float32)
        for row, reference in enumerate(scene.references):
            target = reference.audio()
            if len(target) != len(mixture):
                raise DataError(f"{reference.path}: {len(target)} samples, the mixture has {len(mixture)}")
            audio[row] = self._answer(mixture, target)
        return labelled_candidates([reference.label for reference in scene.references], audio)


def build_silence(config: Mapping[str, Any], device: str) -> Silence:
    """Entry point of `silence`."""
    check_keys(config, (), system="silence")
    return Silence()


def build_oracle_mixture(config: Mapping[str, Any], device: str) -> OracleBound:
    """Entry point of `oracle-mixture`."""
    return _bound("oracle-mixture", config, lambda mixture, target: mixture)


def build_oracle_gain(config: Mapping[str, Any], device: str) -> OracleBound:
    """Entry point of `oracle-gain`."""
    return _bound("oracle-gain", config, lambda mixture, target: mixture * _least_squares_gain(mixture, target))


def build_oracle_zeros(config: Mapping[str, Any], device: str) -> OracleBound:
    """Entry point of `oracle-zeros`."""
    return _bound("oracle-zeros", config, lambda mixture, target: np.zeros_like(target))


def build_oracle(config: Mapping[str, Any], device: str) -> OracleBound:
    """Entry point of `oracle`."""
    return _bound("oracle", config, lambda mixture, target: target)


def _bound(name: str, config: Mapping[str, Any], answer: Answer) -> OracleBound:
    check_keys(config, (), system=name)
    return OracleBound(name, answer)


def _least_squares_gain(mixture: Audio, target: Audio) -> np.float32:
    x = mixture.astype(np.float64)
    power = float(x @ x)
    return np.float32(x @ target / power) if power > 0 else np.float32(0.0)


def labelled_candidates(labels: Sequence[str], audio: Audio) -> Candidates:
    """Candidates (N, T) that carry their classes and are surely not silent; to be kept with `KEEP_ALL`."""
    scores = np.zeros((len(labels), len(CLASSES)))
    scores[np.arange(len(labels)), [CLASS_INDEX[label] for label in labels]] = 1.0
    return Candidates(audio, scores, np.zeros(len(labels)), tuple(labels))
