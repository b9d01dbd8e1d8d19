"""What `tune --unlabelled` prints: the priors before and after."""

from s5eval.data_manifests.common.words import counted
from s5eval.harness.report.terminal_layout import aligned
from s5eval.harness.tuning.decision_file import inherited_lines
from s5eval.harness.tuning.priors import OUTCOMES, PriorResult


def priors_table(result: PriorResult) -> str:
    """The result of an adaptation as text."""
    provenance = result.decision.provenance or {}
    factors = result.decision.prior_factors or {}
    origin = provenance["source"] or "the official recipe, all classes alike"
    rows: list[tuple[str, ...]] = [("candidates, %", "before", "after", "factor")]
    rows += [
        (name, f"{100 * result.before[name]:.1f}", f"{100 * result.after[name]:.1f}", f"{factors[name]:.2f}")
        for name in OUTCOMES
    ]
    lines = [
        f"{counted(result.n_mixtures, 'mixture')}, {counted(result.n_candidates, 'candidate')}, "
        f"{counted(result.iterations, 'iteration')}; "
        f"before: {origin}",
        "",
        *aligned(rows),
        "",
        f"other labels in {result.changed} of {result.n_mixtures} mixtures; whether that is better, only references "
        "can tell: rescore with the file, and compare",
    ]
    if not result.settled:
        lines += ["", "the priors still moved when the iterations ended: more strength of the old ones settles them"]
    lines += inherited_lines(provenance, "adapted to")
    lines += inherited_lines(provenance.get("source_marks", {}), f"source {provenance['source']}: frequencies of")
    return "\n".join(lines)
