"""A pipe in place of a file of a received run folder is named, not waited for, whichever file it is."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")


@pytest.fixture
def finished(small_set: Path, tmp_path: Path, s5eval: Call) -> Path:
    run = tmp_path / "run"
    words = ("run", "--system", "oracle-gain", "--data", small_set, "--out", run, "--save-audio")
    assert s5eval(*words).code == 0
    return run


def with_pipe(run: Path, name: str, target: Path) -> Path:
    shutil.copytree(run, target)
    (target / name).unlink()
    os.mkfifo(target / name)
    return target


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("run.json", "report"),
        ("run.json", "check"),
        ("summary.json", "report"),
        ("summary.json", "check"),
        ("mixtures.jsonl", "report"),
        ("mixtures.jsonl", "rescore"),
        ("pairs/m_1.npz", "rescore"),
        ("pairs/m_1.npz", "tune"),
        ("pairs/m_1.npz", "check"),
        ("audio/m_1_0_Speech.wav", "check"),
        ("report.html", "check"),
    ],
)
def test_a_pipe_is_an_error_that_names_the_file(
    finished: Path, tmp_path: Path, s5eval: Call, name: str, command: str
) -> None:
    run = with_pipe(finished, name, tmp_path / "piped")
    result = s5eval(command, run)
    assert (result.code, Path(name).name in result.out + result.err) == (3, True), result.err


def test_a_pipe_in_place_of_a_decision_stands_for_what_is_written_into_it(
    finished: Path, tmp_path: Path, s5eval: Call
) -> None:
    """A shell's `<(…)` is one."""
    import threading

    os.mkfifo(tmp_path / "decision")
    writer = threading.Thread(target=(tmp_path / "decision").write_text, args=("max_sources: 1\n",), daemon=True)
    writer.start()
    result = s5eval("rescore", finished, "--decision", tmp_path / "decision", "--out", tmp_path / "again")
    writer.join(timeout=10)
    assert result.code == 0
