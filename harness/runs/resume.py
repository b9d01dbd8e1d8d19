"""Goes on with a run: what stands is verified and kept, what is not whole is run again."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.harness.process import resume_command
from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.inspection import Damage, inspect_run
from s5eval.harness.record.lines import adopted
from s5eval.harness.record.logs import logging_to
from s5eval.harness.record.reading import read_run_record, unfinished_rescoring
from s5eval.harness.record.run_folder import RunFolder
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.runs.derived import finished_summary
from s5eval.harness.runs.plan import plan_run
from s5eval.harness.runs.run import MixtureProgress, RunResult, carry_out, start_run
from s5eval.harness.runs.unchanged import refuse_changed, refuse_other_metrics
from s5eval.systems.hooks import Hooks
from s5eval.systems.interface import Json
from s5eval.systems.registry import CODE, code_named, is_installed

log = logging.getLogger("s5eval.run")


def resume(
    out: Path,
    *,
    given: Mapping[str, Any],
    fresh: RunConfig | None,
    retry: bool = False,
    progress: MixtureProgress | None = None,
    making: CountProgress | None = None,
    hooks: Hooks | None = None,
) -> RunResult:
    """Continue a run that was interrupted; failed mixtures are tried again. A finished run stays as it is.

    Whoever gives the whole configuration asks for the numbers of that system, not for those in the folder: a finished
    run is then held against it like any other.

    Args:
        out: the run folder.
        given: options (fields of `RunConfig`) that were given again; what they change must not matter.
        fresh: the whole configuration, if enough options were given: for a folder whose run had not begun, and to
            ask whether a finished one is what they would make now.
        retry: try mixtures again that were given up because the process ended during them (see `Guard`).
        progress: see `start_run`.
        making: see `plan_run`.
        hooks: see `start_run`.

    Raises:
        UsageError: an option contradicts the recorded one, or system or decision are not those that began.
        DataError: the data have changed since.
    """
    if not out.exists() and fresh is not None:
        return start_run(fresh, out, progress=progress, making=making, hooks=hooks)
    shown, out = out, out.absolute()
    with RunFolder.open_existing(out) as folder, logging_to(folder.log):
        if not folder.has_begun():
            if fresh is None:
                raise UsageError(
                    f"{out} was killed before it began; repeat the options of the first call to start over"
                )
            plan = plan_run(fresh, making=making)
            return RunResult(shown, carry_out(plan, folder, {}, progress, hooks=hooks))
        record = read_run_record(out)
        recorded = record.config.absolute()
        # Who gives no name asks for none.
        changed = {key: value for key, value in given.items() if (key, value) != ("name", None)}
        config = replace(recorded, **changed).absolute()
        wanted = replace(recorded, save_audio=True) if config.save_audio else recorded  # what is missing is made
        if differences := wanted.differences(config):
            raise UsageError(f"{out}: the options differ from the first call's: {'; '.join(differences)}")
        found = inspect_run(out, record)
        if record.rescored_from is not None:
            _refuse_rescored(out, record, found.damage)
        for damage in found.damage:
            log.warning("%s; its mixture is run again", damage)
        done = {
            id_: line
            for id_, line in found.whole.items()
            if line.score.status != "failed" and (line.score.as_written is not None or not config.save_audio)
        }
        # Whether other data, or another part of them, will do is looked at below.
        moved = (config.data, config.shard) != (recorded.data, recorded.shard)
        finished = record.status == "complete" and not found.damage and len(done) == len(found.whole) and not moved
        if finished and (differences := wanted.differences(config, finished=True)):
            raise UsageError(f"{out} is finished and stays as it is: {'; '.join(differences)}")
        if finished and fresh is None:
            return RunResult(shown, finished_summary(folder, record, done))
        if done:
            refuse_other_metrics(out, record)
        if "system" not in given and not is_installed(config.system):
            raise UsageError(
                f"{shown} was made with the system {config.system!r}, which is code that would be looked for and run "
                f"here. If you trust it, name it again: {resume_command(shown, config.system, config.settings)}"
            )
        _refuse_unnamed_code(shown, config, [given.get("settings", {}), {} if fresh is None else fresh.settings])
        plan = plan_run(config, making=making)
        refuse_changed(out, record, plan, done.keys())
        if finished:
            return RunResult(shown, finished_summary(folder, record, done))
        if not found.nothing_else or len(done) < len(found.whole):
            folder.rewrite(adopted(out, line) for line in done.values())
        else:
            folder.keep()
        return RunResult(shown, carry_out(plan, folder, done, progress, record, hooks, retry=retry))


def _refuse_unnamed_code(out: Path, config: RunConfig, typed: Sequence[Mapping[str, Mapping[str, Json]]]) -> None:
    """A setting that names code counts where it was given with this call, and not where a record has it."""
    named = {code for settings in typed for code in code_named(settings.get("system"))}
    for code in code_named(config.settings.get("system")):
        if code not in named:
            raise UsageError(
                f"{out} was made with {CODE} {code!r}, which is code that would be looked for and run here. If you "
                f"trust it, name it again: {resume_command(out, config.system, config.settings)}"
            )


def _refuse_rescored(out: Path, record: RunRecord, damage: Sequence[Damage]) -> None:
    """A rescored run has no system to go on with: what is not whole comes from the run it was made from."""
    source = record.rescored_from
    again = f"s5eval rescore {source} --out ANOTHER_FOLDER, with the same --decision"
    if unfinished := unfinished_rescoring(out, record):
        raise UsageError(unfinished)
    if damage:
        raise DataError(f"{out} was rescored from {source} and is damaged ({damage[0]}); make it again: {again}")
    if record.status != "complete":
        raise UsageError(f"{out} was rescored from {source}; resume that run, then rescore it again: {again}")
