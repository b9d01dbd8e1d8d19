"""What each stage of a system made of a mixture, as far as the stage store still has it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s5eval.data_manifests.common.cache import cache_folder, file_sha256
from s5eval.harness.record.tables import PairTable
from s5eval.harness.view.runs import Snapshot
from s5eval.systems.interface import Candidates
from s5eval.systems.pipeline import stage_key
from s5eval.systems.stage_store import DiskStore


@dataclass(frozen=True, slots=True)
class Stages:
    """Candidates by stage, in order of the stages; and why there are none, or not all."""

    candidates: Mapping[str, Candidates]
    problem: str | None = None

    @property
    def last(self) -> Candidates | None:
        """Of the last stage; None unless every stage is there."""
        if self.problem is not None or not self.candidates:
            return None
        return list(self.candidates.values())[-1]


def stages_of(run: Snapshot, mixture: Path, table: PairTable | None) -> Stages:
    """Look up what the stages of a run's system made of a mixture.

    Args:
        run: names the stages and their fingerprints.
        mixture: its file: the content is part of what a result is known by.
        table: of the mixture; what the last stage made has to agree with it.
    """
    names = None if run.record is None else run.record.fingerprint.get("stages")
    if not isinstance(names, Mapping) or not names:
        return Stages({}, "the system has no stages")
    store, digest = DiskStore(cache_folder() / "stages"), file_sha256(mixture)
    found: dict[str, Candidates] = {}
    previous: Candidates | None = None
    for name, fingerprint in names.items():
        if not isinstance(fingerprint, Mapping):
            return Stages(found, f"run.json does not say what {name} depended on")
        previous = store.get(stage_key(str(name), fingerprint, digest, previous))
        if previous is None:
            where = "the run was made with --no-cache, or the store was cleared since"
            return Stages(found, f"{name} is not in the stage store ({where}); the same run again makes it")
        found[str(name)] = previous
    if table is not None and previous is not None and not _agrees(previous, table):
        return Stages({}, "what the stage store has is not what this run was scored on")
    return Stages(found)


def _agrees(candidates: Candidates, table: PairTable) -> bool:
    return candidates.p_silence.shape == table.p_silence.shape and bool(
        np.allclose(candidates.p_silence, table.p_silence, atol=1e-9)
    )
