"""What the pages of a run and of its mixtures share: templates with their filters, files, and what a page may do."""

import hashlib
from base64 import b64encode
from importlib.resources import files
from typing import TYPE_CHECKING

from s5eval.harness.record.run_summary import MetricValue
from s5eval.harness.report.charts.svg import plain
from s5eval.harness.report.spectrogram import CEILING_DB, FLOOR_DB, LOW_HZ
from s5eval.harness.report.table import interval_text
from s5eval.harness.report.templates import templates_of
from s5eval.harness.report.text import ABSENT, typeset, typeset_number
from s5eval.metrics.tolerance import LAST_BITS

if TYPE_CHECKING:
    from jinja2 import Environment

SCALE_NOTE = typeset(
    f"{LOW_HZ:.0f} Hz to 16 kHz on a logarithmic axis, {FLOOR_DB:.0f} to {CEILING_DB:.0f} dB of a sine of full scale"
)
"""What the colours and the axis of spectrograms are, in words."""


def policy(style: str, script: str) -> str:
    """What a page may do: show what lies beside it, and run this script and no other, whatever its texts hold."""
    return (
        f"default-src 'none'; img-src data: 'self' file:; media-src 'self' file:; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )


def environment() -> "Environment":
    """The templates of this folder: every text is escaped, and `plain` makes one of anything."""
    templates = templates_of("s5eval.harness.report")
    templates.filters |= {"metric": _metric, "number": _number, "plain": plain}
    templates.tests["more_than_nothing"] = lambda value: value > LAST_BITS
    return templates


def packaged_text(name: str) -> str:
    """A text file of this folder."""
    return files("s5eval.harness.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What a page's policy lets by: this script or style and no other."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _number(value: float | None, digits: int = 2) -> str:
    return typeset_number(value, digits)


def _metric(entry: MetricValue | None) -> str:
    return ABSENT if entry is None else typeset(interval_text(entry, 2))
