"""Scores many submissions on the same data and ranks them, published results beside them where those apply."""

import csv
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.manifest import open_manifest
from s5eval.data_manifests.sets.known import known_datasets
from s5eval.harness.errors import EXIT_DONE, EXIT_FAILED_MIXTURES
from s5eval.harness.record.codec import to_json
from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.reading import read_run, read_scores
from s5eval.harness.record.run_summary import BoundMetricName
from s5eval.harness.report.layout import aligned
from s5eval.harness.report.table import estimate_marks, interval_text, part_mark
from s5eval.harness.report.text import number, number_and_interval
from s5eval.harness.runs.resume import resume
from s5eval.harness.runs.run import OutcomeProgress, RunResult, run
from s5eval.harness.scoring.corpus import METRICS, Column
from s5eval.harness.scoring.paired import Difference, paired_differences
from s5eval.metrics.tolerance import equal, settled
from s5eval.submissions.layout import EVAL_IDS, OFFICIAL_DATASET

RANKED_EVAL_MIXTURES = 1512
"""The challenge ranks the first so many mixtures of the evaluation set; published results are means over these."""

_CAPI = Column(("metrics", "capi_sdri"), METRICS[0], lambda score: True)


@dataclass(frozen=True, slots=True)
class RankedSubmission:
    """One submission's place.

    Attributes:
        name: of the archive or folder.
        path: where it is.
        result: its run.
        rank: 1 for the highest CAPI-SDRi, equal values share a rank; None for one that is partial or undefined.
        difference: to the first, over mixtures that both have scored (`delta` is negative); None for the first.
    """

    name: str
    path: Path
    result: RunResult
    rank: int | None = None
    difference: Difference | None = None

    @property
    def partial(self) -> str | None:
        """Why it gets no rank; None for one that answers all, or that may well mean silence where it has no file."""
        summary = self.result.summary
        expected = summary.n_expected
        if not self.whole:
            id_, error = next(iter(summary.failures.items()), ("", "not finished"))
            return f"{len(summary.failures)} of {expected} failed, such as {id_}: {error}"
        answered = expected if summary.answered is None else summary.answered
        if answered < expected and summary.listed:
            return f"answers {answered} of {expected} mixtures: eval_results.json does not list the others as silent"
        # A system that hears nothing in most scenes is unlikely, an upload that broke off is not.
        if 2 * answered < _with_targets(self.result.path):
            return f"answers {answered} of {expected} mixtures: most of those with targets have no file"
        return None

    @property
    def status(self) -> str:
        """The run's, and `partial` also for a complete run of estimates that are a part."""
        if self.whole:  # a filter is the same for all, and makes no team partial
            return "complete" if self.partial is None else "partial"
        return self.result.summary.status

    @property
    def whole(self) -> bool:
        """All that everybody had to answer is answered; a filter is the same for all, and keeps nobody from a rank."""
        summary = self.result.summary
        return max(summary.n_scored, summary.n_predicted) == summary.n_expected

    @property
    def value(self) -> float | None:
        """CAPI-SDRi in dB."""
        return self.result.summary.metrics["capi_sdri"].value


@dataclass(frozen=True, slots=True)
class Published:
    """A result of the challenge: CAPI-SDRi in dB, mixture accuracy in percent."""

    system: str
    capi_sdri: float
    mixture_accuracy: float
    note: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """Submissions in order of rank, those without a rank last.

    Attributes:
        out: folder that holds a run folder per submission.
        data: data set and split.
        n: mixtures of each run.
        n_split: mixtures of the whole split; where there are more than `n`, the ranking is of a part.
        entries: what could be scored.
        unusable: name → why it could not be read.
        published: results on the same mixtures; empty when these are not the official ones.
        note: what a reader should know of the published results; None: nothing.
    """

    out: Path
    data: str
    n: int
    n_split: int
    entries: tuple[RankedSubmission, ...]
    unusable: Mapping[str, str]
    published: tuple[Published, ...]
    note: str | None

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
            "ranking": [_entry_dict(entry) for entry in self.entries],
            "unusable": dict(self.unusable),
            "published": [asdict(row) for row in self.published],
            "note": self.note,
            "runs": str(self.out),
        }


def rank(
    paths: Sequence[Path],
    config_for: Callable[[Path], RunConfig],
    out: Path,
    *,
    resuming: Collection[str] | None = None,
    progress: OutcomeProgress | None = None,
) -> Ranking:
    """Score submissions one after the other, each into `out/<name>`, and rank them by CAPI-SDRi.

    Args:
        paths: zips or folders of estimates.
        config_for: the run of one of them; data and filters are the same for all.
        out: folder of the runs; made when missing.
        resuming: go on with runs that are in `out` already; names of the fields of `RunConfig` that were given
            again, and must not differ. None: all runs are new.
        progress: shows how far a run is.

    Raises:
        UsageError: two submissions have the same name, or `out` holds one of the runs already.
        DataError: the data are missing or wrong. A submission that cannot be read is an entry of `unusable`.
    """
    names: dict[str, Path] = {}
    for path in paths:
        name = submission_name(path)
        if name in names:
            raise UsageError(f"{names[name]} and {path} have the same name; rename one of them")
        names[name] = path
    configs = {name: config_for(path) for name, path in names.items()}
    first = next(iter(configs.values()))
    manifest = open_manifest(first.data, dataset=first.dataset, split=first.split, limit=first.limit, only=first.only)
    entries, unusable = [], {}
    for name, path in names.items():
        try:
            if resuming is not None and (out / name).is_dir():
                given = {field: getattr(configs[name], field) for field in resuming}
                result = resume(out / name, given=given, fresh=configs[name], progress=progress)
            else:
                result = run(configs[name], out / name, progress=progress)
            entries.append(RankedSubmission(name, path, result))
        except DataError as error:
            unusable[name] = str(error)
    ids = [scene.mixture.id for scene in manifest.scenes]
    published, note = _published(manifest.dataset, manifest.split.name, ids)
    data = manifest.dataset if manifest.dataset == manifest.split.name else f"{manifest.dataset}/{manifest.split.name}"
    return Ranking(out, data, len(ids), manifest.n_split, tuple(_ranked(entries)), unusable, published, note)


def submission_name(path: Path) -> str:
    """What estimates are called: their folder, or the archive without its ending."""
    return path.resolve().name if path.is_dir() else path.stem


def ranking_table(ranking: Ranking) -> str:
    """The ranking as text, with 95 % intervals; published results stand between the rows, without a rank."""
    header = ("", "CAPI-SDRi dB", "behind the first dB", "mixture acc. %", "source acc. %", "n (defined)")
    rows = [(entry.value if entry.rank else None, _row(entry)) for entry in ranking.entries]
    rows += [(row.capi_sdri, _published_row(row)) for row in ranking.published]
    ordered = sorted(rows, key=lambda row: (row[0] is None, -settled(row[0] or 0.0)))
    mixtures = part_mark(ranking.n, ranking.n_split) or f"{ranking.n} mixtures"
    lines = [f"data: {ranking.data} | {mixtures} | 95 % intervals", ""]
    lines += aligned([header, *(row for _, row in ordered)])
    partial = [entry for entry in ranking.entries if entry.partial is not None]
    if partial:
        lines += [
            "",
            "without a rank (failed mixtures are in none of its numbers, one without a file is silent)",
        ]
        lines += [f"  {entry.name}: {entry.partial}" for entry in partial]
    marks = {entry.name: estimate_marks(entry.result.summary) for entry in ranking.entries if entry.partial is None}
    if any(marks.values()):
        lines += ["", "what counts as silent (no file) or was changed:"]
        lines += [f"  {name}: {', '.join(said)}" for name, said in marks.items() if said]
    if ranking.unusable:
        lines += ["", "not scored:", *(f"  {name}: {reason}" for name, reason in ranking.unusable.items())]
    if ranking.note:
        lines += ["", ranking.note]
    return "\n".join(lines)


def _with_targets(run: Path) -> int:
    """How many mixtures of a run have references."""
    return sum(bool(score.reference_labels) for score in read_scores(run).values())


def _ranked(entries: Sequence[RankedSubmission]) -> list[RankedSubmission]:
    def key(entry: RankedSubmission) -> tuple[bool, bool, float, str]:
        return entry.partial is not None, entry.value is None, -settled(entry.value or 0.0), entry.name

    ordered = sorted(entries, key=key)
    if not ordered or key(ordered[0])[:2] != (False, False):
        return ordered
    ranked: list[RankedSubmission] = []
    for position, entry in enumerate(ordered, start=1):
        complete = key(entry)[:2] == (False, False)
        tied = complete and ranked and equal(ranked[-1].value or 0.0, entry.value or 0.0)
        place = None if not complete else ranked[-1].rank if tied else position
        difference = None if position == 1 or entry.value is None else _difference(ordered[0], entry)
        ranked.append(replace(entry, rank=place, difference=difference))
    return ranked


def _difference(first: RankedSubmission, second: RankedSubmission) -> Difference:
    scores = [read_scores(entry.result.path) for entry in (first, second)]
    order = read_run(first.result.path).mixtures
    both = [id_ for id_ in order if all(id_ in side and side[id_].status == "scored" for side in scores)]
    sides = [[side[id_] for id_ in both] for side in scores]
    return paired_differences(sides[0], sides[1], [_CAPI])[0]


def _published(dataset: str, split: str, ids: Sequence[str]) -> tuple[tuple[Published, ...], str | None]:
    """Published results that are means over exactly these mixtures, and why there are none."""
    official = known_datasets()[OFFICIAL_DATASET].splits[split].mixtures if dataset == OFFICIAL_DATASET else None
    if split == "dev-test" and len(ids) == official:
        column = "test"
    elif tuple(ids) == EVAL_IDS[:RANKED_EVAL_MIXTURES]:
        column = "eval"
    elif tuple(ids) == EVAL_IDS:
        return (), f"published results are of the first {RANKED_EVAL_MIXTURES} mixtures alone"
    else:
        part = official is not None and len(ids) != official
        return (), "a part of the official split: published results are of all its mixtures" if part else None
    text = (files("s5eval.data_manifests.sets") / "published_results.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    found = [
        Published(
            row["system"], float(row[f"capi_sdri_{column}"]), float(row[f"mixture_accuracy_{column}"]), row["note"]
        )
        for row in rows
    ]
    ordered = sorted(found, key=lambda row: -row.capi_sdri)
    return tuple(ordered), "published: results page of DCASE 2026 Challenge Task 4, without intervals"


def _row(entry: RankedSubmission) -> tuple[str, ...]:
    metrics, difference = entry.result.summary.metrics, entry.difference
    place = "  – " if entry.rank is None else f"{entry.rank:3d} "
    behind = ""
    if difference is not None and difference.delta is not None:
        behind = number_and_interval(difference.delta, difference.ci_low, difference.ci_high, 3)
    return (
        f"{place}{entry.name}{'' if entry.status == 'complete' else f' ({entry.status})'}",
        interval_text(metrics["capi_sdri"], 3),
        behind,
        interval_text(metrics["mixture_accuracy"], 2),
        interval_text(metrics["source_accuracy"], 2),
        f"{metrics['capi_sdri'].n} ({metrics['capi_sdri'].n_defined})",
    )


def _published_row(row: Published) -> tuple[str, ...]:
    note = f"published, {row.note}" if row.note else "published"
    return f"    {row.system} ({note})", number(row.capi_sdri, 2), "", number(row.mixture_accuracy, 2), "", ""


def _entry_dict(entry: RankedSubmission) -> dict[str, Any]:
    summary = entry.result.summary
    difference = None if entry.difference is None else asdict(entry.difference)
    return {
        "rank": entry.rank,
        "name": entry.name,
        "path": str(entry.path),
        "run": str(entry.result.path),
        "status": entry.status,
        "n_failed": summary.n_failed,
        "answered": summary.n_expected if summary.answered is None else summary.answered,
        "partial": entry.partial,
        "marks": estimate_marks(summary),
        "metrics": {name: to_json(summary.metrics[name]) for name in get_args(BoundMetricName)},
        "difference_to_first": difference,
    }
