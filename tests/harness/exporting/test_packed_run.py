"""A run in one file: rescored and compared as the folder is; what is not what was packed is refused."""

import json
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pandas.testing import assert_frame_equal

from s5eval import read_run
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.sealed import seal
from s5eval.harness.exporting.packed_run import INDEX, is_packed_run, pack, run_folder_of, unpack

Call = Callable[..., Any]


@pytest.fixture
def packed(run: Path, tmp_path: Path) -> Path:
    return pack(run, tmp_path / "first.s5run.zip").path


def rewritten(packed: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The packed run with other content, made by an ordinary zip tool."""
    with zipfile.ZipFile(packed) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    change(content)
    changed = packed.with_name("changed.zip")
    with zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return changed


def edit_index(content: dict[str, bytes], change: Callable[[dict[str, Any]], None]) -> None:
    index = json.loads(content[INDEX])
    index.pop("sha256", None)
    change(index)
    content[INDEX] = seal(index).encode()


def test_what_is_unpacked_is_what_was_packed_and_packs_the_same(run: Path, packed: Path, tmp_path: Path) -> None:
    back = unpack(packed, tmp_path / "back" / "first")
    names = {path.relative_to(run) for path in run.rglob("*") if path.is_file() and not path.name.startswith(".")}
    assert names == {path.relative_to(back) for path in back.rglob("*") if path.is_file()} - {Path("environment.txt")}
    assert all((run / name).read_bytes() == (back / name).read_bytes() for name in names)
    assert pack(run, tmp_path / "again.zip").path.read_bytes() == packed.read_bytes()
    assert "torch==" in (back / "environment.txt").read_text()


def test_commands_take_the_packed_run_for_the_folder(s5eval: Call, run: Path, packed: Path, tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text("silence_thresholds: {default: 0.2}\nmax_sources: 1\n")
    scored = {}
    for name, source in (("folder", run), ("packed", packed)):
        done = s5eval("rescore", source, "--decision", tmp_path / "d.yaml", "--out", tmp_path / name, "--json")
        assert done.code == 0, done.err
        scored[name] = {key: done.json[key] for key in ("metrics", "bounds", "slices", "decomposition")}
    assert scored["folder"] == scored["packed"]
    compared = s5eval("compare", packed, tmp_path / "folder", "--json")
    assert compared.code == 0, compared.err
    of_packed, of_folder = compared.json, s5eval("compare", run, tmp_path / "folder", "--json").json
    assert of_packed["first"].pop("path") != of_folder["first"].pop("path")
    assert of_packed == of_folder
    for table in (s5eval("compare", packed, tmp_path / "folder").out, s5eval("runs", packed).out):
        assert "first (packed " in " ".join(table.split()) and "packed_runs" not in table, "not its place in the cache"
    assert_frame_equal(read_run(packed).pairs, read_run(run).pairs)
    assert s5eval("export", packed, "--to", "csv", "--out", tmp_path / "tables").code == 0
    refused = s5eval("rescore", packed)
    assert (refused.code, "stays as it was packed" in refused.err) == (2, True)


def test_one_whose_index_has_the_name_of_before_is_taken_as_well(run: Path, packed: Path, tmp_path: Path) -> None:
    before = rewritten(packed, lambda content: content.update({"bundle.json": content.pop(INDEX)}))
    assert is_packed_run(before)
    assert (unpack(before, tmp_path / "back") / "run.json").read_bytes() == (run / "run.json").read_bytes()


def test_it_is_unpacked_into_the_cache_once(packed: Path) -> None:
    first = run_folder_of(packed)
    stamp = first.stat().st_mtime_ns
    assert run_folder_of(packed) == first and first.stat().st_mtime_ns == stamp
    assert first.name == "first"
    assert not is_packed_run(first) and run_folder_of(first) == first, "a folder stands for itself"


def test_any_changed_bit_is_noticed(packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        names = archive.namelist()
    for name in names:

        def flip(content: dict[str, bytes], name: str = name) -> None:
            data = bytearray(content[name])
            data[len(data) // 2] ^= 1
            content[name] = bytes(data)

        with pytest.raises(DataError):
            unpack(rewritten(packed, flip), tmp_path / "out")
        assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*")), "nothing is left behind"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update({"more": b"x"}), "other files than"),
        (lambda c: c.pop("files/00001"), "other files than"),
        (lambda c: c.pop(INDEX), "nothing that"),
        (lambda c: c.update({"../evil": b"x"}), "path-traversal"),
        (lambda c: c.update({INDEX: b"{}"}), "its digest is gone"),
        (lambda c: edit_index(c, lambda i: i["files"][0].update(path="../../evil")), "no file of a run"),
        (lambda c: edit_index(c, lambda i: i["files"][0].update(path="pairs/../x.npz")), "no file of a run"),
        (lambda c: edit_index(c, lambda i: i["files"][0].update(path="/etc/passwd")), "no file of a run"),
        (lambda c: edit_index(c, lambda i: i["files"][0].update(path="mixtures.jsonl")), "lists a file twice"),
        (lambda c: edit_index(c, lambda i: i.update(format=99)), "later version"),
        (lambda c: edit_index(c, lambda i: i.pop("decision")), "decision"),
    ],
)
def test_hostile_and_foreign_files_are_refused(
    packed: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        unpack(rewritten(packed, change), tmp_path / "out")
    assert not (tmp_path / "out").exists() and not (tmp_path.parent / "evil").exists()


def test_a_link_and_a_lie_about_sizes_are_refused(packed: Path, tmp_path: Path) -> None:
    linked = shutil.copy(packed, tmp_path / "linked.zip")
    with zipfile.ZipFile(linked, "a") as archive:
        info = zipfile.ZipInfo("files/99999")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="link"):
        unpack(Path(linked), tmp_path / "out")
    data = bytearray(packed.read_bytes())
    at = data.rfind(b"PK\1\2")
    struct.pack_into("<L", data, at + 24, 1 << 30)  # the last entry unpacks to a gigabyte, it says
    (tmp_path / "bomb.zip").write_bytes(data)
    with pytest.raises(DataError):
        unpack(tmp_path / "bomb.zip", tmp_path / "out")


def test_what_is_not_packed(s5eval: Call, run: Path, packed: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is there already"):
        unpack(packed, run)
    damaged = shutil.copytree(run, tmp_path / "damaged")
    table = next((damaged / "pairs").glob("*.npz"))
    table.write_bytes(b"x" + table.read_bytes())
    with pytest.raises(DataError, match="is not what was written"):
        pack(damaged)
    (tmp_path / "text.zip").write_text("no archive")
    for path in (tmp_path / "text.zip", tmp_path / "nowhere.zip"):
        assert s5eval("compare", path, path).code == 2
    assert s5eval("unpack", tmp_path / "text.zip", "--out", tmp_path / "o").code == 3
    done = s5eval("pack", run, "--json").json
    assert Path(done["packed_run"]).name == "first.s5run.zip" and done["bytes"] > 1000
