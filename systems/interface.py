"""The whole plugin contract: what a system gets, what it returns, and what the harness asks of it.

A system is an object with `decision`, `fingerprint()` and `propose()`, made by a factory
`build(config, device)` that an entry point of the group `s5eval.systems` (or `module:factory`) names.
Networks end in candidates, with every slot alive; the decision that follows is cheap, pure and shared.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.audio import BLOCK_FRAMES
from s5eval.data_manifests.labels import CLASS_INDEX, CLASSES
from s5eval.data_manifests.records import Audio, Mixture, Scene
from s5eval.systems.decision import Decision

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""What a fingerprint may hold; it is hashed in canonical JSON form."""


Rows = Sequence[Audio] | Audio
"""Signals of one length: rows (t,)."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a network heard in one mixture, before any decision: N candidate sources, all slots alive.

    Attributes:
        audio: float32 (N, T), full scale 1.0, as long as the mixture.
        class_scores: float64 (N, 18), larger is likelier, in the order of `CLASSES`; rows need not sum to 1.
        p_silence: float64 (N,), probability in [0, 1] that the slot holds no source.
        labels: one class per candidate where it is given and not to be derived; None: the arg-max of the scores.
    """

    audio: Audio
    class_scores: npt.NDArray[np.float64]
    p_silence: npt.NDArray[np.float64]
    labels: tuple[str, ...] | None = None

    @property
    def length(self) -> int:
        """T."""
        return int(self.audio.shape[1])

    def blocks(self) -> Iterator[Rows]:
        """N rows (t,) for each block of `BLOCK_FRAMES` samples, the last one shorter: views of the audio."""
        return (self.audio[:, start : start + BLOCK_FRAMES] for start in range(0, self.length, BLOCK_FRAMES))

    def __post_init__(self) -> None:
        _check_kind("candidate audio", self.audio, "a float32 array (N, T)", lambda kind: kind == np.float32)
        _check_told(self)
        if self.audio.ndim != 2:
            raise ValueError(f"candidate audio has shape {self.audio.shape}, expected (N, T)")
        _check_count(self, len(self.audio))

    def sha256(self) -> str:
        """Digest of the content: what the key of the next stage's result is made of."""
        digest = hashlib.sha256(json.dumps([self.audio.shape, self.labels]).encode())
        for array in (self.audio, self.class_scores, self.p_silence):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class StreamedCandidates:
    """Candidates whose audio is read when it is looked at, so that an hour of it need not be in memory.

    For systems that read or compute their waveforms sample by sample, as `folder` and the bounds do; a network has all
    of its output anyway, and returns `Candidates`.

    Attributes:
        read: gives the rows of every block, as `Candidates.blocks` does, and from the beginning with every call; what
            it raises fails the mixture.
        length: T.
        class_scores: as `Candidates`.
        p_silence: as `Candidates`.
        labels: as `Candidates`.
    """

    read: Callable[[], Iterator[Rows]]
    length: int
    class_scores: npt.NDArray[np.float64]
    p_silence: npt.NDArray[np.float64]
    labels: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        _check_told(self)
        _check_count(self, self.p_silence.size)

    def blocks(self) -> Iterator[Rows]:
        """As `Candidates.blocks`."""
        return self.read()

    @property
    def audio(self) -> Audio:
        """All of it, float32 (N, T)."""
        whole = np.empty((len(self.p_silence), self.length), np.float32)
        start = 0
        for rows in self.read():
            for row, out in zip(rows, whole, strict=True):
                out[start : start + len(row)] = row
            start += BLOCK_FRAMES
        return whole

    def gathered(self) -> "Candidates":
        """The same with its audio in memory."""
        return Candidates(self.audio, self.class_scores, self.p_silence, self.labels)

    def where_it_fits(self) -> "Candidates | StreamedCandidates":
        """Gathered where a block holds it all: what is wrong with a file is then known at once."""
        return self.gathered() if self.length <= BLOCK_FRAMES else self


Proposal = Candidates | StreamedCandidates
"""What a system has to say of one mixture."""


def sure_scores(labels: Sequence[str]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Class scores (N, 18) and silence probabilities (N,) of candidates that are surely there and of these classes."""
    scores = np.zeros((len(labels), len(CLASSES)))
    scores[np.arange(len(labels)), [CLASS_INDEX[label] for label in labels]] = 1.0
    return scores, np.zeros(len(labels))


def _check_told(told: Proposal) -> None:
    """Refuse scores, silences and labels of other types."""
    for name, values in (("class scores", told.class_scores), ("silence probabilities", told.p_silence)):
        _check_kind(name, values, "an array of floating-point numbers", lambda kind: kind.kind == "f")
    labels = told.labels
    if labels is not None and not (isinstance(labels, tuple | list) and all(isinstance(word, str) for word in labels)):
        raise ValueError(f"labels are {labels!r:.60}, expected a tuple of class names in order, or None")


def _check_count(told: Proposal, n: int) -> None:
    """Refuse what is not said of n candidates."""
    if told.class_scores.shape != (n, len(CLASSES)):
        raise ValueError(f"class scores have shape {told.class_scores.shape}, expected ({n}, {len(CLASSES)})")
    if told.p_silence.shape != (n,):
        raise ValueError(f"silence probabilities have shape {told.p_silence.shape}, expected ({n},)")
    if told.labels is not None and len(told.labels) != n:
        raise ValueError(f"{len(told.labels)} labels for {n} candidates")


def _check_kind(name: str, values: object, expected: str, fits: Callable[[np.dtype[Any]], bool]) -> None:
    """Refuse what would have to be guessed: the scale of whole numbers, the meaning of a complex one."""
    if not isinstance(values, np.ndarray):
        torch = type(values).__module__.partition(".")[0] == "torch"
        made = "; tensor.detach().float().cpu().numpy() is one" if torch else ""
        raise ValueError(f"{name}: a {type(values).__name__}, expected {expected}{made}")
    if not fits(values.dtype):
        made = "; array.astype(np.float32) is one" if values.dtype.kind == "f" else ""
        raise ValueError(f"{name}: of type {values.dtype}, expected {expected}{made}")


def sharing(batch: Sequence[Proposal]) -> tuple[int, int] | None:
    """The first two of a batch whose arrays overlap in memory, by their positions; None: each stands for itself.

    A system that fills one buffer again for every mixture has lost all but the last by the time it returns.
    """
    for (i, first), (j, second) in itertools.combinations(enumerate(batch), 2):
        for a, b in itertools.product(_arrays(first), _arrays(second)):
            if np.may_share_memory(a, b) and _overlap(a, b):
                return i, j
    return None


def _arrays(candidates: Proposal) -> tuple[npt.NDArray[Any], ...]:
    decided = candidates.class_scores, candidates.p_silence
    return (candidates.audio, *decided) if isinstance(candidates, Candidates) else decided


def _overlap(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    try:
        return bool(np.shares_memory(a, b, max_work=cast(Any, 10_000)))  # steps; the stubs know two values
    except np.exceptions.TooHardError:
        return True


@dataclass(frozen=True, slots=True)
class Estimate:
    """One separated, labelled source: candidate `index`, its class, audio float32 (T,), confidence in [0, 1]."""

    index: int
    label: str
    audio: Audio
    confidence: float


@runtime_checkable
class System(Protocol):
    """A separation system. Nothing but mixtures reaches it.

    One that reads files may have a method `inspect(mixture_ids, expected)` too, which returns a list of `Finding`
    before anything is proposed: what it cannot use, of all ids of the split and those that are expected.

    One that was trained on recordings may have an attribute `trained_on`, a collection of texts: the first twelve
    hexadecimal digits of the SHA-256 of each file. Mixtures of `s5eval data make --recordings` in which one of them is
    a target are counted, and the run is marked.
    """

    decision: Decision

    def fingerprint(self) -> Mapping[str, Json]:
        """What the output depends on: at least `weights` (a sha256, `untrained`, or `none`) and the configuration.

        Two further keys are optional, and go into a submission: `parameters`, a whole number, of all networks
        together, each network once, with frozen ones (taken as 0 where `weights` is `none`); and
        `external_resources`, a list of objects with `name` and `url`, for data and pre-trained models from outside
        the development set. A third, `missing_parts`, a list of texts, names what the configuration asks for and is
        not there; it stands in every table, page and comparison. A fourth, `thresholds`, says where `decision` comes
        from, such as the digest of its file. What is left without it, `parameters` and `external_resources` is what
        scores come from: runs that have it in common may be tuned on together, and a decision that was made with
        another one is called so.
        """
        ...

    def propose(self, mixtures: Sequence[Mixture]) -> Sequence[Proposal]:
        """Candidates of every mixture, in order, in arrays of their own: no two share memory, and none is filled again.

        A raised exception fails the mixture it was raised for. What is printed goes to standard error.
        """
        ...


@runtime_checkable
class OracleSystem(Protocol):
    """A bound that is made from the references. Its runs are stamped `oracle` and cannot be submitted."""

    decision: Decision
    needs_references: Literal[True]

    def fingerprint(self) -> Mapping[str, Json]:
        """As `System.fingerprint`."""
        ...

    def propose_with_references(self, scenes: Sequence[Scene]) -> Sequence[Proposal]:
        """Candidates of every scene; raises `DataError` for a scene without references."""
        ...


class Factory(Protocol):
    """What an entry point names."""

    def __call__(self, config: Mapping[str, Any], device: str) -> System | OracleSystem:
        """Build the system on `device` (`cpu`, `cuda`, `cuda:1`, …).

        Raises:
            UsageError: a key of `config` is unknown or its value impossible; name the key.
            DataError: weights are missing or wrong; name the tensor, and say where the file comes from.
        """
        ...


class Stage(Protocol):
    """One step of a staged system. What it hands on is its candidates alone; all else stays inside."""

    name: str

    def fingerprint(self) -> Mapping[str, Json]:
        """What the stage's result depends on besides its inputs; names its weights by sha256."""
        ...

    def run(self, mixtures: Sequence[Mixture], inputs: Sequence[Candidates] | None) -> Sequence[Candidates]:
        """Results for a batch; `inputs` are the previous stage's results, None for the first stage."""
        ...


class StageStore(Protocol):
    """Keeps stage results under their key parts, so that runs which share a stage pay for it once."""

    def get(self, key: Mapping[str, Json]) -> Candidates | None:
        """The stored result, or None when there is none that can be trusted."""
        ...

    def put(self, key: Mapping[str, Json], candidates: Candidates) -> None:
        """Store a result; safe to call from several processes at once."""
        ...
