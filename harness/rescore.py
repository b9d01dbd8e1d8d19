"""Scores a finished run again from its stored tables: no audio, no network, no torch."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from s5eval.data_manifests.errors import DataError
from s5eval.harness.decisions import decision_marks
from s5eval.harness.journal import RunFolder, pairs_path, read_run, read_scores
from s5eval.harness.provenance import METRIC_VERSION
from s5eval.harness.records import MixtureScore, PairTable
from s5eval.harness.report.page import write_page
from s5eval.harness.run import RunResult
from s5eval.harness.score import score_mixture, select
from s5eval.harness.secondary import casa_values, without_bss
from s5eval.harness.summary import summarize
from s5eval.systems.decision import Decision, load_decision, parse_decision


def rescore(run: Path, *, decision_file: Path | None = None, out: Path | None = None) -> RunResult:
    """Rebuild the scores and the summary of a run from its pair tables.

    Args:
        run: the run folder.
        decision_file: another decision than the run's own; needs `out`.
        out: a new run folder for the result, with tables of its own; None: in place.

    Raises:
        UsageError: `run` is no run folder, `out` is in use, or the decision file is wrong.
        DataError: a table is missing or damaged.
    """
    record = read_run(run)
    decision = (
        parse_decision(record["decision"], where=str(run / "run.json"))
        if decision_file is None
        else load_decision(decision_file)
    )
    folder = RunFolder.open_existing(run) if out is None else RunFolder.open_new(out)
    about = {**record["about"], **decision_marks(decision)}
    if decision_file is not None:
        about.pop("thresholds", None)  # it answered a question about the decision that is replaced
    with folder:
        recorded = read_scores(run)
        known = {id_: recorded[id_] for id_ in record["mixtures"] if id_ in recorded}
        scores = {id_: _rescored(run, score, decision) for id_, score in known.items()}
        if any(score.estimates != known[id_].estimates for id_, score in scores.items()):
            # What needs audio is known for unchanged estimates only, and a mean over those would mislead.
            scores = {id_: without_bss(score) for id_, score in scores.items()}
        summary = summarize(
            list(scores.values()),
            n_expected=record["n_expected"],
            finished=len(scores) == record["n_expected"],
            about=about,
        )
        if out is not None:
            for id_ in scores:
                if pairs_path(run, id_).is_file():
                    pairs_path(folder.path, id_).write_bytes(pairs_path(run, id_).read_bytes())
        changed = _record({**record, "about": about}, decision, summary["status"])
        folder.write_run(changed if out is None else {**changed, "rescored_from": str(run)})
        folder.rewrite(scores.values())
        folder.write_summary(summary)
    write_page(folder.path)
    return RunResult(folder.path, summary)


def _rescored(run: Path, score: MixtureScore, decision: Decision) -> MixtureScore:
    if score.status == "failed":
        return score
    table = PairTable.load(pairs_path(run, score.mixture_id))
    if table.reference_labels is None and score.status == "scored":
        raise DataError(f"{pairs_path(run, score.mixture_id)}: has no references, but the mixture was scored")
    selections = select(table, decision)
    fresh = score_mixture(score.mixture_id, table, selections, decision=decision, seconds=score.seconds)
    if score.secondary is not None:
        fresh = replace(fresh, secondary={**dict.fromkeys(score.secondary), **casa_values(table, selections)})
    # The wavs on disk hold the old estimates: what was scored of them stands only while they are the same.
    if fresh.estimates == score.estimates:
        clipped = tuple(flag for flag in score.flags if flag.startswith("clipped-samples"))
        return replace(fresh, as_written=score.as_written, secondary=score.secondary, flags=(*fresh.flags, *clipped))
    return fresh


def _record(record: Mapping[str, Any], decision: Decision, status: str) -> dict[str, Any]:
    return {**record, "status": status, "metric_version": METRIC_VERSION, "decision": decision.as_dict()}
