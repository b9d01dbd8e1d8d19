"""The runs below folders: what was run on what, how far it came, its scores and its marks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from s5eval.data_manifests.common.errors import DataError, S5Error, UsageError
from s5eval.harness.record.reading import facts_of, read_run_record, read_summary
from s5eval.harness.record.run_summary import BoundMetricName, MetricValue, Summary
from s5eval.harness.report.table import data_name, doubts_of, part_mark, settings_of, shown_name, shown_path
from s5eval.harness.report.terminal_layout import aligned
from s5eval.harness.report.text import ABSENT, number

RANKING_METRICS: tuple[BoundMetricName, ...] = get_args(BoundMetricName)
"""The metrics that are listed."""

_DEEPEST = 4  # folders below the given one: a row of an ablation in runs/ lies at 3


@dataclass(frozen=True, slots=True)
class ListedRun:
    """One run folder.

    Attributes:
        path: the folder.
        name: what the run is called.
        time: when it was begun or resumed last, as in its provenance; None: not known.
        data: data set and split.
        status: as in `run.json`; `damaged` for a folder that cannot be read.
        n_expected: mixtures that were asked for.
        n_done: mixtures with a result, failed ones not counted.
        metrics: the three ranking metrics; empty without a summary.
        marks: what a reader must not miss, or why the folder cannot be read.
    """

    path: Path
    name: str
    time: str | None = None
    data: str = ""
    status: str = "damaged"
    n_expected: int | None = None
    n_done: int | None = None
    metrics: Mapping[BoundMetricName, MetricValue] = field(default_factory=dict)
    marks: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The run for machines."""
        return {**asdict(self), "path": str(self.path), "marks": list(self.marks)}


def list_runs(folders: Sequence[Path]) -> list[ListedRun]:
    """The runs in and below folders, by path; a folder that is a run is listed itself.

    Raises:
        UsageError: one of the folders is not there, or cannot be read.
    """
    found: dict[Path, ListedRun] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"no folder at {folder}; name one that holds runs")
        for path in run_folders(folder):
            found.setdefault(path.resolve(), _listed(path))
    return list(found.values())


def run_folders(folder: Path, depth: int = _DEEPEST) -> Iterator[Path]:
    """The run folders in and below a folder, by name; links are not followed, hidden ones not entered.

    Folders below it that are somebody else's, or are removed meanwhile, are passed over.

    Raises:
        UsageError: the folder itself cannot be read.
    """
    try:
        if (folder / "run.json").is_file():
            yield folder
            return
        inside = sorted(folder.iterdir()) if depth else []
    except OSError as error:
        if depth == _DEEPEST:
            raise UsageError(
                f"{folder}: cannot be read: {error.strerror or error}; name a folder that you may read"
            ) from error
        return
    for entry in inside:
        if not entry.name.startswith(".") and _is_own_folder(entry):
            yield from run_folders(entry, depth - 1)


def _is_own_folder(path: Path) -> bool:
    try:
        return path.is_dir() and not path.is_symlink()
    except OSError:
        return False


def _listed(path: Path) -> ListedRun:
    try:
        record = read_run_record(path)
    except S5Error as error:
        return ListedRun(path, path.name, marks=(str(error),))
    summary, damage = _summary(path)
    facts = facts_of(record)
    part = part_mark(facts.n_expected, facts.n_split)
    return ListedRun(
        path,
        shown_name(facts),
        record.provenance.time,
        data_name(facts),
        record.status,
        facts.n_expected,
        None if summary is None else max(summary.n_scored, summary.n_predicted),
        {} if summary is None else {name: summary.metrics[name] for name in RANKING_METRICS},
        (*([part] if part else []), *doubts_of(facts), *settings_of(facts), *damage),
    )


def _summary(path: Path) -> tuple[Summary | None, list[str]]:
    """What `summary.json` says, and why nothing; a run that was killed has none yet, which is no damage."""
    try:
        return read_summary(path), []
    except DataError as error:
        return None, [] if isinstance(error.__cause__, FileNotFoundError) else [str(error)]


def runs_table(runs: Sequence[ListedRun]) -> str:
    """The runs as a table, marks below it; where a path does not fit, it stands whole above its row, to be copied."""
    rows: list[tuple[str, ...]] = [
        ("run", "name", "data", "status", "mixtures", "CAPI-SDRi dB", "mixture acc. %", "source acc. %")
    ]
    notes: dict[str, str] = {}
    for run in runs:
        star = ""
        if run.marks:
            star = notes.setdefault("; ".join(run.marks), f"({len(notes) + 1})")
        done = ABSENT if run.n_done is None else str(run.n_done)
        counts = ABSENT if run.n_expected is None else f"{done} of {run.n_expected}"
        values = (number(run.metrics[name].value if name in run.metrics else None, 3) for name in RANKING_METRICS)
        rows.append(
            (f"{shown_path(run.path)} {star}".rstrip(), run.name, run.data or ABSENT, run.status, counts, *values)
        )
    below = [f"{star} {marks}" for marks, star in notes.items()]
    return "\n".join([*aligned(rows, left=(0, 1, 2, 3), apart=0), *(["", *below] if below else [])])
