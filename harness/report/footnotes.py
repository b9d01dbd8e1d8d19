"""What stands below the numbers of a run: why there is none, what files and mixtures are flagged for, what failed."""

from s5eval.data_manifests.common.words import counted
from s5eval.harness.record.run_summary import Summary
from s5eval.harness.record.tables import FlagKind

FLAG_NOTES: dict[FlagKind, str] = {
    "silent-reference": "references without a sound: whatever is quiet earns tens of dB there",
    "silent-estimate": "estimates without a sound, each with a class: scored as an estimate of 0 dB SNR",
    "over-scale": "estimates 60 dB or more above the loudest reference: integers written as float?",
    "perfect-estimate": "estimates that are their reference, as only an oracle's should be: an SNR near 98 dB",
    "clipped-samples": "mixtures of which samples did not fit into 16 bits, and were clipped",
}
"""What each kind of flag counts, and what to make of it."""

_SHOWN = 3  # mixtures of a kind of flag, of the four that a summary names


def undefined_lines(summary: Summary) -> list[str]:
    """Why there is no score, where there is none; else nothing."""
    return [f"CAPI-SDRi is undefined: {summary.undefined_reason}"] if summary.undefined_reason else []


def finding_lines(summary: Summary) -> list[str]:
    """What the checks of the files had to say, counted by rule; nothing where all was well."""
    counts = ", ".join(f"{count} {rule}" for rule, count in summary.findings.items())
    return [f"findings about the files: {counts} (run.json lists them; strict runs refuse them)"] if counts else []


def flag_lines(summary: Summary) -> list[str]:
    """A line per kind of flag: how many, what they are, and the first mixtures that have one; nothing without flags."""
    return [_flag_line(summary, kind, count) for kind, count in summary.flags.items()]


def _flag_line(summary: Summary, kind: str, count: int) -> str:
    note = next((f": {text}" for name, text in FLAG_NOTES.items() if name == kind), "")
    return f"{kind} {count}{note}{_first(summary.flagged.get(kind, ()))}"


def _first(ids: tuple[str, ...]) -> str:
    """` (m_1, m_2, …)`: the first ids, where they are known."""
    shown = [*ids[:_SHOWN], "…"] if len(ids) > _SHOWN else ids
    return f" ({', '.join(shown)})" if ids else ""


def failure_lines(summary: Summary) -> list[str]:
    """How many mixtures failed, and the first ten with their errors; nothing where none did."""
    failures = summary.failures
    if not failures:
        return []
    more = [f"  … and {len(failures) - 10} more (mixtures.jsonl lists all)"] if len(failures) > 10 else []
    return [
        f"failed, and in no number above: {counted(len(failures), 'mixture')}",
        *(f"  {id_}: {error}" for id_, error in list(failures.items())[:10]),
        *more,
    ]
