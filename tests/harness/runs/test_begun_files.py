"""A run on data that change while it is at work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


SYSTEM = """
import os, shutil, time
from pathlib import Path
from plugins import Omni

HERE = Path(__file__).parent


class Mine(Omni):
    def propose(self, mixtures):
        for mixture in mixtures:
            while len(list(HERE.glob("built-*"))) < PROCESSES:  # a worker that comes late would see other data at once
                time.sleep(0.01)
            if mixture.id == "m_2":
                shutil.copy(mixture.path.with_name("m_4.wav"), mixture.path)
            if mixture.id == "m_3":
                mixture.path.touch()
        return super().propose(mixtures)


def build(config, device):
    (HERE / f"built-{os.getpid()}").touch()
    return Mine(config)
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_mixture_whose_files_change_while_the_run_is_at_work_fails_by_name(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, systems_on_path: None, workers: int
) -> None:
    """Its score would pass for one on the data in run.json; a file that was touched alone is what it was."""
    module = f"copying_with_{workers}"  # one that is imported stays
    (tmp_path / f"{module}.py").write_text(SYSTEM.replace("PROCESSES", str(1 + workers)))
    out, system = tmp_path / "run", ("--system", f"{module}:build")
    options = ("--workers", workers) if workers else ()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        shown = s5eval("run", *system, "--data", small_set, "--out", out, *options)
        assert shown.code == 4, shown.err
        failed = {id_: line["outcome"]["error"] for id_, line in lines(out).items() if line["outcome"]["error"]}
        assert set(failed) == {"m_2"} and "its files have changed since the run began" in failed["m_2"]
        assert s5eval("run", *system, "--resume", out).code == 0
    assert s5eval("check", out).code == 0
