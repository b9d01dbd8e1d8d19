"""The container files, as far as they can be checked without an engine: their form, and their steps with a stub pip."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "containers"
TORCH = ("https://download.pytorch.org/whl/cpu", "https://download.pytorch.org/whl/cu126")
Call = Callable[..., Any]


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", " ", (FOLDER / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def sections() -> dict[str, str]:
    parts = re.split(r"^%(\w+)\n", (FOLDER / "s5eval.def").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_dockerfile_is_well_formed() -> None:
    found = instructions()
    kinds = [kind for kind, _ in found]
    assert set(kinds) <= {"ARG", "FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT", "CMD"}
    assert kinds[:2] == ["ARG", "FROM"]
    assert kinds.count("FROM") == kinds.count("CMD") == kinds.count("ENTRYPOINT") == 1
    last_run = max(k for k, kind in enumerate(kinds) if kind == "RUN")
    assert kinds.index("USER") > last_run  # it is not root that scores
    declared = set()
    for kind, rest in found:
        if kind == "FROM":
            assert set(re.findall(r"\$\{(\w+)\}", rest)) <= declared
            assert ":" in rest and not rest.endswith(":latest")
            declared = set()  # arguments end at FROM
        if kind == "ARG":
            declared.add(rest.split("=")[0])
        if kind == "RUN":
            assert set(re.findall(r"\$\{(\w+)\}", rest)) <= declared
        if kind == "COPY":
            *sources, _ = rest.split()
            assert all((ROOT / source).exists() for source in sources), rest
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert not {"constraints.txt", "pyproject.toml", "README.md", "LICENSE", "harness", "metrics"} & set(ignored)


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    here = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    hadolint = shutil.which("hadolint", path=here)
    if hadolint is None:
        pytest.skip("needs hadolint (extra lint)")
    found = subprocess.run([hadolint, "--no-color", str(FOLDER / "Dockerfile")], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("torch", TORCH)
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_steps_of_both_recipes_install_the_pinned_torch_first(torch: str, tmp_path: Path) -> None:
    steps = [rest for kind, rest in instructions() if kind == "RUN"]
    post = sections()["post"].replace("{{ TORCH }}", torch).replace("/opt/s5eval", str(ROOT))
    for name, script in (("docker", "\n".join(steps)), ("apptainer", post)):
        asked = installs(script, torch, tmp_path / name)
        assert [line[-1] for line in asked] == ["torch", "."]
        assert all("--constraint" in line and "constraints.txt" in line for line in asked)
        assert torch in asked[0]
        assert torch not in asked[1]


def installs(script: str, torch: str, folder: Path) -> list[list[str]]:
    """What pip was asked for when the steps were run; nothing is installed, and no user made."""
    (folder / "bin").mkdir(parents=True)
    for name in ("python", "useradd", "chown", "mkdir"):
        (folder / "bin" / name).write_text(f'#!/bin/sh\necho "{name} $@" >> {shlex.quote(str(folder / "asked"))}\n')
        (folder / "bin" / name).chmod(0o755)
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(
        [str(shutil.which("bash")), "-euo", "pipefail", "-c", script],
        env=os.environ | {"PATH": path, "TORCH": torch}, cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    lines = [shlex.split(line) for line in (folder / "asked").read_text().splitlines()]
    return [line for line in lines if line[:4] == ["python", "-m", "pip", "install"]]


def test_the_definition_has_its_sections_and_arguments() -> None:
    text = (FOLDER / "s5eval.def").read_text()
    found = sections()
    assert text.startswith("Bootstrap: docker\nFrom: ")
    assert {"arguments", "files", "post", "environment", "runscript", "test"} <= set(found)
    declared = set(re.findall(r"^\s+(\w+)=", found["arguments"], flags=re.MULTILINE))
    assert set(re.findall(r"\{\{ (\w+) \}\}", text)) == declared
    assert 'exec s5eval "$@"' in found["runscript"]


def test_what_the_containers_run_is_a_command(s5eval: Call) -> None:
    (command,) = [yaml.safe_load(rest) for kind, rest in instructions() if kind == "CMD"]
    (entry,) = [yaml.safe_load(rest) for kind, rest in instructions() if kind == "ENTRYPOINT"]
    assert entry == ["s5eval"]
    assert s5eval(*command[:2], "--help").code == 0
    metadata = yaml.safe_load((FOLDER / "metadata.yaml").read_text())
    assert metadata["command"].split() == [*entry, *command]
