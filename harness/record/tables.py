"""The records of what comes out of an evaluation: the pair table and the score of one mixture."""

import dataclasses
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
from s5eval.data_manifests.common.files import atomic_path
from s5eval.metrics.sdr import PairScores

Status = Literal["scored", "predicted", "failed"]


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

    def save(self, path: Path) -> None:
        """Write the table as .npz, atomically; no pickles."""
        arrays: dict[str, npt.NDArray[Any]] = {
            entry.name: getattr(self.pair_scores, entry.name) for entry in dataclasses.fields(PairScores)
        }
        arrays |= {"class_scores": self.class_scores, "p_silence": self.p_silence}
        for name in ("labels", "reference_labels"):
            labels = getattr(self, name)
            if labels is not None:
                arrays[name] = np.array(labels, dtype=np.str_)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @staticmethod
    def load(path: Path) -> "PairTable":
        """Read what `save` wrote.

        Raises:
            DataError: the file is missing, damaged, or of another version.
        """
        try:
            arrays = _read_arrays(path)
            pair_scores = PairScores(**{entry.name: arrays[entry.name] for entry in dataclasses.fields(PairScores)})
            return PairTable(
                pair_scores, arrays["class_scores"], arrays["p_silence"], _labels(arrays, "labels"),
                _labels(arrays, "reference_labels"),
            )  # fmt: skip
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: not a readable pair table ({error}); run the mixture again") from error


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """What `np.load` returns, several times faster: a run has thousands of tables of a few kinds of header."""
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
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
class AsWritten:
    """The score of the estimates after they went through 16-bit files, and how many samples were clipped there."""

    capi_sdri: float | None
    clipped_samples: int


@dataclass(frozen=True, slots=True)
class MixtureScore:
    """One line of `mixtures.jsonl`. Levels in dB; a value is None where it is undefined or not known.

    Attributes:
        mixture_id: stem of the mixture's file.
        status: `scored`; `predicted` when the set has no references; `failed`, and then `error` says why.
        capi_sdri: CAPI-SDRi; None when the scene is silent and was answered with silence.
        capi_sdri_optimal: its value with the SDRi-optimal pairing, where that differs.
        ca_sdri: CA-SDRi, the ranking metric of 2025; equal to `capi_sdri` where no class repeats.
        zero_floor: what the same labels earn with silent waveforms.
        gain_floor: what the same labels earn with the mixture times its least-squares gain.
        n_entries: how many entries `capi_sdri` is the mean of.
        tp: estimates whose label is right, as multisets.
        fp: estimates beyond.
        fn: references beyond.
        exact: the label multisets are equal.
        pairs: assigned pairs: `label`, `estimate` (candidate index), `reference`, `sdr`, `sdr_mixture`.
        estimates: what the decision kept: `index`, `label`, `confidence`.
        reference_labels: labels of the references, in file order.
        bounds: CAPI-SDRi of this mixture for the bounds that know the labels, by name.
        decomposition: where its decibels went (`s5eval.metrics.decompose`): `bound`, `oracle_labels`, `oracle_count`,
            `oracle_silence`, and `losses` as [kind, class, given class, dB].
        secondary: with `--metrics all`, values of metrics that rank nothing, by name.
        flags: what a reader should know (`perfect-estimate:1`, `silent-estimate:0`, `silent-reference:2`, `clipped:…`).
        as_written: with `--save-audio`, the score of the 16-bit files.
        seconds: time the system took for it (its share of the batch).
        error: why it failed, with the file.
    """

    mixture_id: str
    status: Status
    capi_sdri: float | None = None
    capi_sdri_optimal: float | None = None
    ca_sdri: float | None = None
    zero_floor: float | None = None
    gain_floor: float | None = None
    n_entries: int = 0
    tp: int | None = None
    fp: int | None = None
    fn: int | None = None
    exact: bool | None = None
    pairs: tuple[Mapping[str, Any], ...] = ()
    estimates: tuple[Mapping[str, Any], ...] = ()
    reference_labels: tuple[str, ...] | None = None
    bounds: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    decomposition: Mapping[str, Any] | None = None
    secondary: Mapping[str, float | None] | None = None
    flags: tuple[str, ...] = ()
    as_written: AsWritten | None = None
    seconds: float = 0.0
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The line's JSON object."""
        values = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        return {**values, "as_written": None if self.as_written is None else dataclasses.asdict(self.as_written)}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "MixtureScore":
        """Read a line back; keys of later versions are ignored.

        Raises:
            TypeError, KeyError: the line is not one of ours.
        """
        known = {entry.name for entry in dataclasses.fields(MixtureScore)}
        kept: dict[str, Any] = {}
        for key, value in values.items():
            if key in known:
                kept[key] = tuple(value) if isinstance(value, list) else value
        if kept.get("as_written") is not None:
            kept["as_written"] = AsWritten(**kept["as_written"])
        return MixtureScore(**kept)
