"""The script for an array of jobs in `docs/machines.md`, run as a queue would, also after a kill."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="needs bash")

Call = Callable[..., Any]


@pytest.fixture
def task(small_set: Path, tmp_path: Path) -> Callable[[int], int]:
    """Run a task of an array of two; its exit code."""
    (script,) = re.findall(r"```bash\n(#!/bin/bash\n#SBATCH --array.*?)```", (DOCS / "machines.md").read_text(), re.S)
    script = script.replace("--system multistage --data DIR", f"--system oracle-gain --data '{small_set}'")
    assert str(small_set) in script
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(number: int) -> int:
        environment = os.environ | {"PATH": path, "SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_COUNT": "2"}
        return subprocess.run([str(BASH), "-c", script], env=environment, cwd=tmp_path, check=False).returncode

    return run


def test_a_task_that_was_killed_before_its_run_began_begins_when_it_is_requeued(
    task: Callable[[int], int], tmp_path: Path, s5eval: Call
) -> None:
    (tmp_path / "R.1" / "pairs").mkdir(parents=True)  # what a kill leaves while the system loads
    assert [task(1), task(2)] == [0, 0]
    before = (tmp_path / "R.2" / "mixtures.jsonl").read_bytes()
    assert task(2) == 0, "one that is done stays as it is"
    assert (tmp_path / "R.2" / "mixtures.jsonl").read_bytes() == before
    assert s5eval("merge", tmp_path / "R.1", tmp_path / "R.2", "--out", tmp_path / "R").code == 0
    assert json.loads((tmp_path / "R" / "summary.json").read_text())["n_scored"] == 5
