"""A Ray cluster of this machine's own: nodes on loopback, with a token."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parent
TOKEN = "0123456789abcdef0123456789abcdef"


class Cluster:
    """A head and another node, each of two cores, with a token; everything of it names its folder."""

    def __init__(self, root: Path, port: int, home: Path) -> None:
        self.root, self.address = root, f"127.0.0.1:{port}"
        self.environment = {
            **os.environ, "HOME": str(home), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN,
            "PYTHONPATH": str(SUPPORT), "S5EVAL_CACHE": str(home / "cache"), "RAY_USAGE_STATS_ENABLED": "0",
        }  # fmt: skip

    def start(self, *options: str) -> list[int]:
        """Start a node; returns its agent's process id. Skips the test where the machine is too busy for Ray."""
        before = set(self.agents())
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--num-cpus=2", "--disable-usage-stats"]
        command += ["--object-store-memory=80000000", *options]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"Ray could not be started: {(done.stdout + done.stderr).strip().splitlines()[-1]}")
        return sorted(set(self.agents()) - before)

    def processes(self, word: str = "") -> list[int]:
        """Processes of this cluster whose command holds a word."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = entry.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if str(self.root) in command and word in command:
                found.append(int(entry.parent.name))
        return found

    def agents(self) -> list[int]:
        return self.processes("raylet/raylet ")

    def end(self) -> None:
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def run(self, *arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
        process = self.begin(*arguments, **environment)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def begin(self, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "s5eval.harness.cli", "run", *map(str, arguments)]
        command += ["--engine", "ray", "--address", self.address]
        return subprocess.Popen(
            command, env={**self.environment, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
