"""Runs by several workers: the same journal as one process, and the same manners when somebody dies."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from other_processes import children, is_running, wait_until
from planted import Plant
from whole_run import failures, journal

from s5eval.harness.dispatch.worker_process import portable
from s5eval.harness.errors import RunFolderError

Call = Callable[..., Any]
SUPPORT = Path(__file__).parents[2] / "support"


@pytest.fixture(autouse=True)
def _systems_on_path(systems_on_path: None) -> None:
    pass


@pytest.fixture
def data(tmp_path: Path, make_set: Call) -> Path:
    labels = (["Speech"], [], ["Cough", "Speech"])
    return make_set(tmp_path / "set", {f"m_{k:02d}": labels[k % 3] for k in range(12)}, seconds=0.05)


def summary(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return {key: value for key, value in content.items() if key not in ("set", "sha256", "seconds")}


def record(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "run.json").read_text())
    return content


def start(*arguments: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT)}
    command = [sys.executable, "-m", "s5eval.harness.cli", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("options", "sizes"), [((), (1, 2, 4)), (("--save-audio",), (2,)), (("--batch-size", 3), (2,))]
)
def test_journals_of_one_process_and_of_workers_are_the_same(
    staged_set: Path, tmp_path: Path, s5eval: Call, options: tuple[object, ...], sizes: tuple[int, ...]
) -> None:
    call = ("run", "--system", "staged:build", "--data", staged_set, "--set", "system.fail=m_05", *options)
    runs = {n: tmp_path / f"by_{n}" for n in (0, *sizes)}
    for n, out in runs.items():
        result = s5eval(*call, "--out", out, "--no-cache", *(("--workers", n) if n else ()))
        assert result.code == 4, result.err
        assert s5eval("check", out).code == 0
    alone = runs.pop(0)
    for out in runs.values():
        assert journal(out) == journal(alone)
        assert summary(out) == summary(alone)
        assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in alone.iterdir())
        counts = [{name: cost["executed"] for name, cost in record(run)["stages"].items()} for run in (out, alone)]
        assert counts[0] == counts[1], "the tally of the stages comes home"
        assert "this mixture cannot be done" in (out / "log.txt").read_text(), "and so do log and tracebacks"
        if "--save-audio" in options:
            wavs = {path.name: path.read_bytes() for path in (alone / "audio").iterdir()}
            assert wavs == {path.name: path.read_bytes() for path in (out / "audio").iterdir()}


def test_workers_share_the_stage_store(staged_set: Path, tmp_path: Path, s5eval: Call) -> None:
    call = ("run", "--system", "staged:build", "--data", staged_set, "--workers", 2)
    assert s5eval(*call, "--out", tmp_path / "first").code == 0
    assert s5eval(*call, "--out", tmp_path / "second").code == 0
    stages = record(tmp_path / "second")["stages"].values()
    assert [(stage["executed"], stage["reused"]) for stage in stages] == [(0, 12)] * 3


def test_a_mixture_that_kills_its_workers_fails_by_name_and_costs_itself_only(
    data: Path, tmp_path: Path, s5eval: Call
) -> None:
    log, out = tmp_path / "log", tmp_path / "run"
    settings = ("--set", "system.die_on=m_04", "--set", f"system.log={log}")
    result = s5eval("run", "--system", "plugins:build", "--data", data, "--out", out, "--workers", 2, *settings)
    assert result.code == 4, result.err
    failed = failures(out)
    assert list(failed) == ["m_04"]
    assert failed["m_04"].startswith("it has ended 3 workers")
    assert "signal 9 (SIGKILL)" in failed["m_04"]
    assert "about to fall over" in failed["m_04"], "its last words"
    assert Counter(log.read_text().split()) == Counter({**dict.fromkeys(journal(out), 1), "m_04": 3})


def test_a_worker_that_is_killed_leaves_nothing_among_the_temporary_files(
    data: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had unpacked and written stayed there, of every worker of every run that was interrupted."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setenv("TMPDIR", str(place))
    options = ("--data", data, "--workers", 2, "--save-audio", "--set", "system.die_on=m_05")
    assert s5eval("run", "--system", "plugins:build", *options, "--out", tmp_path / "run").code == 4
    assert list(place.iterdir()) == []


def test_a_mixture_that_cannot_be_interrupted_costs_its_worker_only(data: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    options = ("--set", "system.hang_on=m_04", "--mixture-timeout", 1.5, "--workers", 2)
    result = s5eval("run", "--system", "plugins:build", "--data", data, "--out", out, *options)
    assert result.code == 4, result.err
    failed = failures(out)
    assert list(failed) == ["m_04"]
    assert failed["m_04"].startswith("it took more than 1.5 s (mixture_timeout)")


def test_a_slow_mixture_is_interrupted_in_its_worker(data: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    options = ("--set", "system.slow=30", "--mixture-timeout", 0.3, "--workers", 1, "--limit", 2)
    result = s5eval("run", "--system", "plugins:build", "--data", data, "--out", out, *options)
    assert result.code == 4
    assert all("it took more than 0.3 s" in error for error in failures(out).values())
    assert "ended" not in (out / "log.txt").read_text(), "its worker lives on"


def test_a_system_that_always_dies_ends_the_run_with_its_last_words(data: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    options = ("--set", "system.kill_after=1", "--workers", 1)
    result = s5eval("run", "--system", "plugins:build", "--data", data, "--out", out, *options)
    assert result.code == 1
    assert result.err.splitlines()[-1].startswith("error: workers end before their first result, 3 in succession")
    assert "signal 9 (SIGKILL)" in result.err
    assert summary(out)["status"] == "partial"


def test_a_killed_worker_blames_its_mixture_once_and_every_mixture_is_done(data: Path, tmp_path: Path) -> None:
    log, out = tmp_path / "log", tmp_path / "run"
    settings = ("--set", "system.slow=0.3", "--set", f"system.log={log}")
    process = start("run", "--system", "plugins:build", "--data", data, "--out", out, "--workers", 2, *settings)
    wait_until(lambda: (out / "mixtures.jsonl").exists() or process.poll() is not None)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert len(journal(out)) == 12
    assert len(log.read_text().split()) <= 12 + 1, "the one that was under way"


@pytest.fixture
def long_run(data: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path, list[int]]]:
    """A run of two workers that has begun, and their processes."""
    out = tmp_path / "run"
    options = ("--workers", 2, "--set", "system.slow=0.5")
    process = start("run", "--system", "plugins:build", "--data", data, "--out", out, *options)
    try:
        wait_until(lambda: (out / "mixtures.jsonl").exists() or process.poll() is not None)
        yield process, out, children(process.pid)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_driver_leaves_nothing_running_and_names_its_folder(
    long_run: tuple[subprocess.Popen[str], Path, list[int]], sent: signal.Signals
) -> None:
    process, out, workers = long_run
    assert len(workers) == 2
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"--resume {out}" in err
    assert not any(map(is_running, workers))
    assert "Traceback" not in err
    assert summary(out)["status"] == "partial"


def test_workers_die_with_a_driver_that_is_killed_and_the_run_goes_on(
    long_run: tuple[subprocess.Popen[str], Path, list[int]], tmp_path: Path, s5eval: Call
) -> None:
    process, out, workers = long_run
    process.kill()
    process.communicate()
    wait_until(lambda: not any(map(is_running, workers)), seconds=10)
    before = journal(out)
    assert 0 < len(before) < 12
    again = s5eval("run", "--system", "plugins:build", "--resume", out, "--workers", 1)
    assert again.code == 0, again.err
    assert len(journal(out)) == 12
    assert {id_: journal(out)[id_] for id_ in before} == before
    assert [sitting["staff"]["size"] for sitting in record(out)["sittings"]] == [2, 1]


def test_a_worker_whose_system_is_another_is_refused_by_name(
    data: Path, tmp_path: Path, s5eval: Call, plant: Plant
) -> None:
    plant(
        "changing",
        "import os\nimport plugins\n"
        "class Changing(plugins.Omni):\n"
        "    def fingerprint(self):\n"
        f"        return {{'weights': 'none', 'version': int(os.getpid() != {os.getpid()})}}\n"
        "def build(config, device):\n    return Changing(config)\n",
    )
    result = s5eval("run", "--system", "changing:build", "--data", data, "--out", tmp_path / "run", "--workers", 1)
    assert result.code == 2
    assert "worker 1 (process " in result.err
    assert "has another system: its fingerprint differs in version" in result.err


def test_what_workers_print_goes_to_the_log(data: Path, tmp_path: Path, s5eval: Call, plant: Plant) -> None:
    plant(
        "chatty",
        "import plugins\n"
        "def build(config, device):\n    print('hello from the plugin')\n    return plugins.Omni(config)\n",
    )
    result = s5eval("run", "--system", "chatty:build", "--data", data, "--out", tmp_path / "run", "--workers", 1)
    assert (result.code, "hello" in result.out) == (0, False)
    assert "printed: hello from the plugin" in (tmp_path / "run" / "log.txt").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--workers", "many"), "--workers is 'many', expected a number from 1, or auto"),
        (("--workers", "0"), "--workers is '0', expected a number from 1"),
        (("--devices", "cuda:0"), "--devices: 'cuda:0', expected numbers of GPUs, such as 0,1"),
        (("--address", "auto", "--workers", "2"), "--address and --gpus-per-worker go with --engine ray"),
        (("--engine", "ray"), "--engine ray needs a number of --workers, such as 8"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    data: Path, tmp_path: Path, s5eval: Call, options: tuple[str, ...], said: str
) -> None:
    result = s5eval("run", "--system", "plugins:build", "--data", data, "--out", tmp_path / "run", *options)
    assert (result.code, said in result.err) == (2, True), result.err


def test_more_workers_than_the_machine_has_room_for_are_an_error_that_says_so(data: Path, tmp_path: Path) -> None:
    """In a process of its own, which may have few files open at once."""
    resource = pytest.importorskip("resource")
    words = ("run", "--system", "plugins:build", "--data", str(data), "--out", str(tmp_path / "run"), "--workers", "40")
    few = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32)); "
    code = f"{few}sys.argv = ['s5eval', *sys.argv[1:]]; from s5eval.harness.cli import main; main()"
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 32
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SUPPORT), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=environment,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "of 12 cannot be started: Too many open files; ask for fewer --workers" in done.stderr


def test_errors_travel_by_their_exit_code() -> None:
    told = portable(RunFolderError("the disk is full"))
    assert (type(told).__name__, str(told), told.exit_code) == ("S5Error", "the disk is full", 1)
