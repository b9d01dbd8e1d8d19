"""From the records of a run to its charts: what stands in which, and where each mark leads."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.run_summary import AnyMetricName, ConditionGroup, MetricValue, RunDecomposition, SliceGroup
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report.charts.classes import ClassRow, class_bars
from s5eval.harness.report.charts.confusion import FALSE_ALARM, MISSED, confusion_matrix
from s5eval.harness.report.charts.distribution import Bin, Point, histogram, scatter_plot
from s5eval.harness.report.charts.intervals import IntervalRow, forest
from s5eval.harness.report.charts.scale import round_step
from s5eval.harness.report.charts.waterfall import WaterfallRow, waterfall
from s5eval.harness.report.decibels import ladder
from s5eval.harness.scoring.by_condition import GROUP_TITLES
from s5eval.harness.scoring.decomposition import BLAMED_KINDS, losses_by_cause
from s5eval.metrics.bootstrap import bootstrap
from s5eval.metrics.capi import Pair

Link = Callable[..., str]
"""Where the mixtures are that have what is named: `link(loss="miss")`, `link(reference="Cough", estimate="Speech")`,
`link(label="Cough")`, `link(targets="2")`, `link(repeated_class="yes")`, `link(low="1.5", high="2")` of CAPI-SDRi,
`link(snr_low="-5", snr_high="0")` of a source, `link(mixture="m_1")`."""

Slice = Mapping[AnyMetricName, MetricValue]

Cell = tuple[str, str]
"""Of the matrix: reference or `FALSE_ALARM`, estimate or `MISSED`."""

_BINS = 7
_BIN_RESAMPLES = 2000
_FEW = 3


def waterfall_of(decomposition: RunDecomposition, link: Link | None = None) -> str:
    """The ladder of a run (`summary.decomposition`) as a waterfall."""
    steps = [
        WaterfallRow(
            title,
            value,
            total=term is None,
            note=note,
            href=link(loss=term) if link and value and term in BLAMED_KINDS else None,
        )
        for title, value, note, term in ladder(decomposition)
    ]
    return waterfall(steps)


def confusions_of(scores: Sequence[MixtureScore], link: Link | None = None) -> str:
    """What was taken for what, over the scored mixtures: counts of labels, and the dB of the corpus value they cost."""
    counts, decibels = confusion_cells(scores)
    names = [label for label in CLASSES if any(label in pair for pair in counts)]
    href = None if link is None else (lambda row, column: link(reference=row, estimate=column))
    return confusion_matrix(names, counts, decibels=decibels, href=href)


def confusion_cells(scores: Sequence[MixtureScore]) -> tuple[dict[Cell, int], dict[Cell, float]]:
    """How often each cell of the matrix occurs, and the dB of the corpus value it cost.

    A row sums to the references of its class, a column to the estimates. A cell may cost something and count nothing:
    two estimates that stand for each other's reference have right labels, and wrong waveforms.
    """
    counts: Counter[Cell] = Counter()
    for score in scores:
        counts.update(cells_of(score))
    decibels: dict[Cell, float] = {}
    for cause, loss in losses_by_cause(scores)[0].items():
        cell = _cell(*cause)
        decibels[cell] = decibels.get(cell, 0.0) + loss
    return {cell: counts[cell] for cell in {**counts, **decibels}}, decibels


def cells_of(score: MixtureScore) -> Counter[Cell]:
    """The cells in which a mixture counts, each reference and each estimate once.

    What `s5eval.metrics.decompose` has booked a loss on comes first: it goes by waveforms. Of the rest, labels that
    both sides have are right; other references are missed, other estimates false alarms. Cells that only cost count 0.
    """
    references, estimates = Counter(score.reference_labels or ()), Counter(e.label for e in score.estimates)
    cells: Counter[Cell] = Counter()
    for loss in () if score.decomposition is None else score.decomposition.losses:
        row, column = cell = _cell(loss.kind, loss.label, loss.other)
        cells[cell] += 0
        if (row == FALSE_ALARM or references[row]) and (column == MISSED or estimates[column]):
            cells[cell] += 1
            references[row] -= row != FALSE_ALARM
            estimates[column] -= column != MISSED
    right = references & estimates
    cells.update({(label, label): n for label, n in right.items()})
    cells.update({(label, MISSED): n for label, n in (references - right).items()})
    cells.update({(FALSE_ALARM, label): n for label, n in (estimates - right).items()})
    return cells


def _cell(kind: str, label: str, other: str | None) -> Cell:
    if kind == "confusion":
        return label, str(other)
    return (FALSE_ALARM, label) if kind == "false_alarm" else (label, MISSED)


def classes_of(
    slices: Mapping[str, Slice], thresholds: Callable[[str], float] | None = None, link: Link | None = None
) -> str:
    """The slices by class of a summary; `thresholds` gives the silence threshold of a class."""
    rows = [
        ClassRow(
            name,
            entry["sdri"].n,
            sdri=entry["sdri"].value,
            low=entry["sdri"].ci_low,
            high=entry["sdri"].ci_high,
            precision=entry["precision"].value,
            recall=entry["recall"].value,
            threshold=None if thresholds is None else thresholds(name),
            href=None if link is None else link(label=name),
        )
        for name, entry in slices.items()
    ]
    return class_bars(rows)


def by_condition_of(
    slices: Mapping[SliceGroup, Mapping[str, Slice]],
    link: Link | None = None,
    conditions: Mapping[ConditionGroup, Mapping[str, Slice]] | None = None,
) -> str:
    """CAPI-SDRi by number of targets, by repeated class and by what metadata tell, with the zero floor of each."""
    groups: dict[str, Mapping[str, Slice]] = {str(group): parts for group, parts in slices.items()}
    groups |= {str(group): parts for group, parts in (conditions or {}).items()}
    rows = [
        IntervalRow(
            name,
            entry["capi_sdri"].value,
            low=entry["capi_sdri"].ci_low,
            high=entry["capi_sdri"].ci_high,
            group=title,
            beside=entry["capi_sdri_zero_floor"].value,
            n=entry["capi_sdri"].n,
            href=None if link is None or group not in slices else link(**{group: name}),
        )
        for group, title in GROUP_TITLES.items()
        for name, entry in groups.get(group, {}).items()
    ]
    return forest(rows, title="By condition", unit="CAPI-SDRi, dB", beside="zero floor", width=400)


def scores_of(scores: Sequence[MixtureScore], mean: float | None, link: Link | None = None) -> str:
    """The histogram of the mixtures' CAPI-SDRi."""
    href = None if link is None else (lambda low, high: link(low=f"{low:g}", high=f"{high:g}"))
    return histogram([score.capi_sdri for score in scores], mean=mean, href=href)


def by_snr_of(scores: Sequence[MixtureScore], link: Link | None = None) -> str:
    """SDRi of the assigned pairs against the SNR of the mixture with respect to each, and means over ranges of it."""
    pairs = [(score, pair) for score in scores for pair in pairs_of(score)]
    points = [
        Point(
            pair.sdr_mixture,
            pair.sdri,
            f"{score.mixture_id}, {pair.label}",
            None if link is None else link(mixture=score.mixture_id),
        )
        for score, pair in pairs
    ]
    href = None if link is None else (lambda low, high: link(snr_low=f"{low:g}", snr_high=f"{high:g}"))
    return scatter_plot(points, snr_bins(scores, href), href=href)


def pairs_of(score: MixtureScore) -> tuple[Pair, ...]:
    """The assigned pairs of a mixture; none where it was not scored."""
    return () if score.capi is None else score.capi.pairs


def snr_bins(scores: Sequence[MixtureScore], href: Callable[[float, float], str] | None = None) -> list[Bin]:
    """Mean SDRi over ranges of the mixture's SNR, of round width, with 95 % bootstrap intervals over mixtures.

    Ranges of fewer than three sources are left out, where a mean says no more than they do.
    """
    rows = [(row, p.sdr_mixture, p.sdri) for row, score in enumerate(scores) for p in pairs_of(score)]
    if not rows:
        return []
    of, snr, sdri = (np.array(column) for column in zip(*rows, strict=True))
    span = float(np.ptp(snr))
    step = round_step(span / _BINS) if span > 0 else 1.0
    places, place = np.unique(np.floor(np.round(snr / step, 9)).astype(int), return_inverse=True)
    sums, counts = np.zeros((2, len(scores), len(places)))
    for row, column, value in zip(of, place, sdri, strict=True):
        sums[row, column] += value
        counts[row, column] += 1
    found = bootstrap(sums, counts, resamples=_BIN_RESAMPLES)
    bins = []
    for k, at in enumerate(places):
        low, high, n = float(at * step), float((at + 1) * step), int(counts[:, k].sum())
        if n >= _FEW:
            mean, *ends = (float(part[k]) for part in (found.value, found.low, found.high))
            bins.append(Bin(low, high, mean, ends[0], ends[1], n, None if href is None else href(low, high)))
    return bins
