"""What shells, containers and clusters do to a process: streams, encodings, home folders, locks, signals."""

import errno
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from s5eval.data_manifests.common.cache import cache_folder
from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.command_line import progress_bar
from s5eval.harness.process import interrupted, this_command

Call = Callable[..., Any]
HERE = Path(__file__).parents[1] / "support"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "s5eval.harness.cli", *map(str, arguments)]


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE), **changes}


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_run_begins_and_ends_with_closed_streams(small_set: Path, tmp_path: Path, closed: str) -> None:
    out = tmp_path / "run"
    words = command("run", "--system", "plugins:build", "--data", small_set, "--out", out)
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *words], env=environment(), check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0
    assert (out / "report.html").is_file()
    assert len((out / "mixtures.jsonl").read_text().splitlines()) == 5, "nothing else was written into the journal"


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_table_is_printed_in_plain_characters_where_the_encoding_has_no_others(
    small_set: Path, tmp_path: Path, encoding: str
) -> None:
    words = command("run", "--system", "silence", "--data", small_set, "--out", tmp_path / "run")
    done = subprocess.run(
        words, env=environment(PYTHONIOENCODING=encoding, PYTHONUTF8="0"), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr.count(b"Traceback")) == (0, 0)
    rule = b"-----" if encoding == "latin-1" else "─────".encode()  # click takes ASCII for a mistake, and writes UTF-8
    assert rule in done.stdout
    assert b"\\u" not in done.stdout


def test_without_a_home_folder_the_cache_is_where_a_variable_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.delenv("S5EVAL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache_folder() == tmp_path / "s5eval"
    monkeypatch.delenv("XDG_CACHE_HOME")
    with pytest.raises(UsageError, match="set S5EVAL_CACHE to a folder"):
        cache_folder()


def test_a_run_is_made_where_the_file_system_has_no_locks(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def unknown(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    out = tmp_path / "run"
    assert s5eval("run", "--system", "silence", "--data", small_set, "--out", out).code == 0
    assert s5eval("run", "--resume", out).code == 0
    assert s5eval("run", "--system", "typo", "--data", small_set, "--out", tmp_path / "none").code == 2
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_signal_that_ends_says_how_to_go_on(small_set: Path, tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "a run"
    words = command("run", "--system", "plugins:build", "--data", small_set, "--out", out, "--set", "system.slow=1")
    process = subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        while not (out / "mixtures.jsonl").exists():
            time.sleep(0.05)
            assert process.poll() is None
        process.send_signal(number)
        error = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130
    assert f"run: {out}" in error.splitlines()[0]
    assert error.rstrip().endswith(f"this goes on: s5eval run --system plugins:build --resume '{out}'")


def test_what_is_ignored_stays_ignored(small_set: Path, tmp_path: Path) -> None:
    words = command("run", "--system", "silence", "--data", small_set, "--out", tmp_path / "run")
    script = "import signal, subprocess, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    script += "import s5eval.harness.process as p; p.interrupt_on_signals(); "
    script += "assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN"
    assert subprocess.run([words[0], "-c", script], check=False).returncode == 0


def test_commands_that_cannot_go_on_do_not_say_that_they_can() -> None:
    assert interrupted(KeyboardInterrupt()) == "interrupted"


def test_the_command_is_given_back_with_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/bin/s5eval", "ablate", "my grid.yaml"])
    assert this_command("--out", Path("runs/x")) == "s5eval ablate 'my grid.yaml' --out runs/x"
    monkeypatch.setattr(sys, "argv", ["s5eval", "ablate", "--out=y"])
    assert this_command("--out", Path("y")) == "s5eval ablate --out=y"


def test_a_file_that_ends_too_early_is_no_interruption(
    s5eval: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import s5eval.systems.registry as registry

    def ends() -> Mapping[str, str]:
        raise EOFError("a file ended")

    monkeypatch.setattr(registry, "installed_systems", ends)
    result = s5eval("systems")
    assert (result.code, "unexpected EOFError: a file ended" in result.err) == (1, True)


def test_off_a_terminal_a_line_a_minute_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: now[0])
    with progress_bar.show_count("mixture", start=10) as show:
        for done in range(11, 101):
            now[0] += 2.0
            show(done, 100, "failed=1" if done > 50 else "")
    assert capsys.readouterr().err.splitlines() == [
        "40 of 100 mixtures, about 2 min left",
        "70 of 100 mixtures, failed=1, about 60 s left",
        "100 of 100 mixtures, failed=1",
    ]


def test_what_came_before_the_first_count_is_no_pace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: now[0])
    with progress_bar.show_count("step") as show:
        now[0] += 2400.0  # slots are made
        for done in range(501, 1001):  # a training that goes on
            show(done, 1500)
            now[0] += 0.5
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["501 of 1,500 steps", "621 of 1,500 steps, about 7 min left"]


def test_on_a_terminal_nothing_is_drawn_where_there_is_nothing_to_do() -> None:
    script = "from s5eval.harness.command_line.progress_bar import show_count\n"
    script += "with show_count('scene', 'making scenes') as show: show(5, 5)"
    master, slave = pty.openpty()
    done = subprocess.run([sys.executable, "-c", script], stderr=slave, check=False)
    os.close(slave)
    os.set_blocking(master, False)
    try:
        drawn = os.read(master, 100)
    except (BlockingIOError, OSError):
        drawn = b""
    os.close(master)
    assert (done.returncode, drawn) == (0, b"")
