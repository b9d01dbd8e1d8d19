"""Archives whose directories lie: about their own size, or by entries that share their bytes."""

import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from submitting import LABEL, OUT, Files

from s5eval.submissions.expected import Expected
from s5eval.submissions.validate import Report, check_submission

Bare = Callable[..., bytes]


def rules(report: Report) -> set[str]:
    return {entry.rule for entry in report.findings}


def end_record(entries: int, size: int, comment: bytes = b"", *, start: int = 0) -> bytes:
    return b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, entries, entries, size, start, len(comment)) + comment


def record64(entries: int, size: int, length: int = 44) -> bytes:
    return b"PK\6\6" + struct.pack("<QHHLLQQQQ", length, 45, 45, 0, 0, entries, entries, size, 0)


def locator64(place: int) -> bytes:
    return b"PK\6\7" + struct.pack("<LQL", 0, place, 1)


def test_overlapping_entries(tmp_path: Path, bare_entry: Bare) -> None:
    one = bare_entry(f"{OUT}/m_0_0_Pour.wav".encode(), b"x" * 400)
    local_size = one.index(b"PK\1\2")
    entry = one[local_size : one.index(b"PK\5\6")]
    end = end_record(500, 500 * len(entry), start=local_size)
    path = tmp_path / f"{LABEL}.zip"
    path.write_bytes(one[:local_size] + entry * 500 + end)
    found = rules(check_submission(path))
    assert {"overlapping-entries", "duplicate-entry"} <= found


def test_entries_that_lie_inside_others(tmp_path: Path, bare_entry: Bare) -> None:
    """Fifield's bomb: every entry quotes the headers of those after it, so that no two begin at one byte."""
    inner = bare_entry(f"{OUT}/m_1_0_Pour.wav".encode(), b"x" * 400)
    local = inner[: inner.index(b"PK\1\2")]
    outer = bare_entry(f"{OUT}/m_0_0_Pour.wav".encode(), local * 2)
    starts = [place for place in range(len(outer)) if outer.startswith(local, place)]
    entry = inner[len(local) : inner.index(b"PK\5\6")]
    entries = outer[outer.rindex(b"PK\1\2") : outer.index(b"PK\5\6")]
    entries += b"".join(entry[:42] + struct.pack("<L", start) + entry[46:] for start in starts)
    end = end_record(3, len(entries), start=outer.rindex(b"PK\1\2"))
    path = tmp_path / f"{LABEL}.zip"
    path.write_bytes(outer[: outer.rindex(b"PK\1\2")] + entries + end)
    found = check_submission(path).findings
    assert sum(finding.rule == "overlapping-entries" for finding in found) == len(starts) == 2


def test_a_hundred_thousand_entries(tmp_path: Path) -> None:
    path = tmp_path / f"{LABEL}.zip"
    entries = b"".join(
        b"PK\1\2" + bytes(24) + struct.pack("<H", 16) + bytes(16) + f"m_{number:06d}_0_Pour".encode()[:16]
        for number in range(100_000)
    )
    path.write_bytes(entries + end_record(0xFFFF, len(entries)))
    start = time.process_time()
    report = check_submission(path)
    assert time.process_time() - start < 1.0
    assert rules(report) == {"too-many-entries"}
    honest = tmp_path / "zip64.zip"
    record, locator = record64(100_000, len(entries)), locator64(len(entries))
    honest.write_bytes(entries + record + locator + end_record(0xFFFF, 0xFFFFFFFF, start=0xFFFFFFFF))
    report = check_submission(honest)
    assert "too-many-entries" in rules(report)
    assert "100000 entries" in report.findings[0].message + report.findings[-1].message


def test_zip64(content: Files, tmp_path: Path, expected: Expected) -> None:
    path = tmp_path / f"{LABEL}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                member.write(data)
    assert check_submission(path, expected=expected).findings == ()


@pytest.mark.parametrize(("entries", "size"), [(10**9, 10**12), (1, 10**12), (10**9, 46)])
@pytest.mark.parametrize("comment", [b"", b"x" * 0xFFFF])
def test_a_zip64_directory_that_claims_too_much(tmp_path: Path, entries: int, size: int, comment: bytes) -> None:
    path = tmp_path / f"{LABEL}.zip"
    path.write_bytes(record64(entries, size) + locator64(0) + end_record(1, 46, comment))
    assert rules(check_submission(path)) == {"too-many-entries"}


def test_the_directory_that_any_version_of_python_would_load_is_small_enough(tmp_path: Path) -> None:
    """Of two ZIP64 records older versions take the one beside the locator, newer ones the one that it names."""
    path = tmp_path / f"{LABEL}.zip"
    large, small = record64(10**9, 10**12, length=100), record64(1, 46)
    for first, second in ((large, small), (small, large)):
        path.write_bytes(first + second + locator64(0) + end_record(1, 46))
        assert rules(check_submission(path)) == {"too-many-entries"}
    path.write_bytes(end_record(1, (1 << 24) + 1))
    assert rules(check_submission(path)) == {"too-many-entries"}
    path.write_bytes(small + locator64((1 << 64) - 1) + end_record(0xFFFF, 0xFFFFFFFF))
    assert rules(check_submission(path)) >= {"not-an-archive"}
