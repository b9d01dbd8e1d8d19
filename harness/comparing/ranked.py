"""The places of submissions: ranks, how far the mixtures at hand tell them apart, and ranks under conditions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from s5eval.harness.comparing.published import RankingMetric
from s5eval.harness.record.run_summary import MetricValue
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.runs.run import RunResult
from s5eval.harness.scoring.columns import METRICS, Column, all_columns, every_mixture, fractions, member_counts
from s5eval.harness.scoring.paired import Difference, hardly_differ, paired_differences
from s5eval.harness.scoring.summary import finite
from s5eval.metrics.arrays import Array
from s5eval.metrics.bootstrap import RESAMPLES, ratios
from s5eval.metrics.ranks import RankIntervals, rank_intervals
from s5eval.metrics.tolerance import equal, settled

_CONDITION_RESAMPLES = 1_000
"""There are some forty conditions, and 95 % of a thousand resamples are 950 all the same."""


@dataclass(frozen=True, slots=True)
class RankRange:
    """How certain a rank is; see `s5eval.metrics.ranks`.

    Attributes:
        low: best rank of the 95 % interval of this submission's own rank.
        high: worst rank of it.
        low_all: best rank of the interval that holds for all submissions at once, with 95 %.
        high_all: worst rank of it.
        first: share of the resamples in which no other is better.
    """

    low: int
    high: int
    low_all: int
    high_all: int
    first: float


@dataclass(frozen=True, slots=True)
class ConditionPlace:
    """The value of a submission under a condition, its rank there and the rank's 95 % interval; None: undefined."""

    value: float | None
    rank: int | None = None
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """The ranks over a part of the mixtures.

    Attributes:
        group: such as `targets`, `class`.
        name: of the part, such as `2` or `Speech`.
        metric: `capi_sdri`; `sdri` for a class.
        n: mixtures that belong to it; for a class, the most that concern one of the submissions.
        places: submission → its place.
    """

    group: str
    name: str
    metric: str
    n: int
    places: Mapping[str, ConditionPlace]


@dataclass(frozen=True, slots=True)
class RankedSubmission:
    """One submission's place.

    Attributes:
        name: of the archive, folder or run.
        path: where it is.
        result: its run.
        scores: its lines by mixture, in order of the manifest.
        asked: all mixtures, in that order; one that an unfinished run has not come to has no line.
        metric: what ranks.
        rank: 1 for the highest value, equal values share a rank; None for one that is partial or undefined.
        place: how certain the rank is; None without a rank.
        difference: to the first, over mixtures that both have scored (`delta` is negative); None for the first.
        to_previous: likewise to the one before it in the order of ranks; None for the first, and without a rank.
    """

    name: str
    path: Path
    result: RunResult
    scores: Mapping[str, MixtureScore] = field(repr=False)
    asked: Sequence[str] = field(repr=False)
    metric: RankingMetric = "capi_sdri"
    rank: int | None = None
    place: RankRange | None = None
    difference: Difference | None = None
    to_previous: Difference | None = None

    @property
    def partial(self) -> str | None:
        """Why it is a part; None for one that answers all, or that may well mean silence where it has no file."""
        summary = self.result.summary
        expected = summary.n_expected
        if not self.whole:
            failed, left = summary.failures, expected - len(self.scores)
            first = next((f", such as {id_}: {error}" for id_, error in failed.items()), "")
            said = [f"{len(failed)} of {expected} failed{first}"] if failed else []
            said += [f"not finished: {left} of {expected} were never run"] if left else []
            return "; ".join(said) or "not finished"
        answered = expected if summary.answered is None else summary.answered
        if answered < expected and summary.listed:
            return f"answers {answered} of {expected} mixtures: its own list does not call the others silent"
        # A system that hears nothing in most scenes is unlikely, an upload that broke off is not.
        if 2 * answered < sum(bool(score.reference_labels) for score in self.scores.values()):
            return f"answers {answered} of {expected} mixtures: most of those with targets have no file"
        return None

    @property
    def why_no_rank(self) -> str | None:
        """That it is partial, or that what ranks is undefined: of data without references, say; None: it has a rank."""
        if self.partial is not None or self.value is not None:
            return self.partial
        return f"undefined: {self.result.summary.undefined_reason}"

    @property
    def missing(self) -> tuple[str, ...]:
        """Mixtures that it does not answer: failed ones, ones that an unfinished run has not come to, and ones without
        an estimate where answers are missing.
        """
        summary = self.result.summary
        silent = summary.answered is not None and summary.answered < summary.n_expected
        found = {id_: self.scores.get(id_) for id_ in self.asked}
        return tuple(
            id_
            for id_, score in found.items()
            if score is None
            or score.status == "failed"
            or (silent and score.status == "scored" and not score.estimates)
        )

    @property
    def status(self) -> str:
        """The run's, and `partial` also for a complete run of estimates that are a part."""
        if self.whole:  # a filter is the same for all, and makes no team partial
            return "complete" if self.partial is None else "partial"
        return self.result.summary.status

    @property
    def whole(self) -> bool:
        """All that everybody had to answer is answered; a filter is the same for all, and keeps nobody from a rank."""
        summary = self.result.summary
        return max(summary.n_scored, summary.n_predicted) == summary.n_expected

    @property
    def ranking_value(self) -> MetricValue:
        """What ranks, with its interval."""
        return self.result.summary.metrics[self.metric]

    @property
    def value(self) -> float | None:
        """What ranks, in dB."""
        return self.ranking_value.value


def placed(entries: Sequence[RankedSubmission]) -> list[RankedSubmission]:
    """Submissions in order of rank, each with its place and its differences; those without a rank stand last."""
    ordered = sorted(entries, key=_order)
    complete = [entry for entry in ordered if _order(entry)[:2] == (False, False)]
    certain = _places(complete)
    ranked: list[RankedSubmission] = []
    for position, entry in enumerate(ordered, start=1):
        if position > len(complete):
            behind = None if not complete or entry.value is None else _difference(ordered[0], entry)
            ranked.append(replace(entry, difference=behind))
            continue
        before = ranked[-1] if ranked else None
        tied = before is not None and equal(before.value or 0.0, entry.value or 0.0)
        ranked.append(
            replace(
                entry,
                rank=before.rank if before is not None and tied else position,
                place=certain[entry.name],
                difference=None if before is None else _difference(ordered[0], entry),
                to_previous=None if before is None else _difference(before, entry),
            )
        )
    return ranked


def conditions(entries: Sequence[RankedSubmission]) -> list[Condition]:
    """The ranks of those that have one, over every slice of the mixtures; empty for fewer than two."""
    ranked = [entry for entry in entries if entry.rank is not None]
    if len(ranked) < 2:
        return []
    scored = [_scored(entry, list(ranked[0].scores)) for entry in ranked]
    wanted = ("capi_sdri", "sdri")
    columns = [c for c in all_columns([s for side in scored for s in side]) if _is_slice(c) and c.path[-1] in wanted]
    tables = np.stack([fractions(side, columns) for side in scored], axis=-1)  # (N, columns, 2, K)
    counts = np.max([member_counts(side, columns) for side in scored], axis=0)
    found = []
    for k, column in enumerate(columns):
        group, name, metric = column.path[1:4]
        found.append(Condition(group, name, metric, int(counts[k]), _condition_places(ranked, tables[:, k])))
    return found


def _condition_places(ranked: Sequence[RankedSubmission], table: Array) -> dict[str, ConditionPlace]:
    """From (N, 2, K) of one condition."""
    values = ratios(table[:, 0], table[:, 1])
    found = {entry.name: ConditionPlace(finite(value)) for entry, value in zip(ranked, values, strict=True)}
    defined = [k for k in range(len(ranked)) if found[ranked[k].name].value is not None]
    rows = table[(table[:, 1] > 0).any(axis=1)][:, :, defined]
    if not defined:
        return found
    sure = _rank_intervals(rows[:, 0], rows[:, 1], _CONDITION_RESAMPLES)
    for position, k in enumerate(defined):
        value = found[ranked[k].name].value
        place = int(sure.rank[position]), int(sure.low[position]), int(sure.high[position])
        found[ranked[k].name] = ConditionPlace(value, *place)
    return found


def _is_slice(column: Column) -> bool:
    return column.path[0] in ("slices", "conditions")


def _order(entry: RankedSubmission) -> tuple[bool, bool, float, str]:
    return entry.partial is not None, entry.value is None, -settled(entry.value or 0.0), entry.name


def _places(entries: Sequence[RankedSubmission]) -> dict[str, RankRange]:
    if not entries:
        return {}
    ids = list(entries[0].scores)
    table = np.stack([fractions(_scored(entry, ids), [_column(entry.metric)])[:, 0] for entry in entries], axis=-1)
    found = _rank_intervals(table[:, 0], table[:, 1], RESAMPLES)
    return {
        entry.name: RankRange(
            int(found.low[k]), int(found.high[k]), int(found.low_all[k]), int(found.high_all[k]), float(found.first[k])
        )
        for k, entry in enumerate(entries)
    }


def _rank_intervals(numerator: Array, denominator: Array, resamples: int) -> RankIntervals:
    """Of two that differ in too few mixtures, neither is the better one for certain."""
    near = hardly_differ(numerator, denominator)
    return rank_intervals(numerator, denominator, undecided=near, resamples=resamples)


def _column(metric: RankingMetric) -> Column:
    return Column(("metrics", metric), next(m for m in METRICS if m.name == metric), every_mixture)


def _scored(entry: RankedSubmission, ids: Sequence[str]) -> list[MixtureScore]:
    return [entry.scores[id_] for id_ in ids]


def _difference(first: RankedSubmission, second: RankedSubmission) -> Difference:
    both = [
        id_
        for id_, score in first.scores.items()
        if score.status == "scored" and id_ in second.scores and second.scores[id_].status == "scored"
    ]
    return paired_differences(_scored(first, both), _scored(second, both), [_column(first.metric)])[0]
