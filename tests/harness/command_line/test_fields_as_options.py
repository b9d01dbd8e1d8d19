"""Errors of the library name fields; the command line shows them as its options, and in no other place are any."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s5eval.data_manifests.common.errors import S5Error
from s5eval.data_manifests.manifest import open_manifest
from s5eval.harness.cli import cli
from s5eval.harness.command_line.fields_as_options import in_options

ROOT = Path(__file__).parents[3]
Call = Callable[..., Any]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("`limit` is 0", "--limit is 0"),
        ("`allow_test=True` does it", "--allow-test does it"),
        ("`dataset=mini` has no folder", "--dataset mini has no folder"),
        ("give `system.weights=DIR`", "give --set system.weights=DIR"),
        ("`decision_file` a.yaml", "--decision a.yaml"),
        ("`s5eval check RUN` tells, `nothing` more, `report.html`", None),
    ],
)
def test_fields_in_backticks_become_options_and_the_rest_stays(said: str, shown: str | None) -> None:
    assert in_options(said, cli) == (said if shown is None else shown)


def test_a_library_error_speaks_of_fields_and_the_command_line_of_options(s5eval: Call, tmp_path: Path) -> None:
    with pytest.raises(S5Error, match="`limit` is 0"):
        open_manifest(tmp_path, limit=0)
    result = s5eval("run", "--system", "silence", "--data", tmp_path, "--limit", 0, "--out", tmp_path / "run")
    assert (result.code, "error: --limit is 0, expected at least 1\n" in result.err) == (2, True)


def errors_with_options(path: Path) -> list[str]:
    """Texts of raised errors that name an option outside a whole command to type (`s5eval …`)."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        raised = node.exc if isinstance(node, ast.Raise) else node if _raises(node) else None
        if raised is not None:
            constants = [part.value for part in ast.walk(raised) if isinstance(part, ast.Constant)]
            text = "".join(value for value in constants if isinstance(value, str))
            text = re.sub(r"`ray start[^`]*`", "", text)  # a command to type, of another program
            if "s5eval " not in text:
                found += re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)
    return found


def _raises(node: ast.AST) -> bool:
    """Whether it is a call that is given the text of an error."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "alike"


ALLOWED = {
    "harness/record/config.py": {"--set"},  # reads what `--set` was given
    "harness/record/run_folder.py": {"--resume", "--out"},
    "harness/record/reading.py": {"--debug"},
    "harness/runs/resume.py": {"--resume"},
    "harness/runs/contract.py": {"--debug"},
    "harness/dispatch/ray_crew.py": {"--resume"},
    "systems/training/sitting.py": {"--gpus-per-node", "--gpus-per-task"},
    "systems/training/launch.py": {
        "--nodes",
        "--devices",
        "--nnodes",
        "--nproc-per-node",
    },  # theirs
}


def test_no_library_error_names_an_option() -> None:
    for floor in ("data_manifests", "systems", "submissions", "metrics", "harness"):
        for path in sorted((ROOT / floor).rglob("*.py")):
            place = path.relative_to(ROOT).as_posix()
            if not place.startswith(("harness/command", "harness/cli")):
                assert set(errors_with_options(path)) <= ALLOWED.get(place, set()), place
