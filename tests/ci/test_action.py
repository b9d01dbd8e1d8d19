"""The action's own steps, run as a runner would; the hook of pre-commit; what shells complete."""

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
import yaml

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="needs bash")

Call = Callable[..., Any]


def substituted(text: str, inputs: dict[str, str]) -> str:
    given = {name: str(entry.get("default", "")) for name, entry in ACTION["inputs"].items()} | inputs
    values = {f"inputs.{name}": value for name, value in given.items()} | {"github.action_path": str(ROOT)}
    return re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda match: values[match[1]], text)


def wanted(step: dict[str, Any], inputs: dict[str, str]) -> bool:
    """The conditions that the action uses: `inputs.x != ''`, joined by `||`."""
    given = {name: str(entry.get("default", "")) for name, entry in ACTION["inputs"].items()} | inputs
    parts = [re.fullmatch(r"inputs\.(\w+) != ''", part) for part in step["if"].split(" || ")]
    return any(part is not None and given[part[1]] != "" for part in parts)


def run_step(name: str, inputs: dict[str, str], folder: Path, **more: str) -> tuple[int, str, str]:
    step = STEPS[name]
    assert wanted(step, inputs)
    assert step["shell"] == "bash"
    assert "${{" not in step["run"]  # inputs go through the environment: no input is code
    summary = folder / "summary.md"
    environment = os.environ | {key: substituted(value, inputs) for key, value in step["env"].items()} | more
    environment |= {"RUNNER_TEMP": str(folder), "GITHUB_STEP_SUMMARY": str(summary)}
    scripts = str(Path(sys.executable).parent)
    environment["PATH"] = f"{more.get('PATH', scripts)}{os.pathsep}{scripts}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        [str(BASH), "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env=environment, capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    return result.returncode, summary.read_text() if summary.is_file() else "", result.stderr


def test_the_action_is_a_composite_one_whose_inputs_are_described() -> None:
    assert ACTION["runs"]["using"] == "composite"
    assert all(entry["description"] and "default" in entry for entry in ACTION["inputs"].values())
    used = set(re.findall(r"inputs\.(\w+)", (ROOT / "action.yml").read_text()))
    assert used == set(ACTION["inputs"])
    defaults = [str(entry["default"]) for entry in ACTION["inputs"].values()]
    assert not any("${{" in default for default in defaults)  # evaluated before the runner says where the action is
    assert not any(wanted(step, {"package": ""}) for step in STEPS.values())  # nothing asked for, nothing done


def test_the_action_is_what_github_s_schema_wants() -> None:
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions", "action.yml"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_install_asks_pip_for_the_package(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    stub = tmp_path / "bin" / "python"
    stub.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    stub.chmod(0o755)
    for inputs, wanted_package in (({}, str(ROOT)), ({"package": "s5eval==0.1.0"}, "s5eval==0.1.0")):
        code, _, _ = run_step("Install s5eval", inputs, tmp_path, PATH=str(tmp_path / "bin"))
        asked = (tmp_path / "asked").read_text().split()
        assert (code, asked) == (0, ["-m", "pip", "install", "--quiet", wanted_package])


def test_a_bad_submission_fails_the_step_and_its_findings_are_in_the_summary(tmp_path: Path) -> None:
    folder = tmp_path / "Choi_KAIST_task4_1"
    (folder / "eval_out").mkdir(parents=True)
    (folder / "eval_results.json").write_text("{}")
    (folder / "eval_out" / "odd|name`.wav").write_bytes(b"")
    code, summary, _ = run_step("Validate the submission", {"submission": str(folder), "audio": "false"}, tmp_path)
    assert code == 5
    assert summary.startswith("### s5eval submit validate: invalid (exit code 5)")
    assert "| error |" in summary
    assert "odd&#124;name&#96;" in summary
    code, summary, error = run_step("Validate the submission", {"submission": str(tmp_path / "none.zip")}, tmp_path)
    assert code == 2
    assert "used wrongly" in summary
    assert "Nothing was found out" in summary
    assert "none.zip" in error


def test_a_name_that_begins_as_a_number_does_ends_no_cell_of_the_summary_either(tmp_path: Path) -> None:
    finding = {"severity": "error", "rule": "name", "file": "-a\n\n[b](https://c)", "message": "+1 | 2"}
    (tmp_path / "found.json").write_text(json.dumps({"findings": [finding]}))
    command = [sys.executable, str(ROOT / ".github/action/summary.py"), "validate", "5", str(tmp_path / "found.json")]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "| error | name | -a &#91;b](https://c) | +1 &#124; 2 |" in shown.splitlines()


def test_the_summary_of_a_comparison_has_the_marks_of_both_runs_and_says_why_there_is_no_star(
    make_set: Call, tmp_path: Path, s5eval: Call
) -> None:
    data = make_set(tmp_path / "set", {f"m_{k}": ["Speech"] for k in range(8)}, seconds=0.1)
    runs = tmp_path / "oracle", tmp_path / "silence"
    for run in runs:
        s5eval("run", "--system", run.name, "--data", data, "--limit", 5, "--out", run)
    found = s5eval("compare", *runs, "--json").json
    (tmp_path / "found.json").write_text(json.dumps(found))
    command = [sys.executable, str(ROOT / ".github/action/summary.py"), "compare", "0", str(tmp_path / "found.json")]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "- before: PARTIAL: 5 of the split's 8 mixtures; oracle: sees the references" in shown
    assert "- after: PARTIAL: 5 of the split's 8 mixtures" in shown
    withheld = any(entry["withheld"] for entry in found["metrics"].values())
    told = "- no star where fewer than 6 mixtures changed: so few can all fall to one side by chance"
    assert withheld and told in shown


@pytest.mark.slow
def test_a_worse_run_fails_the_step_and_a_like_one_passes(staged_runs: tuple[Path, Path], tmp_path: Path) -> None:
    better, worse = map(str, staged_runs)
    code, summary, _ = run_step("Compare the runs", {"before": better, "after": worse}, tmp_path)
    assert (code, "worse (exit code 6)" in summary) == (6, True)
    assert re.search(r"\| capi_sdri \| \S+ \| \S+ \| -\S+ &?\S*\[?", summary)
    (tmp_path / "summary.md").unlink()
    code, summary, _ = run_step("Compare the runs", {"before": worse, "after": worse}, tmp_path)
    assert (code, "passed (exit code 0)" in summary) == (0, True)
    code, _, error = run_step("Compare the runs", {"before": worse}, tmp_path)
    assert (code, "::error::" in error) == (2, True)


@pytest.fixture
def staged_runs(make_set: Call, tmp_path: Path, s5eval: Call) -> tuple[Path, Path]:
    data = make_set(tmp_path / "set", {f"m_{k}": ["Speech"] for k in range(8)}, seconds=0.1)
    runs = tmp_path / "oracle", tmp_path / "silence"
    for run in runs:
        assert s5eval("run", "--system", run.name, "--data", data, "--out", run).code == 0
    return runs


def test_the_hook_takes_the_names_of_submissions_and_what_it_calls_takes_several(s5eval: Call, tmp_path: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["language"] == "python"
    names = {"out/Choi_KAIST_task4_1.zip": True, "Wu_X_task4_4_out.zip": True, "Choi_KAIST_task4_5.zip": False}
    assert {name: bool(re.search(hook["files"], name)) for name in names} == names
    folders = [tmp_path / f"Choi_KAIST_task4_{k}" for k in (1, 2)]
    for folder in folders:
        (folder / "eval_out").mkdir(parents=True)
        (folder / "eval_results.json").write_text("{}")
    words = hook["entry"].split()
    assert words[0] == "s5eval"
    found = s5eval(*words[1:], *folders, "--no-audio", "--json")
    assert (found.code, len(found.json)) == (5, 2)
    assert s5eval(*words[1:], folders[0], "--no-audio", "--json").json["ok"] is False


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("run --system ba", {"baseline-1c", "baseline-4c"}),
        ("run --dataset mini --split t", {"test", "train"}),
        ("run --dataset dcase", {"dcase2025", "dcase2026"}),
        ("train mini/u", {"mini/uss"}),
        ("run --system multistage --set system.preset=p", {"system.preset=paper"}),
        ("run --system baseline-4c --set system.preset=", {"system.preset=mini", "system.preset=official"}),
        ("run --set decision.silence_thresholds.Sp", {"decision.silence_thresholds.Speech="}),
        ("submit validate --split ev", {"eval"}),
    ],
)
def test_shells_complete_values(typed: str, known: set[str]) -> None:
    assert set(completions(typed)) == known


def completions(typed: str) -> list[str]:
    from click.shell_completion import BashComplete

    from s5eval.harness.cli import cli

    *before, last = typed.split()
    return [item.value for item in BashComplete(cli, {}, "s5eval", "_S5EVAL_COMPLETE").get_completions(before, last)]


def test_the_completions_are_those_of_the_library() -> None:
    from s5eval.data_manifests.sets.known import known_datasets
    from s5eval.harness.command_line import completion
    from s5eval.systems.registry import installed_systems
    from s5eval.systems.training.training_plan import RECIPES, recipe_names

    assert set(completion.recipes(None)) == {  # type: ignore[arg-type]
        f"{group}/{name}" for group in RECIPES for name in recipe_names(group)
    }
    assert completion.systems(None) == sorted(installed_systems())  # type: ignore[arg-type]
    assert completion._splits() == {name: list(dataset.splits) for name, dataset in sorted(known_datasets().items())}


def test_a_shell_is_answered_without_torch_and_with_exit_code_0() -> None:
    code = "import sys; sys.argv = ['s5eval']\nfrom s5eval.harness.cli import main\n"
    code += "try:\n    main()\nfinally:\n    sys.stderr.write(str('torch' in sys.modules or 'pandas' in sys.modules))\n"
    environment = os.environ | {
        "_S5EVAL_COMPLETE": "bash_complete",
        "COMP_WORDS": "s5eval run --system mu",
        "COMP_CWORD": "3",
    }
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.split(), result.stderr) == (0, ["plain,multistage"], "False")
