"""The candidates of a mixture as the decision judged them: which became estimates, and why the others did not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.tables import MixtureScore, PairTable
from s5eval.harness.report.charted import pairs_of
from s5eval.harness.report.text import number
from s5eval.harness.scoring.mixture import adapted
from s5eval.systems.decision import Decision, Verdict, candidate_labels, judge, right_probabilities

_LIKELIEST = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate, as it was judged.

    Attributes:
        index: its number.
        label: its class.
        likeliest: its likeliest classes with their scores.
        p_silence: probability of silence, after any priors of the decision.
        threshold: that of its class; None: not known, or nothing that the decision goes by.
        right: how likely it is to be right, where an expected score decides; None: none does.
        why: why it was dropped, in words; empty: it became an estimate.
        reference: the reference it was assigned to.
        sdri: against every reference, dB.
    """

    index: int
    label: str
    likeliest: Sequence[tuple[str, float]]
    p_silence: float
    threshold: float | None
    right: float | None
    why: str
    reference: int | None
    sdri: Sequence[float]

    @property
    def kept(self) -> bool:
        """It became an estimate."""
        return not self.why


def judged_candidates(table: PairTable, decision: Decision | None, score: MixtureScore) -> list[Candidate]:
    """All candidates of a mixture; without a decision, the estimates of its score say which were kept."""
    kept = {estimate.index for estimate in score.estimates}
    assigned = {pair.estimate: pair.reference for pair in pairs_of(score)}
    if decision is not None:
        table = adapted(table, decision)
        verdicts: Sequence[Verdict] = judge(
            class_scores=table.class_scores,
            p_silence=table.p_silence,
            correlation=table.pair_scores.correlation,
            labels=table.labels,
            decision=decision,
        )
    else:
        names = candidate_labels(table.class_scores, table.labels)
        verdicts = [Verdict(name, None if k in kept else "threshold") for k, name in enumerate(names)]
    right: Sequence[float | None] = [None] * len(verdicts)
    if decision is not None and decision.expected_score is not None:
        classes = [verdict.label for verdict in verdicts]
        right = right_probabilities(classes, table.class_scores, table.p_silence, decision.expected_score).tolist()
    improvements = table.pair_scores.sdr - table.pair_scores.sdr_mixture
    return [
        Candidate(
            k,
            verdict.label,
            likeliest(table.class_scores[k]) if table.labels is None else [(verdict.label, 1.0)],
            float(table.p_silence[k]),
            decision.threshold(verdict.label) if decision is not None and decision.by_thresholds else None,
            right[k],
            why_dropped(verdict, float(table.p_silence[k]), _correlation(table, k), decision, right[k]),
            assigned.get(k),
            [float(value) for value in improvements[k]],
        )
        for k, verdict in enumerate(verdicts)
    ]


def _correlation(table: PairTable, k: int) -> Sequence[float]:
    """How candidate `k` correlates with all others."""
    return [float(value) for value in table.pair_scores.correlation[k]]


def why_dropped(
    verdict: Verdict,
    p_silence: float,
    correlation: Sequence[float],
    decision: Decision | None,
    right: float | None = None,
) -> str:
    """Why a candidate is no estimate, in words; empty: it is one. `right`: see `Candidate`."""
    if verdict.rule is None:
        return ""
    if decision is None:
        return "dropped; by which rule is not known without run.json"
    if verdict.rule == "threshold":
        return (
            f"silent: {p_silence:.3f} is above the threshold {decision.threshold(verdict.label):.3f} of {verdict.label}"
        )
    if verdict.rule == "duplicate":
        alike = correlation[verdict.other or 0]
        return f"duplicate of {verdict.other}: correlation {alike:.3f}, above {decision.duplicate_correlation}"
    if verdict.rule == "unlikely":
        odds = f"right with a probability of {number(right, 3)}"
        return f"not worth it: {odds}, and expected to earn no more than its absence"
    likeliest = "least silent" if decision.expected_score is None else "likeliest to be right"
    return f"beyond the {decision.max_sources} {likeliest}"


def likeliest(scores: npt.NDArray[np.float64]) -> list[tuple[str, float]]:
    """The likeliest classes with their scores."""
    order = np.argsort(-scores, kind="stable")[:_LIKELIEST]
    return [(CLASSES[k], float(scores[k])) for k in order]
