"""Complete runs, and submissions that are built from them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from submitting import NAMED, copied

Call = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path, make_set: Call) -> Path:
    return make_set(tmp_path / "set", {"m_0": ["Speech"], "m_1": [], "m_2": ["Cough", "Pour"]})


@pytest.fixture
def plugin(systems_on_path: None) -> str:
    return "plugins:build"


@pytest.fixture
def run(s5eval: Call, data: Path, tmp_path: Path, plugin: str) -> Path:
    """A complete run with audio: one output, channel 0 as `Speech`, for every mixture."""
    assert s5eval("run", "--system", plugin, "--data", data, "--out", tmp_path / "run", "--save-audio").code == 0
    return tmp_path / "run"


@pytest.fixture
def build(s5eval: Call, run: Path, tmp_path: Path) -> Call:
    def call(*options: object, run_: Path = run, dev: Path | None = None) -> Any:
        where = ("--dev-run", copied(run) if dev is None else dev, "--out", tmp_path / "out")
        return s5eval("submit", "build", run_, *NAMED, "--number", 1, *where, "--nparams", 1000, *options)

    return call
