"""A run before its first mixture: its data, its system, its decision, and what `run.json` says of them."""

import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from s5eval.data_manifests.chosen_split import FOLDER
from s5eval.data_manifests.common.cache import cache_folder
from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.data_manifests.common.words import counted, first_of
from s5eval.data_manifests.described import digests_of_recordings, with_conditions
from s5eval.data_manifests.manifest import Manifest, open_manifest
from s5eval.harness.record.config import TRUST, RunConfig
from s5eval.harness.record.fitted_mixtures import fitted_here
from s5eval.harness.record.provenance import collect_provenance
from s5eval.harness.record.reading import SCHEMA_VERSION
from s5eval.harness.record.run_record import MOST_FINDINGS, About, RunRecord, Shard, Staff, manifest_facts, shallow
from s5eval.harness.record.same_system import system_digest
from s5eval.harness.runs.begun_files import BegunFiles
from s5eval.harness.runs.chosen_decision import ChosenDecision, choose_decision, is_tuned_on_forbidden
from s5eval.harness.runs.contract import (
    build_system,
    inspect_files,
    read_fingerprint,
    stated_missing_parts,
    stated_recordings,
)
from s5eval.harness.runs.engine import Engine
from s5eval.harness.runs.guard import Guard, TimeLimit
from s5eval.harness.runs.shards import part_of
from s5eval.harness.runs.staffing import staff_of, within_memory
from s5eval.metrics.version import METRIC_VERSION
from s5eval.systems.decision import Decision
from s5eval.systems.device import resolve_device
from s5eval.systems.folder import FolderSystem
from s5eval.systems.interface import Json, OracleSystem, System
from s5eval.systems.pipeline import Pipeline
from s5eval.systems.registry import load_factory
from s5eval.systems.settings import typed
from s5eval.systems.stage_store import DiskStore

_LISTED = 20  # findings that refuse a strict run, in words


@dataclass(frozen=True, slots=True)
class Plan:
    """A run before its first mixture: manifest, system, decision, and what the file checks found.

    `shard` says which part of the data `manifest` is; None: all. `trained_here` is 0 where the manifest was given:
    whoever gave it knows. `chosen` holds the decision and who made it; `fingerprint` is the system's, as JSON gives it
    back. `staff` is who works; None: this process alone.
    `working_folder` is the one before any code of the system was run; `files` are those of the manifest as it was
    opened.
    """

    config: RunConfig
    manifest: Manifest
    shard: Shard | None
    system: System | OracleSystem
    chosen: ChosenDecision
    fingerprint: Mapping[str, Json]
    device: str
    findings: tuple[Finding, ...]
    trained_here: int
    staff: Staff | None
    working_folder: Path
    files: BegunFiles

    @property
    def decision(self) -> Decision:
        """What turns candidates into the prediction."""
        return self.chosen.decision

    @property
    def oracle(self) -> bool:
        """The system sees the references."""
        return isinstance(self.system, OracleSystem)

    @property
    def missing_parts(self) -> tuple[str, ...]:
        """What was asked for, by a preset or a switch, and is not there."""
        return (*stated_missing_parts(self.fingerprint), *self.chosen.missing)

    @property
    def identity(self) -> dict[str, Any]:
        """What has to be the same wherever a part of the run is made."""
        return {
            "data": self.manifest.sha256,
            "fingerprint": dict(self.fingerprint),
            "decision": self.decision.as_dict(),
        }

    def engine(
        self, audio: Path, guard: Guard | TimeLimit, draws: Collection[str], *, batch_size: int | None = None
    ) -> Engine:
        """What evaluates its scenes, and writes the estimates to `audio` where that is asked for."""
        return Engine(
            system=self.system,
            decision=self.decision,
            batch_size=batch_size or self.config.batch_size,
            audio_folder=audio if self.config.save_audio else None,
            secondary=self.config.metrics == "all",
            guard=guard,
            draws=draws,
        )


def plan_run(config: RunConfig, manifest: Manifest | None = None, *, making: CountProgress | None = None) -> Plan:
    """Open the data, build the system and check the files; evaluates nothing.

    Args:
        config: what to run.
        manifest: the data, where they are open already; None: they are opened.
        making: is told (scenes done, scenes in all) where the audio of a split is made first.

    Raises:
        UsageError: the system, a setting or the decision file is unknown or wrong.
        DataError: data or weights are missing or wrong; with `strict`, any finding about the files.
    """
    config.check()
    config = config.absolute()
    working_folder, store = Path.cwd(), DiskStore(cache_folder() / "stages")
    # What can be refused at once is refused before any scene is made.
    if config.engine == "ray":
        from s5eval.harness.dispatch.ray_crew import check_cluster

        check_cluster(config.address)
    factory = load_factory(config.system)
    # A wrong decision shows without the system's own, on top of which it is chosen below.
    choose_decision(Decision(), config.settings.get("decision", {}), config.decision_file)
    device = "cpu" if config.engine == "ray" else resolve_device(config.device)
    sent = manifest is not None
    manifest, shard = _opened(config, making) if manifest is None else (manifest, None)
    files = BegunFiles(manifest)
    staff = staff_of(config, device, len(manifest.scenes))
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
    expected = [scene.mixture.id for scene in manifest.scenes]
    findings = (*manifest.findings, *inspect_files(config.system, system, manifest.all_ids, expected))
    if config.strict and findings:
        listed = first_of(findings, _LISTED, between="\n  ")
        raise DataError(f"`strict`: {counted(len(findings), 'finding')} about the files\n  {listed}")
    fingerprint = read_fingerprint(config.system, system)
    # Whoever is given a manifest may not see the data, nor what lies beside them; its driver has looked.
    trained_here = 0 if sent else _trained_here(config, stated_recordings(config.system, system), expected)
    staff = within_memory(staff, config)
    chosen = _chosen(config, system, fingerprint)
    return Plan(
        config=config,
        manifest=manifest,
        shard=shard,
        system=system,
        chosen=chosen,
        fingerprint=fingerprint,
        device=device,
        findings=findings,
        trained_here=trained_here,
        staff=staff,
        working_folder=working_folder,
        files=files,
    )


def with_decision_of(plan: Plan, config: RunConfig) -> Plan:
    """The plan of a run that is asked for the same but for the decision: nothing is built or opened again.

    Raises:
        UsageError: see `choose_decision`.
    """
    return replace(plan, config=config, chosen=_chosen(config, plan.system, plan.fingerprint))


def _trained_here(config: RunConfig, trained_on: Collection[str], ids: Sequence[str]) -> int:
    """In how many of the mixtures a target is a recording that the system says it was trained on."""
    if not trained_on:
        return 0
    told = digests_of_recordings(ids, config.data, dataset=config.dataset, split=config.split)
    return sum(not known.isdisjoint(trained_on) for known in told.values())


def _chosen(config: RunConfig, system: System | OracleSystem, fingerprint: Mapping[str, Json]) -> ChosenDecision:
    return choose_decision(
        system.decision,
        config.settings.get("decision", {}),
        config.decision_file,
        weights=fingerprint.get("weights"),
        fingerprint=system_digest(config.system, fingerprint),
    )


def _opened(config: RunConfig, making: CountProgress | None) -> tuple[Manifest, Shard | None]:
    """The scenes that are asked for, with their conditions, and which part of the data they are."""
    manifest = open_manifest(
        config.data,
        dataset=config.dataset,
        split=config.split,
        limit=config.limit,
        only=config.only,
        afresh=config.strict,
        progress=making,
    )
    return part_of(with_conditions(manifest, config.data), *config.part)


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
    manifest, config = plan.manifest, plan.config.without_trust()
    facts = manifest_facts(manifest)
    about = About(
        system=config.system,
        name=config.name,
        weights=str(plan.fingerprint.get("weights", "not stated")),
        oracle=plan.oracle,
        dataset=manifest.dataset,
        split=manifest.split.name,
        folder=config.data.resolve().name if manifest.dataset == FOLDER and config.data is not None else None,
        n_split=manifest.n_split,
        tune=manifest.split.tune,
        set=() if isinstance(plan.system, FolderSystem) else typed({"system": config.settings.get("system", {})}),
        tuned_on_forbidden=is_tuned_on_forbidden(plan.decision),
        fitted_here=fitted_here(plan.decision.provenance, facts),
        trained_here=plan.trained_here,
        decided_by=plan.chosen.decided_by,
        thresholds=plan.chosen.thresholds,
        missing_parts=plan.missing_parts,
        findings=dict(sorted(Counter(finding.rule for finding in plan.findings).items())),
    )
    return RunRecord(
        **shallow(facts),
        schema_version=SCHEMA_VERSION,
        metric_version=METRIC_VERSION,
        status="running",
        config=config,
        decision=plan.decision,
        fingerprint=plan.fingerprint,
        about=_with_files(about, plan.system) if isinstance(plan.system, FolderSystem) else about,
        n_expected=len(manifest.scenes),
        findings=tuple(str(finding) for finding in plan.findings[:MOST_FINDINGS]),
        provenance=collect_provenance(plan.device),
        shard=plan.shard,
        trusted_checkpoint=plan.config.trust_checkpoint,
    )


def _with_files(about: About, system: FolderSystem) -> About:
    marks = system.marks()
    return replace(about, answered=marks.answered, listed=marks.listed, downmix=marks.downmix)
