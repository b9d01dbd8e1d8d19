"""The records of what comes out of an evaluation: the pair table and the score of one mixture.

What metrics and decisions give is kept as they give it: `CapiScore`, `LabelCounts`, `Decomposition`, `Selection`.
"""

import dataclasses
import hashlib
import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.files import read_regular, write_atomically
from s5eval.data_manifests.common.safe_names import check_name
from s5eval.data_manifests.common.zips import DAMAGE
from s5eval.data_manifests.conditions import Conditions
from s5eval.data_manifests.labels import label_problem
from s5eval.harness.record.codec import from_json, to_json
from s5eval.metrics.capi import CapiScore
from s5eval.metrics.decompose import Decomposition
from s5eval.metrics.label_counts import LabelCounts
from s5eval.metrics.sdr import PairScores
from s5eval.systems.decision import Selection

Status = Literal["scored", "predicted", "failed"]
BoundName = Literal["oracle-mixture", "oracle-zeros", "oracle-gain", "oracle"]
SecondaryName = Literal["casa_sdr", "casa_sdri", "bss_sdr", "bss_sir", "bss_sar"]
FlagKind = Literal["silent-reference", "silent-estimate", "over-scale", "perfect-estimate", "clipped-samples"]


@dataclass(frozen=True, slots=True)
class PairTable:
    """All that scoring and every decision need of one mixture: a kilobyte in place of its audio.

    Attributes:
        pair_scores: tables of all N candidates, before the decision, against all R references.
        class_scores: (N, 18).
        p_silence: (N,).
        labels: fixed classes of the candidates; None: the arg-max of the scores.
        reference_labels: R labels; None when the set has no references (R is 0 then).
    """

    pair_scores: PairScores
    class_scores: npt.NDArray[np.float64]
    p_silence: npt.NDArray[np.float64]
    labels: tuple[str, ...] | None
    reference_labels: tuple[str, ...] | None

    def save(self, path: Path, *, sync: bool = True) -> str:
        """Write the table as .npz, atomically; no pickles. Returns the file's hexadecimal SHA-256."""
        arrays: dict[str, npt.NDArray[Any]] = {
            entry.name: getattr(self.pair_scores, entry.name) for entry in dataclasses.fields(PairScores)
        }
        arrays |= {"class_scores": self.class_scores, "p_silence": self.p_silence}
        for name in ("labels", "reference_labels"):
            labels = getattr(self, name)
            if labels is not None:
                arrays[name] = np.array(labels, dtype=np.str_)
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        return write_atomically(path, content.getvalue(), sync=sync)

    @staticmethod
    def load(path: Path, digest: str | None = None) -> "PairTable":
        """Read what `save` wrote.

        Args:
            path: the file.
            digest: what `save` returned; None: not known (runs of version 1), and only what cannot be read is noticed.

        Raises:
            DataError: the file is missing, damaged, or of another version.
        """
        try:
            content = read_regular(path)
            if digest is not None and hashlib.sha256(content).hexdigest() != digest:
                raise ValueError("not what was written: its digest is another one")
            arrays = _read_arrays(content)
            pair_scores = PairScores(**{entry.name: arrays[entry.name] for entry in dataclasses.fields(PairScores)})
            return PairTable(
                pair_scores, arrays["class_scores"], arrays["p_silence"], _labels(arrays, "labels"),
                _labels(arrays, "reference_labels"),
            )  # fmt: skip
        except (OSError, ValueError, KeyError, EOFError, TypeError, NotImplementedError, *DAMAGE) as error:
            raise DataError(
                f"{path}: not a readable pair table ({error}); `s5eval check RUN --repair` runs the mixture again"
            ) from error


def _read_arrays(content: bytes) -> dict[str, npt.NDArray[Any]]:
    """What `np.load` returns, several times faster: a run has thousands of tables of a few kinds of header."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name.removesuffix(".npy"): _read_array(archive.read(name)) for name in archive.namelist()}


def _read_array(content: bytes) -> npt.NDArray[Any]:
    if content[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError("an entry is no array of format 1.0")
    start = 10 + int.from_bytes(content[8:10], "little")
    shape, fortran, dtype = _parse_header(content[8:start])
    if dtype.hasobject:
        raise ValueError("an entry holds Python objects")
    array = np.frombuffer(content, dtype, offset=start, count=math.prod(shape))
    return array.reshape(shape, order="F" if fortran else "C").copy()


@lru_cache(maxsize=4096)
def _parse_header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    return np.lib.format.read_array_header_1_0(io.BytesIO(header))


def _labels(arrays: Mapping[str, npt.NDArray[Any]], name: str) -> tuple[str, ...] | None:
    return tuple(str(label) for label in arrays[name]) if name in arrays else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mixture.

    Attributes:
        status: `scored`; `predicted` when the set has no references; `failed`.
        error: why it failed, with the file; None: it did not.
        seconds: time the system took for it (its share of the batch).
    """

    status: Status
    error: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Flag:
    """What a reader should know of a mixture; as a text `perfect-estimate:1`.

    Attributes:
        kind: `silent-reference`, `silent-estimate`: no energy; `over-scale`: an estimate is 60 dB or more above the
            loudest reference; `perfect-estimate`: it is the reference to within ε; `clipped-samples`: some did not fit
            into 16 bits.
        number: of the reference or the candidate; of `clipped-samples`, how many.
    """

    kind: FlagKind
    number: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.number}"


@dataclass(frozen=True, slots=True)
class AsWritten:
    """The estimates after they went through 16-bit files: CAPI-SDRi in dB (None: undefined), and samples clipped."""

    capi_sdri: float | None
    clipped_samples: int


@dataclass(frozen=True, slots=True)
class MixtureScore:
    """One line of `mixtures.jsonl`. Levels in dB; a value is None where it is undefined or not known.

    Attributes:
        mixture_id: stem of the mixture's file.
        outcome: what became of it.
        reference_labels: labels of the references, in file order; None: not known.
        estimates: what the decision kept.
        capi: CAPI-SDRi with its pairs and floors; an `estimate` of a pair is the index of a candidate, and `optimal` is
            None where it equals `value`. None: not scored.
        labels: agreement of the labels; None: not scored.
        bounds: CAPI-SDRi of this mixture for the bounds that know the labels, dB; empty: not scored.
        decomposition: where its decibels went; None: not scored.
        secondary: with `--metrics all`, values of metrics that rank nothing, dB; None: not asked for.
        flags: what a reader should know.
        as_written: with `--save-audio`, the score of the 16-bit files; None: not written.
        conditions: what the scene's metadata tell of it (levels in dB over the background, seconds, degrees); None: no
            metadata were at hand, or the run is of before they were recorded.
    """

    mixture_id: str
    outcome: Outcome
    reference_labels: tuple[str, ...] | None = None
    estimates: tuple[Selection, ...] = ()
    capi: CapiScore | None = None
    labels: LabelCounts | None = None
    bounds: Mapping[BoundName, float | None] = dataclasses.field(default_factory=dict)
    decomposition: Decomposition | None = None
    secondary: Mapping[SecondaryName, float | None] | None = None
    flags: tuple[Flag, ...] = ()
    as_written: AsWritten | None = None
    conditions: Conditions | None = None

    @property
    def status(self) -> Status:
        """Of the outcome."""
        return self.outcome.status

    @property
    def capi_sdri(self) -> float | None:
        """CAPI-SDRi, dB; None when the scene is silent and was answered with silence, or the mixture is not scored."""
        return None if self.capi is None else self.capi.value

    @property
    def exact(self) -> bool:
        """The label multisets are equal, and known to be."""
        return self.labels is not None and self.labels.exact

    def as_dict(self) -> dict[str, Any]:
        """The line's JSON object."""
        content: dict[str, Any] = to_json(self)
        return content

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "MixtureScore":
        """Read a line back; keys of later versions are ignored.

        Raises:
            ValueError: the line is not one of ours.
            DataError: it names a mixture or a class by which a path would lead elsewhere.
        """
        score = from_json(MixtureScore, values)
        _check(score)
        return score


def _check(score: MixtureScore) -> None:
    """Names become paths (tables, wavs, links of the page), so they are checked as such; and parts have to fit."""
    where = f"mixtures.jsonl, {score.mixture_id[:60]!r}"
    check_name(score.mixture_id, where)
    for estimate in score.estimates:
        if (problem := label_problem(estimate.label)) or estimate.index < 0:
            raise DataError(
                f"{where}: {problem or 'an estimate has a negative index'}; the file is not as it was written"
            )
    if score.status != "scored":
        return
    if score.capi is None or score.labels is None or score.decomposition is None:
        raise ValueError("a mixture that was scored has no score")
    if score.reference_labels and (score.decomposition.bound is None or score.bounds.get("oracle") is None):
        raise ValueError("a scene with targets has no bound")
