"""Resume, compare, rescore and check look before they trust: data, old runs, half-done rescoring."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from killed import killed_before
from made_up_run import write_run
from sealed_files import as_version_1, edit_record

from s5eval.data_manifests.common.errors import DataError
from s5eval.harness.record.reading import SCHEMA_VERSION, read_run_record, read_summary

Call = Callable[..., Any]


pytestmark = pytest.mark.usefixtures("systems_on_path")


def run(s5eval: Call, data: Path, out: Path, *options: object) -> Path:
    result = s5eval("run", "--system", "plugins:build", "--data", data, "--out", out, *options)
    fails = any("raise_on" in str(option) for option in options)
    assert result.code == (4 if fails else 0), result.err
    return out


def reverse(path: Path) -> None:
    samples, rate = soundfile.read(path, dtype="float32")
    soundfile.write(path, np.ascontiguousarray(samples[::-1]), rate, subtype="FLOAT")


def test_runs_on_other_content_of_equal_size_are_not_compared(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    first = run(s5eval, small_set, tmp_path / "a")
    for name in ("m_1_0_Speech.wav", "m_3_0_Dishes.wav"):
        reverse(small_set / "oracle_target" / name)
    second = run(s5eval, small_set, tmp_path / "b")
    result = s5eval("compare", first, second)
    assert (result.code, "the files of 2 mixtures have other content" in result.err) == (2, True), result.err
    told = s5eval("compare", first, second, "--allow-different")
    assert (told.code, "warning: they were made on different data" in told.out) == (0, True)


def test_a_run_does_not_go_on_where_scored_mixtures_have_other_content(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    out = run(s5eval, small_set, tmp_path / "a", "--set", "system.raise_on=m_4")
    reverse(small_set / "oracle_target" / "m_4_0_Typing.wav")
    edit_record(out / "run.json", lambda r: r["config"]["settings"]["system"].pop("raise_on"))
    edit_record(out / "run.json", lambda r: r["fingerprint"].pop("raise_on"))
    spare = shutil.copytree(out, tmp_path / "spare")
    assert s5eval("run", "--system", "plugins:build", "--resume", out).code == 0, (
        "what was not scored may have been mended"
    )
    reverse(small_set / "oracle_target" / "m_1_0_Speech.wav")
    result = s5eval("run", "--system", "plugins:build", "--resume", spare)
    assert (result.code, "other content in files of 1 mixture " in result.err, "m_1" in result.err) == (3, True, True)


def test_a_run_of_version_1_is_read_and_marked(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    new = run(s5eval, small_set, tmp_path / "new")
    old = shutil.copytree(new, tmp_path / "old")
    as_version_1(old)
    result = s5eval("compare", old, new)
    assert result.code == 0, result.err
    assert "without digests: unverified" in result.out
    assert "by names and sizes of the files alone" in result.out
    assert s5eval("run", "--system", "plugins:build", "--resume", old).code == 0
    assert s5eval("report", old).code == 0
    assert "unverified" in (old / "report.html").read_text()
    checked = s5eval("check", old)
    assert (checked.code, "note: made by an earlier version" in checked.out) == (0, True), checked.out
    assert s5eval("rescore", old).code == 0
    assert "5 mixtures of it made by an earlier version" in s5eval("check", old).out
    assert json.loads((old / "run.json").read_text())["schema_version"] == SCHEMA_VERSION


def test_an_interrupted_run_of_version_1_goes_on_and_stays_marked(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    out = run(s5eval, small_set, tmp_path / "a", "--set", "system.raise_on=m_3")
    edit_record(out / "run.json", lambda r: r["config"]["settings"]["system"].pop("raise_on"))
    edit_record(out / "run.json", lambda r: r["fingerprint"].pop("raise_on"))
    as_version_1(out)
    assert s5eval("run", "--system", "plugins:build", "--resume", out).code == 0
    checked = s5eval("check", out)
    assert (checked.code, "4 mixtures of it made by an earlier version" in checked.out) == (0, True), checked.out


@pytest.mark.parametrize(("name", "read"), [("run.json", read_run_record), ("summary.json", read_summary)])
def test_a_record_that_has_lost_its_digest_is_refused(
    tmp_path: Path, make_tables: Call, name: str, read: Callable[[Path], object]
) -> None:
    write_run(tmp_path / "run", make_tables(2))
    assert read(tmp_path / "run")
    path = tmp_path / "run" / name
    content = json.loads(path.read_text())
    del content["sha256"]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="its digest is gone"):
        read(tmp_path / "run")


def test_what_was_adopted_stays_marked_through_every_further_sitting(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    """The first of them is killed after it has written the lines anew, and before `run.json`."""
    out = run(s5eval, small_set, tmp_path / "a", "--set", "system.raise_on=m_3", "--save-audio")
    as_version_1(out)
    again = ("run", "--system", "plugins:build", "--resume", out)

    with killed_before("write_run"):
        s5eval(*again)
    for _ in range(2):
        assert s5eval(*again).code == 4
        checked = s5eval("check", out)
        assert (checked.code, "4 mixtures of it made by an earlier version" in checked.out) == (0, True), checked.out


def test_a_rescoring_killed_half_way_says_so_and_is_repeated(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    source, out = run(s5eval, small_set, tmp_path / "a"), tmp_path / "b"

    with killed_before("rewrite"):
        s5eval("rescore", source, "--out", out)
    assert json.loads((out / "run.json").read_text())["status"] == "running"
    again = f"repeat it: s5eval rescore {source} --out {out}"
    for command in (
        ["rescore", out],
        ["run", "--resume", out],
        ["compare", source, out],
        ["check", out],
        ["tune", out],
    ):
        result = s5eval(*command)
        assert (result.code, again in result.err) == (2, True), (command, result.err)
    assert s5eval("rescore", source, "--out", out).code == 0
    assert s5eval("check", out).code == 0
    assert s5eval("rescore", source, "--out", out).code == 2, "one that is done is not overwritten"


def test_a_summary_that_is_damaged_is_derived_again(
    small_set: Path, tmp_path: Path, s5eval: Call, summary: Call
) -> None:
    out = run(s5eval, small_set, tmp_path / "a")
    right = summary(out)
    (out / "summary.json").write_text((out / "summary.json").read_text().replace('"n_scored": 5', '"n_scored": 4'))
    assert s5eval("report", out).code == 3
    assert s5eval("run", "--system", "plugins:build", "--resume", out, "--json").json["n_scored"] == 5
    assert summary(out) == right


def test_a_summary_of_other_numbers_than_the_lines_is_found_and_repaired(
    small_set: Path, tmp_path: Path, s5eval: Call, summary: Call
) -> None:
    """Whole by its digest."""
    out = run(s5eval, small_set, tmp_path / "a")
    right = summary(out)
    edit_record(out / "summary.json", lambda found: found["metrics"]["capi_sdri"].update(value=9.0))
    checked = s5eval("check", out)
    assert (checked.code, "summary.json: is not what the lines come to" in checked.out) == (3, True), checked.out
    assert s5eval("check", out, "--repair").code == 0
    assert summary(out) == right


def test_an_ablation_does_not_copy_a_damaged_summary(
    systems_on_path: None, staged_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text("rows:\n- {name: one, set: {system.stages: 1}}\n- {name: two, set: {system.stages: 2}}\n")
    call = ("ablate", grid, "--system", "staged:build", "--data", staged_set, "--out", tmp_path / "out", "--json")
    first = s5eval(*call)
    assert first.code == 0, first.err
    path = tmp_path / "out" / "rows" / "two" / "summary.json"
    text = path.read_text()
    path.write_text(text.replace('"value": ', '"value": 1', 1))
    assert s5eval(*call).json["rows"][1]["metrics"] == first.json["rows"][1]["metrics"]
    assert path.read_text() == text


def test_the_digest_decides_where_the_data_are_not_the_path(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = run(s5eval, small_set, tmp_path / "a", "--set", "system.raise_on=m_3")
    moved, other = shutil.copytree(small_set, tmp_path / "moved"), shutil.copytree(small_set, tmp_path / "other")
    shutil.rmtree(small_set)
    assert s5eval("run", "--system", "plugins:build", "--resume", out, "--data", moved).code == 4
    assert json.loads((out / "run.json").read_text())["config"]["data"] == str(moved)
    reverse(other / "oracle_target" / "m_1_0_Speech.wav")
    result = s5eval("run", "--system", "plugins:build", "--resume", out, "--data", other)
    assert (result.code, "does not hold the data that" in result.err) == (3, True)


def test_resuming_with_save_audio_makes_the_wavs_that_are_missing(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call
) -> None:
    out = run(s5eval, small_set, tmp_path / "a")
    assert s5eval("run", "--system", "plugins:build", "--resume", out, "--save-audio").code == 0
    assert len(list((out / "audio").glob("*.wav"))) == 5
    assert all(line["as_written"] is not None for line in lines(out).values())
    assert s5eval("check", out).code == 0
