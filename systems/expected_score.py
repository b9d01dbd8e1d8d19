"""How many candidates to keep, by what a mixture is expected to earn: decision theory in place of thresholds.

A threshold asks of every candidate alone whether it is silent. What it costs to be wrong is a matter of the whole
mixture: CAPI-SDRi divides by all sources that are right, missed or made up, so a doubtful second estimate risks what
a sure first one has earned, and a doubtful only one risks nothing. Of N candidates, in the order of how likely their
class and their sound are right, those m are kept that make

    E[TP / (TP + FP + FN)] − s · P(TP + FP + FN > 0)

largest, by the system's own probabilities, candidates independent of each other. TP are kept candidates that are
right, FP kept ones that are not, FN sources that no kept one is right about. s is what a mixture usually earns (a share
of what it would with everything right): a scene without sources that is answered with nothing leaves the mean, and one
that is answered with something joins it at zero.

Such decisions maximise expected F-measures in the same way (Dembczyński, Waegeman, Cheng and Hüllermeier 2011;
Lipton, Elkan and Naryanaswamy 2014); temperature after Guo, Pleiss, Sun and Weinberger 2017.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.errors import UsageError

RANGES = {"temperature": (0.05, 20.0), "usual_share": (0.0, 1.0)}
"""From where to where the numbers of an `ExpectedScore` may go."""

_TINY = 1e-12  # a class of no probability keeps this much of one, or a temperature could not warm it


@dataclass(frozen=True, slots=True)
class ExpectedScore:
    """What the system's probabilities are taken for.

    Attributes:
        temperature: of the class scores, from 0.05 to 20: above 1, the system is surer of its classes than it is right.
        usual_share: s, from 0 to 1.

    Class scores have to be probabilities that add up to 1, and `p_silence` that of silence among everything.

    >>> ExpectedScore(temperature=0.9).usual_share
    0.7
    """

    temperature: float = 1.0
    usual_share: float = 0.7

    def __post_init__(self) -> None:
        """Raise `UsageError` for a number that is none, or out of its range."""
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            known = isinstance(value, int | float) and not isinstance(value, bool)
            if not known or not least <= value <= most:
                raise UsageError(f"expected_score.{name} is {value!r}, expected a number from {least:g} to {most:g}")


def tempered(class_scores: npt.NDArray[np.float64], temperature: float) -> npt.NDArray[np.float64]:
    """Class probabilities (N, classes) of scores (N, classes) at a temperature: every row to the power of its inverse,
    adding up to one.

    >>> tempered(np.array([[0.8, 0.2]]), 0.5).round(3).tolist()
    [[0.941, 0.059]]
    """
    logits = np.log(np.maximum(class_scores, _TINY)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def expected_scores(
    active: Sequence[float] | npt.NDArray[np.float64],
    right: Sequence[float] | npt.NDArray[np.float64],
    usual_share: float,
    *,
    most: int | None = None,
) -> npt.NDArray[np.float64]:
    """What keeping the first m of N candidates is expected to earn, (N + 1,) for m from 0 to N.

    Args:
        active: (N,), how likely each holds a source.
        right: (N,), how likely it holds one and has its class; at most `active`.
        usual_share: s.
        most: the largest m that is asked for, which shortens the answer to `most` + 1; None: N.

    >>> expected_scores([0.5], [0.4], 0.7).round(3).tolist()
    [-0.35, -0.3]
    """
    count = len(active)
    others = [np.ones(1)]  # how many of the candidates from m on are active, for m from N down to 0
    for probability in reversed(active):
        others.append(np.convolve([1.0 - probability, probability], others[-1]))
    kept = np.ones((1, 1))  # of the first m: (right ones, active ones)
    last = count if most is None else min(most, count)
    earned = np.empty(last + 1)
    for m in range(last + 1):
        joint = np.stack([np.convolve(row, others[count - m]) for row in kept])
        found, there = np.ogrid[: m + 1, : count + 1]
        entries = m + there - found
        shares = np.where(entries > 0, found / np.maximum(entries, 1) - usual_share, 0.0)
        earned[m] = (joint * shares).sum()
        if m < last:
            grown = np.zeros((m + 2, m + 2))
            grown[:-1, :-1] += (1.0 - active[m]) * kept
            grown[:-1, 1:] += (active[m] - right[m]) * kept
            grown[1:, 1:] += right[m] * kept
            kept = grown
    return earned
