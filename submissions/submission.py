"""What a submission is made of, as plain records: whoever has a system's outputs can fill them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Output:
    """One separated source: track index, class, probability in [0, 1], and its wav (mono, 32 kHz, PCM_16)."""

    index: int
    label: str
    probability: float
    path: Path


@dataclass(frozen=True, slots=True)
class MixtureOutputs:
    """A system's answer to one mixture; no outputs means that no target is heard."""

    mixture_id: str
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class DevScore:
    """The score of one mixture of the development test set.

    Attributes:
        mixture_id: id of the mixture.
        reference_labels: labels of its targets.
        estimate_labels: labels of the outputs.
        probabilities: one per output.
        capi_sdri: dB; None where it is undefined.
        tp: right labels, as multisets.
        fp: labels beyond.
        fn: targets beyond.
    """

    mixture_id: str
    reference_labels: tuple[str, ...]
    estimate_labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    capi_sdri: float | None
    tp: int
    fp: int
    fn: int


@dataclass(frozen=True, slots=True)
class DevResults:
    """The scores on the development test set: means (dB, percent; None where undefined) and all mixtures."""

    capi_sdri: float | None
    mixture_accuracy: float | None
    source_accuracy: float | None
    scores: Sequence[DevScore]


@dataclass(frozen=True, slots=True)
class Submission:
    """All that goes into one submission.

    Attributes:
        outputs: one entry per mixture of the evaluation set, also where nothing was heard.
        dev: scores on the development test set.
        nparams: parameters of the whole system; None: nobody says (written as null).
        config: what made the outputs, for the record; must be JSON.
        dev_config: likewise for the development test set.
        frames: samples each output must have; None: not known.
    """

    outputs: Sequence[MixtureOutputs]
    dev: DevResults
    nparams: int | None
    config: Mapping[str, Any]
    dev_config: Mapping[str, Any]
    frames: int | None = None
