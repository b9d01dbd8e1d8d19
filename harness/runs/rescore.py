"""Scores a finished run again from its stored tables: no audio, no network, no torch."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.files import sync_files, write_atomically
from s5eval.harness.record.fitted_mixtures import fitted_here
from s5eval.harness.record.lines import Line, adopted, load_table, pairs_path
from s5eval.harness.record.reading import SCHEMA_VERSION, adopted_count, read_lines, read_run_record
from s5eval.harness.record.run_folder import RunFolder
from s5eval.harness.record.run_record import TUNED, RunRecord
from s5eval.harness.record.same_system import digest_of
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.record.unpacked import refuse_in_place
from s5eval.harness.report.page import write_page
from s5eval.harness.runs.chosen_decision import describe_decision, is_tuned_on_forbidden
from s5eval.harness.runs.derived import derive_summary, status_of
from s5eval.harness.runs.run import RunResult
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.harness.scoring.secondary_metrics import casa_values, without_bss
from s5eval.metrics.version import METRIC_VERSION
from s5eval.systems.decision import Decision
from s5eval.systems.decision_reading import load_decision


def rescore(run: Path, *, decision_file: Path | None = None, out: Path | None = None) -> RunResult:
    """Rebuild the scores and the summary of a run from its pair tables.

    Args:
        run: the run folder.
        decision_file: another decision than the run's own; needs `out`.
        out: a new run folder for the result, with tables of its own; None: in place.

    Raises:
        UsageError: `run` is no run folder, or a packed run and `out` is None; `out` is in use; or the decision file is
            wrong.
        DataError: a table is missing or damaged.
    """
    if out is None:
        refuse_in_place(run, "name a new run folder with `out`")
    record = read_run_record(run)
    decision = record.decision if decision_file is None else load_decision(decision_file)
    about = replace(
        record.about,
        tuned_on_forbidden=is_tuned_on_forbidden(decision),
        fitted_here=fitted_here(decision.provenance, record),
    )
    if decision_file is not None:
        about = replace(
            about,
            decided_by=describe_decision(decision, decision_file, weights=about.weights, fingerprint=digest_of(record)),
            # What follows answered a question about the decision that is replaced.
            thresholds=None,
            missing_parts=tuple(part for part in about.missing_parts if part != TUNED),
        )
    with _opened(run, out) as folder:
        lines = read_lines(run, record)
        known = {id_: adopted(run, lines[id_]) for id_ in record.mixtures if id_ in lines}
        scores = {id_: _rescored(run, line, decision) for id_, line in known.items()}
        if any(score.estimates != known[id_].score.estimates for id_, score in scores.items()):
            # What needs audio is known for unchanged estimates only, and a mean over those would mislead.
            scores = {id_: _without_audio(score) for id_, score in scores.items()}
        begun = replace(
            record,
            schema_version=SCHEMA_VERSION,
            about=about,
            decision=decision,
            # Whoever looks now, or after a kill, sees that this is not done: scores of two kinds must not pass for one.
            metric_version=None,
            status="running",
            adopted_unverified=adopted_count(record, lines.values()),
            rescored_from=record.rescored_from if out is None else str(run.absolute()),
        )
        folder.write_run(begun)
        if out is not None:
            _copy_tables(run, folder.path, known)
        folder.rewrite(_line(known[id_], score, in_place=out is None) for id_, score in scores.items())
        summary = derive_summary(begun, scores)
        folder.write_summary(summary)
        status = status_of(summary, finished=len(scores) == len(record.mixtures))
        folder.write_run(replace(begun, metric_version=METRIC_VERSION, status=status, lines=len(scores)))
        write_page(folder.path, draw=False)
    return RunResult(folder.path, summary)


def _opened(run: Path, out: Path | None) -> RunFolder:
    """The folder to write; one whose rescoring from this very run was ended before it was done is begun again."""
    if out is None:
        return RunFolder.open_existing(run)
    if (out / "run.json").is_file():
        earlier = read_run_record(out)
        if earlier.status == "running" and _is_of(earlier, run):
            return RunFolder.open_existing(out)
    return RunFolder.open_new(out)


def _is_of(record: RunRecord, run: Path) -> bool:
    return record.rescored_from is not None and Path(record.rescored_from).resolve() == run.resolve()


def _copy_tables(run: Path, out: Path, lines: Mapping[str, Line]) -> None:
    copies = []
    for id_, line in lines.items():
        if line.score.status != "failed":
            copies.append(pairs_path(out, id_))
            write_atomically(copies[-1], pairs_path(run, id_).read_bytes(), sync=False)
    sync_files(copies)


def _line(old: Line, score: MixtureScore, *, in_place: bool) -> Line:
    """The new line: with the digests of its files, of which wavs are not copied."""
    kept = {name: digest for name, digest in old.files.items() if in_place or name.startswith("pairs/")}
    return Line(score, kept)


def _rescored(run: Path, line: Line, decision: Decision) -> MixtureScore:
    score = line.score
    if score.status == "failed":
        return score
    table = load_table(run, line)
    if table.reference_labels is None and score.status == "scored":
        raise DataError(f"{pairs_path(run, score.mixture_id)}: has no references, but the mixture was scored")
    fresh = score_candidates(score.mixture_id, table, decision, seconds=score.outcome.seconds)
    fresh = replace(fresh, conditions=score.conditions)
    if score.secondary is not None:
        fresh = replace(fresh, secondary={**dict.fromkeys(score.secondary), **casa_values(table, fresh.estimates)})
    # The wavs on disk hold the old estimates: what was scored of them stands only while they are the same.
    if fresh.estimates == score.estimates:
        clipped = tuple(flag for flag in score.flags if flag.kind == "clipped-samples")
        return replace(fresh, as_written=score.as_written, secondary=score.secondary, flags=(*fresh.flags, *clipped))
    return fresh


def _without_audio(score: MixtureScore) -> MixtureScore:
    """The score without what only the waveforms or the written files tell."""
    flags = tuple(flag for flag in score.flags if flag.kind != "clipped-samples")
    return replace(without_bss(score), as_written=None, flags=flags)
