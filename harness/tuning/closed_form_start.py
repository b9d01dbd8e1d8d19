"""Silence thresholds from a formula, as a start for the search: when keeping a candidate pays, on average.

A kept candidate that holds a source of the right class adds its SDRi d; a false alarm adds an entry of 0 dB, a
dropped source likewise, and a wrong label both. With p the probability of silence, q that the class is right, and
n other entries of mean A, keeping beats dropping when

    p / (1 − p) < (q·d − (1 − q)·n·A / (n + 2)) / A.

So classes that gain more than the average deserve a threshold above 1/2. p must be calibrated: a logistic curve
through the observed probabilities, fitted first, translates it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.labels import CLASS_INDEX, CLASSES
from s5eval.harness.record.tables import PairTable
from s5eval.metrics.arrays import Array
from s5eval.metrics.decompose import match_waveforms
from s5eval.systems.decision import candidate_labels

_PRIOR = 5.0  # candidates' worth of the all-class mean that joins every class
_EDGE = 0.01  # thresholds stay this far from 0 and 1


@dataclass(frozen=True, slots=True)
class ObservedCandidates:
    """What the candidates of N mixtures were, E in all.

    Attributes:
        others: (N,), references of the mixture but one; −1 for a scene without a target.
        mixture: (E,), mixture of each candidate.
        label: (E,), its class.
        p_silence: (E,).
        matched: (E,), whether its waveform belongs to a reference.
        right: (E,), whether its class is that reference's, too.
        gain: (E,), SDRi against that reference, dB; 0 where it is not right.
    """

    others: npt.NDArray[np.intp]
    mixture: npt.NDArray[np.intp]
    label: npt.NDArray[np.intp]
    p_silence: Array
    matched: npt.NDArray[np.bool_]
    right: npt.NDArray[np.bool_]
    gain: Array

    def restrict(self, kept: npt.NDArray[np.intp]) -> "ObservedCandidates":
        """The slots of some of the mixtures; the others keep their place and count nothing."""
        inside = np.isin(self.mixture, kept)
        others = np.full_like(self.others, -1)
        others[kept] = self.others[kept]
        return ObservedCandidates(
            others,
            self.mixture[inside],
            self.label[inside],
            self.p_silence[inside],
            self.matched[inside],
            self.right[inside],
            self.gain[inside],
        )


def observe_slots(tables: Sequence[PairTable]) -> ObservedCandidates:
    """Match candidates and references by their waveforms.

    Args:
        tables: N pair tables with references.
    """
    rows: list[tuple[int, int, float, bool, bool, float]] = []
    for i, table in enumerate(tables):
        references = table.reference_labels or ()
        owner = match_waveforms(table.pair_scores, range(len(table.p_silence)))
        for k, label in enumerate(candidate_labels(table.class_scores, table.labels)):
            r = owner.get(k)
            right = r is not None and label == references[r]
            gain = float(table.pair_scores.sdr[k, r] - table.pair_scores.sdr_mixture[r]) if right else 0.0
            rows.append((i, CLASS_INDEX[label], float(table.p_silence[k]), r is not None, right, gain))
    columns = np.array(rows, np.float64).reshape(-1, 6)
    others = np.array([len(table.reference_labels or ()) - 1 for table in tables], np.intp)
    mixture, label_index = columns[:, 0].astype(np.intp), columns[:, 1].astype(np.intp)
    return ObservedCandidates(
        others, mixture, label_index, columns[:, 2], columns[:, 3] > 0, columns[:, 4] > 0, columns[:, 5]
    )


def analytic_thresholds(slots: ObservedCandidates) -> Array | None:
    """Thresholds (18,) from the mean gains and hit rates of the classes.

    Returns:
        None where the formula says nothing: no candidate matches a reference, or matched ones gain nothing.
    """
    if not slots.right.any() or slots.gain.sum() <= 0:
        return None
    matched, right, gain = (
        np.bincount(slots.label, weights=values, minlength=len(CLASSES))
        for values in (slots.matched, slots.right, slots.gain)
    )
    mean = gain.sum() / right.sum()
    d = (gain + _PRIOR * mean) / (right + _PRIOR)
    q = (right + _PRIOR * right.sum() / matched.sum()) / (matched + _PRIOR)
    n = max(1.0, float(slots.others[slots.others >= 0].mean()))
    odds = np.maximum((q * d - (1 - q) * n * mean / (n + 2)) / mean, 1e-6)
    slope, bias = _calibration(slots.p_silence, (~slots.matched).astype(np.float64))
    logit = (np.log(odds) - bias) / slope
    thresholds: Array = np.clip(1 / (1 + np.exp(-logit)), _EDGE, 1 - _EDGE)
    return thresholds


def _calibration(p: Array, silent: Array) -> tuple[float, float]:
    """Slope and bias of P(silent) = σ(slope · logit p + bias); by Newton's method, held near (1, 0) by a weak prior."""
    x = np.clip(p, 1e-6, 1 - 1e-6)
    design = np.stack([np.log(x / (1 - x)), np.ones_like(x)], axis=1)
    prior = np.array([1.0, 0.0])
    weights = prior.copy()
    for _ in range(20):
        predicted = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (predicted - silent) + (weights - prior)
        curvature = (design * (predicted * (1 - predicted))[:, None]).T @ design + np.eye(2)
        weights -= np.linalg.solve(curvature, gradient)
    return max(float(weights[0]), 0.05), float(weights[1])
