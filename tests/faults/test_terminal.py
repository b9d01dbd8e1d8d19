"""What files say is shown on the terminal and never obeyed: no command lets a control character through."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from s5eval.harness.terminal import printable

Call = Callable[..., Any]
HOSTILE = "a\x1b]0;owned\x07\x9b31mb\u202egnp\u2066\r"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


def clean(result: Any) -> None:
    for text in (result.out, result.err):
        assert not OBEYED.search(text), ascii(text)


@pytest.fixture
def hostile_set(small_set: Path) -> Path:
    """The small set with a mixture, a reference, and estimates whose names hold what a terminal obeys."""
    for path in list(small_set.rglob("m_1[._]*")):
        path.rename(path.with_name(path.name.replace("m_1", HOSTILE)))
    estimates = small_set / "estimate"
    samples, rate = soundfile.read(estimates / "m_2_0_Cough.wav")
    for name in (f"{HOSTILE}_7_Speech.wav", f"other{HOSTILE}_0_Speech.wav", f"m_2_3_{HOSTILE.replace('_', '')}.wav"):
        soundfile.write(estimates / name, samples[:-5], rate)
    return small_set


def test_characters_that_a_terminal_obeys_are_written_as_escapes() -> None:
    assert printable("a\x1b[2Jb") == "a\\x1b[2Jb"
    assert printable("x\u202ey\x9bz\r\ud800") == "x\\u202ey\\x9bz\\r\\ud800"
    assert printable("plain – ümläut 日本\n\tline") == "plain – ümläut 日本\n\tline"
    assert printable(printable(HOSTILE)) == printable(HOSTILE)


def test_no_command_lets_control_characters_of_files_through(hostile_set: Path, tmp_path: Path, s5eval: Call) -> None:
    estimates, out = hostile_set / "estimate", tmp_path / f"out{HOSTILE}"
    data = ["--data", hostile_set]
    scored = s5eval("score", estimates, *data, "--out", out)
    assert (scored.code, "failed" in scored.out) == (4, True)
    copy = tmp_path / f"team{HOSTILE}"
    copy.symlink_to(estimates)
    results = [
        scored,
        s5eval("score", estimates, *data, "--strict", "--out", tmp_path / "strict"),
        s5eval("score", estimates, copy, *data, "--out", tmp_path / "ranking"),
        s5eval("score", estimates, tmp_path / f"none{HOSTILE}", *data),
        s5eval("score", "--resume", out),
        s5eval("rescore", out, "--out", tmp_path / "rescored"),
        s5eval("compare", out, tmp_path / "rescored"),
        s5eval("report", out),
        s5eval("tune", out),
        s5eval("run", "--system", "silence", *data, "--dry-run"),
        s5eval("run", "--system", HOSTILE, *data),
        s5eval("run", "--system", "silence", *data, "--only", HOSTILE + "x"),
        s5eval("run", "--system", "silence", *data, "--set", f"system.{HOSTILE}=1"),
        s5eval("run", f"--{HOSTILE}"),
        s5eval("data", "verify", *data),
        s5eval("submit", "validate", copy),
        s5eval("run", "--system", "silence", *data, "--out", tmp_path / f"b{HOSTILE}", "--debug"),
        s5eval("run", "--resume", tmp_path / f"n{HOSTILE}", "--debug"),
    ]
    for result in results:
        clean(result)
    assert not OBEYED.search((out / "log.txt").read_text())
    assert any("\\x1b" in result.out for result in results)


def test_records_with_control_characters_do_not_reach_the_terminal(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    out = tmp_path / "run"
    s5eval("score", small_set / "estimate", "--data", small_set, "--out", out)
    record = json.loads((out / "run.json").read_text())
    record["about"] |= dict.fromkeys(("system", "weights", "dataset", "split", "decided_by"), HOSTILE)
    record["about"] |= {"missing_parts": [HOSTILE], "findings": {HOSTILE: 1}}
    (out / "run.json").write_text(json.dumps(record))
    for command in (
        ["rescore", out],
        ["compare", out, out],
        ["tune", out],
        ["score", "--resume", out],
        ["report", out],
    ):
        clean(s5eval(*command))


def test_every_command_prints_through_the_one_place() -> None:
    harness = Path(__file__).parents[2] / "harness"
    for file in [harness / "cli.py", *sorted((harness / "commands").glob("*.py"))]:
        assert not re.search(r"click\.(secho|echo)\(|(?<![\w.])print\(", file.read_text()), file.name
