"""A journal that is read as it grows is the one that is read at once, and nothing in it counts without its digest."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.sealed import DamagedError
from s5eval.data_manifests.naming import RUN_JOURNAL
from s5eval.harness.record.lines import JournalReader, Line, load_table, pairs_path, read_journal
from s5eval.harness.record.tables import MixtureScore, Outcome, PairTable


def line(id_: str, number: int) -> bytes:
    return Line(MixtureScore(id_, Outcome("failed", "why")), number=number).text().encode()


def test_a_journal_that_grows_reads_as_one_that_is_whole(tmp_path: Path) -> None:
    whole = [
        line("m_1", 1),
        line("m_2", 2),
        b"\n",
        line("m_3", 3).replace(b"why", b"who"),
        line("m_5", 5),
        line("m_2", 6),
    ]
    content = b"".join([*whole, line("m_9", 7)[:-9]])
    (tmp_path / RUN_JOURNAL).write_bytes(content)
    at_once = read_journal(tmp_path, sealed=True)
    assert list(at_once.lines) == ["m_1", "m_5", "m_2"]
    assert (at_once.damaged, at_once.misplaced, at_once.count, at_once.blank, at_once.torn) == ((4,), 5, 5, 1, True)
    rng = np.random.default_rng(0)
    for _ in range(50):
        reader = JournalReader()
        for end in [*sorted(rng.integers(0, len(content), 5).tolist()), len(content)]:
            reader.feed(content[reader.taken : end], sealed=True)
        assert reader.journal == at_once
        assert list(reader.journal.lines) == list(at_once.lines)


def test_a_name_that_leads_elsewhere_is_refused_or_left_out_as_the_reader_is_told(tmp_path: Path) -> None:
    content = line("../m_1", 1) + line("m_2", 2)
    with pytest.raises(DataError, match="m_1"):
        JournalReader().feed(content, sealed=True)
    lenient = JournalReader(damage=(DamagedError, DataError))
    lenient.feed(content, sealed=True)
    assert (lenient.journal.damaged, list(lenient.journal.lines)) == ((1,), ["m_2"])


@pytest.mark.parametrize(("sealed", "damaged"), [(True, (1,)), (False, ())])
def test_a_line_that_has_lost_its_digest_is_damaged_where_lines_have_one(
    sealed: bool, damaged: tuple[int, ...]
) -> None:
    content = json.loads(line("m_1", 1))
    del content["sha256"]
    reader = JournalReader()
    reader.feed(json.dumps(content).encode() + b"\n" + line("m_2", 2), sealed=sealed)
    assert (reader.journal.damaged, "m_2" in reader.journal.lines) == (damaged, True)


def test_a_table_that_its_line_does_not_list_is_refused(
    tmp_path: Path, make_tables: Callable[..., list[PairTable]]
) -> None:
    (tmp_path / "pairs").mkdir()
    make_tables(1)[0].save(pairs_path(tmp_path, "m_1"))
    score = MixtureScore("m_1", Outcome("predicted"))
    with pytest.raises(DataError, match="its line does not list it"):
        load_table(tmp_path, Line(score))
    assert load_table(tmp_path, Line(score, sealed=False)).p_silence.shape == (3,)
