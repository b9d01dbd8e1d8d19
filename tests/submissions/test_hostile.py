"""Archives that want to do harm: they are named, never unpacked, and never an exception."""

import os
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from submitting import LABEL, OUT, Files, Pack

from s5eval.submissions import archive as archive_module
from s5eval.submissions.archive import Unreadable, member_problem, open_container
from s5eval.submissions.expected import Expected
from s5eval.submissions.validate import Report, check_submission

Bare = Callable[..., bytes]


def rules(report: Report) -> set[str]:
    return {entry.rule for entry in report.findings}


def listing(folder: Path) -> set[str]:
    return {entry.as_posix() for entry in folder.rglob("*")}


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("../x_0_Pour.wav", "path-traversal"),
        ("a/../../x", "path-traversal"),
        ("a//b", "path-traversal"),
        ("./a", "path-traversal"),
        ("", "path-traversal"),
        ("/etc/passwd", "absolute-path"),
        ("c:boot.ini", "absolute-path"),
        ("a\\b", "backslash"),
        ("a\nb", "control-character"),
        ("a\x00b", "control-character"),
        ("a\x1b[31mb", "control-character"),
        ("a\u202eb", "control-character"),
        ("a\udc80b", "control-character"),
        ("é", "non-ascii-name"),
    ],
)
def test_names(name: str, rule: str) -> None:
    problem = member_problem(name)
    assert problem is not None and problem[0] == rule


def test_names_of_all_kinds_are_met_in_the_archive(bare_entry: Bare, tmp_path: Path) -> None:
    path = tmp_path / f"{LABEL}.zip"
    for name, flags, rule in (
        (b"a\0b.wav", 0, "control-character"),
        (b"../../x", 0, "path-traversal"),
        (b"\xc3\xa9.wav", 0x800, "non-ascii-name"),
        (b"\xc3\x28.wav", 0x800, "not-an-archive"),  # flagged UTF-8, but is none
        (b"dir/" * 12000 + b"x", 0, "foreign-file"),
        (b"", 0, "path-traversal"),
    ):
        path.write_bytes(bare_entry(name, b"data", flags=flags))
        report = check_submission(path)
        assert rule in rules(report) or rule == "foreign-file", (name[:20], report.findings)
        assert all(len(entry.file) < 300 and entry.file.isprintable() for entry in report.findings)


def test_not_an_archive_at_all(tmp_path: Path, content: Files, pack: Pack) -> None:
    whole = pack(content).read_bytes()
    for data in (b"", b"PK", b"PK\5\6" + b"\0" * 18, whole[:-30], whole[100:], os.urandom(3000)):
        path = tmp_path / f"{LABEL}.zip"
        path.write_bytes(data)
        report = check_submission(path)
        assert not report.ok
        assert rules(report) & {"not-an-archive", "missing-file", "unreadable"}
        assert "overlapping-entries" not in rules(report)


def test_wrong_crc(content: Files, pack: Pack, expected: Expected) -> None:
    path = pack(content)
    data = bytearray(path.read_bytes())
    at = data.index(content[f"{OUT}/m_3_0_Doorbell.wav"]) + 300
    data[at] ^= 0xFF
    path.write_bytes(data)
    (entry,) = check_submission(path, expected=expected).findings
    assert (entry.rule, entry.file) == ("unreadable", f"{OUT}/m_3_0_Doorbell.wav")
    assert "CRC" in entry.message


@pytest.mark.parametrize("flag", [0x01, 0x41, 0x40])  # by password; strongly, with and without saying so
def test_encrypted(content: Files, pack: Pack, expected: Expected, flag: int) -> None:
    path = pack(content)
    with zipfile.ZipFile(path) as archive:
        offset = archive.start_dir
    data = bytearray(path.read_bytes())
    data[offset + 8] |= flag  # of the first entry of the directory
    path.write_bytes(data)
    report = check_submission(path, expected=expected)
    assert ("encrypted", f"{LABEL}/eval_results.json") in {(e.rule, e.file) for e in report.findings}


def test_a_bomb_is_not_unpacked(content: Files, pack: Pack, expected: Expected) -> None:
    content[f"{OUT}/m_3_1_Pour.wav"] = bytes(200 << 20)
    content[f"{LABEL}/dev_set_test_results.json"] = b" " * (64 << 20)
    path = pack(content, compression=zipfile.ZIP_DEFLATED)
    del content
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    try:
        report = check_submission(path, expected=expected)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    unreadable = {entry.file for entry in report.findings if entry.rule == "unreadable"}
    assert unreadable == {f"{OUT}/m_3_1_Pour.wav", f"{LABEL}/dev_set_test_results.json"}


def test_a_lie_about_the_size(bare_entry: Bare, tmp_path: Path) -> None:
    path = tmp_path / f"{LABEL}.zip"
    name = f"{OUT}/m_0_0_Pour.wav".encode()
    for declared in (10, 5000):
        path.write_bytes(bare_entry(name, b"x" * 400, declared=declared))
        assert "unreadable" in rules(check_submission(path))


def test_of_a_file_no_more_is_read_than_was_asked_for(tmp_path: Path, pack: Pack) -> None:
    (tmp_path / LABEL).mkdir()
    (tmp_path / LABEL / "eval_results.json").write_bytes(b"0123456789")
    for path in (tmp_path / LABEL, pack({f"{LABEL}/eval_results.json": b"0123456789"})):
        with open_container(path) as container:
            (name,) = container.sizes
            assert container.read(name, 10) == b"0123456789"
            with pytest.raises(Unreadable, match="9"):
                container.read(name, 9)


def test_a_name_that_leads_out_by_backslashes_is_not_read(pack: Pack) -> None:
    path = pack({f"{LABEL}\\..\\..\\secret.wav": b"x", f"{LABEL}\\eval_out\\m_0_0_Pour.wav": b"y"})
    with open_container(path) as container:
        assert set(container.sizes) == {f"{OUT}/m_0_0_Pour.wav"}
        assert [entry.rule for entry in container.findings] == ["backslash", "path-traversal", "backslash"]


def test_a_folder_with_more_files_than_anyone_hands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MAX_ENTRIES", 3)
    for place in ("eval_out", "eval_out/a", "eval_out/a/b"):
        (tmp_path / LABEL / place).mkdir(parents=True)
        for number in range(2):
            (tmp_path / LABEL / place / f"m_{number}_0_Pour.wav").touch()
    with open_container(tmp_path / LABEL) as container:
        assert len(container.sizes) == 4
        assert [entry.rule for entry in container.findings] == ["too-many-entries"]


def test_more_than_fits(monkeypatch: pytest.MonkeyPatch, content: Files, pack: Pack, expected: Expected) -> None:
    monkeypatch.setattr(archive_module, "MAX_TOTAL_BYTES", 5000)
    assert "too-large" in rules(check_submission(pack(content), expected=expected))


def test_links_in_a_folder_are_not_followed(content: Files, tmp_path: Path, expected: Expected) -> None:
    root = tmp_path / "there" / LABEL
    for name, data in content.items():
        (tmp_path / "there" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "there" / name).write_bytes(data)
    (root / "eval_out" / "m_3_1_Pour.wav").symlink_to("/etc/passwd")
    (root / "loop").symlink_to(root, target_is_directory=True)
    os.mkfifo(root / "eval_out" / "m_3_2_Pour.wav")
    found = {(entry.rule, entry.file) for entry in check_submission(root, expected=expected).findings}
    assert found == {
        ("link", f"{OUT}/m_3_1_Pour.wav"),
        ("link", f"{LABEL}/loop"),
        ("special-file", f"{OUT}/m_3_2_Pour.wav"),
    }


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be taken for one without files."""
    (tmp_path / LABEL / "eval_out" / "shut").mkdir(parents=True)
    scandir = os.scandir

    def shut(folder: str) -> object:
        if str(folder).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", shut)
    with open_container(tmp_path / LABEL) as container:
        (entry,) = container.findings
    assert entry.rule == "unreadable" and "cannot be listed: Permission denied" in entry.message


def test_a_folder_with_names_that_are_no_text(tmp_path: Path) -> None:
    root = tmp_path / LABEL
    (root / "eval_out").mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(root) + b"/eval_out/\xff.wav")).write_bytes(b"")
    report = check_submission(root)
    assert "control-character" in rules(report)
    assert all(entry.file.isprintable() for entry in report.findings)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to eight changes that a zip reader feels: bytes, blocks, signatures, numbers of the headers."""
    spoiled = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        kind, at = rng.randrange(6), rng.randrange(len(spoiled))
        if kind == 0:
            spoiled[at] = rng.randrange(256)
        elif kind == 1:
            del spoiled[at : at + rng.randint(1, 200)]
        elif kind == 2:
            spoiled[at:at] = spoiled[at // 2 : at // 2 + rng.randint(1, 200)]
        elif kind == 3:
            del spoiled[at:]
        else:  # aim at a header, where a change matters
            sign = rng.choice([b"PK\1\2", b"PK\3\4", b"PK\5\6"])
            where = spoiled.find(sign, at)
            where = spoiled.find(sign) if where < 0 else where
            field = where + rng.randrange(4, 48)
            if where >= 0 and field < len(spoiled):
                spoiled[field] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        if not spoiled:
            return b""
    return bytes(spoiled)


def fuzz(count: int, seed: int, content: Files, pack: Pack, expected: Expected, folder: Path) -> None:
    sources = [pack(content, compression=method).read_bytes() for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]
    path = folder / f"{LABEL}.zip"
    rng = random.Random(seed)
    before, outside = listing(folder), set(os.listdir(Path.cwd()))  # noqa: PTH208
    caught = 0
    for _ in range(count):
        path.write_bytes(mutate(rng.choice(sources), rng))
        report = check_submission(path, expected=expected)
        caught += not report.ok
        for entry in report.findings:
            assert entry.file.isprintable() and entry.message.isprintable()
        with open_container(path) as container:
            for name, size in container.sizes.items():
                assert member_problem(name) is None and size >= 0
    assert listing(folder) == before
    assert set(os.listdir(Path.cwd())) == outside  # noqa: PTH208
    assert caught > count * 0.5


def test_a_few_hundred_mutated_archives(content: Files, pack: Pack, expected: Expected, tmp_path: Path) -> None:
    fuzz(300, 1, content, pack, expected, tmp_path)


@pytest.mark.slow
def test_ten_thousand_mutated_archives(content: Files, pack: Pack, expected: Expected, tmp_path: Path) -> None:
    fuzz(10_000, 2026, content, pack, expected, tmp_path)
