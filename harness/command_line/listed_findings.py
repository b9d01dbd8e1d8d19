"""Findings of checks on a screen: a line each, many of one rule folded, and the verdict below."""

from collections import Counter
from collections.abc import Sequence

import click

from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.words import counted
from s5eval.harness.command_line.fields_as_options import in_options

_SHOWN = 10  # findings of one rule; --json lists all


def listed(findings: Sequence[Finding], group: click.Group) -> list[str]:
    """Findings as lines in the words of a group's options; of one rule ten, and right below them how many more."""
    lines: list[str] = []
    totals, seen = Counter(found.rule for found in findings), Counter[str]()
    for found in findings:
        seen[found.rule] += 1
        if seen[found.rule] <= _SHOWN:
            lines.append(in_options(str(found), group))
            if seen[found.rule] == _SHOWN < (total := totals[found.rule]):
                lines.append(f"… and {total - _SHOWN} more [{found.rule}]; --json lists all")
    return lines


def verdict(findings: Sequence[Finding], no_audio: bool) -> str:
    """One line: valid or not, and how much was found."""
    errors = sum(found.severity == "error" for found in findings)
    warnings = len(findings) - errors
    if not findings:
        return "valid" + (" as far as names and JSON tell; the wavs were not read" if no_audio else "")
    word = "INVALID" if errors else "valid"
    return f"{word}: {counted(errors, 'error')}, {counted(warnings, 'warning')}"
