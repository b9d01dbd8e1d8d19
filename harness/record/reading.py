"""Reads what stands in a run folder: verified by its digests, checked for its shape, or refused by name."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import read_regular
from s5eval.data_manifests.common.safe_names import check_name
from s5eval.data_manifests.common.sealed import DamagedError, Unsealed, unseal
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.naming import RUN_JOURNAL
from s5eval.harness.record.codec import MismatchError, from_json
from s5eval.harness.record.lines import Journal, Line, read_journal
from s5eval.harness.record.run_record import Facts, RunRecord, shallow
from s5eval.harness.record.run_summary import Summary
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.record.upgrade import upgraded_run, upgraded_summary
from s5eval.systems.decision_reading import parse_decision

SCHEMA_VERSION = 3
"""Of run folders; stands in `run.json` and `summary.json`.

The rule: it goes up when a reader of the version before would misread what is written now, refuse it without saying
why, or trust what it should not: a key that is renamed, moved, or means something else, a value of another type or
unit, a new word where the words are listed. It stays when a key is added that older readers may leave alone; such a
field has a default, which is what its absence means. Whoever raises it adds a paragraph here, a function to
`upgrade.py`, and a folder of the version before to `tests/harness/record/recorded`. A folder of a later version is
refused; one of an earlier version is read, and what it cannot vouch for is said.

1: no digests. What is on disk is taken as it is, marked unverified.
2: `run.json`, `summary.json` and lines close with their digest, which may not be absent; lines hold `files`;
   `manifest_sha256` covers the content of the data, and `manifest_sizes_sha256` is what version 1 called by that name.
3: lines are nested (`outcome`, `capi`, `labels`), losses and flags are objects; `thresholds` is one of two words.
"""


def read_run_record(path: Path) -> RunRecord:
    """Read `run.json`, of this version or an earlier one.

    Raises:
        UsageError: `path` is no run folder.
        DataError: the file is damaged, of a later version, or a mixture's id leads elsewhere; names the key.
    """
    file, advice = path / "run.json", "not what a run writes; start a new run"
    try:
        found = _unsealed(file)
    except FileNotFoundError as error:
        if not path.is_dir():
            raise UsageError(f"no run folder at {path}") from error
        raise UsageError(f"{path} is not a run folder (it has no run.json)") from error
    except NotADirectoryError as error:
        raise UsageError(
            f"{path} is a file, expected a run folder; of a packed run `s5eval unpack {path} --out RUN` makes one"
        ) from error
    except (OSError, DamagedError) as error:
        raise DataError(f"{file}: {error}. It cannot be made again from the rest: start a new run") from error
    try:
        version = from_json(_Version, found.content).schema_version
        if version > SCHEMA_VERSION:
            raise DataError(f"{file}: of a later version of s5eval; update it to read this run")
        if _has_digests(version) and not found.sealed:
            raise DataError(f"{file}: its digest is gone: not what was written, or edited since; start a new run")
        record = from_json(RunRecord, upgraded_run(found.content))
    except MismatchError as error:
        raise DataError(f"{file}: {error}; {advice}") from error
    for id_ in record.mixtures:
        check_name(id_, str(file))
    if record.mixture_digests is not None and len(record.mixture_digests) != len(record.mixtures):
        told = counted(len(record.mixture_digests), "digest")
        raise DataError(f"{file}: {told} of {counted(len(record.mixtures), 'mixture')}; {advice}")
    decision = parse_decision(found.content["decision"], where=str(file))
    return replace(record, decision=decision, config=record.config.without_trust())


@dataclass(frozen=True, slots=True)
class _Version:
    schema_version: int = 0


def _has_digests(version: int) -> bool:
    return version >= 2


def is_sealed(record: RunRecord) -> bool:
    """Whether the files of a run carry digests: from version 2 of `SCHEMA_VERSION` on."""
    return _has_digests(record.schema_version)


def unverified(record: RunRecord) -> str | None:
    """What of a run cannot be told from damage, as a phrase; None: everything is vouched for by digests."""
    if not is_sealed(record):
        return "made by an earlier version, without digests: unverified"
    adopted = record.adopted_unverified
    made = "made by an earlier version, without digests: unverified"
    return f"{counted(adopted, 'mixture')} of it {made}" if adopted else None


def adopted_count(before: RunRecord | None, lines: Iterable[Line]) -> int:
    """How many mixtures were taken over without digests: those `before` tells of already, and `lines` without one.

    All of them where `before` has none itself: a sitting that was killed may have written their lines anew by then.
    """
    if before is not None and not is_sealed(before):
        return sum(1 for _ in lines)
    return (0 if before is None else before.adopted_unverified) + sum(not line.sealed for line in lines)


def read_summary(path: Path) -> Summary:
    """Read `summary.json`, of this version or an earlier one.

    Raises:
        DataError: it is missing or damaged; it is derived, and `rescore` makes it again.
    """
    file, advice = path / "summary.json", f"`s5eval rescore {path}` makes it again"
    try:
        found = _unsealed(file)
        if _has_digests(from_json(_Version, found.content).schema_version) and not found.sealed:
            raise DamagedError("its digest is gone")
        return from_json(Summary, upgraded_summary(found.content))
    except MismatchError as error:
        raise DataError(f"{file}: {error}; {advice}") from error
    except FileNotFoundError as error:
        unended = f"a run that has not come to its end has none (`s5eval run --resume {path}` goes on)"
        raise DataError(f"{file}: is not there: {unended}; of one that has, {advice}") from error
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{file}: not readable ({error}); {advice}") from error


def read_scores(path: Path) -> dict[str, MixtureScore]:
    """Read the journal of a run folder: mixture id → score, in order of the manifest.

    A torn last line of a run that has not ended (the process was killed while writing) is left out.

    Raises:
        UsageError: `path` is no run folder.
        DataError: a line is not what was written, or is gone although the run says that it is complete; or it names a
            mixture or a class by which a path would lead elsewhere.
    """
    return {id_: line.score for id_, line in read_lines(path, read_run_record(path)).items()}


def read_lines(path: Path, record: RunRecord) -> Mapping[str, Line]:
    """The lines behind `read_scores`, with the digests of tables and wavs; `record` is what `read_run_record` returned.

    They are in order of the manifest, whatever order they were written in: an interval is drawn by position, and must
    not depend on which of several workers was the faster one.

    Raises:
        UsageError: a rescoring was ended before it was done.
        DataError: as `read_scores`.
    """
    if unfinished := unfinished_rescoring(path, record):
        raise UsageError(unfinished)
    try:
        journal = read_journal(path, sealed=is_sealed(record))
    except OSError as error:
        raise DataError(f"{path / RUN_JOURNAL}: cannot be read: {error.strerror or error}") from error
    if problem := journal_problem(journal, record):
        raise DataError(f"{path / RUN_JOURNAL}: {problem}; `s5eval check {path} --repair` redoes what is not whole")
    known = [id_ for id_ in record.mixtures if id_ in journal.lines]
    return {id_: journal.lines[id_] for id_ in dict.fromkeys([*known, *journal.lines])}


def unfinished_rescoring(path: Path, record: RunRecord) -> str | None:
    """What to say of a folder in which `rescore --out` was killed, so that nothing in it counts; None: it is none."""
    source = record.rescored_from
    if source is None or record.status != "running":
        return None
    return (
        f"{path}: its rescoring from {source} was ended before it was done; "
        f"repeat it: s5eval rescore {source} --out {path}, with the same --decision"
    )


def journal_problem(journal: Journal, record: RunRecord) -> str | None:
    """What keeps a journal from being used, as a phrase; None: nothing."""
    if journal.damaged:
        return f"line {journal.damaged[0]} is not what was written ({counted(len(journal.damaged), 'line')} in all)"
    if problem := journal.order_problem or lost_lines(journal, record):
        return problem
    missing = [id_ for id_ in record.mixtures if id_ not in journal.lines]
    if record.status == "complete" and missing:
        torn = ", the last line is torn" if journal.torn else ""
        return (
            f"{counted(len(missing), 'mixture')} without a line, such as {missing[0]!r}, but the run was complete{torn}"
        )
    return None


def lost_lines(journal: Journal, record: RunRecord) -> str | None:
    """That lines are not there which the run had when it ended, as a phrase; None: they are, or it is not known."""
    if record.lines is None or journal.count >= record.lines:
        return None
    return f"{record.lines - journal.count} of its {record.lines} lines are missing: taken out, or lost"


@contextmanager
def coherent(*runs: Path) -> Iterator[None]:
    """For work on the records of finished runs: where they do not fit together, that is said, once and clearly.

    Every file by itself has been checked when it was read; here what one says contradicts what another says.

    Raises:
        DataError: in place of whatever came of the contradiction.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, _OF_RECORDS) and type(error).__module__.partition(".")[0] != "jinja2":
            raise
        named = " and ".join(map(str, dict.fromkeys(runs)))
        raise DataError(
            f"{named}: the records do not fit together ({type(error).__name__}: {error}); they were damaged or edited. "
            "Make the run again; --debug shows where they part"
        ) from error


_OF_RECORDS = (KeyError, TypeError, ValueError, AttributeError, IndexError, ZeroDivisionError, OverflowError)


def _unsealed(file: Path) -> Unsealed:
    return unseal(read_regular(file))


def facts_of(record: RunRecord) -> Facts:
    """What marks beside the numbers of a run need, from its `run.json`."""
    return Facts(
        **shallow(record.about), status=record.status, n_expected=record.n_expected, unverified=unverified(record)
    )
