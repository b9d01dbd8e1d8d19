"""Fits the two numbers of an expected score to stored tables; nothing is searched for, so there is little to overfit.

The temperature is that of maximum likelihood: of candidates that hold a source, by their waveforms, the class is right
or is not, and the tempered share of that class should say how often (Guo et al. 2017). The usual share is what mixtures
earn by the decision that it is a part of, found by repetition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.labels import CLASS_INDEX
from s5eval.harness.record.tables import PairTable
from s5eval.harness.scoring.mixture import adapted, select
from s5eval.harness.scoring.probabilities import no_probabilities
from s5eval.harness.tuning.folds import FOLDS, Recordings, folds_of, told_of_folds
from s5eval.harness.tuning.threshold_table import Objective
from s5eval.harness.tuning.tune_result import TuneResult, tuning_result
from s5eval.metrics.arrays import Array, Indices
from s5eval.metrics.capi import capi_sdri
from s5eval.metrics.decompose import match_waveforms, subset
from s5eval.systems.decision import EXPECTED_SCORE, NO_THRESHOLDS, Decision, candidate_labels
from s5eval.systems.expected_score import RANGES, ExpectedScore, tempered
from s5eval.systems.provenance import of_priors, on_top_of

_REPEATED = 4  # the usual share settles to three decimals in two or three
_PLACES = 4  # of the fitted numbers: no decision hangs on the last bits of a fit


def tune_expected_score(
    tables: Sequence[PairTable],
    *,
    base: Decision,
    folds: int = FOLDS,
    seed: int = 0,
    recordings: Recordings | None = None,
    context: Mapping[str, Any] | None = None,
    n_left_out: int = 0,
) -> TuneResult:
    """The decision by expected score, and what it earns in place of the thresholds of `base`.

    Args:
        tables: pair tables with references.
        base: the decision to improve on; its maximum count, duplicate rule and prior factors stay, its thresholds
            and any expected score do not.
        folds: how many parts the cross-validated gain is computed with.
        seed: of the folds.
        recordings: what sounds in the mixtures, which the folds keep apart; None: not told.
        context: facts that join the provenance.
        n_left_out: mixtures that could not be used.

    Raises:
        UsageError: there are fewer mixtures than folds, no candidate holds a source, or class scores are no
            probabilities.
    """
    factors, base, tables = base.prior_factors, replace(base, prior_factors=None), [adapted(t, base) for t in tables]
    for table in tables:
        if (problem := no_probabilities(table)) is not None:
            raise UsageError(
                "an expected score can be fitted only where the class scores of every candidate are probabilities that "
                f"add up to 1, and {problem}. Thresholds need none"
            )
    shares, right = _observed(tables)
    holding, named = sum(map(len, right)), int(sum(map(np.sum, right)))
    if not holding:
        raise UsageError(
            f"no candidate of {counted(len(tables), 'mixture')} holds a source, by its waveform: an expected "
            "score cannot be fitted to them; take a run on mixtures that have targets"
        )
    everything = np.arange(len(tables))
    before = _rows(tables, base)
    decision = _fitted(tables, shares, right, base, everything)
    held_out = np.empty_like(before)
    parts = folds_of(len(tables), folds, seed, recordings)
    for fold in parts:
        of_others = _fitted(tables, shares, right, base, fold.fit)
        held_out[fold.out] = _rows([tables[i] for i in fold.out], of_others)
    provenance = {
        **(context or {}),
        **on_top_of(of_priors(base.provenance)),
        "objective": EXPECTED_SCORE,
        "mixtures": len(tables),
        "candidates_with_a_source": holding,
        "of_these_named_right": named,
        **told_of_folds(parts, recordings),
        "seed": seed,
    }
    return tuning_result(
        replace(decision, provenance=provenance),
        base=base,
        prior_factors=factors,
        tables=tables,
        untuned=before,
        fitted=_rows(tables, decision),
        cross_validated=held_out,
        objective=Objective(),
        recordings=recordings,
        n_left_out=n_left_out,
    )


def _observed(tables: Sequence[PairTable]) -> tuple[list[Array], list[Array]]:
    """Of every mixture's candidates that hold a source: their scores, own class first; whether that class is right."""
    scores, right = [], []
    for table in tables:
        references = table.reference_labels or ()
        owner = match_waveforms(table.pair_scores, range(len(table.p_silence)))
        names = candidate_labels(table.class_scores, table.labels)
        order = [(k, CLASS_INDEX[names[k]]) for k in sorted(owner)]
        rows = [np.roll(table.class_scores[k], -own) for k, own in order]
        scores.append(np.array(rows, np.float64).reshape(-1, table.class_scores.shape[1]))
        right.append(np.array([names[k] == references[owner[k]] for k, _ in order], np.float64))
    return scores, right


def _fitted(
    tables: Sequence[PairTable], scores: Sequence[Array], right: Sequence[Array], base: Decision, kept: Indices
) -> Decision:
    """The decision that some of the mixtures suggest."""
    heat = temperature(np.concatenate([scores[i] for i in kept]), np.concatenate([right[i] for i in kept]))
    expected = ExpectedScore(heat)
    for _ in range(_REPEATED):
        decision = replace(base, silence_thresholds=NO_THRESHOLDS, expected_score=expected, provenance=None)
        rows = _rows([tables[i] for i in kept], decision)
        found, entries = rows[:, 4], rows[:, 5]
        some = entries > 0
        usual = float(np.mean(found[some] / entries[some])) if some.any() else expected.usual_share
        settled = replace(expected, usual_share=round(usual, _PLACES))
        if settled == expected:
            break
        expected = settled
    return replace(decision, expected_score=expected)


def temperature(scores: Array, right: Array) -> float:
    """The temperature at which shares say how often a class is right, by maximum likelihood; 1 where nothing tells.

    Args:
        scores: (N, 18), the score of the candidate's own class first.
        right: (N,), 1 where that class is right.
    """
    from scipy.optimize import minimize_scalar

    if not 0 < right.sum() < len(right):
        return 1.0

    def loss(logarithm: float) -> float:
        share = np.clip(tempered(scores, float(np.exp(logarithm)))[:, 0], 1e-9, 1 - 1e-9)
        return -float(np.mean(np.where(right > 0, np.log(share), np.log1p(-share))))

    low, high = np.log(RANGES["temperature"])
    found = minimize_scalar(loss, bounds=(float(low), float(high)), method="bounded", options={"xatol": 1e-8})
    return round(float(np.exp(found.x)), _PLACES)


def _rows(tables: Sequence[PairTable], decision: Decision) -> Array:
    """What every mixture adds to the metrics under a decision, (N, 6); columns as `SweepTable.values`."""
    rows = []
    for table in tables:
        selections = select(table, decision)
        scored = capi_sdri(
            subset(table.pair_scores, [selection.index for selection in selections]),
            estimate_labels=[selection.label for selection in selections],
            reference_labels=table.reference_labels or (),
        )
        pairs, entries = len(scored.pairs), scored.n_entries
        defined = (0.0, 0.0) if scored.value is None else (scored.value, 1.0)
        rows.append((*defined, float(pairs == entries), 1.0, float(pairs), float(entries)))
    return np.array(rows, np.float64).reshape(-1, 6)
