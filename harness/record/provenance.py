"""Under which circumstances a run was made: code, packages, machine, call."""

import os
import platform
import subprocess
import sys
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
        "git": git_state(Path(__file__).parent),
        "packages": package_versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "device": device,
    }


def package_versions() -> dict[str, str | None]:
    """Versions of the packages that matter, read from metadata without importing; None: not installed."""
    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return versions


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and whether the tree is dirty, when the code runs from a checkout; None otherwise."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    return result.stdout.strip()
