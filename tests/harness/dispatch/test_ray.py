"""Runs on a Ray cluster of two nodes on loopback: as by one process, whoever dies. Slow, and skipped without Ray."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from other_processes import wait_until
from ray_cluster import Cluster
from whole_run import failures, journal

pytestmark = pytest.mark.slow

Call = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path, make_set: Call) -> Path:
    labels = (["Speech"], [], ["Cough", "Speech"])
    return make_set(tmp_path / "set", {f"m_{k:02d}": labels[k % 3] for k in range(12)}, seconds=0.05)


def test_journals_of_ray_and_of_one_process_are_the_same(
    cluster: Cluster, staged_set: Path, tmp_path: Path, s5eval: Call, systems_on_path: None
) -> None:
    call = ("--system", "staged:build", "--data", staged_set, "--save-audio", "--no-cache")
    assert s5eval("run", *call, "--out", tmp_path / "alone").code == 0
    result = cluster.run(*call, "--workers", 2, "--out", tmp_path / "ray")
    assert result.returncode == 0, result.stderr
    assert journal(tmp_path / "ray") == journal(tmp_path / "alone")
    assert "ray" not in result.stderr.replace(str(tmp_path / "ray"), "").lower(), "its messages stay off the terminal"
    for wav in (tmp_path / "alone" / "audio").iterdir():
        assert (tmp_path / "ray" / "audio" / wav.name).read_bytes() == wav.read_bytes()


def test_a_poison_mixture_fails_by_name(cluster: Cluster, data: Path, tmp_path: Path) -> None:
    call = ("--system", "plugins:build", "--data", data, "--set", "system.die_on=m_04", "--workers", 2)
    result = cluster.run(*call, "--out", tmp_path / "run")
    assert result.returncode == 4, result.stderr
    assert list(failures(tmp_path / "run")) == ["m_04"]
    assert failures(tmp_path / "run")["m_04"].startswith("it has ended 3 workers")
    assert len(journal(tmp_path / "run")) == 12


def test_a_wrong_token_is_one_line(cluster: Cluster, data: Path, tmp_path: Path) -> None:
    call = ("--system", "silence", "--data", data, "--workers", 1, "--out", tmp_path / "run")
    result = cluster.run(*call, RAY_AUTH_TOKEN="another")
    said = [line for line in result.stderr.splitlines() if not line.startswith("run: ")]
    assert (result.returncode, len(said)) == (2, 1), result.stderr
    assert "does not take this token" in said[0]


def test_the_loss_of_a_node_blames_nobody(cluster: Cluster, data: Path, tmp_path: Path) -> None:
    (agent,) = cluster.start(f"--address={cluster.address}")
    log, out = tmp_path / "log", tmp_path / "run"
    settings = ("--set", "system.slow=1", "--set", f"system.log={log}")
    process = cluster.begin("--system", "plugins:build", "--data", data, *settings, "--workers", 4, "--out", out)
    wait_until(lambda: (out / "mixtures.jsonl").exists() or process.poll() is not None, seconds=120)
    killed = time.monotonic()
    os.kill(agent, signal.SIGKILL)
    wait_until(lambda: "was lost" in (out / "log.txt").read_text() or process.poll() is not None, seconds=120)
    assert time.monotonic() - killed < 40, "Ray asks a node every 3 s, five times: some 15 s where nobody else works"
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert (len(journal(out)), failures(out)) == (12, {})
    assert len(log.read_text().split()) <= 12 + 2 * 2, "at most two are run again per lost worker"


def test_the_loss_of_the_own_agent_is_said_and_the_run_goes_on(
    cluster: Cluster, data: Path, tmp_path: Path, s5eval: Call, systems_on_path: None
) -> None:
    out = tmp_path / "run"
    call = ("--system", "plugins:build", "--data", data, "--set", "system.slow=1", "--workers", 2, "--out", out)
    process = cluster.begin(*call)
    wait_until(lambda: (out / "mixtures.jsonl").exists() or process.poll() is not None, seconds=120)
    (agent,) = cluster.agents()
    os.kill(agent, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert "Ray's agent on this machine (the raylet) has died" in err
    assert s5eval("run", "--system", "plugins:build", "--resume", out, "--engine", "processes").code == 0
    assert len(journal(out)) == 12
