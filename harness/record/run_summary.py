"""`summary.json`, typed: corpus values with intervals, bounds, slices, and where the decibels went.

Levels in dB, accuracies in percent. A value is None where it is undefined.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from s5eval.harness.record.codec import COMPLETE
from s5eval.harness.record.run_record import Facts
from s5eval.harness.record.tables import SecondaryName
from s5eval.metrics.decompose import LossKind, Unanswered

BoundMetricName = Literal["capi_sdri", "mixture_accuracy", "source_accuracy"]
MetricName = Literal[
    "capi_sdri", "mixture_accuracy", "source_accuracy", "capi_sdri_zero_floor", "capi_sdri_gain_floor", "ca_sdri"
]
AnyMetricName = Literal[
    "capi_sdri", "mixture_accuracy", "source_accuracy", "capi_sdri_zero_floor", "capi_sdri_gain_floor", "ca_sdri",
    "sdri", "precision", "recall",
]  # fmt: skip
SliceGroup = Literal["targets", "repeated_class", "class"]
ConditionGroup = Literal["snr", "overlap", "angle", "interference", "duration"]
CorpusBoundName = Literal["silence", "oracle-mixture", "oracle-zeros", "oracle-gain", "oracle"]
Term = Literal["separation", "miss", "false_alarm", "confusion", "repeated_class"]


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A corpus value with its 95 % interval (percentile bootstrap over mixtures).

    Attributes:
        value: None where no mixture defines it.
        ci_low: lower end; None as `value`.
        ci_high: upper end; None as `value`.
        n: mixtures that belong to it.
        n_defined: mixtures of them with a value, which the mean is over.
    """

    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    n_defined: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """References of one class that were separated, kept, and labelled as another.

    Attributes:
        reference: the right class.
        estimate: the class that was given.
        loss: what it costs CAPI-SDRi of the run, dB.
        mixtures: how many it happened in.
    """

    reference: str
    estimate: str
    loss: float
    mixtures: int


@dataclass(frozen=True, slots=True)
class RunDecomposition:
    """Where the decibels of a run went.

    Attributes:
        value: CAPI-SDRi, dB.
        bound: right labels and decisions for the same candidates, dB.
        ceiling: the references themselves, dB.
        gap: ceiling − value, dB.
        terms: what the gap is made of, dB; they sum to it, and a negative one is a gain.
        oracle_labels: CAPI-SDRi with the labels put right, dB.
        oracle_count: with the number of estimates put right, dB; None where no candidate has a silence probability.
        oracle_silence: with the silence decisions put right, dB; None likewise.
        classes: loss by class and kind, dB.
        confusions: the largest first.
        unanswered: references without a candidate, and what of `terms.separation` falls on them; None: not recorded.
    """

    value: float
    bound: float
    ceiling: float
    gap: float
    terms: Annotated[Mapping[Term, float], COMPLETE]
    oracle_labels: float | None
    oracle_count: float | None
    oracle_silence: float | None
    classes: Mapping[str, Annotated[Mapping[LossKind, float], COMPLETE]]
    confusions: tuple[Confusion, ...]
    unanswered: Unanswered | None = None


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over the mixtures that define it; None where none does."""

    value: float | None
    n_defined: int = 0


@dataclass(frozen=True, slots=True)
class RunAsWritten:
    """The estimates as they went into 16-bit files.

    Attributes:
        capi_sdri: scored from these files, dB.
        clipped_samples: in all files.
    """

    capi_sdri: Mean
    clipped_samples: int


@dataclass(frozen=True, slots=True)
class Interval:
    """How the intervals were made: level, number of resamples, seed."""

    level: float
    resamples: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(Facts):
    """The content of `summary.json`.

    Attributes:
        schema_version: of the run folder.
        n_scored: mixtures that were answered and have references: those that the values are over.
        n_predicted: mixtures that were answered.
        n_failed: mixtures that failed; they are in no value.
        undefined_reason: why CAPI-SDRi is undefined; None: it is defined.
        metrics: of all scored mixtures.
        bounds: what other answers would earn on the same mixtures.
        slices: over parts of the mixtures; a part that no mixture belongs to is absent. `targets`: by the number of
            targets; `repeated_class`: whether a class occurs twice, `yes` or `no`; `class`: per class the mean SDRi of
            its entries (dB; one without a partner is 0), precision and recall (percent).
        conditions: slices by what the metadata of the scenes tell, see `s5eval.harness.scoring.by_condition`; a group
            that is undefined for a mixture has it in no part, and no mixture with metadata leaves all of them out.
        without_metadata: scored mixtures of which no metadata are known; None: the run is of before they were recorded.
        secondary: metrics that rank nothing, dB; None: not asked for.
        decomposition: where the decibels went; None: no mixture has a target.
        as_written: of the 16-bit files; None: not written for every mixture that was answered.
        n_estimates: sources that were found in the mixtures that were answered; None: not recorded.
        flags: how many of each kind the mixtures have.
        flagged: kind of flag → the first mixtures that have one, four at most; empty in runs of before it was recorded.
        failures: mixture id → why it failed.
        interval: how the intervals were made; None: not recorded.
    """

    schema_version: int = 0
    n_scored: int
    n_predicted: int
    n_failed: int
    undefined_reason: str | None
    metrics: Annotated[Mapping[MetricName, MetricValue], COMPLETE]
    bounds: Annotated[Mapping[CorpusBoundName, Annotated[Mapping[BoundMetricName, MetricValue], COMPLETE]], COMPLETE]
    slices: Mapping[SliceGroup, Mapping[str, Mapping[AnyMetricName, MetricValue]]]
    conditions: Mapping[ConditionGroup, Mapping[str, Mapping[AnyMetricName, MetricValue]]] = field(default_factory=dict)
    without_metadata: int | None = None
    secondary: Mapping[SecondaryName, MetricValue] | None = None
    decomposition: RunDecomposition | None = None
    as_written: RunAsWritten | None = None
    n_estimates: int | None = None
    flags: Mapping[str, int] = field(default_factory=dict)
    flagged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    failures: Mapping[str, str | None] = field(default_factory=dict)
    interval: Interval | None = None
