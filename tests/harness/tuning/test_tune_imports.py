"""What works on stored tables alone loads neither torch nor a network's libraries."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["runs.rescore", "tuning.tune", "comparing.pair_of_runs", "comparing.ablation_tables"]
)
def test_no_torch(module: str) -> None:
    code = f"import sys, s5eval.harness.{module}; print({{'torch', 'matplotlib', 'mir_eval'}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_rescoring_a_run_loads_no_torch(small_set: object, tmp_path: object, s5eval: object) -> None:
    run = f"{tmp_path}/run"
    s5eval("run", "--system", "oracle-gain", "--data", small_set, "--out", run)  # type: ignore[operator]
    code = (
        "import sys; from pathlib import Path; from s5eval.harness.runs.rescore import rescore\n"
        f"rescore(Path({run!r})); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
