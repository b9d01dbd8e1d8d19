"""Under which circumstances a run was made: code, packages, machine, call."""

import os
import platform
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("s5eval", "torch", "numpy", "scipy", "soundfile", "soxr", "transformers", "mamba-ssm", "pyroomacoustics")


@dataclass(frozen=True, slots=True)
class GitState:
    """The commit of the code, and whether tracked files were changed since."""

    commit: str
    dirty: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The circumstances of a sitting.

    Attributes:
        time: when it began, UTC, ISO 8601.
        argv: the call.
        working_folder: where it was made.
        git: state of our checkout; None: the package is installed elsewhere.
        packages: versions by name; None: not installed.
        python: version.
        platform: operating system and machine.
        cpus: logical processors; None: not known.
        device: `cpu`, `cuda`, `cuda:1`, …
        hardware: what that calls itself; None: not known.
    """

    time: str
    argv: tuple[str, ...]
    working_folder: str | None = None
    git: GitState | None = None
    packages: Mapping[str, str | None]
    python: str
    platform: str
    cpus: int | None = None
    device: str
    hardware: str | None = None


def collect_provenance(device: str) -> Provenance:
    """What `run.json` keeps beside the configuration."""
    return Provenance(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        argv=tuple(sys.argv),
        working_folder=str(Path.cwd()),
        git=git_state(Path(__file__).resolve()),
        packages=package_versions(),
        python=platform.python_version(),
        platform=platform.platform(),
        cpus=os.cpu_count(),
        device=device,
        hardware=hardware_name(device),
    )


def hardware_name(device: str) -> str | None:
    """What the processor, or the graphics card, calls itself; None: it does not tell."""
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(device))
    try:
        listed = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return platform.processor() or None
    names = [line.partition(":")[2].strip() for line in listed if line.startswith("model name")]
    return names[0] if names else platform.processor() or None


def package_versions() -> dict[str, str | None]:
    """Versions of the packages that matter, read from metadata without importing; None: not installed."""
    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return versions


def git_state(file: Path) -> GitState | None:
    """Commit and whether the tree is dirty, when a file of ours lies in our checkout; None otherwise.

    An environment may lie inside a repository of somebody else, whose commit says nothing about this code: the file
    has to be one that the repository tracks, and the repository one of this project.
    """
    folder = file.parent
    try:
        _git(folder, "ls-files", "--error-unmatch", "--", file.name)
        project = Path(_git(folder, "rev-parse", "--show-toplevel")) / "pyproject.toml"
        if tomllib.loads(project.read_text(encoding="utf-8")).get("project", {}).get("name") != PACKAGES[0]:
            return None
        commit = _git(folder, "rev-parse", "HEAD")
        return GitState(commit, bool(_git(folder, "status", "--porcelain", "--untracked-files=no")))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    here = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}  # as a hook sets them
    result = subprocess.run(
        ["git", *arguments], cwd=folder, env=here, capture_output=True, text=True, timeout=10, check=True
    )
    return result.stdout.strip()
