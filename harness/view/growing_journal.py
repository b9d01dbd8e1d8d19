"""Reads `mixtures.jsonl` for the viewer: damaged lines are left out with a word, and what is new is read alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.sealed import DamagedError
from s5eval.data_manifests.common.words import counted, first_of
from s5eval.data_manifests.naming import RUN_JOURNAL
from s5eval.harness.record.lines import JournalReader, Line
from s5eval.harness.record.reading import lost_lines
from s5eval.harness.record.run_record import RunRecord

_DAMAGE = (DamagedError, DataError)
"""What makes a line one that is left out: the rest of the run can be looked at."""


class GrowingJournal:
    """The journal of a run, looked at again and again."""

    def __init__(self, path: Path) -> None:
        """Read nothing yet."""
        self.path = path
        self._reader = JournalReader(damage=_DAMAGE)
        self._last = b""  # of the lines that were read

    def lines(self, *, sealed: bool, growing: bool) -> Mapping[str, Line]:
        """All lines; of a run that is being made, only what is new is parsed. Raises `OSError`."""
        if not self.path.exists():
            self._start_over()
            return {}
        with self.path.open("rb") as file:
            if not (growing and self._goes_on(file)):
                self._start_over()
            start = self._reader.taken
            file.seek(start)
            content = file.read()
        self._reader.feed(content, sealed=sealed)
        whole = content[: self._reader.taken - start]
        self._last = whole[whole.rfind(b"\n", 0, -1) + 1 :] or self._last
        return self._reader.journal.lines

    def _start_over(self) -> None:
        self._reader, self._last = JournalReader(damage=_DAMAGE), b""

    def _goes_on(self, file: BinaryIO) -> bool:
        """Whether what was read still stands. The number of the file does not tell: one that is written anew gets that
        of the one before the last.
        """
        file.seek(self._reader.taken - len(self._last))
        return file.read(len(self._last)) == self._last

    def words(self, record: RunRecord | None) -> list[str]:
        """What is not as it was written, by itself and by `run.json`; None: that cannot be read."""
        words = []
        journal = self._reader.journal
        if journal.damaged:
            left_out = counted(len(journal.damaged), "damaged line")
            words.append(f"{RUN_JOURNAL}: left out, {left_out} ({first_of(journal.damaged, 5)})")
        if problem := journal.order_problem or (record and lost_lines(journal, record)):
            words.append(f"{RUN_JOURNAL}: {problem}")
        if journal.torn and (record is None or record.status != "running"):
            words.append(f"{RUN_JOURNAL}: the last line is torn and left out")
        return words
