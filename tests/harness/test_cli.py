"""The command line as a user meets it: quick help, hints, exit codes, output for machines."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "s5eval.harness.cli", *arguments]


def processor_seconds() -> float:
    """Of the children that have ended: a machine that is busy with others makes them wait, and not work more."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def test_help_is_quick_and_imports_no_torch() -> None:
    script = "import sys, s5eval.harness.cli; print(sorted({'torch', 'numpy', 'pandas'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    best = 9.0
    for _ in range(6):
        start = processor_seconds()
        subprocess.run(command("--help"), capture_output=True, check=True)
        best = min(best, processor_seconds() - start)
    assert best < 0.5


def test_the_package_is_the_command_line_too() -> None:
    found = subprocess.run([sys.executable, "-m", "s5eval", "--version"], capture_output=True, text=True)
    assert (found.returncode, found.stdout.split(",")[0]) == (0, "s5eval")
    wrong = subprocess.run([sys.executable, "-m", "s5eval", "rn"], capture_output=True, text=True)
    assert (wrong.returncode, "Did you mean" in wrong.stderr) == (2, True)


@pytest.mark.parametrize("verb", ["score", "rescore"])
def test_scoring_imports_no_torch(verb: str, small_set: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = [verb, str(small_set / "estimate"), "--data", str(small_set), "--out", str(run)]
    if verb == "rescore":
        subprocess.run(command("score", *arguments[1:]), check=True, capture_output=True)
        arguments = ["rescore", str(run)]
    script = (
        "import sys\nfrom s5eval.harness.cli import main\n"
        f"sys.argv = {['s5eval', *arguments]!r}\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    print('code', stop.code, 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "code 0 False"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["scor"], "score"),
        (["run"], "--system is missing"),
        (["run", "--system", "multstage", "--data", "."], "did you mean 'multistage'"),
        (["run", "--system", "silence", "--data", ".", "--set", "stages=2"], "expected SECTION.KEY=VALUE"),
        (["run", "--system", "silence", "--data", ".", "--set", "sistem.stages=2"], "did you mean 'system'"),
        (["run", "--system", "silence", "--batch-size", "0"], "0 is not in the range"),
        (["rescore", "nowhere"], "no run folder at nowhere"),
        (["report", "nowhere"], "no run folder at nowhere"),
        (["run", "--resume", "nowhere"], "no run folder"),
        (["score", ".", "--out", "x"], "--data DIR (or S5EVAL_DATA) is missing"),
        (["rescore", "x", "--decision", "y"], "--out"),
        (["score", "", "--data", "."], "an empty path"),
        (["run", "--system", "silence", "--data", ""], "an empty path"),
        (["run", "--system", "silence", "--data", ".", "--set", "system.a=2026-01-01"], "JSON cannot hold; quote it"),
        (["run", "--system", "silence", "--data", ".", "--set", "system.a=.nan"], "as nan, which JSON cannot hold\n"),
        (["run", "--system", "silence", "--data", ".", "--set", "system.a=[.inf]"], "which JSON cannot hold"),
        (["run", "--system", "a-b:build", "--data", "."], "expected an installed name or module:factory"),
        (["run", "--resume", "x", "--dry-run"], "leave --resume out"),
        (["run", "--resume", "x", "--out", "y"], "name different folders"),
        (["score", "--resume", "x", "--out", "y"], "name different folders"),
    ],
)
def test_a_wrong_call_is_a_usage_error_with_a_hint(s5eval: Call, arguments: list[str], hint: str) -> None:
    result = s5eval(*arguments)
    assert result.code == 2
    assert hint in result.err
    assert "Traceback" not in result.err


def test_missing_data_is_a_data_error(tmp_path: Path, s5eval: Call) -> None:
    result = s5eval("run", "--system", "silence", "--data", tmp_path / "nowhere", "--out", tmp_path / "run")
    assert (result.code, "no data folder at" in result.err) == (3, True)


def test_the_data_folder_may_come_from_the_environment(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S5EVAL_DATA", str(small_set))
    assert s5eval("run", "--system", "silence", "--out", tmp_path / "run", "--json").json["n_expected"] == 5


def test_an_unexpected_error_is_one_line_and_a_traceback_in_the_log(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s5eval.harness.runs.run as run_module

    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(run_module, "derive_summary", broken)
    out = tmp_path / "run"
    result = s5eval("run", "--system", "silence", "--data", small_set, "--out", out)
    assert result.code == 1
    assert result.err.count("\n") == 2  # the folder, the error
    assert str(out / "log.txt") in result.err
    assert "ZeroDivisionError: a defect" in (out / "log.txt").read_text()
    debug = s5eval("--debug", "run", "--system", "silence", "--data", small_set, "--out", tmp_path / "other")
    assert "Traceback" in debug.err


@pytest.mark.parametrize(
    ("device", "said"), [("cuda:99", "--device cuda:99: not at hand"), ("gpu", "--device is 'gpu', expected auto")]
)
def test_a_device_that_is_not_here_is_a_usage_error(
    small_set: Path, tmp_path: Path, s5eval: Call, device: str, said: str
) -> None:
    options = ("--system", "silence", "--data", small_set, "--out", tmp_path / "run", "--device", device)
    result = s5eval("run", *options)
    assert (result.code, said in result.err) == (2, True)


def test_debug_may_stand_after_the_command(s5eval: Call) -> None:
    assert "Traceback" in s5eval("rescore", "nowhere", "--debug").err


def test_json_output_is_the_summary_and_nothing_else(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    result = s5eval("run", "--system", "silence", "--data", small_set, "--out", tmp_path / "run", "--json")
    written = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert result.json == {key: value for key, value in written.items() if key != "sha256"}


def test_off_a_terminal_the_folder_is_said_and_no_bar_drawn(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    assert s5eval("run", "--system", "silence", "--data", small_set, "--out", out).err == f"run: {out}\n"


def test_systems_info_and_cache_answer(tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    # pruned below: the cache of all tests would be missed by those whose runs, made once, look their stages up there
    monkeypatch.setenv("S5EVAL_CACHE", str(tmp_path / "cache"))
    assert "multistage" in s5eval("systems").out
    assert s5eval("systems", "--json").json["folder"] == "s5eval.systems.folder:build"
    assert s5eval("info", "--json").json["packages"]["torch"]
    assert "s5eval" in s5eval("info").out
    assert "stages" in s5eval("cache", "ls", "--json").json
    refused = s5eval("cache", "prune")
    assert (refused.code, "say --yes" in refused.err) == (2, True)
    assert "removed" in s5eval("cache", "prune", "--yes").out
    assert "removed" in s5eval("cache", "prune", "--keep-gb", 1).out


def test_runs_get_a_folder_of_their_own_by_default(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    s5eval("run", "--system", "silence", "--data", small_set)
    (run,) = (tmp_path / "runs").iterdir()
    assert "_silence_small_" in run.name


def test_without_data_the_embedded_set_serves_a_first_run(tmp_path: Path, s5eval: Call) -> None:
    options = ("--system", "oracle-zeros", "--limit", 1)
    summary = s5eval("run", *options, "--out", tmp_path / "run", "--json").json
    assert (summary["status"], summary["dataset"], summary["split"]) == ("partial", "mini", "test")
