"""Runs a system over a manifest into a run folder: the one function behind `s5eval run` and `s5eval score`."""

import hashlib
import itertools
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.cache import cache_folder
from s5eval.data_manifests.common.errors import DataError, S5Error, UsageError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.manifest import MakeProgress, Manifest, open_manifest
from s5eval.data_manifests.records import Scene
from s5eval.harness.record.config import RunConfig
from s5eval.harness.runs.chosen_decision import choose_decision, decision_marks
from s5eval.harness.runs.engine import Engine, Outcome
from s5eval.harness.errors import EXIT_DONE, EXIT_FAILED_MIXTURES
from s5eval.harness.record.run_folder import SCHEMA_VERSION, RunFolder, read_run, read_scores, read_summary
from s5eval.harness.record.provenance import METRIC_VERSION, collect_provenance, resolve_device
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report.page import write_page
from s5eval.systems.stage_store import DiskStore
from s5eval.harness.scoring.summary import summarize
from s5eval.systems.decision import Decision
from s5eval.systems.interface import OracleSystem, System
from s5eval.systems.pipeline import Pipeline
from s5eval.systems.registry import build_system, load_factory

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

    `thresholds` is the answer to `--set decision.thresholds`, None when that was not given.
    """

    config: RunConfig
    manifest: Manifest
    system: System | OracleSystem
    decision: Decision
    device: str
    findings: tuple[Finding, ...]
    thresholds: str | None = None

    @property
    def oracle(self) -> bool:
        """The system sees the references."""
        return isinstance(self.system, OracleSystem)


def plan_run(config: RunConfig, *, making: MakeProgress | None = None) -> Plan:
    """Open the data, build the system and check the files; evaluates nothing.

    Args:
        config: what to run.
        making: is told (scenes done, scenes in all) where the audio of a split is made first.

    Raises:
        UsageError: the system, a setting or the decision file is unknown or wrong.
        DataError: data or weights are missing or wrong; with `strict`, any finding about the files.
    """
    load_factory(config.system)  # a wrong name is told before any data are looked at
    manifest = open_manifest(
        config.data, dataset=config.dataset, split=config.split, limit=config.limit, only=config.only, progress=making
    )
    device = resolve_device(config.device)
    system = build_system(config.system, config.settings.get("system", {}), device)
    if isinstance(system, OracleSystem) and not manifest.has_references:
        raise DataError(f"system {config.system!r} needs references, and {manifest.root} has none")
    if isinstance(system, Pipeline) and config.cache:
        system.store = DiskStore(cache_folder() / "stages")
    chosen = choose_decision(config, system)
    findings = list(manifest.findings)
    if hasattr(system, "inspect"):
        findings += system.inspect(manifest.all_ids, [scene.mixture.id for scene in manifest.scenes])
    if config.strict and findings:
        listed = "\n".join(f"  {finding}" for finding in findings[:20])
        raise DataError(f"--strict: {len(findings)} findings about the files\n{listed}")
    return Plan(config, manifest, system, chosen.decision, device, tuple(findings), chosen.thresholds)


def default_run_path(config: RunConfig) -> Path:
    """`runs/<utc>_<system>_<split>_<short hash>`, new for every second and configuration."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    short = hashlib.sha256(json.dumps(config.as_dict(), sort_keys=True).encode()).hexdigest()[:6]
    name = config.system.replace(":", ".").replace("/", ".")
    data = config.split or ("mini" if config.data is None else config.data.name)
    path = Path("runs") / f"{stamp}_{name}_{data}_{short}"
    return next(choice for n in itertools.count(1) if not (choice := path if n == 1 else _numbered(path, n)).exists())


def _numbered(path: Path, n: int) -> Path:
    return path.with_name(f"{path.name}-{n}")


def run(
    config: RunConfig, out: Path, *, progress: Progress | None = None, making: MakeProgress | None = None
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
    with RunFolder.open_new(out) as folder, _logging_to(folder.log):
        return _carry_out(plan_run(config, making=making), folder, {}, progress)


def resume(
    out: Path,
    *,
    given: Mapping[str, Any],
    fresh: RunConfig | None,
    progress: Progress | None = None,
    making: MakeProgress | None = None,
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
    with RunFolder.open_existing(out) as folder, _logging_to(folder.log):
        if not folder.has_begun():
            if fresh is None:
                raise UsageError(
                    f"{out} was killed before it began; repeat the options of the first call to start over"
                )
            return _carry_out(plan_run(fresh, making=making), folder, {}, progress)
        record = read_run(out)
        recorded = RunConfig.from_dict(record["config"])
        config = replace(recorded, **given)
        if differences := recorded.differences(config):
            raise UsageError(f"--resume {out}: the options differ from the first call's: {'; '.join(differences)}")
        done = {id_: score for id_, score in read_scores(out).items() if score.status != "failed"}
        if record["status"] == "complete":
            return RunResult(out, read_summary(out))
        if "rescored_from" in record:
            raise UsageError(
                f"{out} was rescored from {record['rescored_from']}; resume that run, then rescore it again"
            )
        plan = plan_run(config, making=making)
        if plan.manifest.sha256 != record["manifest_sha256"]:
            raise DataError(f"{plan.manifest.root} is not as it was when {out} began; start a new run")
        if json.loads(json.dumps(plan.system.fingerprint())) != record["fingerprint"]:
            raise UsageError(f"system {config.system!r} is not as it was when {out} began; start a new run")
        if json.loads(json.dumps(plan.decision.as_dict())) != record["decision"]:
            raise UsageError(f"the decision is not as it was when {out} began (was its file edited?); start a new run")
        folder.rewrite(done.values())
        return _carry_out(plan, folder, done, progress, record.get("sittings", ()))


def _carry_out(
    plan: Plan,
    folder: RunFolder,
    done: Mapping[str, MixtureScore],
    progress: Progress | None,
    earlier: Sequence[Mapping[str, Any]] = (),
) -> RunResult:
    start = time.perf_counter()
    sitting = {"provenance": collect_provenance(plan.device)}
    record = {**_run_record(plan), **sitting, "sittings": [*earlier, sitting]}
    folder.write_run(record)
    if plan.config.save_audio:
        folder.audio.mkdir(exist_ok=True)
    for finding in plan.findings:
        log.warning("%s", finding)
    scores = dict(done)
    remaining = [scene for scene in plan.manifest.scenes if scene.mixture.id not in done]
    finished = False
    try:
        for outcome in _outcomes(plan, folder, remaining, progress, len(done)):
            folder.append(outcome.score, outcome.table)
            scores[outcome.score.mixture_id] = outcome.score
        finished = True
    finally:
        summary = summarize(
            [scores[scene.mixture.id] for scene in plan.manifest.scenes if scene.mixture.id in scores],
            n_expected=len(plan.manifest.scenes),
            finished=finished,
            about=record["about"],
        )
        folder.write_summary(summary)
        if finished:
            write_page(folder.path)
        sittings = [*earlier, {**sitting, **_costs(plan, time.perf_counter() - start)}]
        folder.write_run({**record, "status": summary["status"], "sittings": sittings, **_total_costs(sittings)})
    return RunResult(folder.path, summary)


def _outcomes(
    plan: Plan, folder: RunFolder, scenes: Sequence[Scene], progress: Progress | None, n_done: int
) -> Iterable[Outcome]:
    engine = Engine(
        system=plan.system,
        decision=plan.decision,
        batch_size=plan.config.batch_size,
        audio_folder=folder.audio if plan.config.save_audio else None,
        secondary=plan.config.metrics == "all",
    )
    outcomes = engine.evaluate(scenes)
    return outcomes if progress is None else progress(outcomes, n_done + len(scenes), n_done)


def _run_record(plan: Plan) -> dict[str, Any]:
    manifest, fingerprint = plan.manifest, dict(plan.system.fingerprint())
    return {
        "schema_version": SCHEMA_VERSION,
        "metric_version": METRIC_VERSION,
        "status": "running",
        "config": plan.config.as_dict(),
        "decision": plan.decision.as_dict(),
        "fingerprint": fingerprint,
        "about": {
            "system": plan.config.system,
            "weights": str(fingerprint.get("weights", "not stated")),
            "oracle": plan.oracle,
            "dataset": manifest.dataset,
            "split": manifest.split.name,
            "tune": manifest.split.tune,
            **decision_marks(plan.decision, plan.thresholds),
            "findings": dict(sorted(Counter(finding.rule for finding in plan.findings).items())),
        },
        "manifest_sha256": manifest.sha256,
        "n_expected": len(manifest.scenes),
        "mixtures": [scene.mixture.id for scene in manifest.scenes],
        "findings": [str(finding) for finding in plan.findings[:1000]],
    }


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


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger("s5eval")
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    root.propagate = False  # the terminal belongs to the table and the progress bar
    try:
        yield
    except S5Error as error:
        log.error("%s", error)
        raise
    except KeyboardInterrupt as error:
        error.add_note(f"--resume {path.parent}")
        raise
    except Exception as error:
        log.exception("unexpected")
        error.add_note(f"the traceback is in {path}")
        raise
    finally:
        root.removeHandler(handler)
        handler.close()
