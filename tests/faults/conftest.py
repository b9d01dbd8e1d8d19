"""A small set, and one whole run of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from whole_run import Whole

Call = Callable[..., Any]


@pytest.fixture
def options(systems_on_path: None, tmp_path: Path, make_set: Call) -> tuple[object, ...]:
    """Of a run over six short scenes, with wavs."""
    labels = (["Speech"], [], ["Cough", "Speech"])
    data = make_set(tmp_path / "set", {f"m_{k:02d}": labels[k % 3] for k in range(6)}, seconds=0.02)
    return "--system", "plugins:build", "--data", data, "--save-audio"


@pytest.fixture
def whole(options: tuple[object, ...], tmp_path: Path, s5eval: Call) -> Whole:
    run = tmp_path / "whole"
    assert s5eval("run", *options, "--out", run).code == 0
    return Whole(run, s5eval, options)
