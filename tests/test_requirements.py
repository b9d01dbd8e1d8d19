"""What is installed with the package: one plain `pip install .` has to do, with no compiler and no GPU."""

import ast
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
FOLDERS = ("data_manifests", "systems", "metrics", "submissions", "harness")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
CORE = {requirement.name: requirement for requirement in map(Requirement, PROJECT["dependencies"])}

BUILT_WITH_TORCH = {"mamba-ssm", "causal-conv1d"}
"""They want torch, and mostly a compiler for CUDA, before they can be installed at all."""

TIED_TO_ONE_TORCH = {"timm", "torchvision", "torchaudio", "nnaudio"}
"""A build that does not fit the torch at hand cannot be imported, and keeps others from it."""


def normalized(name: str) -> str:
    return name.lower().replace("_", "-")


def test_nothing_is_required_that_builds_with_torch_or_is_tied_to_one_of_its_builds() -> None:
    wanted = {extra: {normalized(Requirement(text).name) for text in texts} for extra, texts in EXTRAS.items()}
    assert not {normalized(name) for name in CORE} & (BUILT_WITH_TORCH | TIED_TO_ONE_TORCH)
    assert [extra for extra, names in wanted.items() if names & BUILT_WITH_TORCH] == ["cuda"]
    assert not set.union(*wanted.values()) & TIED_TO_ONE_TORCH


def test_bounds_hold_off_the_releases_that_are_known_not_to_do() -> None:
    """Of torch an open end takes gigabytes for GPUs; of mir_eval the next has no BSS Eval."""
    for name, fits, others in (
        ("torch", ("2.6", "2.13.0"), ("2.5.1", "2.14")),
        ("mir_eval", ("0.8.2",), ("0.7", "0.9")),
    ):
        assert all(CORE[name].specifier.contains(version) for version in fits), name
        assert not any(CORE[name].specifier.contains(version) for version in others), name


def test_no_code_imports_what_is_not_required() -> None:
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [entry.name for entry in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            assert not {normalized(name.partition(".")[0]) for name in names} & TIED_TO_ONE_TORCH, path
