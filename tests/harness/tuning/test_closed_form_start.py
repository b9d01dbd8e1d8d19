"""The closed-form start, number by number against its formula, with a fitted curve from another minimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.tables import PairTable
from s5eval.harness.tuning.closed_form_start import ObservedCandidates, analytic_thresholds, observe_slots
from s5eval.metrics.arrays import Array
from s5eval.metrics.sdr import PairScores


def observed(seed: int, *, targets: int) -> ObservedCandidates:
    """Candidates whose probabilities of silence are too mild, and too low on the whole; some scenes have no target."""
    rng = np.random.default_rng(seed)
    mixtures, count = 60, 400
    others = rng.integers(-1, targets, mixtures)
    label = rng.integers(0, 6, count)  # most classes are not there at all
    true = rng.uniform(0.02, 0.98, count)
    matched = rng.random(count) > true
    right = matched & (rng.random(count) < 0.5 + 0.08 * label)
    gain = np.where(right, rng.normal(4.0 + 2 * label, 3.0), 0.0)
    p_silence = expit(0.5 * logit(true) - 0.8)
    return ObservedCandidates(others, rng.integers(0, mixtures, count), label, p_silence, matched, right, gain)


def twin(slots: ObservedCandidates) -> Array:
    """As the formula reads, class by class."""

    def loss(weights: Array) -> float:
        share = expit(weights[0] * logit(slots.p_silence) + weights[1])
        told = np.where(slots.matched, np.log1p(-share), np.log(share))
        return float(-told.sum() + ((weights - [1.0, 0.0]) ** 2).sum() / 2)

    slope, bias = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-10}).x
    average = slots.gain[slots.right].mean()
    n = max(1.0, float(np.mean([count for count in slots.others if count >= 0])))
    found = []
    for k in range(len(CLASSES)):
        own = slots.label == k
        hits, named = (slots.matched & own).sum(), (slots.right & own).sum()
        d = (slots.gain[own].sum() + 5 * average) / (named + 5)
        q = (named + 5 * slots.right.sum() / slots.matched.sum()) / (hits + 5)
        odds = (q * d - (1 - q) * n * average / (n + 2)) / average
        found.append(expit((np.log(odds) - bias) / slope))
    return np.clip(found, 0.01, 0.99)


@pytest.mark.parametrize("targets", [1, 3], ids=["one target at most", "several"])
@pytest.mark.parametrize("seed", range(3))
def test_thresholds_are_those_of_the_formula(seed: int, targets: int) -> None:
    slots = observed(seed, targets=targets)
    found = analytic_thresholds(slots)
    assert found == pytest.approx(twin(slots), abs=1e-5)
    assert found is not None and np.ptp(found[:6]) > 0.05 and np.ptp(found[6:]) == 0, "others share the mean of all"


def test_a_threshold_is_where_keeping_and_dropping_are_worth_the_same() -> None:
    """By hand: all are right and gain the same, and the probabilities are true: the likelier is the better guess."""
    rng = np.random.default_rng(0)
    p_silence = rng.uniform(0.02, 0.98, 20_000)
    there = rng.random(20_000) > p_silence
    mixture = np.arange(20_000)
    slots = ObservedCandidates(0 * mixture, mixture, mixture % 18, p_silence, there, there, np.where(there, 7.0, 0.0))
    assert analytic_thresholds(slots) == pytest.approx(np.full(18, 0.5), abs=0.02)


def calibrated(label_gain: float, n: int = 400) -> list[PairTable]:
    """One slot a scene; p is the true probability of silence; classes 0 and 1 gain `label_gain` and 6 dB."""
    rng = np.random.default_rng(1)
    tables = []
    for k in range(n):
        label = k % 2
        gain = label_gain if label == 0 else 6.0
        silence = np.array([rng.uniform(0.1, 0.9), 0.02])
        other = 1 - label
        real = rng.random() > silence[0]
        references = [CLASSES[2], *([CLASSES[label]] if real else [])]
        sdr = np.full((2, len(references)), -30.0)
        sdr[1, 0] = 6.0
        if real:
            sdr[0, 1] = gain
        scores = np.zeros((2, 18))
        scores[0, label if rng.random() < 0.95 else other] = 1.0
        scores[1, 2] = 1.0
        zeros = np.zeros(len(references))
        pairs = PairScores(sdr, zeros, zeros, np.eye(2), np.ones(2), np.ones(len(references)))
        tables.append(PairTable(pairs, scores, silence, None, tuple(references)))
    return tables


def test_the_analytic_start_gives_more_room_to_classes_that_gain_more() -> None:
    rich, poor = (analytic_thresholds(observe_slots(calibrated(gain))) for gain in (12.0, 2.0))
    assert rich is not None
    assert poor is not None
    assert rich[0] > rich[1]
    assert poor[0] < poor[1]


def test_the_analytic_start_is_silent_where_nothing_is_gained() -> None:
    assert analytic_thresholds(observe_slots([])) is None
    assert analytic_thresholds(observe_slots(calibrated(-50.0))) is None


def test_slots_of_some_mixtures_are_those_of_their_tables_alone() -> None:
    tables = calibrated(9.0, 60)
    kept = np.arange(10, 50)
    part = analytic_thresholds(observe_slots(tables).restrict(kept))
    assert part == pytest.approx(analytic_thresholds(observe_slots([tables[k] for k in kept])))
