"""Finished runs to export and pack."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def run(s5eval: Callable[..., Any], small_set: Path, tmp_path: Path) -> Path:
    """A scored run: right, missing, wrong and repeated labels, a silent scene, secondary metrics left out."""
    out = tmp_path / "runs" / "first"
    result = s5eval("score", small_set / "estimate", "--data", small_set, "--out", out)
    assert result.code == 0, result.err
    return out
