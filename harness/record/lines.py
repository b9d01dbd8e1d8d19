"""The lines of `mixtures.jsonl`: a score, the digests of the files it stands for, and the digest of the line itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.files import read_regular
from s5eval.data_manifests.common.sealed import DamagedError, seal, unseal
from s5eval.data_manifests.naming import RUN_AUDIO, RUN_JOURNAL, format_source_name
from s5eval.harness.record.tables import MixtureScore, PairTable
from s5eval.harness.record.upgrade import upgraded_line
from s5eval.systems.decision import Selection


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
        if self.misplaced is None:
            return None
        return f"line {self.misplaced} is not in its place: lines were taken out, lost, doubled or moved"


def read_journal(run: Path, *, sealed: bool) -> Journal:
    """Read the journal of a run folder; an absent one is empty.

    Args:
        run: the run folder.
        sealed: every line has to carry its digest (see `SCHEMA_VERSION`).

    Raises:
        OSError: it cannot be read.
        DataError: see `parse_line`.
    """
    path = run / RUN_JOURNAL
    reader = JournalReader()
    if path.exists():
        reader.feed(read_regular(path), sealed=sealed)
    return reader.journal


class JournalReader:
    """Reads a journal line by line, all at once or as it grows."""

    def __init__(self, *, damage: tuple[type[Exception], ...] = (DamagedError,)) -> None:
        """Read nothing yet; `damage` is what makes a line one of the damaged, and any other error is the caller's."""
        self._damage = damage
        self.taken = 0
        """Bytes of the lines that were read: where the next content begins."""
        self._lines: dict[str, Line] = {}
        self._damaged: list[int] = []
        self._misplaced: int | None = None
        self._number = self._count = self._place = 0  # of the last line: with blank ones, without, and as it says
        self._torn = False

    @property
    def journal(self) -> Journal:
        """What was read so far."""
        blank = self._number - self._count
        return Journal(dict(self._lines), tuple(self._damaged), self._misplaced, self._count, blank, self._torn)

    def feed(self, content: bytes, *, sealed: bool) -> None:
        """Read on.

        Args:
            content: what stands in the file from byte `taken` on. A last line that has no end is not taken.
            sealed: every line has to carry its digest.
        """
        *whole, rest = content.split(b"\n")
        self._torn = bool(rest)
        self.taken += len(content) - len(rest)
        for raw in whole:
            self._number += 1
            if raw.strip():
                self._take(raw, sealed=sealed)

    def _take(self, raw: bytes, *, sealed: bool) -> None:
        self._count, self._place = self._count + 1, self._place + 1
        try:
            line = parse_line(raw)
            if sealed and not line.sealed:
                raise DamagedError("the line has no digest")
        except self._damage:
            self._damaged.append(self._number)
            return
        if line.number not in (None, self._place):
            self._misplaced = self._misplaced or self._number
            self._place = line.number or self._place
        self._lines.pop(line.score.mixture_id, None)
        self._lines[line.score.mixture_id] = line


def parse_line(raw: bytes) -> Line:
    """Read one line.

    Raises:
        DamagedError: it is not what was written.
        DataError: it names a mixture or a class by which a path would lead elsewhere.
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
    wavs = [run / RUN_AUDIO / source_file(line.score.mixture_id, estimate) for estimate in line.score.estimates]
    files = {str(path.relative_to(run)): file_sha256(path) for path in (table, *wavs) if path.is_file()}
    return replace(line, files=files)


def source_file(mixture_id: str, estimate: Selection) -> str:
    """The name of an estimate's wav below `audio/`."""
    return format_source_name(mixture_id, estimate.index, estimate.label)
