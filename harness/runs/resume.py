"""Goes on with a run: what stands is verified and kept, what is not whole is run again."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.manifest import Manifest
from s5eval.harness.process import resume_command
from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.inspection import Damage, inspect_run
from s5eval.harness.record.lines import Line, adopted
from s5eval.harness.record.logs import logging_to
from s5eval.harness.record.reading import read_run_record, unfinished_rescoring
from s5eval.harness.record.run_folder import RunFolder
from s5eval.harness.record.run_record import RunRecord, manifest_facts
from s5eval.harness.record.same_data import same_data
from s5eval.harness.runs.derived import finished_summary
from s5eval.harness.runs.plan import Plan, plan_run
from s5eval.harness.runs.run import MixtureProgress, RunResult, carry_out, start_run
from s5eval.metrics.version import METRIC_VERSION
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

    Args:
        out: the run folder.
        given: options (fields of `RunConfig`) that were given again; what they change must not matter.
        fresh: the whole configuration, if enough options were given, for a folder whose run had not begun.
        retry: try mixtures again that were given up because the process ended during them (see `Guard`).
        progress: see `run`.
        making: see `plan_run`.
        hooks: see `run`.

    Raises:
        UsageError: an option contradicts the recorded one, or the system is not the one that began.
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
        recorded = record.config
        config = replace(recorded, **given)
        wanted = replace(recorded, save_audio=True) if config.save_audio else recorded  # what is missing is made
        if differences := wanted.differences(config):
            raise UsageError(f"--resume {out}: the options differ from the first call's: {'; '.join(differences)}")
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
        if record.status == "complete" and not found.damage and len(done) == len(found.whole) and not moved:
            return RunResult(shown, finished_summary(folder, record, done))
        if record.metric_version != METRIC_VERSION and done:
            raise UsageError(
                f"{out} was scored by metric version {record.metric_version}, this is {METRIC_VERSION}: "
                f"`s5eval rescore {out}` brings it up to date, then resume it"
            )
        if "system" not in given and not is_installed(config.system):
            raise UsageError(
                f"{shown} was made with the system {config.system!r}, which is code that would be looked for and run "
                f"here. If you trust it, name it again: {resume_command(shown, config.system, config.settings)}"
            )
        _refuse_unnamed_code(shown, config, [given.get("settings", {}), {} if fresh is None else fresh.settings])
        plan = plan_run(config, making=making)
        if plan.shard == record.shard:
            _check_data(out, record, plan.manifest, done)
        else:
            _check_shard(out, record, plan, done)
        if plan.fingerprint != record.fingerprint:
            raise UsageError(
                f"system {config.system!r} is not as it was when {out} began "
                f"({_changed(record.fingerprint, plan.fingerprint)}); start a new run"
            )
        if json.loads(json.dumps(plan.decision.as_dict())) != record.decision.as_dict():
            raise UsageError(f"the decision is not as it was when {out} began (was its file edited?); start a new run")
        if not found.nothing_else or len(done) < len(found.whole):
            folder.rewrite(adopted(out, line) for line in done.values())
        else:
            folder.keep()
        return RunResult(shown, carry_out(plan, folder, done, progress, record, hooks, retry=retry))


def _changed(before: object, now: object) -> str:
    """What differs in a system's fingerprint, for errors: three places at most, and how many more there are."""
    places = _differing(before, now)
    more = f", and {len(places) - 3} more" if len(places) > 3 else ""
    return "; ".join(places[:3]) + more


def _differing(before: object, now: object, place: str = "") -> list[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = [*before, *(key for key in now if key not in before)]
        return [
            told
            for key in keys
            for told in _differing(before.get(key), now.get(key), f"{place}.{key}" if place else str(key))
        ]
    if before == now:
        return []
    was, is_ = ("nothing" if value is None else json.dumps(value) for value in (before, now))
    return [f"{place} was {_short(was)} and is {_short(is_)}"]


def _short(text: str, length: int = 40) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _refuse_unnamed_code(out: Path, config: RunConfig, typed: Sequence[Mapping[str, Mapping[str, Json]]]) -> None:
    """A setting that names code counts where it was given with this call, and not where a record has it."""
    named = {code for settings in typed for code in code_named(settings.get("system"))}
    for code in code_named(config.settings.get("system")):
        if code not in named:
            raise UsageError(
                f"{out} was made with {CODE} {code!r}, which is code that would be looked for and run here. If you "
                f"trust it, name it again: {resume_command(out, config.system, config.settings)}"
            )


def _check_shard(out: Path, record: RunRecord, plan: Plan, done: Mapping[str, Line]) -> None:
    """A run may go on as another part of the same data, if that holds all that is done."""
    before = record.shard.manifest_sha256 if record.shard is not None else record.manifest_sha256
    now = plan.shard.manifest_sha256 if plan.shard is not None else plan.manifest.sha256
    if before != now:
        raise DataError(f"{plan.manifest.root} does not hold the data that {out} began with; start a new run")
    left = done.keys() - {scene.mixture.id for scene in plan.manifest.scenes}
    if left:
        raise UsageError(
            f"`shard` {plan.config.shard} does not hold {len(left)} mixtures that are done in {out}, such as "
            f"{min(left)}; `shard` 1/1 holds all"
        )


def _check_data(out: Path, record: RunRecord, manifest: Manifest, done: Mapping[str, Line]) -> None:
    """What is done must have been made on these very files; those of the rest may have been mended since."""
    now = manifest_facts(manifest)
    data = same_data(record, now)
    about = record.about
    if (about.dataset, about.split) != (manifest.dataset, manifest.split.name):
        raise DataError(
            f"{manifest.root} is {manifest.dataset}/{manifest.split.name}; {out} is a run on "
            f"{about.dataset}/{about.split}"
        )
    if data.same:
        return
    if data.changed is None or record.mixtures != now.mixtures:
        raise DataError(f"{manifest.root} does not hold the data that {out} began with; start a new run")
    if lost := [id_ for id_ in data.changed if id_ in done]:
        raise DataError(
            f"{manifest.root} does not hold the data that {out} began with: other content in files of {len(lost)} "
            f"mixtures that were scored, such as {lost[0]}; start a new run"
        )
    log.warning("the files of %s have changed since the run began; none of them was scored", ", ".join(data.changed))


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
