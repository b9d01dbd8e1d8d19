"""Whether a run that stands in a folder is the one that would be made now: the same data, system, decision, metrics.

What would be made now is a plan, so the system has to be built to know: its fingerprint is its own to tell.
"""

import json
import logging
from collections.abc import Collection
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.manifest import Manifest
from s5eval.harness.record.run_record import RunRecord, manifest_facts
from s5eval.harness.record.same_data import same_data
from s5eval.harness.record.same_system import changes
from s5eval.harness.runs.plan import Plan
from s5eval.metrics.version import METRIC_VERSION

log = logging.getLogger("s5eval.run")

START_ANEW = "start a new run"


def refuse_other_metrics(out: Path, record: RunRecord) -> None:
    """Refuse scores that another version of the metrics has made. Raises `UsageError`."""
    if record.metric_version != METRIC_VERSION:
        raise UsageError(
            f"{out} was scored by metric version {record.metric_version}, this is {METRIC_VERSION}: "
            f"`s5eval rescore {out}` brings it up to date, then resume it"
        )


def refuse_changed(
    out: Path, record: RunRecord, plan: Plan, done: Collection[str], *, instead: str = START_ANEW
) -> None:
    """Refuse to take what stands in a run folder for a part, or all, of what is planned.

    Args:
        out: the run folder.
        record: its `run.json`.
        plan: what would be made now.
        done: ids of the mixtures that stand there: data of the rest may have been mended since.
        instead: what to do, as the end of a sentence.

    Raises:
        UsageError: the system or the decision is another one, or the shard lacks some of what is done.
        DataError: the data are others.
    """
    if plan.shard == record.shard:
        _check_data(out, record, plan.manifest, done, instead)
    else:
        _check_shard(out, record, plan, done, instead)
    if plan.fingerprint != record.fingerprint:
        raise UsageError(
            f"system {plan.config.system!r} is not as it was when {out} began "
            f"({changes(record.fingerprint, plan.fingerprint)}); {instead}"
        )
    if json.loads(json.dumps(plan.decision.as_dict())) != record.decision.as_dict():
        source = record.rescored_from
        why = "was its file edited?" if source is None else f"it was rescored from {source}"
        raise UsageError(f"the decision is not as it was when {out} began ({why}); {instead}")


def _check_shard(out: Path, record: RunRecord, plan: Plan, done: Collection[str], instead: str) -> None:
    """A run may go on as another part of the same data, if that holds all that is done."""
    before = record.shard.manifest_sha256 if record.shard is not None else record.manifest_sha256
    now = plan.shard.manifest_sha256 if plan.shard is not None else plan.manifest.sha256
    if before != now:
        raise DataError(f"{plan.manifest.root} does not hold the data that {out} began with; {instead}")
    left = set(done) - {scene.mixture.id for scene in plan.manifest.scenes}
    if left:
        raise UsageError(
            f"`shard` {plan.config.shard} does not hold {counted(len(left), 'mixture')} done in {out}, such as "
            f"{min(left)}; `shard` 1/1 holds all"
        )


def _check_data(out: Path, record: RunRecord, manifest: Manifest, done: Collection[str], instead: str) -> None:
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
        raise DataError(f"{manifest.root} does not hold the data that {out} began with; {instead}")
    if lost := [id_ for id_ in data.changed if id_ in done]:
        raise DataError(
            f"{manifest.root} does not hold the data that {out} began with: other content in files of "
            f"{counted(len(lost), 'mixture')} that had been scored, such as {lost[0]}; {instead}"
        )
    log.warning("the files of %s have changed since the run began; none of them was scored", ", ".join(data.changed))
