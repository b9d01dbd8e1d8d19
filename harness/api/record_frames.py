"""The records of a run as DataFrames: the columns of each with their types, and what a record says in them.

What the columns mean stands at the properties of `Run`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from s5eval.data_manifests.common.files import utf_8
from s5eval.harness.record.run_record import shallow
from s5eval.harness.record.run_summary import MetricValue, Summary
from s5eval.harness.record.tables import MixtureScore, PairTable, SecondaryName
from s5eval.harness.scoring.decomposition import BLAMED_KINDS, ORACLES
from s5eval.harness.scoring.mixture import BOUNDS
from s5eval.metrics.capi import Pair
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


def mixture_frame(scores: Iterable[MixtureScore]) -> "pd.DataFrame":
    """A row per mixture; index: `mixture_id`."""
    return _frame(_MIXTURES, [_mixture(score) for score in scores]).set_index("mixture_id")


def source_frame(tables: Iterable[tuple[MixtureScore, PairTable]]) -> "pd.DataFrame":
    """A row per reference of a scored mixture."""
    return _frame(_SOURCES, [row for score, table in tables for row in _sources(score, table)])


def estimate_frame(scores: Iterable[MixtureScore]) -> "pd.DataFrame":
    """A row per estimate."""
    return _frame(_ESTIMATES, [row for score in scores for row in _estimates(score)])


def pair_frame(tables: Iterable[tuple[MixtureScore, PairTable]]) -> "pd.DataFrame":
    """A row per candidate and reference of a scored mixture."""
    return _frame(_PAIRS, [row for score, table in tables for row in _pairs(score, table)])


def slice_frame(summary: Summary) -> "pd.DataFrame":
    """A row per value of the summary."""
    return _frame(_SLICES, list(_slices(summary)))


def loss_frame(summary: Summary) -> "pd.DataFrame":
    """A row per class; index: `label`."""
    parts = summary.decomposition
    classes = {} if parts is None else parts.classes
    rows = [{"label": label, **row, "total": sum(row.values())} for label, row in classes.items()]
    return _frame(_LOSSES, rows).set_index("label")


def _frame(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """A frame with these columns and types, whatever the rows hold, none included."""
    import pandas as pd

    return pd.DataFrame(
        {name: pd.Series([_readable(row.get(name)) for row in rows], dtype=kind) for name, kind in columns.items()}
    )


def _readable(value: Any) -> Any:
    """A value as a column takes it: one of texts takes no others than UTF-8 has."""
    return utf_8(value).decode() if isinstance(value, str) else value


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
