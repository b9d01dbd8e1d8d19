"""What tests of submissions share: who hands in, the other run that is needed, and lines that fit their files."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s5eval.submissions.validate import Report

LABEL = "Choi_KAIST_task4_1"
OUT = f"{LABEL}/eval_out"
EVAL = f"{LABEL}/eval_results.json"
DEV = f"{LABEL}/dev_set_test_results.json"

Files = dict[str, bytes]
"""Of a submission: name in its archive → content."""
Pack = Callable[..., Path]
Edit = Callable[[str, Callable[[Any], None]], None]

NAMED = ("--author", "Choi", "--affiliation", "KAIST")
OF_ANOTHER_SET = ["dev-count", "eval-count"]
"""Warnings of a submission that answers no official mixture."""


def copied(run: Path) -> Path:
    """A run of its own with the same content, as it is now: the other run that a submission needs."""
    return shutil.copytree(run, run.with_name(f"{run.name}_dev"), dirs_exist_ok=True)


def refresh(run: Path, line: dict[str, Any]) -> None:
    """The digests that the line's files have now: as if they had been written so."""
    line["files"] = {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in line["files"]}


def found(report: Report) -> set[tuple[str, str]]:
    """Rule and file of every finding."""
    return {(entry.rule, entry.file) for entry in report.findings}
