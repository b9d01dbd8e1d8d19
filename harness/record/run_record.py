"""`run.json`, typed: what a run was asked to do, on which data, and under which circumstances."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.provenance import Provenance
from s5eval.systems.decision import Decision
from s5eval.systems.energy import Energy
from s5eval.systems.interface import Json

if TYPE_CHECKING:
    from s5eval.data_manifests.manifest import Manifest

RunStatus = Literal["running", "complete", "partial", "failed"]

TUNED = "tuned thresholds"
"""What is missing where they were asked for and the weights have none: a part of the decision, not of the system."""

MOST_FINDINGS = 1000
"""So many of them stand in `run.json`, one text each; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a run is of, for whoever reads its numbers; `summary.json` repeats it.

    Attributes:
        system: name of an installed system, or `module:factory`.
        name: what the run was called; None: as its system.
        weights: a SHA-256, `untrained` or `none`, as the system says.
        oracle: the system sees the references: its values are bounds.
        dataset: the data set; `folder` for a plain folder.
        split: the split of it.
        folder: the name of a plain folder; None: a known set, or not recorded.
        n_split: mixtures of the whole split; more than were expected where a part was evaluated. 0: not recorded.
        tune: whether the split may be tuned on.
        set: settings of the system that were given by hand, as they are typed.
        answered: of a folder of estimates, mixtures with a file or listed as silent; None: no such folder.
        listed: whether such a folder lists its silent mixtures; None: no such folder.
        downmix: estimates of several channels were averaged.
        tuned_on_forbidden: the decision was tuned on a split that forbids it.
        fitted_here: how many of the mixtures the decision was fitted to (see `s5eval.harness.record.fitted_mixtures`).
        trained_here: in how many of the mixtures a target is a recording that the weights were trained on.
        decided_by: where the thresholds come from, in words.
        thresholds: which thresholds were used, where one kind was asked for; None: none was. Where tuned ones were
            asked for and there are none, it is `default`, and `missing_parts` has `tuned thresholds`.
        missing_parts: what was asked for and is not there.
        findings: how many findings about the files there are, by rule.
        made_on: kinds of machines whose scenes of the embedded set the shards of a merged run were cut from: each has
            rounded some samples otherwise. 1 for all other runs.
    """

    system: str
    name: str | None = None
    weights: str
    oracle: bool = False
    dataset: str
    split: str
    folder: str | None = None
    n_split: int = 0
    tune: Literal["allowed", "forbidden"] = "allowed"
    set: tuple[str, ...] = ()
    answered: int | None = None
    listed: bool | None = None
    downmix: bool = False
    tuned_on_forbidden: bool = False
    fitted_here: int = 0
    trained_here: int = 0
    decided_by: str | None = None
    thresholds: Literal["tuned", "default"] | None = None
    missing_parts: tuple[str, ...] = ()
    findings: Mapping[str, int] = field(default_factory=dict)
    made_on: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts(About):
    """What a run is of and how far it came: all that marks beside a number need.

    Attributes:
        status: `complete` only where all of the split was evaluated and nothing failed; in `run.json`, where all that
            was asked for was.
        n_expected: mixtures that were to be evaluated.
        unverified: what cannot be told from damage, in words; None: digests vouch for everything.
    """

    status: RunStatus
    n_expected: int
    unverified: str | None = None


@dataclass(frozen=True, slots=True)
class StageCost:
    """What one stage of a system cost.

    Attributes:
        executed: mixtures it was executed for.
        reused: mixtures whose stored result was used.
        seconds: what the execution took.
    """

    executed: int
    reused: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Staff:
    """The workers of a sitting.

    Attributes:
        size: how many.
        engine: processes of one machine, or actors of a Ray cluster.
        devices: worker k computes on entry k, and round again.
        threads: of each; None: as torch, or Ray, chooses.
    """

    size: int
    engine: Literal["processes", "ray"]
    devices: tuple[str, ...]
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """Which part of a data set a run has evaluated, for `s5eval merge`.

    Attributes:
        number: from 1.
        of: how many parts there are. Part k has the mixtures k, k + of, k + 2 of, … in their order.
        manifest_sha256: of all parts together (see `DataFacts`).
        manifest_sizes_sha256: of all parts together.
        n_mixtures: mixtures of all parts together.
        scenes_sha256: of what the scenes of all parts are made from (`s5eval.harness.record.scene_identity`), which is
            the same on all machines; None: not recorded.
    """

    number: int
    of: int
    manifest_sha256: str
    manifest_sizes_sha256: str
    n_mixtures: int
    scenes_sha256: str | None = None

    @property
    def named(self) -> str:
        """`3/16`, as it is asked for."""
        return f"{self.number}/{self.of}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """One sitting of a run: from its start, or from a `--resume`, to its end.

    Attributes:
        provenance: its circumstances; None: not recorded.
        trusted_checkpoint: checkpoints that have to run code were trusted. A fact for readers; nothing acts on it.
        staff: who worked; None: one process alone.
        seconds: what it took; None: it was killed, or is going on.
        stages: what every stage cost; empty for a system without stages.
        energy: what it took; None: not measured, or it was killed.
    """

    provenance: Provenance | None = None
    trusted_checkpoint: bool = False
    staff: Staff | None = None
    seconds: float | None = None
    stages: Mapping[str, StageCost] = field(default_factory=dict)
    energy: Energy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """On which data a run was made.

    Attributes:
        manifest_sha256: of the names and the content of all files; in folders of version 1, of names and sizes.
        manifest_sizes_sha256: of names and sizes; None in folders of version 1.
        mixtures: ids of the mixtures to evaluate, in order.
        mixture_digests: of the content of each mixture's files, in the same order; None in folders of version 1.
    """

    manifest_sha256: str
    manifest_sizes_sha256: str | None = None
    mixtures: tuple[str, ...] = field(repr=False)
    mixture_digests: tuple[str, ...] | None = field(default=None, repr=False)

    @property
    def digests(self) -> dict[str, str]:
        """Mixture id → digest of the content of its files, in order; empty in folders of version 1."""
        return {} if self.mixture_digests is None else dict(zip(self.mixtures, self.mixture_digests, strict=True))


def manifest_facts(manifest: "Manifest") -> DataFacts:
    """What a run records of its data: mixtures with the digests of their files, of all, and of names and sizes."""
    return DataFacts(
        manifest_sha256=manifest.sha256,
        manifest_sizes_sha256=manifest.sizes_sha256,
        mixtures=tuple(scene.mixture.id for scene in manifest.scenes),
        mixture_digests=tuple(manifest.digests),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord(DataFacts):
    """The content of `run.json`.

    Attributes:
        schema_version: of the run folder (`s5eval.harness.record.reading.SCHEMA_VERSION`).
        metric_version: of the metrics that scored it; None: a rescoring is going on.
        status: `running` also after a kill; `complete`: all that was asked for was evaluated and nothing failed.
        config: what was asked for.
        decision: what made candidates a prediction.
        fingerprint: what the system says that its output depends on; its own, and free but for `weights`.
        about: the same facts in short, for readers.
        n_expected: mixtures to evaluate.
        findings: what the checks of the files had to say, one text each, at most 1,000; `about` counts all.
        provenance: circumstances of the last sitting.
        trusted_checkpoint: see `Sitting`; of the last.
        sittings: one per start and `--resume`, in order.
        seconds: what all sittings took that came to their end.
        stages: costs of the stages over these sittings.
        lines: of the journal, when the run came to its end or was interrupted; None: it was killed, or made before this
            was written.
        energy: of all sittings that were measured; None: none was.
        adopted_unverified: mixtures that were taken over from a folder without digests.
        rescored_from: the run whose tables were scored again; None: this is no such run.
        shard: the part that was evaluated; None: no part of a larger run.
        merged_from: the folders of the parts that were merged; empty: this is no such run.
    """

    schema_version: int = 0
    metric_version: int | None
    status: RunStatus
    config: RunConfig
    decision: Decision
    fingerprint: Mapping[str, Json]
    about: About
    n_expected: int
    findings: tuple[str, ...] = ()
    provenance: Provenance
    trusted_checkpoint: bool = False
    sittings: tuple[Sitting, ...] = ()
    seconds: float = 0.0
    stages: Mapping[str, StageCost] = field(default_factory=dict)
    energy: Energy | None = None
    adopted_unverified: int = 0
    lines: int | None = None
    rescored_from: str | None = None
    shard: Shard | None = None
    merged_from: tuple[str, ...] = ()

    @property
    def reused(self) -> int:
        """How many results of stages came from the store: they took neither time nor energy here."""
        return sum(stage.reused for stage in self.stages.values())


def shallow(record: Any) -> dict[str, Any]:
    """The fields of a record by name, as they are: to make a larger record of it."""
    return {entry.name: getattr(record, entry.name) for entry in fields(record)}
