"""CASA-SDR: waveforms are paired first, and labels are judged afterwards.

Where CAPI-SDRi pairs within a class, so that a swap of labels looks like bad separation, CASA-SDR pairs
estimates and references by SDR alone, and gives 0 dB to a pair whose labels differ.
Source: Mishra, Magron, Serizel, Metric Analysis for Spatial Semantic Segmentation of Sound Scenes, arXiv 2511.07075.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from s5eval.metrics.capi import assign
from s5eval.metrics.label_counts import refuse_no_source
from s5eval.metrics.sdr import PairScores


@dataclass(frozen=True, slots=True)
class CasaScore:
    """CASA-SDR of one mixture, dB; both None when there is neither an estimate nor a reference.

    Attributes:
        sdr: mean over true positives, false positives and false negatives (error-based aggregation) of the SDR
            of pairs with equal labels; 0 dB for all else.
        sdri: the same with each pair's improvement on the mixture.
        n_correct: pairs with equal labels (true positives).
        n_wrong: pairs with different labels; each is a false positive and a false negative.
        n_unpaired: estimates or references left over.
    """

    sdr: float | None
    sdri: float | None
    n_correct: int
    n_wrong: int
    n_unpaired: int


def casa_sdr(pair_scores: PairScores, *, estimate_labels: Sequence[str], reference_labels: Sequence[str]) -> CasaScore:
    """Score one mixture from its pair matrix.

    Args:
        pair_scores: tables with N estimates and R references.
        estimate_labels: N labels.
        reference_labels: R labels; classes may repeat.

    Raises:
        ValueError: the labels do not fit the tables, or one is `None` or `silence`.
    """
    refuse_no_source(estimate=estimate_labels, reference=reference_labels)
    n, r = len(estimate_labels), len(reference_labels)
    if pair_scores.sdr.shape != (n, r):
        raise ValueError(f"pair matrix {pair_scores.sdr.shape} does not fit {n} estimates and {r} references")
    pairs = list(zip(*assign(pair_scores.sdr), strict=True))
    correct = [(i, j) for i, j in pairs if estimate_labels[i] == reference_labels[j]]
    wrong = len(pairs) - len(correct)
    unpaired = abs(n - r)
    entries = len(correct) + 2 * wrong + unpaired
    if entries == 0:
        return CasaScore(None, None, 0, 0, 0)
    total = sum(float(pair_scores.sdr[i, j]) for i, j in correct)
    mixture = sum(float(pair_scores.sdr_mixture[j]) for _, j in correct)
    return CasaScore(total / entries, (total - mixture) / entries, len(correct), wrong, unpaired)
