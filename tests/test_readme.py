"""What the README promises is run: the plugin as printed, the commands it lists, the folders it shows."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_plugin_runs_as_printed(
    small_set: Path, tmp_path: Path, s5eval: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "my_system.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    summary = s5eval("run", "--system", "my_system:build", "--data", small_set, "--out", "run", "--json").json
    assert (summary["status"], summary["n_scored"]) == ("complete", 5)
    assert summary["slices"]["class"]["Speech"]["recall"]["value"] == 100.0


def test_the_commands_of_the_table_are_those_that_exist() -> None:
    from s5eval.harness.cli import cli

    table = README.partition("| command |")[2].partition("\n\n")[0]
    listed = {name for row in table.splitlines()[2:] for name in re.findall(r"`([a-z]+)`", row.split("|")[1])}
    assert listed == set(cli.commands)


def test_the_two_commands_come_first() -> None:
    first = README.split("```")[1].split()
    assert first[:2] == ["make", "run"]
    assert "test" in first


def test_every_top_level_folder_is_in_the_picture() -> None:
    for folder in ("data_manifests", "systems", "submissions", "metrics", "harness", "tests"):
        assert f"| `{folder}/` |" in README
