"""SIGKILL at any moment, then --resume: the same numbers, one line a mixture, nothing scored twice."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sealed_files import edit_record

SUPPORT = Path(__file__).parents[1] / "support"
Call = Callable[..., Any]


def start(*arguments: object) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT)}
    command = [sys.executable, "-m", "s5eval.harness.cli", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finish(*arguments: object) -> int:
    return start(*arguments).wait(timeout=120)


@pytest.fixture
def data(tmp_path: Path, make_set: Call) -> Path:
    labels = (["Speech"], [], ["Cough", "Speech"])
    return make_set(tmp_path / "set", {f"m_{k:02d}": labels[k % 3] for k in range(12)}, seconds=0.05)


def values(run: Path) -> tuple[Any, dict[str, Any]]:
    found = [json.loads(line) for line in (run / "mixtures.jsonl").read_text().splitlines()]
    assert len(found) == len({line["mixture_id"] for line in found}) == 12
    summary = json.loads((run / "summary.json").read_text())
    facts = {key: value for key, value in summary.items() if key not in ("set", "sha256")}  # but for the plugin's log
    return facts, {line["mixture_id"]: line["capi"]["value"] for line in found}


@pytest.mark.parametrize("after", [1, 7])
def test_killed_in_the_middle_and_resumed(data: Path, tmp_path: Path, after: int) -> None:
    options = ("run", "--system", "plugins:build", "--data", data)
    assert finish(*options, "--out", tmp_path / "whole") == 0
    log = tmp_path / "log"
    broken = tmp_path / "broken"
    killed = finish(*options, "--out", broken, "--set", f"system.kill_after={after}", "--set", f"system.log={log}")
    assert killed == -signal.SIGKILL
    assert json.loads((broken / "run.json").read_text())["status"] == "running"
    edit_record(broken / "run.json", lambda record: record["config"]["settings"]["system"].pop("kill_after"))
    edit_record(broken / "run.json", lambda record: record["fingerprint"].pop("kill_after"))
    assert finish("run", "--system", "plugins:build", "--resume", broken) == 0
    assert values(broken) == values(tmp_path / "whole")
    seen = log.read_text().split()
    assert len(seen) == 13, "only the mixture that was under way is run again"


def test_a_mixture_that_was_given_up_for_kills_from_outside_is_tried_again_on_request(
    systems_on_path: None, data: Path, tmp_path: Path, s5eval: Call
) -> None:
    out, options = tmp_path / "run", ("--system", "plugins:build")
    assert s5eval("run", *options, "--data", data, "--out", out).code == 0
    journal = out / "mixtures.jsonl"
    journal.write_text("".join(line for line in journal.read_text().splitlines(keepends=True) if "m_05" not in line))
    edit_record(out / "run.json", status="running")
    marks = out / ".started"
    marks.write_text(json.dumps({"under_way": ["m_05"], "deaths": {"m_05": 2}}))
    given_up = s5eval("run", "--resume", out, *options)
    assert (given_up.code, "--retry-given-up" in given_up.out) == (4, True)
    assert s5eval("run", "--resume", out, *options).code == 4, "and stays so"
    assert s5eval("run", "--resume", out, *options, "--retry-given-up").code == 0
    assert not marks.exists()
    refused = s5eval("run", *options, "--data", data, "--out", tmp_path / "new", "--retry-given-up")
    assert (refused.code, "goes with --resume" in refused.err) == (2, True)


def test_a_torn_last_line_is_run_again(data: Path, tmp_path: Path) -> None:
    options = ("run", "--system", "plugins:build", "--data", data, "--out")
    assert finish(*options, tmp_path / "whole") == 0
    assert finish(*options, tmp_path / "torn") == 0
    journal = tmp_path / "torn" / "mixtures.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    edit_record(tmp_path / "torn" / "run.json", status="running")
    assert finish("run", "--system", "plugins:build", "--resume", tmp_path / "torn") == 0
    assert values(tmp_path / "torn") == values(tmp_path / "whole")


def test_killed_before_the_run_began_starts_over(data: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    (out / "pairs").mkdir(parents=True)
    (out / "log.txt").write_text("")
    (out / "..probe.0a1b2c").write_text("")
    nowhere = tmp_path / "nowhere"  # killed before even the folder stood
    assert finish("run", "--system", "plugins:build", "--data", data, "--resume", nowhere) == 0
    assert len(values(nowhere)[1]) == 12
    alone = s5eval("run", "--resume", out)
    assert (alone.code, "repeat the options" in alone.err) == (2, True)
    assert finish("run", "--system", "plugins:build", "--data", data, "--resume", out) == 0
    assert len(values(out)[1]) == 12


@pytest.mark.slow
def test_killed_at_random_moments_until_done(data: Path, tmp_path: Path) -> None:
    options = ("run", "--system", "plugins:build", "--data", data)
    began = time.monotonic()
    assert finish(*options, "--out", tmp_path / "whole") == 0
    alone = time.monotonic() - began
    # The whole run takes at least six times as long as this, and no process lives for more than one and a half: three
    # kills at least, however fast the machine is.
    arguments = (*options, "--set", f"system.slow={alone / 2:.3f}")
    rng = random.Random(2026)
    out = tmp_path / "broken"
    kills = 0
    for _ in range(60):
        process = start(*arguments, "--resume", out)
        try:
            if process.wait(timeout=rng.uniform(0.2, 1.5) * alone) in (0, 4):
                break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    # kills from outside cannot be told from crashes: what was given up for them is tried again on request
    assert finish(*arguments, "--resume", out, "--retry-given-up") == 0
    assert kills > 2
    assert values(out) == values(tmp_path / "whole")


def test_sigterm_ends_like_an_interrupt(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start("run", "--system", "plugins:build", "--data", data, "--out", out, "--set", "system.slow=0.3")
    while not (out / "mixtures.jsonl").exists():
        time.sleep(0.05)
        assert process.poll() is None
    process.terminate()
    assert process.wait(timeout=30) == 130
    assert json.loads((out / "summary.json").read_text())["status"] == "partial"


def test_two_processes_do_not_write_one_run(data: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    process = start("run", "--system", "plugins:build", "--data", data, "--out", out, "--set", "system.slow=0.3")
    try:
        while not (out / "run.json").exists():
            time.sleep(0.05)
            assert process.poll() is None
        second = s5eval("run", "--system", "plugins:build", "--resume", out)
        assert (second.code, "another process is at work" in second.err) == (1, True)
    finally:
        process.kill()
        process.wait()
