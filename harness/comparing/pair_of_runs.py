"""Compares two runs on the same mixtures: every metric and slice, what flipped, where the decibels went."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.words import counted, first_of
from s5eval.harness.errors import GateError, NotComparableError
from s5eval.harness.record.codec import to_json
from s5eval.harness.record.reading import facts_of, read_run_record, read_scores, unverified
from s5eval.harness.record.run_record import Facts, RunRecord
from s5eval.harness.record.same_data import is_part, same_data_of_runs
from s5eval.harness.record.shards_together import cut_from
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report.table import all_marks_of, data_name
from s5eval.harness.report.text import number_and_interval
from s5eval.harness.scoring.columns import Column, all_columns
from s5eval.harness.scoring.decomposition import ORACLES, TERMS, decompose_run
from s5eval.harness.scoring.paired import LEAST_MIXTURES, Difference, paired_differences
from s5eval.metrics.tolerance import equal, settled

GATE_METRIC = "capi_sdri"
_NAMED = 5  # mixtures in the words of the gate

Path_ = tuple[str, ...]

LeftOut = Literal["first", "second", "either", "references"]
"""Why a mixture is not compared: not scored in the first run, in the second, in either; or the references differ."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs: its folder, and what is to be known of it."""

    path: str
    facts: Facts

    def as_dict(self) -> dict[str, Any]:
        """For `--json`: `marks` are the words that stand beside its numbers elsewhere."""
        return {"path": self.path, **to_json(self.facts), "marks": all_marks_of(self.facts)}


@dataclass(frozen=True, slots=True)
class TermDifference:
    """A level or a loss of both runs, dB; `delta` is second − first, None where one is undefined."""

    first: float | None
    second: float | None
    delta: float | None

    @staticmethod
    def of(first: float | None, second: float | None) -> "TermDifference":
        """From the two values."""
        return TermDifference(first, second, None if first is None or second is None else second - first)


@dataclass(frozen=True, slots=True)
class PairOfRuns:
    """Two runs side by side.

    Attributes:
        first: the first run.
        second: the second.
        n: mixtures that both have scored, which is what is compared.
        left_out: why other mixtures are not compared → their ids; reasons without any are absent.
        differences: per path in the summary, such as `("metrics", "capi_sdri")`.
        fixed: mixtures whose labels only the second run has exactly right.
        broken: mixtures whose labels only the first run has exactly right.
        changes: mixture and change in CAPI-SDRi, dB, largest loss first.
        decomposition: losses in dB of both runs, term by term; None without targets.
        warnings: what makes the two not comparable, when that was allowed; how the systems differ in parts; and what is
            not known for certain.
    """

    first: Side
    second: Side
    n: int
    left_out: Mapping[LeftOut, Sequence[str]]
    differences: Mapping[Path_, Difference]
    fixed: tuple[str, ...]
    broken: tuple[str, ...]
    changes: tuple[tuple[str, float], ...]
    decomposition: Mapping[str, TermDifference] | None
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        found = self.differences["metrics", GATE_METRIC]
        gain = number_and_interval(found.delta, found.ci_low, found.ci_high, 3, signed=True)
        warned = f", {counted(len(self.warnings), 'warning')}" if self.warnings else ""
        both = f"{self.second.path} minus {self.first.path}, {counted(self.n, 'mixture')}{warned}"
        return f"<Comparison of {both}: CAPI-SDRi {gain} dB>"

    def by_group(self, group: str) -> list[tuple[str, Difference]]:
        """Part and difference of a group of slices or conditions: of CAPI-SDRi, of `class` of its SDRi."""
        metric = "sdri" if group == "class" else "capi_sdri"
        return [
            (path[2], difference)
            for path, difference in self.differences.items()
            if path[0] in ("slices", "conditions") and path[1] == group and path[-1] == metric
        ]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`: the differences as a tree with the paths of `summary.json`."""
        tree: dict[str, Any] = {}
        for path, difference in self.differences.items():
            node = tree
            for key in path[:-1]:
                node = node.setdefault(key, {})
            node[path[-1]] = difference.as_dict()
        return {
            "first": self.first.as_dict(),
            "second": self.second.as_dict(),
            "n": self.n,
            "left_out": self.left_out,
            **tree,
            "fixed": self.fixed,
            "broken": self.broken,
            "changes": [list(change) for change in self.changes],
            "decomposition": to_json(self.decomposition),
            "warnings": self.warnings,
        }


def compare_runs(first: Path, second: Path, *, allow_different: bool = False) -> PairOfRuns:
    """Compare two run folders; differences are second − first.

    Args:
        first: the run to compare with.
        second: the run that is judged.
        allow_different: compare, over the mixtures both have, although data or metric versions differ.

    Raises:
        NotComparableError: different manifests or metric versions.
        UsageError: not a run folder; no mixture in common.
        DataError: a run folder is damaged.
    """
    records = read_run_record(first), read_run_record(second)
    sides = read_scores(first), read_scores(second)
    obstacles = _obstacles(records)
    if obstacles and not allow_different:
        raise NotComparableError(
            f"{first} and {second} cannot be compared: {'; '.join(obstacles)}. "
            "`allow_different=True` compares what both have all the same"
        )
    common, left_out = _paired(sides, {id_ for record in records for id_ in record.mixtures})
    if not common:
        other = counted(len(left_out.get("references", ())), "mixture")
        why = f": the references of {other} of the same names differ" if "references" in left_out else ""
        raise UsageError(f"{first} and {second} have no scored mixture in common{why}")
    a, b = ([side[id_] for id_ in common] for side in sides)
    columns = [column for column in all_columns([*a, *b]) if column.path[0] != "bounds"]
    changes = [
        (x.mixture_id, y.capi_sdri - x.capi_sdri)
        for x, y in zip(a, b, strict=True)
        if x.capi_sdri is not None and y.capi_sdri is not None and not equal(x.capi_sdri, y.capi_sdri)
    ]
    return PairOfRuns(
        first=Side(str(first), facts_of(records[0])),
        second=Side(str(second), facts_of(records[1])),
        n=len(common),
        left_out=left_out,
        differences=_differences(a, b, columns),
        fixed=tuple(y.mixture_id for x, y in zip(a, b, strict=True) if y.exact and not x.exact),
        broken=tuple(y.mixture_id for x, y in zip(a, b, strict=True) if x.exact and not y.exact),
        changes=tuple(sorted(changes, key=lambda change: settled(change[1]))),
        decomposition=_decompositions(a, b),
        warnings=(*obstacles, *_unlike_parts(records), *_doubts((first, second), records)),
    )


def check_not_worse(comparison: PairOfRuns) -> None:
    """The gate of `--fail-if-worse`.

    Raises:
        GateError: CAPI-SDRi of the second run is lower, at the 5 % level, or not defined where the first's is, or
            the second run has failed on mixtures that the first has scored; or that cannot be decided: there are fewer
            than `LEAST_MIXTURES`, or so few changed, and for the worse.
    """
    lost = comparison.left_out.get("second", ())
    if lost:
        without = f"{counted(len(lost), 'mixture')} without a score in {comparison.second.path}"
        raise GateError(f"gate not met: {without}: {first_of(lost, _NAMED)}")
    difference = comparison.differences["metrics", GATE_METRIC]
    if difference.first is not None and difference.second is None:
        raise GateError(f"gate not met: CAPI-SDRi of {comparison.second.path} is undefined")
    if difference.n < LEAST_MIXTURES:
        raise GateError(f"gate not decided: {counted(difference.n, 'mixture')}, at least {LEAST_MIXTURES} needed")
    worse = difference.delta is not None and difference.delta < 0
    if difference.withheld and worse:
        changed = f"only {difference.changed} of {counted(difference.n, 'mixture')} changed, for the worse"
        raise GateError(f"gate not decided: {changed}; at least {LEAST_MIXTURES} needed")
    if difference.significant and worse:
        raise GateError(
            "gate not met: CAPI-SDRi changes by "
            f"{number_and_interval(difference.delta, difference.ci_low, difference.ci_high, 3, signed=True)} dB"
        )


def _obstacles(records: tuple[RunRecord, RunRecord]) -> list[str]:
    a, b = records
    found = []
    data = same_data_of_runs(a, b)
    if not data.same and (part := _part(a, b)):
        found.append(part)
    elif not data.same:
        found.append(f"they were made on different data ({unlike_data(a, b)})")
    if a.metric_version != b.metric_version:
        found.append(
            f"they were scored by metric versions {a.metric_version} and {b.metric_version} "
            "(`s5eval rescore` brings a run up to date)"
        )
    return found


def unlike_data(a: RunRecord, b: RunRecord) -> str:
    """What two runs were made on, which is not the same, in words."""
    if a.shard is not None and b.shard is not None and cut_from(a) == cut_from(b):
        parts = f"shards {a.shard.named} and {b.shard.named} of one data set"
        return f"{parts}; `s5eval merge` makes one run of all shards of a system"
    sets = " and ".join(f"{data_name(run.about)}, {counted(run.n_expected, 'mixture')}" for run in (a, b))
    changed = same_data_of_runs(a, b).changed
    return f"{sets}; the files of {counted(len(changed), 'mixture')} have other content" if changed else sets


def _part(a: RunRecord, b: RunRecord) -> str | None:
    """That one run was made on a part of what the other was made on, in words; None: neither was."""
    sides = (("A", a, "B", b), ("B", b, "A", a))
    for name, part, of, whole in sides:
        if is_part(part, whole):
            n = f"{len(part.mixtures)} of the {counted(len(whole.mixtures), 'mixture')}"
            return f"{name} has {n} of {of} ({data_name(whole.about)})"
    return None


def _unlike_parts(records: tuple[RunRecord, RunRecord]) -> list[str]:
    """A system without one of its parts is another system, though its name and weights be the same."""
    a, b = (set(record.about.missing_parts) for record in records)
    sides = (("A", a - b), ("B", b - a))
    return [f"the systems differ: {side} is without {', '.join(sorted(parts))}" for side, parts in sides if parts]


def _doubts(paths: tuple[Path, Path], records: tuple[RunRecord, RunRecord]) -> list[str]:
    found = [f"{path}: {doubt}" for path, record in zip(paths, records, strict=True) if (doubt := unverified(record))]
    return [*found, *doubts_of_data(*records)]


def doubts_of_data(a: RunRecord, b: RunRecord) -> list[str]:
    """What is not certain, or not to the last bit, of two runs that count as made on the same data; in words."""
    found = []
    verdict = same_data_of_runs(a, b)
    if verdict.same and verdict.by_sizes_only:
        found.append("that both were made on the same data is known by names and sizes of the files alone")
    if verdict.rounded and verdict.changed:
        found.append(
            f"the scenes are the same, made on two machines: the files of {counted(len(verdict.changed), 'mixture')} "
            "differ by the rounding of some samples"
        )
    return found


def _paired(
    sides: tuple[Mapping[str, MixtureScore], Mapping[str, MixtureScore]], asked: Collection[str]
) -> tuple[list[str], dict[LeftOut, list[str]]]:
    """The mixtures that are compared; and why others are not of those that were `asked` of either run, whether it has
    come to them or not.
    """
    scored = [{id_ for id_, score in side.items() if score.status == "scored"} for side in sides]
    same = {id_ for id_ in scored[0] & scored[1] if sides[0][id_].reference_labels == sides[1][id_].reference_labels}
    reasons: dict[LeftOut, list[str]] = {
        "first": sorted(scored[1] - scored[0]),
        "second": sorted(scored[0] - scored[1]),
        "either": sorted(set(asked) - scored[0] - scored[1]),
        "references": sorted((scored[0] & scored[1]) - same),
    }
    return [id_ for id_ in sides[0] if id_ in same], {why: ids for why, ids in reasons.items() if ids}


def _differences(
    a: Sequence[MixtureScore], b: Sequence[MixtureScore], columns: Sequence[Column]
) -> dict[Path_, Difference]:
    found = paired_differences(a, b, columns)
    return {column.path: difference for column, difference in zip(columns, found, strict=True)}


def _decompositions(a: Sequence[MixtureScore], b: Sequence[MixtureScore]) -> dict[str, TermDifference] | None:
    first, second = decompose_run(a), decompose_run(b)
    if first is None or second is None:
        return None
    levels = ("value", "bound", "ceiling", "gap", *ORACLES)
    rows = {name: TermDifference.of(getattr(first, name), getattr(second, name)) for name in levels}
    rows |= {term: TermDifference.of(first.terms[term], second.terms[term]) for term in TERMS}
    absent = [None if side.unanswered is None else side.unanswered.value for side in (first, second)]
    return rows | {"unanswered": TermDifference.of(*absent)}
