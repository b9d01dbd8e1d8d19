"""A run before its first mixture: its data, its system, its decision, and what `run.json` says of them."""

import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from s5eval.data_manifests.common.cache import cache_folder
from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.described import with_conditions
from s5eval.data_manifests.manifest import Manifest, open_manifest
from s5eval.harness.record.config import TRUST, RunConfig
from s5eval.harness.record.provenance import collect_provenance
from s5eval.harness.record.reading import SCHEMA_VERSION
from s5eval.harness.record.run_record import About, RunRecord, Shard, Staff, manifest_facts, shallow
from s5eval.harness.runs.chosen_decision import ChosenDecision, choose_decision, is_tuned_on_forbidden
from s5eval.harness.runs.contract import build_system, inspect_files, read_fingerprint, stated_missing_parts
from s5eval.harness.runs.shards import part_of
from s5eval.harness.runs.staffing import staff_of, within_memory
from s5eval.metrics.version import METRIC_VERSION
from s5eval.systems.decision import Decision
from s5eval.systems.device import resolve_device
from s5eval.systems.folder import FolderSystem
from s5eval.systems.interface import Json, OracleSystem, System
from s5eval.systems.pipeline import Pipeline
from s5eval.systems.registry import load_factory
from s5eval.systems.stage_store import DiskStore


@dataclass(frozen=True, slots=True)
class Plan:
    """A run before its first mixture: manifest, system, decision, and what the file checks found.

    `chosen` holds the decision and who made it; `fingerprint` is the system's, as JSON gives it back. `staff` is who
    works; None: this process alone. `shard` says which part of the data `manifest` is; None: all. `working_folder` is
    the one before any code of the system was run.
    """

    config: RunConfig
    manifest: Manifest
    system: System | OracleSystem
    chosen: ChosenDecision
    fingerprint: Mapping[str, Json]
    device: str
    findings: tuple[Finding, ...]
    staff: Staff | None
    working_folder: Path
    shard: Shard | None = None

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
    config.check()
    # A system may change the working folder: whatever is relative is resolved before any of its code is run.
    config = replace(config, data=_absolute(config.data), decision_file=_absolute(config.decision_file))
    load_factory(config.system)  # before any scene is made
    manifest = open_manifest(
        config.data,
        dataset=config.dataset,
        split=config.split,
        limit=config.limit,
        only=config.only,
        afresh=config.strict,
        progress=making,
    )
    scenes, unreadable = with_conditions(
        manifest.scenes, dataset=manifest.dataset, split=manifest.split, folder=manifest.root, data=config.data
    )
    manifest = replace(manifest, scenes=scenes, findings=(*manifest.findings, *unreadable))
    part, shard = part_of(manifest, *config.part)
    return replace(plan_on(config, part), shard=shard)


def plan_on(config: RunConfig, manifest: Manifest) -> Plan:
    """The rest of `plan_run`, on data that are open already. Raises as that does."""
    working_folder = Path.cwd()
    store = DiskStore(cache_folder() / "stages")
    factory = load_factory(config.system)
    device = "cpu" if config.engine == "ray" else resolve_device(config.device)
    staff = staff_of(config, device, len(manifest.scenes))
    if config.engine == "ray":
        from s5eval.harness.dispatch.ray_crew import check_cluster

        check_cluster(config.address)
    settings = dict(config.settings.get("system", {}))
    system = build_system(
        config.system,
        factory,
        {**settings, TRUST: True} if config.trust_checkpoint else settings,
        device if staff is None else "cpu",  # its workers compute; a GPU's memory is theirs
    )
    if isinstance(system, OracleSystem) and not manifest.has_references:
        raise DataError(f"system {config.system!r} needs references, and {manifest.root} has none")
    if isinstance(system, Pipeline) and config.cache:
        system.store = store
    fingerprint = read_fingerprint(config.system, system)
    set_by_hand = config.settings.get("decision", {})
    weights = fingerprint.get("weights")
    chosen = choose_decision(system.decision, set_by_hand, config.decision_file, weights=weights)
    expected = [scene.mixture.id for scene in manifest.scenes]
    findings = [*manifest.findings, *inspect_files(config.system, system, manifest.all_ids, expected)]
    if config.strict and findings:
        listed = "\n".join(f"  {finding}" for finding in findings[:20])
        raise DataError(f"`strict`: {len(findings)} findings about the files\n{listed}")
    staff = within_memory(staff, config)
    return Plan(config, manifest, system, chosen, fingerprint, device, tuple(findings), staff, working_folder)


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


def run_record(plan: Plan) -> RunRecord:
    """`run.json` as it stands while the run is at work; its sittings are not its own to tell."""
    manifest = plan.manifest
    about = About(
        system=plan.config.system,
        name=plan.config.name,
        weights=str(plan.fingerprint.get("weights", "not stated")),
        oracle=plan.oracle,
        dataset=manifest.dataset,
        split=manifest.split.name,
        n_split=manifest.n_split,
        tune=manifest.split.tune,
        set=() if isinstance(plan.system, FolderSystem) else _settings(plan.config),
        tuned_on_forbidden=is_tuned_on_forbidden(plan.decision),
        decided_by=plan.chosen.decided_by,
        thresholds=plan.chosen.thresholds,
        missing_parts=missing_parts(plan),
        findings=dict(sorted(Counter(finding.rule for finding in plan.findings).items())),
    )
    return RunRecord(
        **shallow(manifest_facts(manifest)),
        schema_version=SCHEMA_VERSION,
        metric_version=METRIC_VERSION,
        status="running",
        config=plan.config.without_trust(),
        decision=plan.decision,
        fingerprint=plan.fingerprint,
        about=_with_files(about, plan.system) if isinstance(plan.system, FolderSystem) else about,
        n_expected=len(manifest.scenes),
        findings=tuple(str(finding) for finding in plan.findings[:1000]),
        provenance=collect_provenance(plan.device),
        shard=plan.shard,
        trusted_checkpoint=plan.config.trust_checkpoint,
    )


def _with_files(about: About, system: FolderSystem) -> About:
    marks = system.marks()
    return replace(about, answered=marks.answered, listed=marks.listed, downmix=marks.downmix)


def missing_parts(plan: Plan) -> tuple[str, ...]:
    """What was asked for, by a preset or a switch, and is not there."""
    return (*stated_missing_parts(plan.fingerprint), *plan.chosen.missing)


def _settings(config: RunConfig) -> tuple[str, ...]:
    """What was set of the system, as it is typed; what was set of the decision stands with who decided."""
    settings = config.without_trust().settings.get("system", {})
    return tuple(f"system.{key}={json.dumps(value, ensure_ascii=False)}" for key, value in settings.items())
