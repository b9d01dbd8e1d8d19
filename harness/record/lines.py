"""The lines of `mixtures.jsonl`: a score, the digests of the files it stands for, and the digest of the line itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.files import read_regular
from s5eval.data_manifests.common.sealed import DamagedError, seal, unseal
from s5eval.data_manifests.naming import format_source_name
from s5eval.harness.record.tables import MixtureScore, PairTable
from s5eval.harness.record.upgrade import upgraded_line
from s5eval.systems.decision import Selection

JOURNAL = "mixtures.jsonl"


@dataclass(frozen=True, slots=True)
class Line:
    """One mixture's record.

    Attributes:
        score: its score.
        files: paths below the run folder, such as `pairs/m_1.npz` → hexadecimal SHA-256: its pair table and its wavs.
            Empty in lines of version 1, which are not `sealed`.
        sealed: the line carries its own digest, and it is right.
        number: which line of the journal it is, from 1, so that one that is taken out is missed. The writer sets it;
            None: not yet, or of a run of before.
    """

    score: MixtureScore
    files: Mapping[str, str] = field(default_factory=dict)
    sealed: bool = True
    number: int | None = None

    def text(self) -> str:
        """The line as it is written, with its newline."""
        place = {} if self.number is None else {"number": self.number}
        return seal({**self.score.as_dict(), "files": dict(self.files), **place}) + "\n"


@dataclass(frozen=True, slots=True)
class Journal:
    """What `mixtures.jsonl` holds.

    Attributes:
        lines: by mixture id, in order of writing; of two lines of one mixture the later one counts.
        damaged: numbers, from 1, of lines that are not what was written.
        misplaced: number, from 1, of the first line that says that its place is another one; None: none does.
        count: lines that are there, whole or damaged.
        blank: lines without content, which somebody else has put there.
        torn: the last line has no end: the process was killed, or the power lost, while it was written.
    """

    lines: Mapping[str, Line] = field(default_factory=dict)
    damaged: tuple[int, ...] = ()
    misplaced: int | None = None
    count: int = 0
    blank: int = 0
    torn: bool = False

    @property
    def order_problem(self) -> str | None:
        """That lines do not stand where they were written, as a phrase; None: they do."""
        return order_problem(self.misplaced)


def order_problem(misplaced: int | None) -> str | None:
    """What it means that a line says that its place is another one, as a phrase; None: there is no such line."""
    if misplaced is None:
        return None
    return f"line {misplaced} is not in its place: lines were taken out, lost, doubled or moved"


def read_journal(run: Path, *, sealed: bool) -> Journal:
    """Read the journal of a run folder; an absent one is empty.

    Args:
        run: the run folder.
        sealed: every line has to carry its digest (see `SCHEMA_VERSION`).

    Raises:
        OSError: it cannot be read.
    """
    path = run / JOURNAL
    if not path.exists():
        return Journal()
    *whole, rest = read_regular(path).split(b"\n")
    lines: dict[str, Line] = {}
    damaged = []
    place, count, misplaced = 0, 0, None
    for number, raw in enumerate(whole, start=1):
        if not raw.strip():
            continue
        count, place = count + 1, place + 1
        try:
            line = parse_line(raw)
            if sealed and not line.sealed:
                raise DamagedError("the line has no digest")
        except DamagedError:
            damaged.append(number)
            continue
        if line.number not in (None, place):
            misplaced = misplaced or number
            place = line.number or place
        lines.pop(line.score.mixture_id, None)
        lines[line.score.mixture_id] = line
    return Journal(lines, tuple(damaged), misplaced, count, len(whole) - count, bool(rest))


def parse_line(raw: bytes) -> Line:
    """Read one line.

    Raises:
        DamagedError: it is not what was written.
    """
    found = unseal(raw)
    try:
        content = upgraded_line(found.content)
        files = dict(content.pop("files", {}))
        number = content.pop("number", None)
        if number is not None and type(number) is not int:
            raise ValueError(f"its number is {number!r}")
        return Line(MixtureScore.from_dict(content), files, found.sealed, number)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedError(f"not a line of a run: {error}") from error


def pairs_path(run: Path, mixture_id: str) -> Path:
    """Where the pair table of a mixture is kept."""
    return run / "pairs" / f"{mixture_id}.npz"


def load_table(run: Path, line: Line) -> PairTable:
    """The pair table of a line that did not fail, verified against the line.

    Raises:
        DataError: it is missing, or not what was written.
    """
    path = pairs_path(run, line.score.mixture_id)
    digest = line.files.get(str(path.relative_to(run)))
    if line.sealed and digest is None:
        raise DataError(f"{path}: its line does not list it; `s5eval check {run} --repair` runs the mixture again")
    return PairTable.load(path, digest)


def adopted(run: Path, line: Line) -> Line:
    """A line of version 1 with the digests that its table and wavs have now; any other line as it is."""
    if line.sealed:
        return line
    table = pairs_path(run, line.score.mixture_id)
    wavs = [run / "audio" / source_file(line.score.mixture_id, estimate) for estimate in line.score.estimates]
    files = {str(path.relative_to(run)): file_sha256(path) for path in (table, *wavs) if path.is_file()}
    return replace(line, files=files)


def source_file(mixture_id: str, estimate: Selection) -> str:
    """The name of an estimate's wav below `audio/`."""
    return format_source_name(mixture_id, estimate.index, estimate.label)
