"""Where the decibels of a run went: the decompositions of its mixtures, added up to the corpus value's gap."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from s5eval.harness.record.run_summary import Confusion, RunDecomposition, Term
from s5eval.harness.record.tables import MixtureScore
from s5eval.metrics.decompose import Decomposition, LossKind, Unanswered
from s5eval.metrics.tolerance import LAST_BITS, settled

TERMS: tuple[Term, ...] = get_args(Term)
"""The terms of the gap between a run and the references themselves; they sum to it."""

OracleName = Literal["oracle_labels", "oracle_count", "oracle_silence"]
ORACLES: tuple[OracleName, ...] = get_args(OracleName)
"""What-if values: one thing put right, all else as the system left it."""

BLAMED_KINDS: tuple[LossKind, ...] = ("miss", "false_alarm", "confusion", "repeated_class")
"""The terms that labels and decisions are to blame for, in their order here."""

Cause = tuple[LossKind, str, str | None]
"""Kind of loss, class, and for a confusion the class it was given."""


def decompose_run(scores: Sequence[MixtureScore]) -> RunDecomposition | None:
    """The section `decomposition` of `summary.json`; None when no mixture has a target.

    A corpus value is a mean over *defined* mixtures: an estimate in a scene without a target makes that scene
    defined, at 0 dB, and so thins the mean of the others. That loss is booked on these false alarms.
    """
    parts = [(score, score.decomposition) for score in scores if score.decomposition is not None]
    targets = [(score, part) for score, part in parts if score.reference_labels]
    if not targets:
        return None
    n = len(targets)
    total = sum(score.capi_sdri or 0.0 for score, _ in targets)
    by_cause, counts = losses_by_cause(scores)
    bound = sum(part.bound or 0.0 for _, part in targets) / n
    ceiling = sum(score.bounds["oracle"] or 0.0 for score, _ in targets) / n
    terms: dict[Term, float] = {"separation": ceiling - bound}
    terms |= {term: sum((v for (kind, _, _), v in by_cause.items() if kind == term), 0.0) for term in BLAMED_KINDS}
    terms = {term: value if abs(value) > LAST_BITS else 0.0 for term, value in terms.items()}
    value = total / (n + len(_alarms(scores)))
    return RunDecomposition(
        value=value,
        bound=bound,
        ceiling=ceiling,
        gap=ceiling - value,
        terms=terms,
        **{name: _what_if(parts, name) for name in ORACLES},
        classes=_by_class(by_cause),
        confusions=tuple(
            Confusion(label, other or "", loss, counts["confusion", label, other])
            for (kind, label, other), loss in sorted(by_cause.items(), key=_largest_first)
            if kind == "confusion"
        ),
        unanswered=_unanswered([part for _, part in targets]),
    )


def losses_by_cause(scores: Sequence[MixtureScore]) -> tuple[dict[Cause, float], Counter[Cause]]:
    """What each cause cost the corpus value, dB, and in how many mixtures; that of thinning is the false alarms'."""
    by_cause: defaultdict[Cause, float] = defaultdict(float)
    counts: Counter[Cause] = Counter()
    targets = [score for score in scores if score.decomposition is not None and score.reference_labels]
    for score in targets:
        losses = () if score.decomposition is None else score.decomposition.losses
        for loss in losses:
            by_cause[loss.kind, loss.label, loss.other] += loss.value / len(targets)
        counts.update({(loss.kind, loss.label, loss.other) for loss in losses})
    alarms = _alarms(scores)
    total = sum(score.capi_sdri or 0.0 for score in targets)
    thinning = total / len(targets) - total / (len(targets) + len(alarms)) if targets else 0.0
    for score in alarms:
        for estimate in score.estimates:
            by_cause["false_alarm", estimate.label, None] += thinning / (len(alarms) * len(score.estimates))
        counts.update({("false_alarm", estimate.label, None) for estimate in score.estimates})
    return dict(by_cause), counts


def _unanswered(targets: Sequence[Decomposition]) -> Unanswered | None:
    known = [part.unanswered for part in targets if part.unanswered is not None]
    if len(known) < len(targets):
        return None  # some lines are of before this was recorded
    return Unanswered(sum(part.references for part in known), sum(part.value for part in known) / len(targets))


def _alarms(scores: Sequence[MixtureScore]) -> list[MixtureScore]:
    """Scenes without a target that were not answered with silence."""
    return [s for s in scores if s.decomposition is not None and not s.reference_labels and s.estimates]


def _largest_first(item: tuple[Cause, float]) -> tuple[float, str, str]:
    (_, label, other), loss = item
    return -settled(loss), label, other or ""


def _by_class(by_cause: Mapping[Cause, float]) -> dict[str, dict[LossKind, float]]:
    classes: dict[str, dict[LossKind, float]] = {}
    for (kind, label, _), loss in by_cause.items():
        row = classes.setdefault(label, dict.fromkeys(BLAMED_KINDS, 0.0))
        row[kind] += loss
    return dict(sorted(classes.items()))


def _what_if(parts: Sequence[tuple[MixtureScore, Decomposition]], name: OracleName) -> float | None:
    """The mean over the mixtures that define it; where silence was not decided in any of them there is none.

    A mixture with targets that leaves it open, one without candidates say, stays as it was scored.
    """
    if all(getattr(part, name) is None for score, part in parts if score.reference_labels):
        return None
    stays = [score.capi_sdri if score.reference_labels else None for score, _ in parts]
    found = [getattr(part, name) for _, part in parts]
    values = [stay if value is None else value for value, stay in zip(found, stays, strict=True)]
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined)
