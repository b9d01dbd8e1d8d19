"""Findings of checks on a screen: a line each, many of one rule folded, and the verdict below."""

from collections import Counter
from collections.abc import Sequence

import click

from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.words import counted
from s5eval.harness.command_line.fields_as_options import in_options

_SHOWN = 20  # findings of one rule; --json lists all


def listed(findings: Sequence[Finding], group: click.Group) -> list[str]:
    """Findings as lines in the words of a group's options, at most a screenful of each rule."""
    lines: list[str] = []
    counts: Counter[str] = Counter()
    for found in findings:
        counts[found.rule] += 1
        if counts[found.rule] <= _SHOWN:
            lines.append(in_options(str(found), group))
    return lines + [f"… and {n - _SHOWN} more [{rule}]; --json lists all" for rule, n in counts.items() if n > _SHOWN]


def verdict(findings: Sequence[Finding], no_audio: bool) -> str:
    """One line: valid or not, and how much was found."""
    errors = sum(found.severity == "error" for found in findings)
    warnings = len(findings) - errors
    if not findings:
        return "valid" + (" as far as names and JSON tell; the wavs were not read" if no_audio else "")
    word = "INVALID" if errors else "valid"
    return f"{word}: {counted(errors, 'error')}, {counted(warnings, 'warning')}"
