"""Differences between two runs over the same mixtures: paired bootstrap, and an exact sign test."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.words import counted
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.scoring.columns import Column, fractions
from s5eval.harness.scoring.summary import finite
from s5eval.metrics.arrays import Array
from s5eval.metrics.bootstrap import paired_bootstrap, ratios
from s5eval.metrics.tolerance import LAST_BITS

LEAST_MIXTURES = 6
"""Where fewer changed, no difference is called significant: five fall all to one side by chance in 1 case of 16.

Those that are the same in both tell nothing of the side, however many they are: where four of a hundred changed, the
bootstrap alone would call one chance in ten a verdict.
"""

BY_CHANCE = "so few can all fall to one side by chance"
"""Why no verdict is given on them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value of two runs, and what the second adds to the first; in the unit of the metric.

    Attributes:
        first: value of the first run; None where undefined.
        second: value of the second.
        delta: second − first.
        ci_low: of the 95 % paired interval of `delta`.
        ci_high: likewise.
        better: mixtures that are defined in both and higher in the second.
        worse: lower in the second.
        ties: equal.
        p_sign: two-sided exact sign test of better against worse; None when nothing differs.
        n: mixtures that count in either.
        changed: those of them that add something else to the value in the second: a mixture of which the share is the
            same, but of more sources, is a tie and has changed.
    """

    first: float | None
    second: float | None
    delta: float | None
    ci_low: float | None
    ci_high: float | None
    better: int
    worse: int
    ties: int
    p_sign: float | None
    n: int
    changed: int

    @property
    def significant(self) -> bool:
        """The interval excludes 0, by more than last bits, and `LEAST_MIXTURES` or more changed.

        A difference at the 5 % level, were this the only one looked at.
        """
        return self.changed >= LEAST_MIXTURES and self._excludes_zero

    @property
    def withheld(self) -> bool:
        """The interval excludes 0, but fewer than `LEAST_MIXTURES` changed; whoever shows it has to say so."""
        return self.changed < LEAST_MIXTURES and self._excludes_zero

    def as_dict(self) -> dict[str, Any]:
        """For machines: the fields and both verdicts."""
        return {**asdict(self), "significant": self.significant, "withheld": self.withheld}

    @property
    def _excludes_zero(self) -> bool:
        if self.ci_low is None or self.ci_high is None:
            return False
        return self.ci_low > LAST_BITS or self.ci_high < -LAST_BITS


def paired_differences(
    first: Sequence[MixtureScore],
    second: Sequence[MixtureScore],
    columns: Sequence[Column],
    second_columns: Sequence[Column] | None = None,
) -> list[Difference]:
    """Compare two runs column by column.

    Args:
        first: scored mixtures of the first run.
        second: the same mixtures, in the same order, of the second run.
        columns: what to compare.
        second_columns: columns of the second run where they are not the same (a bound beside a system).

    Raises:
        ValueError: the mixtures are not the same.
    """
    if [score.mixture_id for score in first] != [score.mixture_id for score in second]:
        raise ValueError("the two lists hold different mixtures, or the same in different order")
    a = fractions(first, columns)
    b = fractions(second, columns if second_columns is None else second_columns)
    scale = np.array([column.metric.scale for column in columns])
    intervals = paired_bootstrap((a[..., 0], a[..., 1]), (b[..., 0], b[..., 1]))
    values = [ratios(side[..., 0], side[..., 1]) * scale for side in (a, b)]
    return [
        Difference(
            finite(values[0][k]),
            finite(values[1][k]),
            finite(intervals.value[k] * scale[k]),
            finite(intervals.low[k] * scale[k]),
            finite(intervals.high[k] * scale[k]),
            *_signs(a[:, k], b[:, k]),
            n=int(((a[:, k, 1] > 0) | (b[:, k, 1] > 0)).sum()),
            changed=int(changed(a[:, k], b[:, k]).sum()),
        )
        for k in range(len(columns))
    ]


def hardly_differ(numerator: Array, denominator: Array) -> npt.NDArray[np.bool_]:
    """Which of several runs differ in fewer than `LEAST_MIXTURES`, so that neither can be called the better one.

    Args:
        numerator: (n, S): of every mixture, in every run.
        denominator: likewise; 0 where the mixture does not count.

    Returns:
        (S, S): symmetric, True on the diagonal.
    """
    parts = np.stack([numerator, denominator], axis=-1)
    runs = range(parts.shape[1])  # one after the other: all pairs at once take gigabytes of a hundred submissions
    return np.array([changed(parts, parts[:, [k]]).sum(axis=0) < LEAST_MIXTURES for k in runs])


def too_few(gain: Mapping[str, Any]) -> str:
    """Why the interval of a gain tells nothing, whatever it excludes; empty where it does.

    Args:
        gain: how many mixtures `changed`, how many `recordings` sound in these, and how many of them are `empty`: what
            has one recording falls to one side together. What is absent, or no number, is not known.

    >>> too_few({"changed": 3}), too_few({"changed": 40, "recordings": 2, "empty": 0}), too_few({"changed": 40})
    ('only 3 mixtures changed', 'only 2 recordings in all that changed', '')
    """
    count, recordings, empty = (gain.get(key) for key in ("changed", "recordings", "empty"))
    if isinstance(count, int) and not isinstance(count, bool) and 0 < count < LEAST_MIXTURES:
        return f"only {counted(count, 'mixture')} changed"
    if isinstance(recordings, int) and isinstance(empty, int) and 0 < recordings + empty < LEAST_MIXTURES:
        scenes = f" and {counted(empty, 'scene')} without a target" if empty else ""
        return f"only {counted(recordings, 'recording')}{scenes} in all that changed"
    return ""


def sign_test(better: int, worse: int) -> float | None:
    """Two-sided exact binomial test that better and worse are equally likely; ties are left out before.

    >>> sign_test(5, 0)
    0.0625

    Source: Conover, Practical Nonparametric Statistics (1999), section 3.4.
    """
    if better + worse == 0:
        return None
    from scipy.special import bdtr

    return min(1.0, 2.0 * float(bdtr(min(better, worse), better + worse, 0.5)))


def _signs(a: Array, b: Array) -> tuple[int, int, int, float | None]:
    both = (a[:, 1] > 0) & (b[:, 1] > 0)
    change = b[both, 0] / b[both, 1] - a[both, 0] / a[both, 1]
    better, worse = int((change > LAST_BITS).sum()), int((change < -LAST_BITS).sum())
    return better, worse, int(both.sum()) - better - worse, sign_test(better, worse)


def changed(a: Array, b: Array) -> npt.NDArray[np.bool_]:
    """Of numerators and denominators (…, 2): where the one or the other is not the same."""
    return np.asarray((np.abs(b - a) > LAST_BITS).any(axis=-1))
