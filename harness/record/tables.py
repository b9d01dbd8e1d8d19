"""The records of what comes out of an evaluation: the pair table and the score of one mixture."""

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
from s5eval.data_manifests.common.files import write_atomically
from s5eval.data_manifests.common.safe_names import check_name
from s5eval.data_manifests.common.structured import check_shape
from s5eval.data_manifests.common.zips import DAMAGE
from s5eval.data_manifests.labels import label_problem
from s5eval.harness.record.shapes import LINE
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
            content = path.read_bytes()
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


def _check_line(values: Mapping[str, Any]) -> None:
    """Refuse what is no line; names become paths (tables, wavs, links of the page), so they are checked as such."""
    try:
        check_shape(values, LINE, "a line", "expected one that a run has written")
    except DataError as error:
        raise ValueError(str(error)) from error
    where = f"mixtures.jsonl, {values['mixture_id'][:60]!r}"
    check_name(values["mixture_id"], where)
    for estimate in values.get("estimates", ()):
        if (problem := label_problem(estimate["label"])) or estimate["index"] < 0:
            raise DataError(
                f"{where}: {problem or 'an estimate has a negative index'}; the file is not as it was written"
            )
    parts = values.get("decomposition") or {"bound": 0.0, "losses": ()}
    whole = values["status"] == "scored" and bool(values.get("reference_labels"))
    if whole and (parts["bound"] is None or "oracle" not in values.get("bounds", {})):
        raise ValueError("a scene with targets has no bound")
    losses = parts["losses"]
    if any(len(loss) != 4 or type(loss[3]) not in (int, float) for loss in losses):
        raise ValueError("a loss is not [kind, class, given class, dB]")
    if any(not isinstance(word, str | None) for loss in losses for word in loss[:3]):
        raise ValueError("a loss is not [kind, class, given class, dB]")


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
        flags: what a reader should know (`perfect-estimate:1`, `silent-estimate:0`, `silent-reference:2`,
            `over-scale:0`, `clipped:…`).
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
            ValueError: the line is not one of ours.
            DataError: it names a mixture or a class by which a path would lead elsewhere.
        """
        _check_line(values)
        known = {entry.name for entry in dataclasses.fields(MixtureScore)}
        kept: dict[str, Any] = {}
        for key, value in values.items():
            if key in known:
                kept[key] = tuple(value) if isinstance(value, list) else value
        if kept.get("as_written") is not None:
            kept["as_written"] = AsWritten(**kept["as_written"])
        return MixtureScore(**kept)
