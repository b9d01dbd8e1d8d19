import io
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from split_archives import split

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.download.archives import extract


def content(seed: int, size: int = 20_000) -> bytes:
    return np.random.default_rng(seed).bytes(size)


MEMBERS = {f"dev_set/noise/n{i}.wav": content(i) for i in range(6)}


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("dev_set/", b"")
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def unpacked(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["whole", "cut", "split", "split 64-bit"])
def test_whole_and_multi_part_archives(tmp_path: Path, kind: str) -> None:
    archive = zipped(MEMBERS)
    if kind == "whole":
        parts = {"d.zip": archive}
    elif kind == "cut":
        parts = {
            f"d.zip.{i + 1:03d}": archive[i * 30_000 : (i + 1) * 30_000] for i in range(-(-len(archive) // 30_000))
        }
    else:
        pieces = split(archive, 30_000, wide="64" in kind)
        parts = {f"d.z{i + 1:02d}": piece for i, piece in enumerate(pieces[:-1])} | {"d.zip": pieces[-1]}
    paths = []
    for name, data in parts.items():
        (tmp_path / name).write_bytes(data)
        paths.append(tmp_path / name)
    out = tmp_path / "out"
    written = extract(paths[::-1], out)
    assert unpacked(out) == MEMBERS and len(written) == 6
    stamp = written[0].stat().st_mtime_ns
    written[1].write_bytes(b"x" * 20_000)
    extract(paths, out)
    assert unpacked(out) == MEMBERS and written[0].stat().st_mtime_ns == stamp
    if len(paths) > 2:
        for missing in (paths[1], paths[-1]):
            with pytest.raises(DataError, match=r"missing|parts|directory"):
                extract([path for path in paths if path != missing], tmp_path / "other")


def test_folders_around_the_data_are_left_out(tmp_path: Path) -> None:
    wrapped = {f"final/maker/{name}": data for name, data in MEMBERS.items()} | {"final/readme.txt": b"hello"}
    (tmp_path / "x.zip").write_bytes(zipped(wrapped))
    extract([tmp_path / "x.zip"], tmp_path / "out", roots=("dev_set", "eval_set"))
    assert unpacked(tmp_path / "out") == MEMBERS | {"final/readme.txt": b"hello"}
    (tmp_path / "y.zip").write_bytes(zipped({"a/dev_set/x.wav": b"1", "b/dev_set/x.wav": b"2"}))
    with pytest.raises(DataError, match="two members"):
        extract([tmp_path / "y.zip"], tmp_path / "out", roots=("dev_set",))


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "readme.md").write_text("x")
    assert extract([tmp_path / "readme.md"], tmp_path / "out") == []


def hostile(kind: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("dev_set/good.wav", b"good")
        if kind == "link":
            link = zipfile.ZipInfo("dev_set/link.wav")
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, "/etc/passwd")
        elif kind == "bomb":
            archive.writestr("dev_set/zeros.wav", bytes(80 << 20))
        elif kind == "twice":
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr("dev_set/good.wav", b"other")
        else:
            archive.writestr(zipfile.ZipInfo(kind), b"bad")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "kind", ["../out.wav", "dev_set/../../out.wav", "/abs.wav", "C:/abs.wav", "link", "bomb", "twice"]
)
def test_hostile_archives_unpack_nothing(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x.zip").write_bytes(hostile(kind))
    with pytest.raises(DataError, match="hostile archive"):
        extract([tmp_path / "x.zip"], tmp_path / "out")
    assert not (tmp_path / "out").exists() and [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_a_link_that_was_there_before_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(zipped(MEMBERS))
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    outside.mkdir()
    (out / "dev_set").symlink_to(outside)
    with pytest.raises(DataError, match="link leads out"):
        extract([tmp_path / "x.zip"], out)
    assert not list(outside.iterdir())


@pytest.mark.parametrize("damage", ["not a zip", "cut", "flipped"])
def test_damaged_archives(tmp_path: Path, damage: str) -> None:
    archive = bytearray(zipped(MEMBERS))
    if damage == "not a zip":
        archive = bytearray(b"hello" * 100)
    elif damage == "cut":
        archive = archive[:50_000]
    else:
        archive[9_000] ^= 0xFF
    (tmp_path / "x.zip").write_bytes(archive)
    with pytest.raises(DataError, match=r"x\.zip: cannot be unpacked"):
        extract([tmp_path / "x.zip"], tmp_path / "out")
    assert all(MEMBERS[name] == data for name, data in unpacked(tmp_path / "out").items())


@pytest.mark.parametrize("kind", ["lzma", "bzip2", "name"])
def test_archives_of_any_method_whose_content_or_names_are_damaged(tmp_path: Path, kind: str) -> None:
    """`zipfile` has an error of its own for each."""
    buffer = io.BytesIO()
    method = {"lzma": zipfile.ZIP_LZMA, "bzip2": zipfile.ZIP_BZIP2, "name": zipfile.ZIP_STORED}[kind]
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("né.wav", content(1))
    damaged = bytearray(buffer.getvalue())
    if kind == "name":
        damaged = damaged.replace("é".encode(), b"\xff\xfe")
    else:
        damaged[len(damaged) // 2] ^= 0xFF
        damaged[60] ^= 0xFF
    (tmp_path / "x.zip").write_bytes(damaged)
    with pytest.raises(DataError, match=r"x\.zip: cannot be unpacked"):
        extract([tmp_path / "x.zip"], tmp_path / "out")
    assert not unpacked(tmp_path / "out")


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b/c", "a"), ("a/b", "a/b/c/d")])
def test_a_file_that_is_also_a_folder_is_refused_beforehand(tmp_path: Path, names: tuple[str, ...]) -> None:
    (tmp_path / "x.zip").write_bytes(zipped({"first": b"1", **{name: b"2" for name in names}}))
    with pytest.raises(DataError, match=r"is a file and the folder of .*nothing was unpacked"):
        extract([tmp_path / "x.zip"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("there", "member", "words"), [("a/b", "a", "a folder stands"), ("a", "a/b", "a file stands")])
def test_what_stands_in_the_way_is_named_beforehand(tmp_path: Path, there: str, member: str, words: str) -> None:
    (tmp_path / "x.zip").write_bytes(zipped({"first": b"1", member: b"2"}))
    path = tmp_path / "out" / there
    path.parent.mkdir(parents=True)
    path.write_bytes(b"old")
    with pytest.raises(DataError, match=words):
        extract([tmp_path / "x.zip"], tmp_path / "out")
    assert not (tmp_path / "out" / "first").exists()
