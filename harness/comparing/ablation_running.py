"""Runs the rows of a grid, which share stage results through the stage store, and sets them beside each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from s5eval.data_manifests.common.errors import S5Error, UsageError
from s5eval.data_manifests.common.unfinished import sweep
from s5eval.data_manifests.common.words import counted
from s5eval.harness.comparing.ablation import Ablation, AblationRow, Delta
from s5eval.harness.comparing.ablation_grid import Grid, GridRow, row_folders
from s5eval.harness.comparing.ablation_rows import refuse_changed_rows
from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.reading import read_run_record, read_scores
from s5eval.harness.record.run_record import TUNED
from s5eval.harness.record.run_summary import CorpusBoundName, MetricValue, Summary
from s5eval.harness.record.same_system import decided_for_another
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report.table import BOUND_NOTES, doubts_of
from s5eval.harness.runs.resume import resume
from s5eval.harness.runs.run import MixtureProgress, RunResult, start_run
from s5eval.harness.scoring.columns import METRICS, Column, all_columns, bound_columns
from s5eval.harness.scoring.paired import paired_differences
from s5eval.systems.registry import load_factory


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A row's run before it is compared: what it cost, and its summary or the error; `misfit`: for what other system
    its decision was made; `refused`: the error itself, where it is one of s5eval.
    """

    row: GridRow
    path: Path
    summary: Summary | None = None
    executed: int = 0
    reused: int = 0
    seconds: float = 0.0
    error: str | None = None
    misfit: str = ""
    refused: S5Error | None = None


def run_grid(
    grid: Grid,
    config: RunConfig,
    out: Path,
    *,
    progress: MixtureProgress | None = None,
    announce: Callable[[str], None] | None = None,
) -> Ablation:
    """Run every row of a grid below `out/rows`; rows that are finished there are taken as they are, if they would be
    made like that now.

    Args:
        grid: the rows.
        config: what all rows have in common; its settings are replaced by each row's.
        out: the folder of the ablation.
        progress: see `start_run`.
        announce: told which row begins.

    Raises:
        UsageError: `out` holds rows of another grid, or of another system or decision, or is no folder; or a row is
            still to be made, and there is no such system.
        DataError: `out` holds rows on other data.
        S5Error: no row can be begun, all for the same reason: a table of nothing would only repeat it.
        KeyboardInterrupt: passed on; called again, the ablation goes on where it was.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is not a folder; choose another `out`")
    folders = row_folders([row.name for row in grid.rows])
    plans = [
        (row, replace(config, settings=row.settings()).absolute(), out / "rows" / folder)
        for row, folder in zip(grid.rows, folders, strict=True)
    ]
    refuse_changed_rows([(row.name, row_config, path) for row, row_config, path in plans])
    if not all((path / "run.json").is_file() for _, _, path in plans):
        load_factory(config.system)  # a name that is misspelled would fail every row, one by one
    sweep(out)
    outcomes = []
    for number, (row, row_config, path) in enumerate(plans, start=1):
        if announce is not None:
            announce(f"[{number}/{len(plans)}] {row.name}")
        outcomes.append(_run_row(row, row_config, path, progress))
    _refuse_if_all_alike(grid, config.system, outcomes)
    scored = [_scored(outcome) for outcome in outcomes]
    reference = next(own for own, row in zip(scored, grid.rows, strict=True) if row.name == grid.baseline)
    rows = tuple(_table_row(outcome, own, reference) for outcome, own in zip(outcomes, scored, strict=True))
    told = [(outcome.summary, own) for outcome, own in zip(outcomes, scored, strict=True) if outcome.summary]
    if not told:
        return Ablation(None, grid.baseline, rows, ())
    # bounds depend on no system: those of the row that has scored the most
    summary, most = max(told, key=lambda entry: entry[0].n_scored)
    bounds = tuple(_bound_row(name, summary, most, reference) for name in BOUND_NOTES)
    return Ablation(told[0][0], grid.baseline, rows, bounds)


def _refuse_if_all_alike(grid: Grid, system: str, outcomes: Sequence[_Outcome]) -> None:
    first = outcomes[0].refused
    begun = any((outcome.path / "run.json").is_file() for outcome in outcomes)
    reasons = {(type(outcome.refused), outcome.error) for outcome in outcomes}
    if first is None or begun or len(reasons) > 1:
        return
    other = "" if grid.system in (None, system) else f", which is of {grid.system!r},"
    first.args = (f"no row of the grid{other} can be run: {first}",)
    raise first


def _run_row(row: GridRow, config: RunConfig, path: Path, progress: MixtureProgress | None) -> _Outcome:
    sittings = len(read_run_record(path).sittings) if (path / "run.json").is_file() else 0
    try:
        result = _result(config, path, progress)
    except S5Error as error:
        return _Outcome(row, path, error=str(error), refused=error)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything; the other rows go on
        return _Outcome(row, path, error="; ".join([f"{type(error).__name__}: {error}", *_notes(error)]))
    record = read_run_record(path)
    finished = len(record.sittings) == sittings
    sitting = record.sittings[-1]  # what this call has paid, not earlier ones
    stages = sitting.stages.values()
    executed, reused = sum(stage.executed for stage in stages), sum(stage.reused for stage in stages)
    seconds = sum(stage.seconds for stage in stages) if stages else sitting.seconds or 0.0
    if finished:
        executed, reused, seconds = 0, executed + reused, 0.0
    failure = None
    if result.summary.status == "failed":
        failure = f"every mixture failed, the first: {next(iter(result.summary.failures.values()))}"
    misfit = decided_for_another(record)
    return _Outcome(row, path, result.summary, executed, reused, seconds, failure, misfit)


def _notes(error: Exception) -> list[str]:
    return list(getattr(error, "__notes__", []))


def _result(config: RunConfig, path: Path, progress: MixtureProgress | None) -> RunResult:
    if path.exists():
        names = ("system", "trust_checkpoint", "data", "workers", "devices", "engine", "address", "gpus_per_worker")
        given = {name: getattr(config, name) for name in (*names, "settings")}
        # That a finished row is what would be made now is known by here: its system need not be built once more.
        fresh = None if (path / "run.json").is_file() else config
        return resume(path, given=given, fresh=fresh, progress=progress)
    return start_run(config, path, progress=progress)


def _table_row(
    outcome: _Outcome, scored: Mapping[str, MixtureScore], reference: Mapping[str, MixtureScore]
) -> AblationRow:
    summary = outcome.summary
    columns = [Column(("metrics", metric.name), metric, lambda score: True) for metric in METRICS]
    metrics = None if summary is None or outcome.error is not None else summary.metrics
    marks = () if summary is None else _marks(summary, outcome.misfit)
    if scored is not reference and summary is not None:
        marks += _compared(summary, reference, scored)
    return AblationRow(
        outcome.row.name,
        outcome.row.assignments,
        outcome.path,
        _NOTHING if metrics is None else {str(name): value for name, value in metrics.items()},
        _delta(reference, scored, columns, columns),
        outcome.executed,
        outcome.reused,
        outcome.seconds,
        marks,
        0 if summary is None else summary.n_failed,
        outcome.error,
        None if summary is None else summary.weights,
    )


def _bound_row(
    name: CorpusBoundName, summary: Summary, scored: Mapping[str, MixtureScore], reference: Mapping[str, MixtureScore]
) -> AblationRow:
    columns = bound_columns(name)
    wanted = {column.metric.name for column in columns}
    own = [column for column in all_columns([]) if column.path[0] == "metrics" and column.metric.name in wanted]
    values = {str(metric): value for metric, value in summary.bounds[name].items()}
    marks = _compared(summary, reference, scored)
    if summary.n_scored < summary.n_expected:
        marks = (f"values over {summary.n_scored} of {counted(summary.n_expected, 'mixture')}", *marks)
    return AblationRow(name, {}, None, values, _delta(reference, scored, own, columns), marks=marks)


def _compared(
    summary: Summary, reference: Mapping[str, MixtureScore], other: Mapping[str, MixtureScore]
) -> tuple[str, ...]:
    """How many mixtures a difference is over, where that is not all: those that both have scored."""
    common = len(reference.keys() & other.keys())
    if not common or common == summary.n_expected:
        return ()
    return (f"differences over {common} of {counted(summary.n_expected, 'mixture')}",)


def _scored(outcome: _Outcome) -> dict[str, MixtureScore]:
    if outcome.summary is None:
        return {}
    return {id_: score for id_, score in read_scores(outcome.path).items() if score.status == "scored"}


def _delta(
    reference: Mapping[str, MixtureScore],
    other: Mapping[str, MixtureScore],
    reference_columns: Sequence[Column],
    columns: Sequence[Column],
) -> dict[str, Delta]:
    """Differences over the mixtures that both have scored; all None where there is none."""
    names = [column.metric.name for column in columns]
    common = [id_ for id_ in reference if id_ in other]
    if not common:
        return {name: Delta() for name in names}
    found = paired_differences(
        [reference[id_] for id_ in common], [other[id_] for id_ in common], reference_columns, columns
    )
    deltas = [Delta(d.delta, d.ci_low, d.ci_high, d.significant, d.withheld, d.n) for d in found]
    return dict(zip(names, deltas, strict=True))


def _marks(summary: Summary, misfit: str) -> tuple[str, ...]:
    """What stands beside the numbers of its run, and how its decision is not the one that was asked for."""
    marks = [f"without {part}" for part in summary.missing_parts if part != TUNED]
    if TUNED in summary.missing_parts:
        marks.append("these weights have no tuned decision: equals the default")
    if misfit:
        marks.append(f"a decision {misfit}")
    marks += doubts_of(replace(summary, missing_parts=()))
    if summary.undefined_reason is not None and summary.status != "failed":
        marks.append(f"CAPI-SDRi is undefined: {summary.undefined_reason}")
    if summary.n_failed:
        marks.append(f"partial: {summary.n_failed} of {summary.n_expected} mixtures failed")
    return tuple(marks)


_NOTHING = {metric.name: MetricValue(None, None, None, 0, 0) for metric in METRICS}
