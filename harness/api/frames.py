"""A finished run as pandas DataFrames. Levels in dB, accuracies in percent, times in seconds; NA where undefined.

The one place of the package `s5eval` that reads the records of a run.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.harness.exporting.packed_run import run_folder_of
from s5eval.harness.record import reading
from s5eval.harness.record.lines import Line, load_table
from s5eval.harness.record.run_record import RunRecord, shallow
from s5eval.harness.record.run_summary import MetricValue, Summary
from s5eval.harness.record.tables import MixtureScore, PairTable, SecondaryName
from s5eval.harness.scoring.decomposition import BLAMED_KINDS, ORACLES
from s5eval.harness.scoring.mixture import BOUNDS
from s5eval.metrics.capi import Pair
from s5eval.run_mixture import RunMixture
from s5eval.systems.decision import candidate_labels

if TYPE_CHECKING:
    import pandas as pd

_SECONDARY = get_args(SecondaryName)
_CAPI = ("ca_sdri", "zero_floor", "gain_floor", "n_entries")
_COUNTS = ("tp", "fp", "fn", "exact")

_PERCENT = frozenset({"mixture_accuracy", "source_accuracy", "precision", "recall"})

_MIXTURES = {
    "mixture_id": "string",
    "status": "string",
    **dict.fromkeys(("capi_sdri", "capi_sdri_optimal", "ca_sdri", "zero_floor", "gain_floor"), "float64"),
    **dict.fromkeys(("n_references", "n_estimates", "n_entries", "tp", "fp", "fn"), "Int64"),
    "exact": "boolean",
    **{f"bound_{name}": "float64" for name in ("labels", *ORACLES)},
    **{f"bound_{name.replace('-', '_')}": "float64" for name in BOUNDS},
    **{f"loss_{kind}": "float64" for kind in BLAMED_KINDS},
    **dict.fromkeys(_SECONDARY, "float64"),
    "capi_sdri_as_written": "float64",
    "clipped_samples": "Int64",
    "seconds": "float64",
    "flags": "string",
    "error": "string",
}
_SOURCES = {
    "mixture_id": "string",
    "reference": "Int64",
    "label": "string",
    "estimate": "Int64",
    **dict.fromkeys(("sdr", "sdr_mixture", "sdri", "energy"), "float64"),
}
_ESTIMATES = {
    "mixture_id": "string",
    "estimate": "Int64",
    "label": "string",
    "confidence": "float64",
    "reference": "Int64",
    **dict.fromkeys(("sdr", "sdr_mixture", "sdri"), "float64"),
}
_PAIRS = {
    "mixture_id": "string",
    "candidate": "Int64",
    "reference": "Int64",
    "candidate_label": "string",
    "reference_label": "string",
    "p_silence": "float64",
    **dict.fromkeys(("sdr", "sdr_mixture", "sdri"), "float64"),
    "kept": "boolean",
    "assigned": "boolean",
}
_SLICES = {
    "group": "string",
    "name": "string",
    "metric": "string",
    "unit": "string",
    **dict.fromkeys(("value", "ci_low", "ci_high"), "float64"),
    "n": "Int64",
    "n_defined": "Int64",
}
_LOSSES = {"label": "string", **dict.fromkeys((*BLAMED_KINDS, "total"), "float64")}


class Run:
    """A run folder, read once.

    Attributes:
        path: the run folder.
        record: `run.json`: what was asked, and under which circumstances, such as `record.config.limit`.
        summary: `summary.json`: corpus values with 95 % intervals, bounds, slices, decomposition, such as
            `summary.metrics["capi_sdri"].value`.
        scores: one record per mixture that has been evaluated, in order of the data.
    """

    def __init__(self, path: Path) -> None:
        """Read what stands in `path`; see `read_run`."""
        self.path = path
        self.record: RunRecord = reading.read_run_record(path)
        self.summary: Summary = reading.read_summary(path)
        lines = reading.read_lines(path, self.record)
        self._lines: tuple[Line, ...] = tuple(lines[id_] for id_ in self.record.mixtures if id_ in lines)
        self.scores: tuple[MixtureScore, ...] = tuple(line.score for line in self._lines)

    def __repr__(self) -> str:
        summary = self.summary
        about = f"{summary.system} on {summary.dataset}/{summary.split}"
        counts = f"{summary.n_scored} of {summary.n_expected} mixtures scored"
        return f"<Run {self.path}: {about}, {counts}, {summary.status}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: headline and marks, the table with intervals and bounds, where the decibels went."""
        from s5eval.harness.report.notebook import run_html

        return run_html(self.summary)

    def mixture(self, mixture_id: str) -> RunMixture:
        """One mixture of the run: its score, and in a notebook its sounds and their spectrograms.

        Args:
            mixture_id: stem of its file; see `mixtures`.

        Raises:
            UsageError: the run has not evaluated a mixture of this name.
        """
        for score in self.scores:
            if score.mixture_id == mixture_id:
                return RunMixture(self.path, score, self.record)
        known = [score.mixture_id for score in self.scores]
        raise UsageError(f"{self.path} has no mixture {mixture_id!r}{suggestion(mixture_id, known)}")

    @cached_property
    def mixtures(self) -> "pd.DataFrame":
        """One row per mixture that has been evaluated, failed ones among them; index: `mixture_id`.

        Columns: `status` (scored, predicted, failed); `capi_sdri`, `capi_sdri_optimal` (with the SDRi-optimal pairing,
        where that differs), `ca_sdri`, `zero_floor`, `gain_floor`, dB; `n_references`, `n_estimates`, `n_entries`,
        `tp`, `fp`, `fn`, counts; `exact`; `bound_…`, dB: CAPI-SDRi with right `labels` and decisions, the what-if
        values `oracle_labels`, `oracle_count`, `oracle_silence`, and the bounds; `loss_…`, dB of this mixture by kind;
        with secondary metrics `casa_…` and `bss_…`, dB; `capi_sdri_as_written`, dB, and `clipped_samples` of the
        16-bit files; `seconds` of the system; `flags`, separated by spaces; `error`.
        """
        return _frame(_MIXTURES, [_mixture(score) for score in self.scores]).set_index("mixture_id")

    @cached_property
    def sources(self) -> "pd.DataFrame":
        """One row per reference of a scored mixture.

        Columns: `mixture_id`; `reference`, its number; `label`; `estimate`, the candidate that was assigned to it, NA
        for a miss (which enters CAPI-SDRi as 0 dB); `sdr` and `sdri` of that candidate, dB; `sdr_mixture`, SNR of the
        mixture's channel 0, dB; `energy`, sum of squares at full scale 1.0.
        """
        return _frame(_SOURCES, [row for score, table in self._tables for row in _sources(score, table)])

    @cached_property
    def estimates(self) -> "pd.DataFrame":
        """One row per estimate, that is per candidate that the decision kept.

        Columns: `mixture_id`; `estimate`, number of the candidate; `label`; `confidence`, 0 to 1; `reference`, the one
        it was assigned to, NA for none; `sdr`, `sdr_mixture`, `sdri` against that reference, dB.
        """
        return _frame(_ESTIMATES, [row for score in self.scores for row in _estimates(score)])

    @cached_property
    def pairs(self) -> "pd.DataFrame":
        """One row per candidate, before the decision, and reference of a scored mixture: the stored pair tables.

        Columns: `mixture_id`; `candidate`, `reference`, numbers; `candidate_label`, `reference_label`; `p_silence`, 0
        to 1; `sdr`, `sdr_mixture`, `sdri`, dB; `kept` by the decision; `assigned` to each other by CAPI-SDRi.
        """
        return _frame(_PAIRS, [row for score, table in self._tables for row in _pairs(score, table)])

    @cached_property
    def slices(self) -> "pd.DataFrame":
        """One row per value of the summary.

        Columns: `group` (`all`, `bound`, `secondary`, and slices: `targets`, `class`, `snr`, …); `name`
        within the group; `metric`; `unit`, dB or %; `value`, `ci_low`, `ci_high` (95 %); `n` mixtures that belong to
        it, `n_defined` of them with a value.
        """
        return _frame(_SLICES, list(_slices(self.summary)))

    @cached_property
    def losses(self) -> "pd.DataFrame":
        """One row per class: what it costs the run, in dB of CAPI-SDRi; index: `label`.

        Columns: `miss`, `false_alarm`, `confusion`, `repeated_class` and their sum `total`; a negative loss is a gain.
        All together they are the gap between the run and the bound of its own waveforms with right labels.
        """
        parts = self.summary.decomposition
        classes = {} if parts is None else parts.classes
        rows = [{"label": label, **row, "total": sum(row.values())} for label, row in classes.items()]
        return _frame(_LOSSES, rows).set_index("label")

    @cached_property
    def _tables(self) -> list[tuple[MixtureScore, PairTable]]:
        scored = [line for line in self._lines if line.score.status == "scored"]
        return [(line.score, load_table(self.path, line)) for line in scored]


def read_run(path: str | PathLike[str]) -> Run:
    """Read a run folder, or a packed run.

    Args:
        path: the folder, as `s5eval run` or `s5eval.run` has made it; or the file that `s5eval pack` made of one, which
            is verified and unpacked into the cache.

    Raises:
        UsageError: there is no run.
        DataError: a file of it is missing or damaged, or the packed run is not what was packed.

    >>> read_run("nowhere")
    Traceback (most recent call last):
        ...
    s5eval.data_manifests.common.errors.UsageError: nowhere is not a run folder (it has no run.json)
    """
    return Run(run_folder_of(Path(path).expanduser()))


def _frame(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """A frame with these columns and types, whatever the rows hold, none included."""
    import pandas as pd

    return pd.DataFrame(
        {name: pd.Series([row.get(name) for row in rows], dtype=kind) for name, kind in columns.items()}
    )


def _mixture(score: MixtureScore) -> dict[str, Any]:
    row: dict[str, Any] = {"mixture_id": score.mixture_id, **shallow(score.outcome)}
    row["n_references"] = None if score.reference_labels is None else len(score.reference_labels)
    row["n_estimates"] = None if score.status == "failed" else len(score.estimates)
    if score.capi is not None:
        row |= {"capi_sdri": score.capi.value, "capi_sdri_optimal": score.capi.optimal}
        row |= {name: getattr(score.capi, name) for name in _CAPI}
    if score.labels is not None:
        row |= {name: getattr(score.labels, name) for name in _COUNTS}
    parts = score.decomposition
    if parts is not None:
        row |= {f"bound_{name}": getattr(parts, name) for name in ORACLES} | {"bound_labels": parts.bound}
        losses = dict.fromkeys(BLAMED_KINDS, 0.0)
        for loss in parts.losses:
            losses[loss.kind] += loss.value
        row |= {f"loss_{kind}": value for kind, value in losses.items()}
    row |= {f"bound_{name.replace('-', '_')}": value for name, value in score.bounds.items()}
    row |= {str(name): value for name, value in (score.secondary or {}).items()}
    if score.as_written is not None:
        row |= {
            "capi_sdri_as_written": score.as_written.capi_sdri,
            "clipped_samples": score.as_written.clipped_samples,
        }
    return {**row, "flags": " ".join(map(str, score.flags))}


def _assigned(score: MixtureScore) -> tuple[Pair, ...]:
    return () if score.capi is None else score.capi.pairs


def _sources(score: MixtureScore, table: PairTable) -> Iterator[dict[str, Any]]:
    assigned = {pair.reference: pair.estimate for pair in _assigned(score)}
    scores = table.pair_scores
    for r, label in enumerate(score.reference_labels or ()):
        k = assigned.get(r)
        yield {
            "mixture_id": score.mixture_id,
            "reference": r,
            "label": label,
            "estimate": k,
            "sdr": None if k is None else scores.sdr[k, r],
            "sdr_mixture": scores.sdr_mixture[r],
            "sdri": None if k is None else scores.sdr[k, r] - scores.sdr_mixture[r],
            "energy": scores.reference_energy[r],
        }


def _estimates(score: MixtureScore) -> Iterator[dict[str, Any]]:
    assigned = {pair.estimate: pair for pair in _assigned(score)}
    for estimate in score.estimates:
        row = {"mixture_id": score.mixture_id, "estimate": estimate.index}
        row |= {"label": estimate.label, "confidence": estimate.confidence}
        if pair := assigned.get(estimate.index):
            row |= {name: getattr(pair, name) for name in ("reference", "sdr", "sdr_mixture", "sdri")}
        yield row


def _pairs(score: MixtureScore, table: PairTable) -> Iterator[dict[str, Any]]:
    scores = table.pair_scores
    labels = candidate_labels(table.class_scores, table.labels)
    kept = {estimate.index for estimate in score.estimates}
    assigned = {(pair.estimate, pair.reference) for pair in _assigned(score)}
    for k, r in np.ndindex(*scores.sdr.shape):
        yield {
            "mixture_id": score.mixture_id,
            "candidate": k,
            "reference": r,
            "candidate_label": labels[k],
            "reference_label": (table.reference_labels or ())[r],
            "p_silence": table.p_silence[k],
            "sdr": scores.sdr[k, r],
            "sdr_mixture": scores.sdr_mixture[r],
            "sdri": scores.sdr[k, r] - scores.sdr_mixture[r],
            "kept": k in kept,
            "assigned": (k, r) in assigned,
        }


def _slices(summary: Summary) -> Iterator[dict[str, Any]]:
    tables: list[tuple[str, str, Mapping[Any, MetricValue]]] = [("all", "all", summary.metrics)]
    tables += [("bound", name, values) for name, values in summary.bounds.items()]
    if summary.secondary:
        tables.append(("secondary", "all", summary.secondary))
    tables += [(group, name, values) for group, names in summary.slices.items() for name, values in names.items()]
    tables += [(group, name, values) for group, names in summary.conditions.items() for name, values in names.items()]
    for group, name, values in tables:
        for metric, value in values.items():
            yield {
                **shallow(value),
                "group": group,
                "name": name,
                "metric": metric,
                "unit": "%" if metric in _PERCENT else "dB",
            }
