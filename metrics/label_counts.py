"""Mixture and source accuracy from label multisets; no waveform is looked at.

Source: `nttcslab/dcase2026_task4_baseline`, commit 20e6992, label metrics.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """Agreement of estimated and reference labels of one mixture, as multisets.

    `tp` counts the intersection, `fp` estimates beyond it, `fn` references beyond it. Source accuracy is
    ΣTP / Σ(TP + FP + FN) over mixtures, mixture accuracy the share of exact ones.
    """

    tp: int
    fp: int
    fn: int

    @property
    def exact(self) -> bool:
        """Both multisets are equal; a silent scene answered with silence is exact."""
        return self.fp == 0 and self.fn == 0


def count_labels(*, estimate: Sequence[str], reference: Sequence[str]) -> LabelCounts:
    """Compare the labels of one mixture.

    >>> count_labels(estimate=["Cough", "Cough"], reference=["Cough", "Speech"])
    LabelCounts(tp=1, fp=1, fn=1)
    """
    common = (Counter(estimate) & Counter(reference)).total()
    return LabelCounts(tp=common, fp=len(estimate) - common, fn=len(reference) - common)
