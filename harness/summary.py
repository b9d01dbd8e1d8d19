"""From the lines of a run to `summary.json`: corpus values with intervals, bounds, slices.

Every metric is a ratio of sums over mixtures (see `s5eval.metrics.bootstrap`), so each is described here by two
numbers a mixture, and one bootstrap serves them all.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.journal import SCHEMA_VERSION
from s5eval.harness.records import MixtureScore
from s5eval.harness.score import BOUNDS
from s5eval.metrics.bootstrap import LEVEL, RESAMPLES, SEED, bootstrap

Fraction = tuple[float, float]
"""What one mixture adds to numerator and denominator; (0, 0) where the metric is undefined for it."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A corpus value: its key in the summary, and what one scored mixture adds to it. `scale` 100 makes percent."""

    name: str
    fraction: Callable[[MixtureScore], Fraction]
    scale: float = 1.0


def _mean(value: float | None) -> Fraction:
    return (0.0, 0.0) if value is None else (value, 1.0)


def _source_counts(score: MixtureScore) -> Fraction:
    tp, fp, fn = score.tp or 0, score.fp or 0, score.fn or 0
    return float(tp), float(tp + fp + fn)


METRICS: tuple[Metric, ...] = (
    Metric("capi_sdri", lambda score: _mean(score.capi_sdri)),
    Metric("mixture_accuracy", lambda score: (float(bool(score.exact)), 1.0), scale=100.0),
    Metric("source_accuracy", _source_counts, scale=100.0),
    Metric("capi_sdri_zero_floor", lambda score: _mean(score.zero_floor)),
    Metric("capi_sdri_gain_floor", lambda score: _mean(score.gain_floor)),
)
"""The metrics of every run and slice. Floors: the same labels with silent waveforms, or with the scaled mixture."""

Member = Callable[[MixtureScore], bool]
Columns = list[tuple[tuple[str, ...], Metric, Member]]
"""What is computed: the path of the value in the summary, the metric, and which mixtures belong to the slice."""


def summarize(
    scores: Sequence[MixtureScore], *, n_expected: int, finished: bool, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Build the content of `summary.json`; depends on the scores alone, not on how long they took.

    Args:
        scores: one per mixture, in order of the manifest.
        n_expected: how many mixtures the run was to evaluate.
        finished: whether it came to its end.
        about: facts of the run that are copied in (`system`, `weights`, `oracle`, …).
    """
    failed = [score for score in scores if score.status == "failed"]
    scored = [score for score in scores if score.status == "scored"]
    if scores and len(failed) == len(scores) == n_expected:
        status = "failed"
    else:
        status = "complete" if finished and not failed and len(scores) == n_expected else "partial"
    columns = _columns(scored)
    values = _evaluate(scored, columns)
    tree: dict[str, Any] = {"metrics": {}, "bounds": {}, "slices": {}}
    for (path, _, _), value in zip(columns, values, strict=True):
        node = tree
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = value
    written = [score.as_written for score in scores if score.as_written is not None]
    return {
        "schema_version": SCHEMA_VERSION,
        "status": status,
        **about,
        "n_expected": n_expected,
        "n_scored": len(scored),
        "n_failed": len(failed),
        "undefined_reason": _undefined_reason(scores, scored),
        **tree,
        "as_written": _as_written([score for score in scores if score.as_written is not None]) if written else None,
        "flags": _flag_counts(scores),
        "failures": {score.mixture_id: score.error for score in failed},
        "interval": {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED},
    }


def _columns(scored: Sequence[MixtureScore]) -> Columns:
    columns: Columns = [(("metrics", metric.name), metric, _any) for metric in METRICS]
    for bound in ("silence", *BOUNDS):
        for metric in _bound_metrics(bound):
            columns.append((("bounds", bound, metric.name), metric, _any))
    counts = sorted({len(score.reference_labels or ()) for score in scored})
    conditions: list[tuple[str, str, Member]] = [
        ("targets", str(count), partial(_has_targets, count)) for count in counts
    ]
    if scored:
        conditions += [
            ("repeated_class", "yes", _repeats),
            ("repeated_class", "no", _no_repeats),
        ]
    for group, name, member in conditions:
        columns += [(("slices", group, name, metric.name), metric, member) for metric in METRICS]
    for label in CLASSES:
        if any(_concerns(label, score) for score in scored):
            member = partial(_concerns, label)
            columns += [(("slices", "class", label, metric.name), metric, member) for metric in _class_metrics(label)]
    return columns


def _bound_metrics(bound: str) -> list[Metric]:
    if bound == "silence":
        return [
            Metric("capi_sdri", lambda score: (0.0, float(bool(score.reference_labels)))),
            Metric("mixture_accuracy", lambda score: (float(not score.reference_labels), 1.0), scale=100.0),
            Metric("source_accuracy", lambda score: (0.0, float(len(score.reference_labels or ()))), scale=100.0),
        ]
    return [
        Metric("capi_sdri", lambda score: _mean(score.bounds.get(bound))),
        Metric("mixture_accuracy", lambda score: (1.0, 1.0), scale=100.0),
        Metric("source_accuracy", lambda score: (n := float(len(score.reference_labels or ())), n), scale=100.0),
    ]


def _class_metrics(label: str) -> list[Metric]:
    """Per class: mean SDRi of its entries (unmatched ones are 0 dB), precision and recall of its labels."""

    def counts(score: MixtureScore) -> tuple[int, int]:
        return sum(e["label"] == label for e in score.estimates), (score.reference_labels or ()).count(label)

    def entries(score: MixtureScore) -> Fraction:
        improvement = sum(pair["sdr"] - pair["sdr_mixture"] for pair in score.pairs if pair["label"] == label)
        return improvement, float(max(counts(score)))

    return [
        Metric("sdri", entries),
        Metric("precision", lambda score: (float(min(counts(score))), float(counts(score)[0])), scale=100.0),
        Metric("recall", lambda score: (float(min(counts(score))), float(counts(score)[1])), scale=100.0),
    ]


def _evaluate(scored: Sequence[MixtureScore], columns: Columns) -> list[dict[str, Any]]:
    members = np.array([[member(score) for _, _, member in columns] for score in scored], bool)
    fractions = np.zeros((len(scored), len(columns), 2))
    for row, score in enumerate(scored):
        for column, (_, metric, _) in enumerate(columns):
            if members[row, column]:
                fractions[row, column] = metric.fraction(score)
    if not len(scored):
        members = members.reshape(0, len(columns))
    intervals = bootstrap(fractions[..., 0], fractions[..., 1])
    defined = (fractions[..., 1] > 0).sum(axis=0)
    return [
        {
            "value": _finite(intervals.value[k] * metric.scale),
            "ci_low": _finite(intervals.low[k] * metric.scale),
            "ci_high": _finite(intervals.high[k] * metric.scale),
            "n": int(members[:, k].sum()),
            "n_defined": int(defined[k]),
        }
        for k, (_, metric, _) in enumerate(columns)
    ]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _any(score: MixtureScore) -> bool:
    return True


def _has_targets(count: int, score: MixtureScore) -> bool:
    return len(score.reference_labels or ()) == count


def _repeats(score: MixtureScore) -> bool:
    labels = score.reference_labels or ()
    return len(set(labels)) < len(labels)


def _no_repeats(score: MixtureScore) -> bool:
    return not _repeats(score)


def _concerns(label: str, score: MixtureScore) -> bool:
    return label in (score.reference_labels or ()) or any(e["label"] == label for e in score.estimates)


def _undefined_reason(scores: Sequence[MixtureScore], scored: Sequence[MixtureScore]) -> str | None:
    if not scores:
        return "no mixture has been evaluated"
    if not scored:
        predicted = any(score.status == "predicted" for score in scores)
        return "the set has no references" if predicted else "every mixture failed"
    if all(score.capi_sdri is None for score in scored):
        return "every scene is silent and was answered with silence: CAPI-SDRi is undefined"
    return None


def _as_written(scores: Sequence[MixtureScore]) -> dict[str, Any]:
    written = [score.as_written for score in scores if score.as_written is not None]
    values = [entry.capi_sdri for entry in written if entry.capi_sdri is not None]
    return {
        "capi_sdri": {"value": float(np.mean(values)) if values else None, "n_defined": len(values)},
        "clipped_samples": sum(entry.clipped_samples for entry in written),
    }


def _flag_counts(scores: Iterable[MixtureScore]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for score in scores:
        for flag in score.flags:
            name = flag.partition(":")[0]
            counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))
