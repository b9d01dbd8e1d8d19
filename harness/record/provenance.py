"""Under which circumstances a run was made: code, packages, machine, call."""

import os
import platform
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("s5eval", "torch", "numpy", "scipy", "soundfile", "soxr", "transformers", "mamba-ssm", "pyroomacoustics")


def collect_provenance(device: str) -> dict[str, Any]:
    """What `run.json` keeps beside the configuration."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": sys.argv,
        "working_folder": str(Path.cwd()),
        "git": git_state(Path(__file__).resolve()),
        "packages": package_versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "device": device,
        "hardware": hardware_name(device),
    }


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


def git_state(file: Path) -> dict[str, Any] | None:
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
        return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    here = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}  # as a hook sets them
    result = subprocess.run(
        ["git", *arguments], cwd=folder, env=here, capture_output=True, text=True, timeout=10, check=True
    )
    return result.stdout.strip()
