"""From the pair table of one mixture and a decision to its score: arithmetic only, no audio."""

from dataclasses import replace
from typing import get_args

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.errors import DataError
from s5eval.harness.record.tables import BoundName, Flag, MixtureScore, Outcome, PairTable
from s5eval.harness.scoring.probabilities import no_probabilities
from s5eval.metrics.capi import CapiScore, capi_sdri
from s5eval.metrics.decompose import decompose, subset
from s5eval.metrics.label_counts import count_labels
from s5eval.metrics.sdr import EPSILON, PairScores
from s5eval.metrics.tolerance import LAST_BITS
from s5eval.systems.decision import Decision, Selection, adapt_scores, candidate_labels, decide

BOUNDS: tuple[BoundName, ...] = get_args(BoundName)
"""Bounds that know the labels, from low to high; `silence`, which answers nothing, is 0 dB wherever it is defined."""

_LIMITED_BY_EPSILON = 10 * np.log10(2.0)  # dB below the perfect value: the error is no more than ε

_OVER_SCALE = 1e6
"""Energy of an estimate over that of the loudest reference, 60 dB: integers written as float are 90 dB too loud."""


def adapted(table: PairTable, decision: Decision) -> PairTable:
    """The table with scores under the decision's priors; candidates with fixed classes change their silence alone."""
    if decision.prior_factors is None:
        return table
    scores, silence = adapt_scores(table.class_scores, table.p_silence, decision.prior_factors)
    return replace(table, class_scores=scores, p_silence=silence)


def select(table: PairTable, decision: Decision) -> tuple[Selection, ...]:
    """The candidates of a mixture that a decision keeps."""
    return _decided(adapted(table, decision), decision)


def _decided(table: PairTable, decision: Decision) -> tuple[Selection, ...]:
    return decide(
        class_scores=table.class_scores,
        p_silence=table.p_silence,
        correlation=table.pair_scores.correlation,
        labels=table.labels,
        decision=decision,
    )


def kept(mixture_id: str, table: PairTable, decision: Decision) -> tuple[PairTable, tuple[Selection, ...]]:
    """The table under the decision's priors, and the candidates that the decision keeps of it.

    Raises:
        DataError: the decision takes class scores for probabilities, and they are none; or those of a candidate that it
            keeps are all the same: the first class would be its name.
    """
    if decision.needs_probabilities and (problem := no_probabilities(table)) is not None:
        raise DataError(
            f"{mixture_id}: an expected score and prior factors take class scores for probabilities that add up to 1, "
            f"and {problem}; decide by thresholds"
        )
    table = adapted(table, decision)
    selections = _decided(table, decision)
    for selection in selections if table.labels is None else ():
        row = table.class_scores[selection.index]
        if (row == row[0]).all():
            raise DataError(
                f"{mixture_id}: the class scores of candidate {selection.index} are {row[0]:g} throughout, so that no "
                "class is likelier than another; give scores that tell them apart, or `labels`"
            )
    return table, selections


def score_candidates(mixture_id: str, table: PairTable, decision: Decision, *, seconds: float = 0.0) -> MixtureScore:
    """Score the candidates of one mixture that a decision keeps.

    Args:
        mixture_id: id of the mixture.
        table: its pair table, all candidates.
        decision: what makes them a prediction.
        seconds: time the system took, passed on to the record.

    Raises:
        DataError: as `kept`.
    """
    table, selections = kept(mixture_id, table, decision)
    estimates = tuple(replace(s, confidence=round(s.confidence, 6)) for s in selections)
    if table.reference_labels is None:
        return MixtureScore(mixture_id, Outcome("predicted", seconds=seconds), estimates=estimates)
    reference_labels, found = table.reference_labels, candidate_labels(table.class_scores, table.labels)
    chosen, labels = [s.index for s in selections], [s.label for s in selections]
    capi = capi_sdri(subset(table.pair_scores, chosen), estimate_labels=labels, reference_labels=reference_labels)
    counts = count_labels(estimate=labels, reference=reference_labels)
    losses = decompose(
        table.pair_scores,
        candidate_labels=found,
        p_silence=table.p_silence,
        selected=chosen,
        reference_labels=reference_labels,
        scored=capi,
    )
    return MixtureScore(
        mixture_id,
        Outcome("scored", seconds=seconds),
        reference_labels=reference_labels,
        estimates=estimates,
        capi=_of_candidates(capi, selections),
        labels=counts,
        bounds=_bounds(table.pair_scores),
        decomposition=losses,
        flags=_flags(table, selections, capi),
    )


def _of_candidates(capi: CapiScore, selections: tuple[Selection, ...]) -> CapiScore:
    """The score as it is recorded: pairs name candidates, and the optimal pairing stands only where it differs."""
    differs = capi.value is not None and capi.optimal is not None and capi.optimal - capi.value > LAST_BITS
    pairs = tuple(replace(pair, estimate=selections[pair.estimate].index) for pair in capi.pairs)
    return replace(capi, optimal=capi.optimal if differs else None, pairs=pairs)


def _bounds(scores: PairScores) -> dict[BoundName, float | None]:
    """CAPI-SDRi of the bounds, from the tables alone.

    Each bound's estimate for a reference is the best of its kind for that reference, so with repeated classes
    too every reference is paired with its own estimate, and the value is a mean over references.
    """
    if len(scores.sdr_mixture) == 0:
        return dict.fromkeys(BOUNDS)
    levels: dict[BoundName, npt.NDArray[np.float64]] = {
        "oracle-mixture": scores.sdr_mixture,
        "oracle-zeros": np.zeros_like(scores.sdr_mixture),
        "oracle-gain": scores.sdr_gain,
        "oracle": scores.sdr_perfect,
    }
    return {name: float(np.mean(levels[name] - scores.sdr_mixture)) for name in BOUNDS}


def _flags(table: PairTable, selections: tuple[Selection, ...], capi: CapiScore) -> tuple[Flag, ...]:
    scores = table.pair_scores
    flags = [Flag("silent-reference", int(r)) for r in np.flatnonzero(scores.reference_energy <= EPSILON)]
    flags += [Flag("silent-estimate", s.index) for s in selections if scores.energy[s.index] == 0.0]
    loudest = scores.reference_energy.max(initial=0.0)
    flags += [Flag("over-scale", s.index) for s in selections if 0.0 < loudest * _OVER_SCALE < scores.energy[s.index]]
    for pair in capi.pairs:
        if pair.sdr >= scores.sdr_perfect[pair.reference] - _LIMITED_BY_EPSILON:
            flags.append(Flag("perfect-estimate", selections[pair.estimate].index))
    return tuple(flags)
