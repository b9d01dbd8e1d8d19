"""What tuning and the adaptation of priors have in common: what a decision inherits from its runs, and its file."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from s5eval.data_manifests.common.digests import digest_text
from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.files import write_atomically
from s5eval.data_manifests.common.sealed import seal_comment
from s5eval.data_manifests.common.words import counted
from s5eval.harness.record.fitted_mixtures import KEY
from s5eval.harness.record.reading import facts_of, unverified
from s5eval.harness.record.run_record import TUNED, RunRecord
from s5eval.harness.record.same_system import digest_of
from s5eval.harness.record.scene_identity import scene_identities
from s5eval.harness.record.shards_together import shards_together
from s5eval.harness.report.table import data_name, doubts_of, part_mark, whole
from s5eval.metrics.version import METRIC_VERSION
from s5eval.systems.card import record_file
from s5eval.systems.decision import Decision
from s5eval.systems.decision_reading import THRESHOLDS


def inherited_marks(records: Sequence[RunRecord], used: Sequence[int]) -> dict[str, Any]:
    """What a reader of a decision must know of the runs it was made on.

    Args:
        records: their `run.json`; shards of one run are one run.
        used: how many mixtures of each were used.

    Returns:
        `tuned_on_forbidden`: one of them is on a split that forbids tuning, or its own decision, which the new one
        begins with, carries that mark. Only where there are any: `missing_parts` of the system; `partial`, of how many
        mixtures; `unverified`, tables without digests; `trained_on`, that the weights were trained on what sounds in
        how many of them; `doubts`, all else that stands beside the numbers of a run, such as random weights.
    """
    lacking = {part for record in records for part in record.about.missing_parts}
    missing = sorted(lacking - {TUNED})  # of the decision, which is another one now
    runs = [[(facts_of(records[k]), used[k]) for k in numbers] for numbers in shards_together(records)]
    parts = [part_mark(sum(count for _, count in run), max(whole(facts) for facts, _ in run)) for run in runs]
    doubts = [unverified(record) or "" for record in records]
    counts = [sum(facts.trained_here for facts, _ in run) for run in runs]
    heard = [f"trained on recordings of {counted(count, 'mixture')} of it" for count in counts if count]
    said = {
        "partial": [part for part in parts if part],
        "unverified": [doubt for doubt in doubts if doubt],
        "trained_on": heard,
        "doubts": [mark for record in records for mark in _other_marks(record)],
    }
    return {
        "tuned_on_forbidden": any(_is_forbidden(record) for record in records),
        **({"missing_parts": missing} if missing else {}),
        **{key: "; ".join(dict.fromkeys(texts)) for key, texts in said.items() if texts},
    }


def _other_marks(record: RunRecord) -> list[str]:
    """The marks of a run but for those that a provenance has keys for, and that of the decision it replaces."""
    facts = facts_of(record)
    others = replace(facts, tuned_on_forbidden=False, trained_here=0, fitted_here=0, missing_parts=(), unverified=None)
    return doubts_of(others)


def refuse_forbidden(run: Path, record: RunRecord, *, allow_test: bool, why: str) -> None:
    """Refuse a run on a split whose manifest forbids tuning, save where that is asked for.

    Args:
        run: the run folder.
        record: what it says of itself.
        allow_test: asked for all the same.
        why: what is wrong with it, as a clause.

    Raises:
        UsageError: it is forbidden.
    """
    about = record.about
    if about.tune == "forbidden" and not allow_test:
        raise UsageError(
            f"{run} is a run on {about.dataset}/{about.split}, whose manifest forbids tuning: {why}. "
            "`allow_test=True` does it all the same, and every run that uses the file will carry the mark"
        )


def _is_forbidden(record: RunRecord) -> bool:
    about, provenance = record.about, record.decision.provenance or {}
    return about.tune == "forbidden" or about.tuned_on_forbidden or bool(provenance.get("tuned_on_forbidden"))


def inherited_lines(provenance: Mapping[str, Any], done: str) -> list[str]:
    """These marks as lines below a table; `done` is what was done on the runs, such as `tuned on`."""
    lines = [f"{done} a run without {part}" for part in provenance.get("missing_parts", ())]
    lines += [f"{done} a part: {provenance['partial']}"] if "partial" in provenance else []
    lines += [f"{done} a run that was {provenance['unverified']}"] if "unverified" in provenance else []
    lines += [f"{done} a run {provenance['trained_on']}"] if "trained_on" in provenance else []
    lines += [f"{done} a run that is marked: {provenance['doubts']}"] if "doubts" in provenance else []
    if provenance.get("tuned_on_forbidden"):
        lines.append(f"{done} a forbidden split: every run that uses this file carries the mark")
    return ["", *lines] if lines else []


def made_on(runs: Sequence[Path], records: Sequence[RunRecord], used: Sequence[Collection[str]]) -> dict[str, Any]:
    """What the provenance of a decision says of the runs that it was fitted to.

    Args:
        runs: their folders.
        records: their `run.json`.
        used: ids of the mixtures of each that it was fitted to.
    """
    digests = [
        digest
        for record, ids in zip(records, used, strict=True)
        for id_, digest in zip(record.mixtures, scene_identities(record), strict=False)
        if id_ in ids
    ]
    abouts = [record.about for record in records]
    return {
        "run": joint(path.resolve().name for path in runs),
        **scored_by(records[0]),
        "dataset": joint(about.dataset for about in abouts),
        "split": joint(about.split for about in abouts),
        "data": joint(map(data_name, abouts)),
        **inherited_marks(records, [len(ids) for ids in used]),
        "manifest_sha256": joint(record.manifest_sha256 for record in records),
        **({KEY: digest_text(digests)} if digests else {}),
        "metric_version": METRIC_VERSION,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def scored_by(record: RunRecord) -> dict[str, Any]:
    """What a provenance says of the system whose scores a decision was made on.

    `weights` is what tables show; `fingerprint` is what tells whether a system is that one (`same_system`).
    """
    return {"system": record.about.system, "weights": record.about.weights, "fingerprint": digest_of(record)}


def joint(values: Iterable[Any]) -> Any:
    """The value where all runs have the same, else a list of them."""
    listed = list(values)
    return listed[0] if all(value == listed[0] for value in listed) else listed


def write_decision(file: Path, decision: Decision) -> None:
    """Write a decision file, closed by its digest; in a folder of weights, whose card lists it, the card is told.

    Raises:
        WriteError: the file cannot be written.
        DataError: the card cannot be read or written.
    """
    write_atomically(file, seal_comment(yaml.safe_dump(decision.as_dict(), sort_keys=False, allow_unicode=True)))
    if file.name == THRESHOLDS:
        record_file(file.parent, THRESHOLDS)
