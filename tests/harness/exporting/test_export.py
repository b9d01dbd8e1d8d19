"""Every export is read back by the library it is for, and equals what `read_run` gives."""

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from exported_tables import frames
from pandas.testing import assert_frame_equal
from sealed_files import edit_lines, edit_record

from s5eval import read_run
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.harness.exporting.content import Content, plain_rows
from s5eval.harness.exporting.export import Place, export
from s5eval.harness.exporting.targets import Target

Call = Callable[..., Any]


def test_parquet_files(s5eval: Call, run: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    done = s5eval("export", run, "--to", "parquet", "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert done.json == [{"name": "first", "where": str(tmp_path / "out" / "first")}]
    for name, wanted in frames(read_run(run)).items():
        assert_frame_equal(pd.read_parquet(tmp_path / "out" / "first" / f"{name}.parquet"), wanted, check_exact=True)
    again = s5eval("export", run, "--to", "parquet", "--out", tmp_path / "out")
    assert (again.code, "is there already" in again.err) == (2, True)


def test_nothing_is_written_where_one_of_several_has_no_place(s5eval: Call, run: Path, tmp_path: Path) -> None:
    other, out = tmp_path / "second", tmp_path / "out"
    shutil.copytree(run, other)
    assert s5eval("export", other, "--to", "csv", "--out", out).code == 0
    both = s5eval("export", run, other, "--to", "csv", "--out", out)
    assert (both.code, f"{out / 'second'} is there already" in both.err) == (2, True)
    assert [folder.name for folder in out.iterdir()] == ["second"]


def test_a_library_that_is_missing_leaves_no_folder_behind(
    s5eval: Call, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "there").mkdir()
    for out in (tmp_path / "deep" / "out", tmp_path / "there"):
        done = s5eval("export", run, "--to", "parquet", "--out", out)
        assert (done.code, "pyarrow is not installed" in done.err) == (2, True)
    assert not (tmp_path / "deep").exists(), "made for nothing"
    assert (tmp_path / "there").is_dir(), "not made here"


def test_csv_files_and_the_facts_beside_them(s5eval: Call, run: Path, tmp_path: Path) -> None:
    assert s5eval("export", run, "--to", "csv", "--out", tmp_path / "out").code == 0
    result = read_run(run)
    for name, wanted in frames(result).items():
        file = tmp_path / "out" / "first" / f"{name}.csv"
        kinds = dict(wanted.dtypes)
        back = pd.read_csv(file, dtype=kinds, keep_default_na=False, na_values=["NA"])
        assert_frame_equal(back, wanted, check_exact=True)
    facts = json.loads((tmp_path / "out" / "first" / "facts.json").read_text())
    assert facts["figures"]["capi_sdri"] == result.summary.metrics["capi_sdri"].value
    assert facts["figures"]["capi_sdri_ci_low"] == result.summary.metrics["capi_sdri"].ci_low
    assert facts["manifest_sha256"] == result.record.manifest_sha256
    assert any("answer" in mark for mark in facts["marks"]), "what a reader must not miss goes along"


def test_an_error_of_several_lines_is_one_row_of_csv(tmp_path: Path) -> None:
    """Python before 3.13 leaves a bare carriage return unquoted, and readers begin a new row there."""
    texts = pd.Series(["step 1\rstep 2", "one\ntwo", None, ""], dtype="string")
    wanted = pd.DataFrame({"mixture_id": pd.Series(list("abcd"), dtype="string"), "error": texts})
    export([Content("x", {}, {}, {"t": wanted})], "csv", Place(str(tmp_path)))
    kinds = dict(wanted.dtypes)
    back = pd.read_csv(tmp_path / "x" / "t.csv", dtype=kinds, keep_default_na=False, na_values=["NA"])
    assert_frame_equal(back, wanted)


def test_a_text_that_means_missing_is_refused_in_csv(tmp_path: Path) -> None:
    content = Content("x", {}, {}, {"t": pd.DataFrame({"label": pd.Series(["NA", None], dtype="string")})})
    fine = Content("w", {}, {}, {"t": pd.DataFrame({"v": [1.0]})})
    with pytest.raises(UsageError, match="use parquet"):
        export([fine, content], "csv", Place(str(tmp_path)))
    assert list(tmp_path.iterdir()) == [], "nothing of the first either"


def test_places_that_cannot_be_made_are_refused_and_leave_nothing(
    s5eval: Call, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = s5eval("export", run, "--to", "csv", "--out", tmp_path / "a" / "b" / ("c" * 300))
    assert (long.code, "cannot be made: File name too long" in long.err) == (2, True)
    assert not (tmp_path / "a").exists()

    def closed(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "exists", closed)  # of what lies in a folder that may not be looked into
    monkeypatch.setattr(Path, "mkdir", closed)
    with pytest.raises(UsageError, match="cannot be made: Permission denied"):
        export([Content("x", {}, {}, {})], "csv", Place(str(tmp_path / "closed" / "in" / "out")))


@pytest.mark.parametrize("kind", ["parquet", "csv", "tensorboard"])
def test_an_export_that_fails_leaves_nothing_and_what_a_killed_one_left_is_not_taken_along(
    tmp_path: Path, kind: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow" if kind == "parquet" else "tensorboard" if kind == "tensorboard" else "pandas")
    content = Content("x", {}, {"a": 1.0}, {"t": pd.DataFrame({"v": [1.0]})})

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        with pytest.raises(DataError, match="No space left"):
            export([content], kind, Place(str(tmp_path)))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".x.part").mkdir()
    (tmp_path / ".x.part" / "t.other").write_text("of another run")
    export([content], kind, Place(str(tmp_path)))
    assert not (tmp_path / "x" / "t.other").exists()
    assert len(list((tmp_path / "x").iterdir())) == (1 if kind == "tensorboard" else 2)


def test_the_table_of_many_runs(s5eval: Call, run: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "run.json").write_text("{}")
    listed = s5eval("runs", tmp_path / "runs", "--json").json
    for kind, reader in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
        done = s5eval("runs", tmp_path / "runs", "--to", kind, "--out", tmp_path / kind)
        assert done.code == 0, done.err
        table = reader(tmp_path / kind / "runs" / f"runs.{kind}")
        assert list(table["run"]) == [entry["path"] for entry in listed]
        values = [entry["metrics"].get("capi_sdri", {}).get("value", np.nan) for entry in listed]
        np.testing.assert_array_equal(table["capi_sdri"].to_numpy(float), np.array(values, float))
        assert "run.json" in str(table["marks"][0]), "a damaged folder is a row that says so"


def test_names_that_are_not_utf_8_are_exported_as_escapes(s5eval: Call, run: Path, tmp_path: Path) -> None:
    """One such name among many runs kept all of them from being exported."""
    name = os.fsdecode(b"caf\xe9")
    edit_record(run / "run.json", lambda record: record["about"].update(name=name))
    edit_lines(run, lambda line: line["outcome"].update(error=name))
    assert s5eval("runs", tmp_path / "runs", "--to", "csv", "--out", tmp_path / "a").code == 0
    assert list(pd.read_csv(tmp_path / "a" / "runs" / "runs.csv")["name"]) == ["caf\\udce9"]
    assert s5eval("export", run, "--to", "csv", "--out", tmp_path / "b").code == 0
    assert set(pd.read_csv(tmp_path / "b" / "first" / "mixtures.csv")["error"]) == {"caf\\udce9"}


def test_two_folders_of_one_name_are_told_apart(s5eval: Call, run: Path, tmp_path: Path) -> None:
    import shutil

    other = shutil.copytree(run, tmp_path / "other" / "first")
    assert s5eval("export", run, other, "--to", "csv", "--out", tmp_path / "out").code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"first", "first-2"}


def test_rows_are_plain() -> None:
    frame = pd.DataFrame(
        {"n": pd.array([1, None], dtype="Int64"), "x": [np.nan, 2.5], "t": pd.array(["a", None], dtype="string")}
    )
    assert plain_rows(frame) == [[1, None, "a"], [None, 2.5, None]]
    assert [type(value) for value in plain_rows(frame)[0]] == [int, type(None), str]


def test_options_that_do_not_fit(s5eval: Call, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = s5eval("export", run, "--to", "csv", "--out", tmp_path / "o", "--online")
    assert (refused.code, "--online is for wandb" in refused.err) == (2, True)
    assert s5eval("export", tmp_path / "nowhere", "--to", "csv").code == 2
    monkeypatch.setitem(sys.modules, "wandb", None)
    absent = s5eval("export", run, "--to", "wandb", "--out", tmp_path / "o")
    assert (absent.code, "pip install 's5eval[export]'" in absent.err) == (2, True)
