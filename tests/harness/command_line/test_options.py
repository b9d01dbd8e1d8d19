"""Paths as they are typed: the home folder, and words that are none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from s5eval.arguments import as_path
from s5eval.harness.command_line.options import PathType, RunType

Call = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


@pytest.mark.parametrize("kind", [PathType, RunType])
def test_a_tilde_that_the_shell_has_left_is_the_home_folder(home: Path, kind: click.ParamType) -> None:
    assert kind.convert("~/runs/a", None, None) == home / "runs" / "a"
    assert kind.convert("~", None, None) == home
    assert kind.convert("runs/~", None, None) == Path("runs/~")
    assert kind.convert("~no-such-user/a", None, None) == Path("~no-such-user/a")
    with pytest.raises(click.BadParameter, match="an empty path"):
        kind.convert("", None, None)


def test_a_run_is_made_and_found_in_the_home_folder(home: Path, small_set: Path, s5eval: Call) -> None:
    made = s5eval("run", "--system", "silence", "--data", small_set, "--limit", "1", "--out=~/a")
    assert (made.code, (home / "a" / "run.json").is_file()) == (0, True)
    assert list(Path.cwd().iterdir()) == []
    assert s5eval("check", "~/a").code == 0


def test_a_home_folder_of_nobody_is_a_folder_that_is_not_there(home: Path, s5eval: Call) -> None:
    run = s5eval("run", "--system", "silence", "--data", "~no-such-user/data", "--out", "a")
    assert (run.code, "~no-such-user/data" in run.err, "unexpected" in run.err) == (3, True, False), run.err
    assert str(as_path("~no-such-user/wavs", "estimates")) == "~no-such-user/wavs"
