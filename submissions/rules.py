"""What a challenge submission looks like: names, files, limits, and every rule with its severity, as data.

Source: `nttcslab/dcase2026_task4_baseline` (the submission script and its checks) and the submission pages of
dcase.community/challenge2026. The rules go beyond the official checks: a file that the official tool lets through and
the organisers' evaluator then stumbles over is as bad as one that it refuses.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.findings import Finding, Severity
from s5eval.data_manifests.naming import SUBMISSION_AUDIO, SUBMISSION_RESULTS

TASK = "task4"
MAX_SYSTEMS = 4
MAX_OUTPUTS = 3
"""Outputs a mixture can have: the official evaluator fails on more at its default batch size."""

AUDIO_FOLDER = SUBMISSION_AUDIO
EVAL_RESULTS, DEV_RESULTS = SUBMISSION_RESULTS
FACTS_SUFFIX = ".facts.json"
"""Of what lies beside a submission and is no part of it (`facts`)."""
OUT_SUFFIX = "_out"
"""The official README names the archive `…_out.zip`, the official script `….zip`: both are accepted."""

OFFICIAL_DATASET = "dcase2026"
"""Name of the challenge's data in its manifest; its split `eval` is what submissions answer."""

EVAL_IDS: tuple[str, ...] = tuple(f"eval_{number:04d}" for number in range(2567))
"""Ids of the official evaluation set; the first 1,512 are ranked."""

EVAL_FRAMES = 320_000
"""Samples of every mixture of the challenge: 10 s at 32 kHz."""

MAX_ENTRIES = 65_000
MAX_DIRECTORY_BYTES = 1 << 24
MAX_AUDIO_BYTES = 1 << 26
MAX_JSON_BYTES = 1 << 25
MAX_TOTAL_BYTES = 1 << 36
"""Limits of what is looked at, each far above what a submission can need (2,567 × 3 files of 640 kB, 5 GB), and enough
for 20,000 mixtures of another set."""

RULES: Mapping[str, Severity] = {
    # the archive
    "not-an-archive": "error",
    "too-many-entries": "error",
    "too-large": "error",
    "overlapping-entries": "error",
    "duplicate-entry": "error",
    "case-collision": "error",
    "path-traversal": "error",
    "absolute-path": "error",
    "backslash": "error",
    "control-character": "error",
    "non-ascii-name": "error",
    "link": "error",
    "special-file": "error",
    "encrypted": "error",
    "compression": "error",
    "unreadable": "error",
    "junk-file": "warning",
    # the layout
    "archive-name": "error",
    "top-folder": "error",
    "missing-file": "error",
    "missing-eval-out": "error",
    "empty-eval-out": "warning",
    "nested-folder": "error",
    "foreign-file": "warning",
    # names of outputs
    "file-name": "error",
    "hidden-output": "error",
    "index-format": "warning",
    "suffix": "error",
    "unknown-label": "error",
    "unknown-mixture": "error",
    "ambiguous-mixture": "error",
    "duplicate-index": "error",
    "too-many-outputs": "error",
    # eval_results.json
    "json-invalid": "error",
    "json-duplicate-key": "error",
    "json-number": "error",
    "json-schema": "error",
    "json-extra-key": "warning",
    "nparams": "error",
    "nparams-unknown": "warning",
    "nparams-differ": "warning",
    "eval-count": "warning",
    "soundscape-duplicate": "error",
    "soundscape-missing": "error",
    "soundscape-unknown": "error",
    "filename-duplicate": "error",
    "filename-missing": "error",
    "filename-unlisted": "error",
    "filename-mixture": "error",
    "label-differs": "error",
    "probability": "error",
    # dev_set_test_results.json
    "dev-value": "error",
    "dev-count": "warning",
    "dev-inconsistent": "warning",
    # audio
    "audio-empty": "error",
    "audio-unreadable": "error",
    "audio-format": "error",
    "audio-truncated": "error",
    "audio-header": "warning",
    "audio-rate": "error",
    "audio-channels": "error",
    "audio-subtype": "error",
    "audio-length": "error",
    "audio-not-finite": "error",
    "audio-clipped": "warning",
    "audio-silent": "warning",
    "audio-repeated": "warning",
    # the outer package
    "package-systems": "error",
    "meta-missing": "error",
    "meta-invalid": "error",
    "meta-field": "error",
    "meta-value": "error",
    "meta-differs": "warning",
    "report-missing": "error",
    "report-not-pdf": "error",
    "report-no-text": "error",
    "report-encrypted": "warning",
    "audio-url": "error",
}
"""Every rule, by its stable name. An error keeps a submission from being accepted or scored."""

_CAUSES = frozenset(
    {"not-an-archive", "too-many-entries", "too-large", "overlapping-entries", "top-folder", "missing-file"}
    | {"missing-eval-out", "json-invalid", "json-schema"}
)
"""Rules about a whole: where one is broken, findings on the files or mixtures in it follow from that."""


def finding(rule: str, file: str, message: str) -> Finding:
    """A finding of one of `RULES`, which knows the severity; what an archive says is made safe to print."""
    return Finding(rule, RULES[rule], shortened(file, 240), shortened(message, 600))


def place_in_list(found: Finding) -> tuple[bool, bool, str]:
    """A key to sort findings by: errors first, of these what others follow from, then by file."""
    return found.severity != "error", found.rule not in _CAUSES, found.file


def shortened(text: str, limit: int) -> str:
    """`text` with control characters and lone surrogates escaped, shortened to about `limit` characters."""
    if len(text) > limit:
        text = f"{text[: limit // 2]}…{text[-limit // 3 :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_LABEL = re.compile(rf"({_PART.pattern})_({_PART.pattern})_{TASK}_([1-{MAX_SYSTEMS}])", re.ASCII)


@dataclass(frozen=True, slots=True)
class SubmissionName:
    """Who submits, and which of up to four systems it is."""

    author: str
    affiliation: str
    number: int

    @property
    def team(self) -> str:
        """`<Surname>_<Institute>_task4`: what all systems of a team share."""
        return f"{self.author}_{self.affiliation}_{TASK}"

    @property
    def label(self) -> str:
        """`<Surname>_<Institute>_task4_<n>`: name of the folder, and of the archive."""
        return f"{self.team}_{self.number}"


def make_name(author: str, affiliation: str, number: int) -> SubmissionName:
    """Check the parts of a submission's name.

    Raises:
        UsageError: a part holds anything but ASCII letters, digits and hyphens, or the number is not 1 to 4.
    """
    for field, part in (("author", author), ("affiliation", affiliation)):
        if not _PART.fullmatch(part):
            raise UsageError(f"`{field}` is {part!r}: expected ASCII letters, digits and hyphens only, such as Choi")
    if not 1 <= number <= MAX_SYSTEMS:
        raise UsageError(f"`number` is {number}, expected 1 to {MAX_SYSTEMS}")
    return SubmissionName(author, affiliation, number)


def parse_label(label: str) -> SubmissionName | None:
    """Read `<Surname>_<Institute>_task4_<n>`; None when it is not of that form.

    >>> parse_label("Choi_KAIST_task4_1")
    SubmissionName(author='Choi', affiliation='KAIST', number=1)
    """
    match = _LABEL.fullmatch(label)
    return None if match is None else SubmissionName(match[1], match[2], int(match[3]))


def archive_label(stem: str) -> str:
    """The label that an archive's stem stands for: the stem without `_out`."""
    return stem.removesuffix(OUT_SUFFIX)
