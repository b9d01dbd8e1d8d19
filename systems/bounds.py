"""The floors that a separator must clear, and the ceiling: outputs that need no network.

`silence` answers every mixture with nothing. The `oracle-…` systems know the labels: `oracle-mixture` answers
each with the mixture itself, `oracle-gain` with the mixture times its least-squares gain for that reference,
`oracle-zeros` with a silent waveform, `oracle` with the reference. CAPI-SDRi rewards silence in noisy
mixtures (SDRi of a silent waveform is −SNR of the mixture), so a score alone proves no separation.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.in_step import in_step
from s5eval.data_manifests.records import Audio, Mixture, Scene
from s5eval.systems.decision import KEEP_ALL
from s5eval.systems.interface import Candidates, Json, Proposal, Rows, StreamedCandidates, sure_scores
from s5eval.systems.registry import check_keys

AnswerRule = Callable[[Audio, Audio, np.float32], Audio]
"""From a block of the mixture's channel 0 and of one reference, both (t,), and the least-squares gain of the whole
mixture for that reference, to the same block of the estimate, (t,)."""


class Silence:
    """Hears nothing in any mixture; needs no reference."""

    decision = KEEP_ALL

    def fingerprint(self) -> Mapping[str, Json]:
        """There is nothing to it."""
        return {"weights": "none", "bound": "silence"}

    def propose(self, mixtures: Sequence[Mixture]) -> Sequence[Candidates]:
        """No candidates for every mixture."""
        return [labelled_candidates([], np.empty((0, mixture.length()), np.float32)) for mixture in mixtures]


class OracleBound:
    """Knows labels and count from the references, and answers each by a fixed rule."""

    decision = KEEP_ALL
    needs_references: Literal[True] = True

    def __init__(self, name: str, answer: AnswerRule, *, with_gain: bool) -> None:
        """Take the bound's name and its rule, and whether that asks for the gain (which costs a pass of its own)."""
        self._name = name
        self._answer = answer
        self._with_gain = with_gain

    def fingerprint(self) -> Mapping[str, Json]:
        """The bound's name."""
        return {"weights": "none", "bound": self._name}

    def propose_with_references(self, scenes: Sequence[Scene]) -> Sequence[Proposal]:
        """One candidate per reference, in order.

        Raises:
            DataError: a scene has no references, or they cannot be used.
        """
        return [self._propose(scene) for scene in scenes]

    def _propose(self, scene: Scene) -> Proposal:
        if scene.references is None:
            raise DataError(f"{scene.mixture.id}: bound {self._name!r} needs references, and this set has none")
        if scene.problem is not None:
            raise DataError(scene.problem)
        length = scene.mixture.length()
        gains = _least_squares_gains(scene, length) if self._with_gain else [np.float32(0.0)] * len(scene.references)

        def read() -> Iterator[Rows]:
            for mixture, *targets in _side_by_side(scene, length):
                yield [self._answer(mixture, target, gain) for target, gain in zip(targets, gains, strict=True)]

        labels = [reference.label for reference in scene.references]
        return StreamedCandidates(read, length, *sure_scores(labels), tuple(labels)).where_it_fits()


def _side_by_side(scene: Scene, length: int) -> Iterator[list[Audio]]:
    """The rows of every block: channel 0 of the mixture, then its references."""
    references = [(str(reference.path), reference.blocks()) for reference in scene.references or ()]
    return in_step([(str(scene.mixture.path), scene.mixture.channel_0()), *references], length)


def build_silence(config: Mapping[str, Any], device: str) -> Silence:
    """Entry point of `silence`."""
    check_keys(config, (), system="silence")
    return Silence()


def build_oracle_mixture(config: Mapping[str, Any], device: str) -> OracleBound:
    """Entry point of `oracle-mixture`."""
    return _bound("oracle-mixture", config, lambda mixture, target, gain: mixture)


def build_oracle_gain(config: Mapping[str, Any], device: str) -> OracleBound:
    """Entry point of `oracle-gain`."""
    return _bound("oracle-gain", config, lambda mixture, target, gain: mixture * gain, with_gain=True)


def build_oracle_zeros(config: Mapping[str, Any], device: str) -> OracleBound:
    """Entry point of `oracle-zeros`."""
    return _bound("oracle-zeros", config, lambda mixture, target, gain: np.zeros_like(target))


def build_oracle(config: Mapping[str, Any], device: str) -> OracleBound:
    """Entry point of `oracle`."""
    return _bound("oracle", config, lambda mixture, target, gain: target)


def _bound(name: str, config: Mapping[str, Any], answer: AnswerRule, *, with_gain: bool = False) -> OracleBound:
    check_keys(config, (), system=name)
    return OracleBound(name, answer, with_gain=with_gain)


def _least_squares_gains(scene: Scene, length: int) -> list[np.float32]:
    power, products = 0.0, np.zeros(len(scene.references or ()))
    for mixture, *targets in _side_by_side(scene, length):
        x = mixture.astype(np.float64)
        power += float(x @ x)
        products += [x @ target for target in targets]
    return [np.float32(product / power if power > 0 else 0.0) for product in products]


def labelled_candidates(labels: Sequence[str], audio: Audio) -> Candidates:
    """Candidates (N, T) that carry their classes and are surely not silent; to be kept with `KEEP_ALL`."""
    return Candidates(audio, *sure_scores(labels), tuple(labels))
