"""Mixture and source accuracy from label multisets; no waveform is looked at.

Source: `nttcslab/dcase2026_task4_baseline`, commit 20e6992, label metrics.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

NO_SOURCE = (None, "silence")
"""What the official code, and padding, call a row without a source; labels here are of sources alone."""


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

    Raises:
        ValueError: a label is one of `NO_SOURCE`.

    >>> count_labels(estimate=["Cough", "Cough"], reference=["Cough", "Speech"])
    LabelCounts(tp=1, fp=1, fn=1)
    """
    refuse_no_source(estimate=estimate, reference=reference)
    common = (Counter(estimate) & Counter(reference)).total()
    return LabelCounts(tp=common, fp=len(estimate) - common, fn=len(reference) - common)


def refuse_no_source(**labels: Sequence[str]) -> None:
    """Refuse labels of rows that hold no source, which would be scored as a class of their own.

    Raises:
        ValueError: names the argument and the row.
    """
    for name, given in labels.items():
        for row, label in enumerate(given):
            if label in NO_SOURCE:
                raise ValueError(f"{name} {row} has the label {label!r}: leave out rows without a source")
