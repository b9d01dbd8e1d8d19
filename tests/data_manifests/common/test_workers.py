"""Processes that make scenes end with the process that began them, whatever ends it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def children(pid: int) -> list[int]:
    """Processes below one, from /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found += [int(entry.name), *children(int(entry.name))]
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_making_a_set_leaves_no_process_and_no_open_pipe(tmp_path: Path, number: signal.Signals) -> None:
    words = [sys.executable, "-m", "s5eval.harness.cli", "data", "make", "mini", "--split", "test"]
    words += ["--out", str(tmp_path / "set"), "--workers", "2"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ.copy())
    deadline = time.monotonic() + 120
    while len(children(process.pid)) < 3:  # two that make, and the one that keeps their resources
        time.sleep(0.1)
        assert process.poll() is None and time.monotonic() < deadline
    time.sleep(1)
    below = children(process.pid)
    process.send_signal(number)
    said = process.communicate(timeout=60)[0].decode()  # returns when nobody holds the pipe any more
    if number is signal.SIGHUP:
        assert process.returncode == 130
        assert "this goes on: s5eval data make mini --split test" in said
        assert "Traceback" not in said
    while any(Path(f"/proc/{pid}").exists() and pid in below for pid in below) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in below if Path(f"/proc/{pid}").exists()] == []
