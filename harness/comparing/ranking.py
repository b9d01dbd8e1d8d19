"""Ranks many submissions, or finished runs, on the same data; published results beside them where those apply."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from s5eval.data_manifests.chosen_split import FOLDER
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.manifest import open_manifest
from s5eval.harness.comparing.pair_of_runs import doubts_of_data, unlike_data
from s5eval.harness.comparing.published import Published, RankingMetric, published_on, ranking_metric
from s5eval.harness.comparing.ranked import Condition, RankedSubmission, conditions, placed
from s5eval.harness.errors import EXIT_DONE, EXIT_FAILED_MIXTURES
from s5eval.harness.record.codec import to_json
from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.reading import read_run_record, read_scores, read_summary
from s5eval.harness.record.run_summary import BoundMetricName
from s5eval.harness.record.same_data import same_data_of_runs
from s5eval.harness.record.unpacked import is_unpacked
from s5eval.harness.report.table import (
    doubts_of_system,
    estimate_marks,
    named_data,
    settings_of,
    shown_name,
    shown_path,
)
from s5eval.harness.runs.resume import resume
from s5eval.harness.runs.run import MixtureProgress, RunResult, start_run


@dataclass(frozen=True, slots=True)
class Ranking:
    """Submissions in order of rank, those without a rank last.

    Attributes:
        out: folder that holds a run folder per submission, or all of the ranked runs; None: these have none in common
            but the root of the file system.
        data: data set and split, or `folder NAME`.
        n: mixtures of each run.
        n_split: mixtures of the whole split; where there are more than `n`, the ranking is of a part.
        entries: what could be scored.
        unusable: name → why it could not be read.
        published: results on the same mixtures; empty when these are not the official ones.
        note: what a reader should know of the published results; None: nothing.
        metric: what ranks: CAPI-SDRi, or CA-SDRi on the data of 2025.
        conditions: ranks over parts of the mixtures.
        marks: what must be known of a finished run's system, by its name in the ranking.
        doubts: what is not certain of the data of two runs.
    """

    out: Path | None
    data: str
    n: int
    n_split: int
    entries: tuple[RankedSubmission, ...]
    unusable: Mapping[str, str]
    published: tuple[Published, ...]
    note: str | None
    metric: RankingMetric = "capi_sdri"
    conditions: tuple[Condition, ...] = ()
    marks: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """All that makes the runs less comparable than they look: doubts and marks."""
        return (*self.doubts, *self.marks)

    @property
    def exit_code(self) -> int:
        """3 when a submission could not be read, else 4 when a mixture failed, else 0."""
        if self.unusable:
            return DataError.exit_code
        failed = any(entry.result.summary.n_failed for entry in self.entries)
        return EXIT_FAILED_MIXTURES if failed else EXIT_DONE

    def as_dict(self) -> dict[str, Any]:
        """The ranking for machines."""
        return {
            "data": self.data,
            "n": self.n,
            "n_split": self.n_split,
            "metric": self.metric,
            "ranking": [_entry_dict(entry) for entry in self.entries],
            "conditions": [asdict(condition) for condition in self.conditions],
            "unusable": dict(self.unusable),
            "published": [asdict(row) for row in self.published],
            "note": self.note,
            "warnings": list(self.warnings),
            "runs": None if self.out is None else str(self.out),
        }


def rank(
    paths: Sequence[Path],
    config_for: Callable[[Path], RunConfig],
    out: Path,
    *,
    resuming: Collection[str] | None = None,
    progress: MixtureProgress | None = None,
) -> Ranking:
    """Score submissions one after the other, each into `out/<name>`, and rank them.

    Args:
        paths: zips or folders of estimates.
        config_for: the run of one of them; data and filters are the same for all.
        out: folder of the runs; made when missing.
        resuming: go on with runs that are in `out` already; names of the fields of `RunConfig` that were given
            again, and must not differ. None: all runs are new.
        progress: shows how far a run is.

    Raises:
        UsageError: two submissions have the same name, `out` holds one of the runs already, or a shard is asked for.
        DataError: the data are missing or wrong. A submission that cannot be read is an entry of `unusable`.
    """
    names = _named([(submission_name(path), path) for path in paths])
    configs = {name: config_for(path) for name, path in names.items()}
    first = next(iter(configs.values()))
    if first.shard is not None:  # its ranks would stand as those of all mixtures, beside results on all of them
        raise UsageError(
            f"`shard` {first.shard} is a part of one run, and a ranking is of all mixtures: score the shards of each "
            "submission by itself, `s5eval merge` them, and `s5eval rank` the merged runs"
        )
    manifest = open_manifest(first.data, dataset=first.dataset, split=first.split, limit=first.limit, only=first.only)
    results: dict[str, RunResult] = {}
    unusable = {}
    for name in names:
        try:
            if resuming is not None and (out / name).is_dir():
                given = {field: getattr(configs[name], field) for field in resuming}
                results[name] = resume(out / name, given=given, fresh=configs[name], progress=progress)
            else:
                results[name] = start_run(configs[name], out / name, progress=progress)
        except DataError as error:
            unusable[name] = str(error)
    ids = [scene.mixture.id for scene in manifest.scenes]
    folder = first.data.resolve().name if manifest.dataset == FOLDER and first.data is not None else None
    facts = manifest.dataset, manifest.split.name, folder, manifest.n_split
    return _ranking(out, names, results, facts, ids, unusable)


def rank_runs(runs: Sequence[Path]) -> Ranking:
    """Rank finished runs by what they have on disk: nothing is scored again.

    Args:
        runs: run folders on the same data. The ranking's `out` is the folder that they have in common, if any.

    Raises:
        UsageError: not a run folder, runs of the same name, or runs on different data.
        DataError: a run folder is damaged.
    """
    records = [read_run_record(path) for path in runs]
    doubts: list[str] = []
    for path, record in zip(runs[1:], records[1:], strict=True):
        if not same_data_of_runs(records[0], record).same or records[0].mixtures != record.mixtures:
            unlike = unlike_data(records[0], record)
            raise UsageError(f"{runs[0]} and {path} were made on different data ({unlike}); a ranking needs the same")
        if records[0].metric_version != record.metric_version:
            raise UsageError(
                f"{runs[0]} and {path} were scored by metric versions {records[0].metric_version} and "
                f"{record.metric_version}; `s5eval rescore` brings a run up to date"
            )
        pair = f"{shown_path(runs[0])} and {shown_path(path)}"
        doubts += [f"{pair}: {doubt}" for doubt in doubts_of_data(records[0], record)]
    taken = [shown_name(record.about) for record in records]
    if len(set(taken)) < len(taken):
        taken = [path.resolve().name for path in runs]
    if len(set(taken)) < len(taken):  # packed runs cannot be renamed; their digests tell them apart
        taken = [shown_path(path) if is_unpacked(path) else name for name, path in zip(taken, runs, strict=True)]
    names = _named(list(zip(taken, runs, strict=True)))
    results = {name: RunResult(path, read_summary(path)) for name, path in names.items()}
    about = records[0].about
    said = {name: [*settings_of(result.summary), *doubts_of_system(result.summary)] for name, result in results.items()}
    marked = [f"{name}: {'; '.join(marks)}" for name, marks in said.items() if marks]
    facts = about.dataset, about.split, about.folder, about.n_split
    return _ranking(_common_folder(runs), names, results, facts, records[0].mixtures, {}, marked, doubts)


def _common_folder(runs: Sequence[Path]) -> Path | None:
    parents = [run.parent for run in runs]
    if len(set(parents)) == 1:
        return parents[0]
    resolved = [path.resolve() for path in parents]
    if len({path.anchor for path in resolved}) > 1:  # drives
        return None
    common = Path(os.path.commonpath(resolved))
    return None if common == Path(common.anchor) else common  # the root holds everything, and says nothing of them


def submission_name(path: Path) -> str:
    """What estimates are called: their folder, or the archive without its ending."""
    return path.resolve().name if path.is_dir() else path.stem


def _named(pairs: Sequence[tuple[str, Path]]) -> dict[str, Path]:
    names: dict[str, Path] = {}
    for name, path in pairs:
        if name in names:
            raise UsageError(f"{shown_path(names[name])} and {shown_path(path)} have the same name; rename one of them")
        names[name] = path
    return names


def _ranking(
    out: Path | None,
    names: Mapping[str, Path],
    results: Mapping[str, RunResult],
    facts: tuple[str, str, str | None, int],
    ids: Sequence[str],
    unusable: Mapping[str, str],
    marks: Sequence[str] = (),
    doubts: Sequence[str] = (),
) -> Ranking:
    dataset, split, folder, n_split = facts
    metric = ranking_metric(dataset)
    entries = placed(
        [RankedSubmission(k, names[k], r, _in_order(r.path, ids), ids, metric) for k, r in results.items()]
    )
    published, note = published_on(dataset, split, ids, n_split)
    data = named_data(dataset, split, folder)
    parts = tuple(conditions(entries))
    return Ranking(
        out,
        data,
        len(ids),
        n_split,
        tuple(entries),
        unusable,
        published,
        note,
        metric,
        parts,
        marks=tuple(marks),
        doubts=tuple(doubts),
    )


def _in_order(run_folder: Path, ids: Sequence[str]) -> dict[str, Any]:
    scores = read_scores(run_folder)
    return {id_: scores[id_] for id_ in ids if id_ in scores}


def _entry_dict(entry: RankedSubmission) -> dict[str, Any]:
    summary = entry.result.summary
    return {
        "rank": entry.rank,
        "place": None if entry.place is None else asdict(entry.place),
        "name": entry.name,
        "path": str(entry.path),
        "run": str(entry.result.path),
        "status": entry.status,
        "n_failed": summary.n_failed,
        "answered": summary.n_expected if summary.answered is None else summary.answered,
        "partial": entry.partial,
        "why_no_rank": entry.why_no_rank,
        "missing": list(entry.missing),
        "marks": estimate_marks(summary),
        "metrics": {name: to_json(summary.metrics[name]) for name in (*get_args(BoundMetricName), "ca_sdri")},
        "difference_to_first": None if entry.difference is None else entry.difference.as_dict(),
        "difference_to_previous": None if entry.to_previous is None else entry.to_previous.as_dict(),
    }
