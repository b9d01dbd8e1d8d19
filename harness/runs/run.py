"""Runs a system over a manifest into a run folder: the one function behind `s5eval run` and `s5eval score`."""

import hashlib
import itertools
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.cache import cache_folder
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.manifest import Manifest, open_manifest
from s5eval.data_manifests.records import Scene
from s5eval.harness.errors import EXIT_DONE, EXIT_FAILED_MIXTURES
from s5eval.harness.record.config import TRUST, RunConfig
from s5eval.harness.record.inspection import Damage, inspect_run
from s5eval.harness.record.lines import Line, adopted
from s5eval.harness.record.logs import logging_to
from s5eval.harness.record.provenance import collect_provenance
from s5eval.harness.record.run_folder import (
    SCHEMA_VERSION,
    RunFolder,
    read_run,
    summary_facts,
    unfinished_rescoring,
)
from s5eval.harness.record.same_data import manifest_facts, same_data
from s5eval.harness.report.page import write_page
from s5eval.harness.runs.chosen_decision import ChosenDecision, choose_decision, decision_marks
from s5eval.harness.runs.contract import build_system, inspect_files, read_fingerprint
from s5eval.harness.runs.derived import finished_summary, status_of
from s5eval.harness.runs.engine import Engine, Outcome
from s5eval.harness.runs.guard import Guard, check_timeout
from s5eval.harness.scoring.summary import summarize
from s5eval.metrics.version import METRIC_VERSION
from s5eval.systems.decision import Decision
from s5eval.systems.device import resolve_device
from s5eval.systems.folder import FolderSystem
from s5eval.systems.interface import OracleSystem, System
from s5eval.systems.pipeline import Pipeline
from s5eval.systems.registry import is_installed, load_factory
from s5eval.systems.stage_store import DiskStore

log = logging.getLogger("s5eval.run")

Progress = Callable[[Iterable[Outcome], int, int], Iterable[Outcome]]
"""Wraps the outcomes to show progress; gets how many mixtures there are, and how many are done already."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run that came to its end: where it is, its summary, and the exit code it deserves."""

    path: Path
    summary: Mapping[str, Any]

    @property
    def exit_code(self) -> int:
        """0, or 4 when a mixture failed."""
        return EXIT_FAILED_MIXTURES if self.summary["n_failed"] else EXIT_DONE


@dataclass(frozen=True, slots=True)
class Plan:
    """A run before its first mixture: manifest, system, decision, and what the file checks found.

    `chosen` holds the decision and who made it; `fingerprint` is the system's, as JSON gives it back.
    """

    config: RunConfig
    manifest: Manifest
    system: System | OracleSystem
    chosen: ChosenDecision
    fingerprint: Mapping[str, Any]
    device: str
    findings: tuple[Finding, ...]

    @property
    def decision(self) -> Decision:
        """What turns candidates into the prediction."""
        return self.chosen.decision

    @property
    def oracle(self) -> bool:
        """The system sees the references."""
        return isinstance(self.system, OracleSystem)


def plan_run(config: RunConfig, *, making: CountProgress | None = None) -> Plan:
    """Open the data, build the system and check the files; evaluates nothing.

    Args:
        config: what to run.
        making: is told (scenes done, scenes in all) where the audio of a split is made first.

    Raises:
        UsageError: the system, a setting or the decision file is unknown or wrong.
        DataError: data or weights are missing or wrong; with `strict`, any finding about the files.
    """
    check_timeout(config.mixture_timeout)
    # A system may change the working folder: whatever is relative is resolved before any of its code is run.
    config = replace(config, data=_absolute(config.data), decision_file=_absolute(config.decision_file))
    store = DiskStore(cache_folder() / "stages")
    factory = load_factory(config.system)
    manifest = open_manifest(
        config.data,
        dataset=config.dataset,
        split=config.split,
        limit=config.limit,
        only=config.only,
        afresh=config.strict,
        progress=making,
    )
    device = resolve_device(config.device)
    settings = dict(config.settings.get("system", {}))
    system = build_system(
        config.system, factory, {**settings, TRUST: True} if config.trust_checkpoint else settings, device
    )
    if isinstance(system, OracleSystem) and not manifest.has_references:
        raise DataError(f"system {config.system!r} needs references, and {manifest.root} has none")
    if isinstance(system, Pipeline) and config.cache:
        system.store = store
    fingerprint = read_fingerprint(config.system, system)
    chosen = choose_decision(config, system, fingerprint)
    expected = [scene.mixture.id for scene in manifest.scenes]
    findings = [*manifest.findings, *inspect_files(config.system, system, manifest.all_ids, expected)]
    if config.strict and findings:
        listed = "\n".join(f"  {finding}" for finding in findings[:20])
        raise DataError(f"--strict: {len(findings)} findings about the files\n{listed}")
    return Plan(config, manifest, system, chosen, fingerprint, device, tuple(findings))


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser().absolute()


def default_run_path(config: RunConfig) -> Path:
    """`runs/<utc>_<system>_<split>_<short hash>`, new for every second and configuration."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    short = hashlib.sha256(json.dumps(config.as_dict(), sort_keys=True).encode()).hexdigest()[:6]
    name = re.sub(r"[^\w.-]+", "-", config.name or config.system.replace(":", ".").replace("/", "."))[:80]
    data = config.split or ("mini" if config.data is None else config.data.name)
    path = Path("runs") / f"{stamp}_{name}_{data}_{short}"
    return next(choice for n in itertools.count(1) if not (choice := path if n == 1 else _numbered(path, n)).exists())


def _numbered(path: Path, n: int) -> Path:
    return path.with_name(f"{path.name}-{n}")


def run(
    config: RunConfig, out: Path, *, progress: Progress | None = None, making: CountProgress | None = None
) -> RunResult:
    """Evaluate a system into a new run folder.

    Args:
        config: what to run.
        out: the run folder; made before any model loads.
        progress: shows how far it is; None: silent.
        making: see `plan_run`.

    Raises:
        UsageError, DataError: see `plan_run`; also when `out` is in use.
        RunFolderError: the folder cannot be written.
        KeyboardInterrupt: passed on; what is done stands, and the run can be resumed.
    """
    home = out.absolute()
    with RunFolder.open_new(home) as folder, logging_to(folder.log):
        return replace(_carry_out(plan_run(config, making=making), folder, {}, progress), path=out)


def resume(
    out: Path,
    *,
    given: Mapping[str, Any],
    fresh: RunConfig | None,
    progress: Progress | None = None,
    making: CountProgress | None = None,
) -> RunResult:
    """Continue a run that was interrupted; failed mixtures are tried again. A finished run stays as it is.

    Args:
        out: the run folder.
        given: options (fields of `RunConfig`) that were given again; what they change must not matter.
        fresh: the whole configuration, if enough options were given, for a folder whose run had not begun.
        progress: see `run`.
        making: see `plan_run`.

    Raises:
        UsageError: an option contradicts the recorded one, or the system is not the one that began.
        DataError: the data have changed since.
    """
    if not out.exists() and fresh is not None:
        return run(fresh, out, progress=progress, making=making)
    shown, out = out, out.absolute()
    with RunFolder.open_existing(out) as folder, logging_to(folder.log):
        if not folder.has_begun():
            if fresh is None:
                raise UsageError(
                    f"{out} was killed before it began; repeat the options of the first call to start over"
                )
            return replace(_carry_out(plan_run(fresh, making=making), folder, {}, progress), path=shown)
        record = read_run(out)
        recorded = RunConfig.from_dict(record["config"])
        config = replace(recorded, **given)
        wanted = replace(recorded, save_audio=True) if config.save_audio else recorded  # what is missing is made
        if differences := wanted.differences(config):
            raise UsageError(f"--resume {out}: the options differ from the first call's: {'; '.join(differences)}")
        found = inspect_run(out, record)
        if "rescored_from" in record:
            _refuse_rescored(out, record, found.damage)
        for damage in found.damage:
            log.warning("%s; its mixture is run again", damage)
        done = {
            id_: line
            for id_, line in found.whole.items()
            if line.score.status != "failed" and (line.score.as_written is not None or not config.save_audio)
        }
        moved = config.data != recorded.data  # whether those are the same data is looked at below
        if record["status"] == "complete" and not found.damage and len(done) == len(found.whole) and not moved:
            return RunResult(shown, finished_summary(folder, record, done))
        if record.get("metric_version") != METRIC_VERSION and done:
            raise UsageError(
                f"{out} was scored by metric version {record.get('metric_version')}, this is {METRIC_VERSION}: "
                f"`s5eval rescore {out}` brings it up to date, then resume it"
            )
        if "system" not in given and not is_installed(config.system):
            raise UsageError(
                f"{shown} was made with the system {config.system!r}, which is code that would be looked for and run "
                f"here. If you trust it, name it again: --resume {shown} --system {config.system}"
            )
        plan = plan_run(config, making=making)
        _check_data(out, record, plan.manifest, done)
        if plan.fingerprint != record["fingerprint"]:
            raise UsageError(f"system {config.system!r} is not as it was when {out} began; start a new run")
        if json.loads(json.dumps(plan.decision.as_dict())) != record["decision"]:
            raise UsageError(f"the decision is not as it was when {out} began (was its file edited?); start a new run")
        folder.rewrite(adopted(out, line) for line in done.values())
        return replace(_carry_out(plan, folder, done, progress, record), path=shown)


def _check_data(out: Path, record: Mapping[str, Any], manifest: Manifest, done: Mapping[str, Line]) -> None:
    """What is done must have been made on these very files; those of the rest may have been mended since."""
    now = manifest_facts(manifest)
    data = same_data(record, now)
    about = record["about"]
    if (about["dataset"], about["split"]) != (manifest.dataset, manifest.split.name):
        raise DataError(
            f"{manifest.root} is {manifest.dataset}/{manifest.split.name}; {out} is a run on "
            f"{about['dataset']}/{about['split']}"
        )
    if data.same:
        return
    if data.changed is None or record["mixtures"] != now["mixtures"]:
        raise DataError(f"{manifest.root} does not hold the data that {out} began with; start a new run")
    if lost := [id_ for id_ in data.changed if id_ in done]:
        raise DataError(
            f"{manifest.root} does not hold the data that {out} began with: other content in files of {len(lost)} "
            f"mixtures that were scored, such as {lost[0]}; start a new run"
        )
    log.warning("the files of %s have changed since the run began; none of them was scored", ", ".join(data.changed))


def _refuse_rescored(out: Path, record: Mapping[str, Any], damage: Sequence[Damage]) -> None:
    """A rescored run has no system to go on with: what is not whole comes from the run it was made from."""
    source = record["rescored_from"]
    again = f"s5eval rescore {source} --out ANOTHER_FOLDER, with the same --decision"
    if unfinished := unfinished_rescoring(out, record):
        raise UsageError(unfinished)
    if damage:
        raise DataError(f"{out} was rescored from {source} and is damaged ({damage[0]}); make it again: {again}")
    if record["status"] != "complete":
        raise UsageError(f"{out} was rescored from {source}; resume that run, then rescore it again: {again}")


def _carry_out(
    plan: Plan,
    folder: RunFolder,
    done: Mapping[str, Line],
    progress: Progress | None,
    before: Mapping[str, Any] | None = None,
) -> RunResult:
    """Evaluate what is not done and derive the rest; `before` is the record of the sittings until now."""
    start = time.perf_counter()
    sitting: dict[str, Any] = {"provenance": collect_provenance(plan.device)}
    if plan.config.trust_checkpoint:
        sitting["trusted_checkpoint"] = True  # a fact for readers; nothing acts on it
    earlier = [] if before is None else list(before.get("sittings", ()))
    record = {**_run_record(plan), **sitting, "sittings": [*earlier, sitting]}
    unsealed = sum(not line.sealed for line in done.values())
    if count := unsealed + (0 if before is None else before.get("adopted_unverified", 0)):
        record["adopted_unverified"] = count
    folder.write_run(record)
    if plan.config.save_audio:
        folder.make_audio()
    for finding in plan.findings:
        log.warning("%s", finding)
    scores = {id_: line.score for id_, line in done.items()}
    remaining = [scene for scene in plan.manifest.scenes if scene.mixture.id not in done]
    finished = False
    guard = Guard(folder.path, done, timeout=plan.config.mixture_timeout)
    try:
        for outcome in _outcomes(plan, folder, remaining, progress, len(done), guard):
            folder.append(outcome.score, outcome.table, outcome.audio)
            if outcome.score.status != "failed":
                guard.survived(outcome.score.mixture_id)
            scores[outcome.score.mixture_id] = outcome.score
        finished = True
    finally:
        guard.close()
        summary = summarize(
            [scores[scene.mixture.id] for scene in plan.manifest.scenes if scene.mixture.id in scores],
            n_expected=len(plan.manifest.scenes),
            finished=finished,
            about=summary_facts(record),
        )
        folder.sync()
        folder.write_summary(summary)
        if finished:
            write_page(folder.path)
        sittings = [*earlier, {**sitting, **_costs(plan, time.perf_counter() - start)}]
        status = status_of(summary, finished=finished)
        folder.write_run({**record, "status": status, "sittings": sittings, **_total_costs(sittings)})
    return RunResult(folder.path, summary)


def _outcomes(
    plan: Plan, folder: RunFolder, scenes: Sequence[Scene], progress: Progress | None, n_done: int, guard: Guard
) -> Iterable[Outcome]:
    engine = Engine(
        system=plan.system,
        decision=plan.decision,
        batch_size=plan.config.batch_size,
        audio_folder=folder.audio if plan.config.save_audio else None,
        secondary=plan.config.metrics == "all",
        guard=guard,
    )
    outcomes = engine.evaluate(scenes)
    return outcomes if progress is None else progress(outcomes, n_done + len(scenes), n_done)


def _run_record(plan: Plan) -> dict[str, Any]:
    manifest, fingerprint = plan.manifest, dict(plan.fingerprint)
    return {
        "schema_version": SCHEMA_VERSION,
        "metric_version": METRIC_VERSION,
        "status": "running",
        "config": plan.config.as_dict(),
        "decision": plan.decision.as_dict(),
        "fingerprint": fingerprint,
        "about": {
            "system": plan.config.system,
            "name": plan.config.name,
            "weights": str(fingerprint.get("weights", "not stated")),
            "oracle": plan.oracle,
            "dataset": manifest.dataset,
            "split": manifest.split.name,
            "n_split": manifest.n_split,
            "tune": manifest.split.tune,
            **(plan.system.marks() if isinstance(plan.system, FolderSystem) else _settings(plan.config)),
            **decision_marks(plan.chosen),
            "missing_parts": missing_parts(plan),
            "findings": dict(sorted(Counter(finding.rule for finding in plan.findings).items())),
        },
        **manifest_facts(manifest),
        "n_expected": len(manifest.scenes),
        "findings": [str(finding) for finding in plan.findings[:1000]],
    }


def _settings(config: RunConfig) -> dict[str, list[str]]:
    """What was set of the system, as it is typed; what was set of the decision stands with who decided."""
    settings = config.as_dict()["settings"].get("system", {})
    shown = [f"system.{key}={json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    return {"set": shown} if shown else {}


def missing_parts(plan: Plan) -> list[str]:
    """What was asked for, by a preset or a switch, and is not there."""
    return [*plan.fingerprint.get("missing_parts", []), *plan.chosen.missing]


def _costs(plan: Plan, seconds: float) -> dict[str, Any]:
    stages = {}
    if isinstance(plan.system, Pipeline):
        stages = {
            name: {"executed": tally.executed, "reused": tally.reused, "seconds": round(tally.seconds, 3)}
            for name, tally in plan.system.tally.items()
        }
    return {"seconds": round(seconds, 3), "stages": stages}


def _total_costs(sittings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Seconds and stage counts over all sittings of a resumed run; one that was killed has not told its costs."""
    stages: dict[str, dict[str, float]] = {}
    for sitting in sittings:
        for name, counts in sitting.get("stages", {}).items():
            total = stages.setdefault(name, dict.fromkeys(counts, 0))
            for key, value in counts.items():
                total[key] = round(total[key] + value, 3)
    return {"seconds": round(sum(sitting.get("seconds", 0.0) for sitting in sittings), 3), "stages": stages}
