"""Rows that stand in the folder of an ablation: whether they are what would be made now, so that a table may hold both.

A difference between a row of last week and one of today is the effect of their settings only where all else is the
same: weights, the decision beside them, the data, the metrics.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError, S5Error, UsageError
from s5eval.data_manifests.manifest import Manifest
from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.lines import read_journal
from s5eval.harness.record.reading import is_sealed, read_run_record
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.runs.plan import plan_run, with_decision_of
from s5eval.harness.runs.unchanged import refuse_changed, refuse_other_metrics

Row = tuple[str, RunConfig, Path]
"""A row's name, what it is asked to do, and its run folder."""

_INSTEAD = "choose another `out`: stages that did not change are not run again there"


def refuse_changed_rows(rows: Sequence[Row]) -> None:
    """Refuse to go on where a row that has begun was made otherwise than it would be made now.

    Every such row is planned. Rows that differ in the decision alone are planned with one building of their system,
    and nothing is built where no row has begun.

    Args:
        rows: of the ablation; all on the same data.

    Raises:
        UsageError: naming the row: other options, another system or decision, or scores by other metrics.
        DataError: naming the row: other data, or what its system is built of is missing.
    """
    begun = [row for row in rows if (row[2] / "run.json").is_file()]
    records = {path: read_run_record(path) for _, _, path in begun}
    for _, config, path in begun:  # what needs no network first
        if differences := records[path].config.differences(config):
            raise UsageError(f"{path} holds a row made otherwise ({'; '.join(differences)}); choose another `out`")
    manifest: Manifest | None = None
    for alike in _of_one_system(begun):
        plan = None
        for name, config, path in alike:
            with _naming(name):
                refuse_other_metrics(path, records[path])
                plan = plan_run(config, manifest) if plan is None else with_decision_of(plan, config)
                refuse_changed(path, records[path], plan, _done(path, records[path]), instead=_INSTEAD)
                manifest = plan.manifest


def _of_one_system(rows: Iterable[Row]) -> Iterable[list[Row]]:
    """The rows by the settings of their system: one after the other, so that one system at a time is in memory."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(json.dumps(row[1].settings.get("system", {}), sort_keys=True), []).append(row)
    return groups.values()


def _done(path: Path, record: RunRecord) -> set[str]:
    """Ids of the mixtures that stand; what is damaged is found when the row goes on."""
    try:
        lines = read_journal(path, sealed=is_sealed(record)).lines
    except OSError as error:
        raise DataError(f"{path}: its journal cannot be read: {error.strerror or error}") from error
    return {id_ for id_, line in lines.items() if line.score.status != "failed"}


@contextmanager
def _naming(row: str) -> Iterator[None]:
    """An expected error of the block names the row."""
    try:
        yield
    except S5Error as error:
        kind = DataError if isinstance(error, DataError) else UsageError
        raise kind(f"row {row!r}: {error}") from error
