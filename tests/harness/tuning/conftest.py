"""A finished run to tune on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def staged_run(systems_on_path: None, staged_set: Path, tmp_path: Path, s5eval: Callable[..., Any]) -> Path:
    """The folder of a run of the staged test system."""
    run = tmp_path / "run"
    assert s5eval("run", "--system", "staged:build", "--data", staged_set, "--out", run).code == 0
    return run
