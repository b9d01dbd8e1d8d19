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

from s5eval import compare, read_run, tune
from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.sealed import seal
from s5eval.harness.exporting import packed_run
from s5eval.harness.exporting.packed_run import INDEX, pack, run_folder_of, unpack
from s5eval.harness.report.page import write_page
from s5eval.harness.runs.check import check_run

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


def test_all_pages_of_a_long_run_are_packed(run: Path, tmp_path: Path) -> None:
    """Of the evaluation set's 2,567 mixtures the second page had a thousand, and what was unpacked was 'damaged'."""
    write_page(run, per_page=2, draw=False)
    pages = {path.name for path in run.glob("report*.html")}
    assert len(pages) > 2
    back = unpack(pack(run, tmp_path / "long.zip").path, tmp_path / "back")
    assert {path.name for path in back.glob("report*.html")} == pages
    assert check_run(back).damage == ()


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_what_stands_where_it_is_packed_to_is_replaced_when_told_to_alone(
    s5eval: Call, run: Path, packed: Path, tmp_path: Path, there: str
) -> None:
    """`--out RUN/run.json` lost the record of a run."""
    out = tmp_path / "out"
    out.mkdir() if there == "folder" else out.symlink_to("nowhere") if there == "link" else out.write_text("a record")
    beside = sorted(tmp_path.iterdir())
    refused = s5eval("pack", run, "--out", out)
    assert refused.code == 2
    assert f"{out} stands there already, and is something else: choose another --out, or give --replace" in refused.err
    assert sorted(tmp_path.iterdir()) == beside and (there != "file" or out.read_text() == "a record")
    if there != "folder":
        assert s5eval("pack", run, "--out", out, "--replace").code == 0
        assert out.read_bytes() == packed.read_bytes()
    assert s5eval("pack", run, "--out", packed).code == 0, "the same bytes lose nothing"


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
    assert (unpack(before, tmp_path / "back") / "run.json").read_bytes() == (run / "run.json").read_bytes()


def test_it_is_unpacked_into_the_cache_once(packed: Path) -> None:
    first = run_folder_of(packed)
    stamp = first.stat().st_mtime_ns
    assert run_folder_of(packed) == first and first.stat().st_mtime_ns == stamp
    assert first.name == "first"
    assert run_folder_of(first) == first, "a folder stands for itself"


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


def test_a_file_that_could_not_be_unpacked_again_is_not_packed(
    s5eval: Call, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_run, "_MOST", 200_000)
    (run / "log.txt").write_text("said by a plugin\n" * 20_000)
    refused = s5eval("pack", run, "--out", tmp_path / "large.zip")
    assert (refused.code, "log.txt: 340000 bytes, expected at most 200000" in refused.err) == (2, True), refused.err
    assert not (tmp_path / "large.zip").exists()
    (run / "log.txt").write_text("")
    assert s5eval("pack", run, "--out", tmp_path / "small.zip").code == 0
    assert s5eval("unpack", tmp_path / "small.zip", "--out", tmp_path / "back").code == 0


def test_nothing_is_written_into_a_packed_run(s5eval: Call, packed: Path, tmp_path: Path) -> None:
    folder = run_folder_of(packed)
    before = sorted(path.name for path in folder.rglob("*"))
    for words, said in (
        (("tune", packed), "name the decision file with --out"),
        (("tune", packed, "--unlabelled"), "name the decision file with --out"),
        (("rescore", packed), "name a new run folder with --out"),
        (("report", packed), "`s5eval unpack` makes a run folder of it"),
        (("check", folder, "--repair"), "`s5eval unpack` makes a run folder of it"),
    ):
        refused = s5eval(*words)
        assert (refused.code, "stays as it was packed" in refused.err, said in refused.err) == (2, True, True), words
    for call in (tune, lambda run: tune(read_run(run))):
        with pytest.raises(UsageError, match="stays as it was packed"):
            call(packed)
    assert sorted(path.name for path in folder.rglob("*")) == before
    assert s5eval("report", packed, "--bundle", tmp_path / "bundle", "--sounds", 0).code == 0


def test_python_compares_packed_runs_as_folders(run: Path, packed: Path) -> None:
    assert compare(packed, run).differences == compare(run, run).differences
    assert compare(str(packed), read_run(packed)).differences == compare(run, run).differences


def test_packed_runs_of_one_name_are_ranked_by_their_digests(
    s5eval: Call, run: Path, packed: Path, tmp_path: Path
) -> None:
    (tmp_path / "d.yaml").write_text("max_sources: 1\n")
    other = tmp_path / "other" / "first"
    assert s5eval("rescore", run, "--decision", tmp_path / "d.yaml", "--out", other).code == 0
    second = pack(other).path
    ranked = s5eval("rank", packed, second, run, "--json")
    assert ranked.code == 0, ranked.err
    names = [f"first (packed {file_sha256(path)[:8]})" for path in (packed, second)]
    assert all(f'"{name}"' in ranked.out for name in (*names, "first"))
    twice = s5eval("rank", packed, packed)
    assert (twice.code, f"{names[0]} and {names[0]} have the same name" in twice.err) == (2, True)


def test_what_was_damaged_in_the_cache_is_unpacked_again(s5eval: Call, run: Path, packed: Path) -> None:
    for damage in (
        lambda folder: (folder / "mixtures.jsonl").write_text("x\n"),
        lambda folder: (folder / "run.json").unlink(),
        lambda folder: next((folder / "pairs").glob("*.npz")).write_bytes(b"x"),
    ):
        damage(run_folder_of(packed))
        compared = s5eval("compare", packed, run)
        assert compared.code == 0, compared.err
        assert_frame_equal(read_run(packed).pairs, read_run(run).pairs)


def test_a_cut_file_and_one_of_another_kind_are_called_what_they_are(
    s5eval: Call, packed: Path, tmp_path: Path
) -> None:
    cut, text = tmp_path / "cut.s5run.zip", tmp_path / "run.txt"
    cut.write_bytes(packed.read_bytes()[:-100])
    text.write_text("no run")
    for command in ("rescore", "tune", "runs", "report"):
        done = s5eval(command, cut)
        assert (done.code, "cut off, damaged, or nothing that" in done.err) == (3, True), (command, done.err)
        done = s5eval(command, text)
        assert (done.code, "is a file, and none that `s5eval pack` has made" in done.err) == (2, True), command
    for words in (
        ("pack", packed),
        ("check", packed),
        ("view", packed),
        ("merge", packed, "--out", tmp_path / "merged"),
    ):
        done = s5eval(*words)
        assert (done.code, f"s5eval unpack {packed} --out RUN" in done.err) == (2, True), (words, done.err)


def test_a_name_that_no_file_can_have_is_refused(packed: Path) -> None:
    for path in ("pairs/\ud800.npz", f"pairs/{'x' * 300}.npz", "pairs/..npz", "pairs/a\\b.npz", "pairs/.npz"):
        hostile = rewritten(packed, lambda c, path=path: edit_index(c, lambda i: i["files"][-2].update(path=path)))
        with pytest.raises(DataError, match="no file of a run"):
            run_folder_of(hostile)


def test_a_run_whose_name_no_folder_can_have_is_unpacked_under_another(packed: Path) -> None:
    for name in ("x" * 4000, "x" * 250, "..", "", "a/b", "c:d", "\x1b[31m"):
        renamed = rewritten(packed, lambda c, name=name: edit_index(c, lambda i: i.update(name=name)))
        assert run_folder_of(renamed).name == "run"


def test_a_cache_that_cannot_be_written_is_named(
    s5eval: Call, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("S5EVAL_CACHE", str(tmp_path / "file"))
    done = s5eval("runs", packed)
    assert (done.code, "cannot be unpacked into" in done.err, "S5EVAL_CACHE" in done.err) == (3, True, True)
