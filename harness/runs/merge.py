"""Merges shards, the parts of a run that a batch queue has made, into the run that they are together."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import sync_files, write_atomically
from s5eval.data_manifests.common.words import counted, first_of
from s5eval.data_manifests.scan import scenes_digest
from s5eval.harness.process import resume_command
from s5eval.harness.record.fitted_mixtures import fitted_here
from s5eval.harness.record.inspection import inspect_run
from s5eval.harness.record.lines import Line, adopted
from s5eval.harness.record.reading import SCHEMA_VERSION, adopted_count, read_run_record
from s5eval.harness.record.run_folder import RunFolder
from s5eval.harness.record.run_record import MOST_FINDINGS, DataFacts, RunRecord, shallow
from s5eval.harness.record.scene_identity import scene_identities
from s5eval.harness.record.shards_together import cut_from, joint_about
from s5eval.harness.report.page import write_page
from s5eval.harness.runs.derived import derive_summary, status_of
from s5eval.harness.runs.run import RunResult, total_costs
from s5eval.metrics.version import METRIC_VERSION

Parts = Mapping[Path, RunRecord]

_NOT_THE_WHOLE = "the shards do not come to the data set that each was cut from; run them again"


def merge(runs: Sequence[Path], out: Path) -> RunResult:
    """Make one run of all its shards: the same numbers as if it had been run at once.

    Shards of the embedded set may come from several kinds of machines: its scenes are known by what they are made from
    (`s5eval.harness.record.scene_identity`). Each mixture then has the digest of what its own machine has made of it,
    and `About.made_on` marks the run: its numbers are those of no single machine.

    Args:
        runs: the run folders of all shards, in any order.
        out: the run folder to make; one whose merging was killed is begun again.

    Raises:
        UsageError: a folder is no shard, or a rescored one, or of another run: other data, system, decision or options;
            `out` is in use.
        DataError: a shard is missing, unfinished or damaged.
        RunFolderError: the folder cannot be written.
    """
    parts = _in_order(runs)
    _check_same(parts)
    lines = _whole_lines(parts)
    record = _joint_record(parts, lines)
    with _opened(out.absolute()) as folder:
        folder.write_run(record)
        if record.config.save_audio:
            folder.make_audio()
        copied = [_copied(path, folder.path, line) for path, of_part in lines.items() for line in of_part.values()]
        sync_files(folder.path / name for line in copied for name in line.files)
        folder.rewrite(copied)
        summary = derive_summary(record, {line.score.mixture_id: line.score for line in copied})
        folder.write_summary(summary)
        write_page(folder.path)
        folder.write_run(replace(record, status=status_of(summary, finished=True), lines=len(copied)))
    return RunResult(out, summary)


def _in_order(runs: Sequence[Path]) -> Parts:
    """The records of all shards, by number; refuses what is none, what is there twice, and gaps."""
    found: dict[int, tuple[Path, RunRecord]] = {}
    for path in dict.fromkeys(runs):
        record = read_run_record(path)
        if record.shard is None:
            raise UsageError(f"{path} is no shard: it was made without `shard`, or is merged already")
        if record.rescored_from is not None:
            # What needs audio is known of those of them whose estimates have stayed: means would be over these alone.
            raise UsageError(
                f"{path} was rescored from {record.rescored_from}: merge the shards themselves, then rescore the "
                "merged run with the same decision"
            )
        if record.shard.number in found:
            raise UsageError(f"{found[record.shard.number][0]} and {path} are both shard {record.shard.named}")
        found[record.shard.number] = (path, record)
    if not found:
        raise UsageError("name the run folders of the shards to merge")
    of = {record.shard.of for _, record in found.values() if record.shard is not None}
    if len(of) > 1:
        raise UsageError(f"shards of {' and of '.join(map(str, sorted(of)))}: they are not of one run")
    missing = [number for number in range(1, max(of) + 1) if number not in found]
    if missing:
        raise DataError(f"{len(missing)} of {counted(max(of), 'shard')} are missing: {first_of(missing, 20)}")
    return dict(found[number] for number in sorted(found))


def _check_same(parts: Parts) -> None:
    first, *others = parts
    mine = parts[first]
    whole = cut_from(mine)
    for path in others:
        theirs = parts[path]
        if cut_from(theirs) != whole:
            raise UsageError(f"{path} was made on other data than {first}")
        if theirs.fingerprint != mine.fingerprint:
            raise UsageError(f"{path} was made by another system than {first}: their fingerprints differ")
        if theirs.decision != mine.decision:
            raise UsageError(f"{path} was made with another decision than {first}")
        if differences := mine.config.differences(theirs.config):
            raise UsageError(f"{path} was made with other options than {first}: {'; '.join(differences)}")
    for path, record in parts.items():
        if record.metric_version != METRIC_VERSION:
            raise UsageError(
                f"{path} was scored by metric version {record.metric_version}, this is {METRIC_VERSION}: "
                f"`s5eval rescore {path}` brings it up to date, then merge again"
            )


def _as_made(records: Iterable[RunRecord]) -> dict[str, str]:
    """The digests of the whole by content, in the forms that shards were cut from, with those by sizes."""
    shards = (record.shard for record in records if record.shard is not None)
    return {shard.manifest_sha256: shard.manifest_sizes_sha256 for shard in shards}


def _whole_lines(parts: Parts) -> dict[Path, Mapping[str, Line]]:
    """The lines of every shard, with all their files verified."""
    lines: dict[Path, Mapping[str, Line]] = {}
    for path, record in parts.items():
        found = inspect_run(path, record)
        again = resume_command(path, record.config.system, record.config.settings)
        if found.damage:
            raise DataError(f"{path}: {found.damage[0]} ({len(found.damage)} in all); {again} makes it whole")
        missing = [id_ for id_ in record.mixtures if id_ not in found.whole]
        if missing:
            shard = "" if record.shard is None else f"shard {record.shard.named}, "
            raise DataError(
                f"{path}: {shard}is not finished, {len(missing)} of {len(record.mixtures)} mixtures are missing; "
                f"this goes on: {again}"
            )
        lines[path] = {id_: found.whole[id_] for id_ in record.mixtures}
    return lines


def _whole_data(records: Sequence[RunRecord], made: Mapping[str, str]) -> DataFacts:
    """The data of all shards together, which has to come to what each of them was cut from.

    The sizes of what several machines have made are those of no manifest, and get a digest of their own.
    """
    shard = records[0].shard
    digests = _interleaved([record.mixture_digests or () for record in records])
    whole = DataFacts(
        manifest_sha256=scenes_digest(digests),
        manifest_sizes_sha256=scenes_digest(sorted(made.values())) if len(made) > 1 else next(iter(made.values())),
        mixtures=_interleaved([record.mixtures for record in records]),
        mixture_digests=digests,
    )
    if shard is None or {len(whole.mixtures), len(set(whole.mixtures))} != {shard.n_mixtures}:
        raise DataError(_NOT_THE_WHOLE)
    scenes = scenes_digest(scene_identities(whole)) == shard.scenes_sha256
    if whole.manifest_sha256 not in made and not (len(made) > 1 and scenes):
        raise DataError(_NOT_THE_WHOLE)
    return whole


def _joint_record(parts: Parts, lines: Mapping[Path, Mapping[str, Line]]) -> RunRecord:
    """`run.json` of the whole."""
    records = list(parts.values())
    first = records[0]
    made = _as_made(records)
    whole = _whole_data(records, made)
    sittings = tuple(sitting for record in records for sitting in record.sittings)
    seconds, stages, energy = total_costs(sittings)
    return replace(
        first,
        **shallow(whole),
        schema_version=SCHEMA_VERSION,
        status="running",
        config=replace(first.config, shard=None),
        about=replace(
            joint_about([record.about for record in records]),
            fitted_here=fitted_here(first.decision.provenance, whole),
            made_on=len(made),
            findings=_counts_of_findings(records),
        ),
        findings=tuple(dict.fromkeys(text for record in records for text in record.findings))[:MOST_FINDINGS],
        n_expected=len(whole.mixtures),
        sittings=sittings,
        seconds=seconds,
        stages=stages,
        energy=energy,
        lines=None,
        adopted_unverified=sum(adopted_count(record, lines[path].values()) for path, record in parts.items()),
        shard=None,
        merged_from=tuple(str(path.absolute()) for path in parts),
    )


def _counts_of_findings(records: Sequence[RunRecord]) -> dict[str, int]:
    """How many findings of a rule there are in all; what every shard has found, of files of the whole, counts once.

    Those of which `run.json` lists none are added up: last come those of a shard's own mixtures.
    """
    counts = {}
    for rule in sorted({rule for record in records for rule in record.about.findings}):
        told = {tuple(text for text in record.findings if text.endswith(f" [{rule}]")) for record in records}
        each = [record.about.findings.get(rule, 0) for record in records]
        of_whole = len(told) == len(set(each)) == 1 and told != {()}
        counts[rule] = each[0] if of_whole else sum(each)
    return counts


def _interleaved(parts: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """What was dealt out one by one, in its order again."""
    rounds = itertools.zip_longest(*parts)
    return tuple(entry for one_round in rounds for entry in one_round if entry is not None)


def _opened(out: Path) -> RunFolder:
    if (out / "run.json").is_file():
        earlier = read_run_record(out)
        if earlier.status == "running" and earlier.merged_from:
            return RunFolder.open_existing(out)
    return RunFolder.open_new(out)


def _copied(run: Path, out: Path, line: Line) -> Line:
    """A line for another folder, where its files are copied to."""
    line = adopted(run, line)
    for name in line.files:
        write_atomically(out / name, (run / name).read_bytes(), sync=False)
    return line
