"""From the lines of a run to `summary.json`: corpus values with intervals, bounds, slices.

One bootstrap serves all columns (see `s5eval.harness.scoring.columns`).
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from s5eval.harness.record.reading import SCHEMA_VERSION
from s5eval.harness.record.run_record import About, RunStatus, shallow
from s5eval.harness.record.run_summary import Interval, Mean, MetricValue, RunAsWritten, Summary
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.scoring.columns import Column, all_columns, fractions, member_counts
from s5eval.harness.scoring.decomposition import decompose_run
from s5eval.metrics.bootstrap import LEVEL, RESAMPLES, SEED, bootstrap

_FLAGGED = 4
"""Mixtures of a kind of flag that a summary names."""


def summarize(
    scores: Sequence[MixtureScore], *, n_expected: int, finished: bool, about: About, unverified: str | None = None
) -> Summary:
    """Build the content of `summary.json`; depends on the scores alone, not on how long they took.

    `n_predicted` counts the mixtures that were answered, `n_scored` those of them whose references are known.

    Args:
        scores: one per mixture, in order of the manifest.
        n_expected: how many mixtures the run was to evaluate.
        finished: whether it came to its end.
        about: facts of the run that are repeated. Where `n_split`, the size of the whole split, is more than
            `n_expected`, the result is *partial*, however well the run went.
        unverified: a doubt about what the summary rests on.
    """
    failed = [score for score in scores if score.status == "failed"]
    scored = [score for score in scores if score.status == "scored"]
    if scores and len(failed) == len(scores) == n_expected:
        status: RunStatus = "failed"
    else:
        whole = n_expected >= about.n_split
        status = "complete" if finished and whole and not failed and len(scores) == n_expected else "partial"
    columns = all_columns(scored)
    tree: dict[str, Any] = {"metrics": {}, "bounds": {}, "slices": {}, "conditions": {}}  # by the paths of the columns
    for column, value in zip(columns, _evaluate(scored, columns), strict=True):
        node = tree
        for key in column.path[:-1]:
            node = node.setdefault(key, {})
        node[column.path[-1]] = value
    return Summary(
        **shallow(about),
        **tree,
        schema_version=SCHEMA_VERSION,
        status=status,
        unverified=unverified,
        n_expected=n_expected,
        n_scored=len(scored),
        without_metadata=sum(score.conditions is None for score in scored),
        n_predicted=len(scores) - len(failed),
        n_failed=len(failed),
        undefined_reason=_undefined_reason(scores, scored),
        decomposition=decompose_run(scored),
        as_written=_as_written([score for score in scores if score.status != "failed"]),
        n_estimates=sum(len(score.estimates) for score in scores),
        flags=_flag_counts(scores),
        flagged=_flagged(scores),
        failures={score.mixture_id: score.outcome.error for score in failed},
        interval=Interval(LEVEL, RESAMPLES, SEED),
    )


def _evaluate(scored: Sequence[MixtureScore], columns: Sequence[Column]) -> list[MetricValue]:
    table = fractions(scored, columns)
    intervals = bootstrap(table[..., 0], table[..., 1])
    defined = (table[..., 1] > 0).sum(axis=0)
    return [
        MetricValue(
            value=finite(intervals.value[k] * column.metric.scale),
            ci_low=finite(intervals.low[k] * column.metric.scale),
            ci_high=finite(intervals.high[k] * column.metric.scale),
            n=n,
            n_defined=int(defined[k]),
        )
        for k, (column, n) in enumerate(zip(columns, member_counts(scored, columns), strict=True))
    ]


def finite(value: float) -> float | None:
    """The number as JSON can hold it: None for NaN and infinity."""
    return float(value) if math.isfinite(value) else None


def _undefined_reason(scores: Sequence[MixtureScore], scored: Sequence[MixtureScore]) -> str | None:
    if not scores:
        return "no mixture has been evaluated"
    if not scored:
        predicted = any(score.status == "predicted" for score in scores)
        return "the set has no references" if predicted else "every mixture failed"
    if all(score.capi_sdri is None for score in scored):
        return "every scene is silent and was answered with silence: CAPI-SDRi is undefined"
    return None


def _as_written(scores: Sequence[MixtureScore]) -> RunAsWritten | None:
    """Of the files that were written; None unless every mixture that was answered has its own."""
    written = [score.as_written for score in scores if score.as_written is not None]
    if not written or len(written) < len(scores):
        return None
    values = [entry.capi_sdri for entry in written if entry.capi_sdri is not None]
    mean = Mean(float(np.mean(values)) if values else None, len(values))
    return RunAsWritten(mean, sum(entry.clipped_samples for entry in written))


def _flag_counts(scores: Iterable[MixtureScore]) -> dict[str, int]:
    return dict(sorted(Counter(flag.kind for score in scores for flag in score.flags).items()))


def _flagged(scores: Iterable[MixtureScore]) -> dict[str, tuple[str, ...]]:
    """The first mixtures of each kind of flag, one more than is shown: whoever shows them sees that there are more."""
    found: dict[str, list[str]] = {}
    for score in scores:
        for kind in dict.fromkeys(flag.kind for flag in score.flags):
            found.setdefault(kind, []).append(score.mixture_id)
    return {kind: tuple(ids[:_FLAGGED]) for kind, ids in sorted(found.items())}
