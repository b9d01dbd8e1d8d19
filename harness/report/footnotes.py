"""What stands below the numbers of a run: why there is none, what files and mixtures are flagged for, what failed."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.naming import SOURCE_NAMES
from s5eval.harness.record.run_summary import Summary

FLAG_NOTES: Mapping[str, str] = {
    "silent-reference": "references without a sound: whatever is quiet earns tens of dB there",
    "silent-estimate": "estimates without a sound, each with a class: scored as an estimate of 0 dB SNR",
    "over-scale": "estimates 60 dB or more above the loudest reference: integers written as float?",
    "perfect-estimate": "estimates that are their reference, as only an oracle's should be: an SNR near 98 dB",
    "clipped-samples": "mixtures of which samples did not fit into 16 bits, and were clipped",
}
"""What each kind of flag counts, and what to make of it."""

_UNANSWERED, _ORPHAN = "no-estimate", "orphan"
_LISTED = 10  # findings of a rule
_SHOWN = 3  # mixtures of a kind of flag, of the four that a summary names, or of a reason to fail
_PLACE = re.compile(r" \(\S.*, line \d+\)$")  # which the engine writes behind an error that was not expected


def undefined_lines(summary: Summary) -> list[str]:
    """Why there is no score, where there is none; else nothing."""
    return [f"CAPI-SDRi is undefined: {summary.undefined_reason}"] if summary.undefined_reason else []


def finding_lines(summary: Summary, findings: Sequence[str] = ()) -> list[str]:
    """What the checks of the files had to say, counted by rule; nothing where all was well.

    Args:
        summary: which counts them.
        findings: the findings themselves, as `run.json` has them: ten names of each rule are listed. A mixture without
            a file is named by the table of mixtures, and not here.
    """
    if not summary.findings:
        return []
    counts = ", ".join(f"{count} {rule}" for rule, count in summary.findings.items())
    told = {rule: [text for text in findings if text.endswith(f" [{rule}]")] for rule in summary.findings}
    lines = [f"findings about the files: {counts} (run.json lists them; strict runs refuse them)"]
    for rule, texts in told.items():
        if rule == _UNANSWERED:
            continue
        lines += [f"  {text.removeprefix('warning: ')}" for text in texts[:_LISTED]]
        more = summary.findings[rule] - len(texts[:_LISTED])  # `run.json` has not all of very many
        lines += [f"  … and {more} more [{rule}]"] if texts and more > 0 else []
    return [*lines, *([f"  a name should be {SOURCE_NAMES}"] if told.get(_ORPHAN) else [])]


def flag_lines(summary: Summary) -> list[str]:
    """A line per kind of flag: how many, what they are, and the first mixtures that have one; nothing without flags."""
    return [_flag_line(summary, kind, count) for kind, count in summary.flags.items()]


def _flag_line(summary: Summary, kind: str, count: int) -> str:
    note = f": {FLAG_NOTES[kind]}" if kind in FLAG_NOTES else ""
    return f"{kind} {count}{note}{_first(summary.flagged.get(kind, ()))}"


def _first(ids: Sequence[str]) -> str:
    """` (m_1, m_2, …)`: the first ids, where they are known."""
    shown = [*ids[:_SHOWN], *(["…"] if len(ids) > _SHOWN else [])]
    return f" ({', '.join(shown)})" if ids else ""


def failure_lines(summary: Summary, folder: Path | None = None) -> list[str]:
    """How many mixtures failed, and why: ten reasons at most, the commonest first; nothing where none did.

    Reasons that differ in the names of the mixtures' own files alone are one, told by its first.

    Args:
        summary: which has the reasons.
        folder: of the run, where its log has the tracebacks of what was not expected; None: not told.
    """
    if not summary.failures:
        return []
    reasons: dict[str, dict[str, str]] = {}
    for id_, error in summary.failures.items():
        reason = error or "no reason was recorded"
        reasons.setdefault(_without_file(reason, id_), {})[id_] = reason
    groups = sorted(reasons.values(), key=lambda group: -len(group))
    rest = sum(len(group) for group in groups[_LISTED:])
    lines = [f"failed, and in no number above: {counted(len(summary.failures), 'mixture')}"]
    lines += [f"  {_reason(group, summary)}" for group in groups[:_LISTED]]
    lines += [f"  … and {rest} more, for other reasons (mixtures.jsonl lists all)"] if rest else []
    traced = any(_PLACE.search(error) for error in summary.failures.values() if error)
    return [*lines, *([f"  the tracebacks are in {folder / 'log.txt'}"] if traced and folder is not None else [])]


def _without_file(error: str, id_: str) -> str:
    """A reason without the names of the mixture's own files, and the folders before them."""
    if id_ not in error:
        return error
    own = re.compile(rf"(?<!\w){re.escape(id_)}(?=_|\.\w)|(?<=[/\\]){re.escape(id_)}(?![^\W_])")

    def shown(word: re.Match[str]) -> str:
        return f"…{word[0][len(word[0].rstrip(':;,')) :]}" if own.search(word[0]) else word[0]

    return re.sub(r"\S+", shown, error)


def _reason(group: Mapping[str, str], summary: Summary) -> str:
    """Whose it is, and the reason; of several that name a file each, the first."""
    first, alike = next(iter(group.values())), len(set(group.values())) == 1
    return f"{_whose([*group], summary)}{': ' if alike else ', such as '}{first}"


def _whose(ids: Sequence[str], summary: Summary) -> str:
    """`all 60 mixtures`, `12 mixtures (m_1, m_2, m_3, …)`, or the one."""
    if len(ids) == 1:
        return ids[0]
    if len(ids) == summary.n_expected:
        return f"all {counted(len(ids), 'mixture')}"
    return f"{counted(len(ids), 'mixture')}{_first(ids)}"
