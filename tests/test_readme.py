"""What the README promises is run: the plugin as printed, the commands it shows, the folders it lists."""

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


def test_it_is_short() -> None:
    assert len(README.split()) <= 900


def test_a_printed_result_comes_first_and_then_the_two_commands() -> None:
    result, commands = README.split("```")[1:4:2]
    assert result.split("\n")[1].startswith("$ s5eval run --system multistage")
    assert "CAPI-SDRi dB" in result
    assert "PARTIAL" in result
    assert re.search(r"^  oracle-gain +\d", result, re.MULTILINE)
    assert "where the decibels went" in result
    assert [line.split()[:2] for line in commands.strip().splitlines()] == [["make", "run"], ["make", "test"]]


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_every_command_it_shows_exists() -> None:
    from s5eval.harness.cli import cli

    code = "\n".join([*README.split("```")[1::2], *re.findall(r"`(s5eval [^`]+)`", README)])
    shown = set(re.findall(r"\bs5eval ([a-z]+)", code)) - {"import"}
    assert {"run", "score", "tune", "compare", "submit"} <= shown
    assert shown <= set(cli.commands)


def test_every_top_level_folder_is_in_the_picture() -> None:
    for folder in ("data_manifests", "systems", "submissions", "metrics", "harness", "tests", "examples", "docs"):
        assert re.search(rf"^\| .*`{folder}/`.* \|", README, re.MULTILINE)
