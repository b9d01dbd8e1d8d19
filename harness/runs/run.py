"""Runs a system over a manifest into a run folder: the one function behind `s5eval run` and `s5eval score`."""

import logging
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.records import Scene
from s5eval.harness.errors import EXIT_DONE, EXIT_FAILED_MIXTURES
from s5eval.harness.record.codec import to_json
from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.lines import Line
from s5eval.harness.record.logs import logging_to
from s5eval.harness.record.reading import adopted_count
from s5eval.harness.record.run_folder import RunFolder
from s5eval.harness.record.run_record import RunRecord, Sitting, StageCost
from s5eval.harness.record.run_summary import Summary
from s5eval.harness.report.page import write_page
from s5eval.harness.report.pictures import small_pictures, without_picture
from s5eval.harness.runs.by_workers import results_of_workers
from s5eval.harness.runs.derived import derive_summary, status_of
from s5eval.harness.runs.engine import MixtureResult, failed
from s5eval.harness.runs.guard import Guard
from s5eval.harness.runs.plan import Plan, plan_run, run_record
from s5eval.systems.energy import Energy, Meter, check_available, measured, total_energy
from s5eval.systems.hooks import Hooks
from s5eval.systems.pipeline import StageTally, tally_of

log = logging.getLogger("s5eval.run")

_CHANGED = (
    "its files have changed since the run began, which is recorded to be made on what they were; once nothing writes "
    "to the data, the resumed run does it again"
)

MixtureProgress = Callable[[Iterable[MixtureResult], int, int], Iterable[MixtureResult]]
"""Wraps the outcomes to show progress; gets how many mixtures there are, and how many are done already."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run that came to its end: where it is, its summary, and the exit code it deserves."""

    path: Path
    summary: Summary

    @property
    def exit_code(self) -> int:
        """0, or 4 when a mixture failed."""
        return EXIT_FAILED_MIXTURES if self.summary.n_failed else EXIT_DONE


def start_run(
    config: RunConfig,
    out: Path,
    *,
    progress: MixtureProgress | None = None,
    making: CountProgress | None = None,
    hooks: Hooks | None = None,
) -> RunResult:
    """Evaluate a system into a new run folder.

    Args:
        config: what to run.
        out: the run folder; made before any model loads.
        progress: shows how far it is; None: silent.
        making: see `plan_run`.
        hooks: are told how it goes.

    Raises:
        UsageError, DataError: see `plan_run`; also when `out` is in use, or energy is asked for and cannot be measured.
        RunFolderError: the folder cannot be written.
        KeyboardInterrupt: passed on; what is done stands, and the run can be resumed.
    """
    home = out.absolute()
    with RunFolder.open_new(home) as folder, logging_to(folder.log):
        plan = plan_run(config, making=making)
        return RunResult(out, carry_out(plan, folder, {}, progress, hooks=hooks))


def carry_out(
    plan: Plan,
    folder: RunFolder,
    done: Mapping[str, Line],
    progress: MixtureProgress | None,
    before: RunRecord | None = None,
    hooks: Hooks | None = None,
    *,
    retry: bool = False,
) -> Summary:
    """Evaluate what is not done and derive the rest; `before` is the record of the sittings until now, `retry` as for
    `resume`.
    """
    hooks = hooks or Hooks()
    if plan.config.energy:
        check_available()
    start = time.perf_counter()
    begun = run_record(plan)
    sitting = Sitting(provenance=begun.provenance, trusted_checkpoint=begun.trusted_checkpoint, staff=plan.staff)
    earlier = () if before is None else before.sittings
    record = replace(begun, sittings=(*earlier, sitting), adopted_unverified=adopted_count(before, done.values()))
    folder.write_run(record)
    if hooks:
        hooks.tell("start", "run", folder.path, {**to_json(record), "done": len(done)})
    if plan.config.save_audio:
        folder.make_audio()
    for finding in plan.findings:
        log.warning("%s", finding)
    scores = {id_: line.score for id_, line in done.items()}
    pictures: dict[str, str] = {}
    remaining = [scene for scene in plan.manifest.scenes if scene.mixture.id not in done]
    guard = Guard(folder.path, done, timeout=plan.config.mixture_timeout, retry=retry)
    meter = Meter()
    try:
        with closing(_outcomes(plan, folder, remaining, guard)) as outcomes, measured(plan.config.energy) as meter:
            total = len(done) + len(remaining)
            for found in outcomes if progress is None else progress(outcomes, total, len(done)):
                outcome = _on_begun_files(plan, found)
                folder.append(outcome.score, outcome.table, outcome.audio)
                if outcome.score.status != "failed":
                    guard.survived(outcome.score.mixture_id)
                scores[outcome.score.mixture_id] = outcome.score
                if outcome.picture is not None:
                    pictures[outcome.score.mixture_id] = outcome.picture
                if hooks:
                    hooks.tell("mixture", outcome.score.mixture_id, to_json(outcome.score))
    finally:
        guard.close()
        finished = len(scores) == len(plan.manifest.scenes)
        summary = derive_summary(record, scores)
        folder.sync()
        folder.write_summary(summary)
        status = status_of(summary, finished=finished)
        stages = {name: _cost(tally) for name, tally in tally_of(plan.system).items()}
        sitting = replace(sitting, seconds=round(time.perf_counter() - start, 3), stages=stages, energy=meter.record)
        ended = replace(_with_costs(record, (*earlier, sitting)), status=status, lines=len(scores))
        try:
            if finished:
                write_page(folder.path, record=ended, scores=scores.values(), manifest=plan.manifest, pictures=pictures)
            else:
                small_pictures(record, {}, draw=False, drawn=pictures)  # kept for the sitting that comes
        finally:
            folder.write_run(ended)  # its numbers stand, whatever became of the page that shows them
        if hooks:
            hooks.tell("end", status, to_json(summary))
    return summary


def _with_costs(record: RunRecord, sittings: tuple[Sitting, ...]) -> RunRecord:
    seconds, stages, energy = total_costs(sittings)
    return replace(record, sittings=sittings, seconds=seconds, stages=stages, energy=energy)


def _outcomes(
    plan: Plan, folder: RunFolder, scenes: Sequence[Scene], guard: Guard
) -> Generator[MixtureResult, None, None]:
    tried = []
    for scene in scenes:
        if (reason := guard.given_up(scene.mixture.id)) is not None:
            yield failed(scene, DataError(reason))
        else:
            tried.append(scene)
    if plan.staff is None:
        yield from plan.engine(folder.audio, guard, without_picture(plan.manifest)).evaluate(tried)
    else:
        yield from results_of_workers(plan, plan.staff, tried, folder.audio, guard)


def _on_begun_files(plan: Plan, outcome: MixtureResult) -> MixtureResult:
    """What was found for a mixture; a failure, where its files are not those that the run is recorded to be made on."""
    id_ = outcome.score.mixture_id
    if outcome.score.status == "failed" or not plan.files.changed(id_):
        return outcome
    return failed(plan.files.scenes[id_], DataError(_CHANGED))


def _cost(tally: StageTally) -> StageCost:
    return StageCost(tally.executed, tally.reused, round(tally.seconds, 3))


def total_costs(sittings: Sequence[Sitting]) -> tuple[float, dict[str, StageCost], Energy | None]:
    """Seconds, stage counts, energy over all sittings of a resumed run; one that was killed has not told its costs."""
    stages: dict[str, StageCost] = {}
    for sitting in sittings:
        for name, cost in sitting.stages.items():
            total = stages.get(name, StageCost(0, 0, 0.0))
            stages[name] = StageCost(
                total.executed + cost.executed, total.reused + cost.reused, round(total.seconds + cost.seconds, 3)
            )
    energy = total_energy([sitting.energy for sitting in sittings])
    return round(sum(sitting.seconds or 0.0 for sitting in sittings), 3), stages, energy
