"""Templates: every text escaped, nothing a terminal or a page would obey, numbers by the one formatter."""

from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from s5eval.harness.report.charts.svg import plain
from s5eval.harness.report.footnotes import FLAG_NOTES
from s5eval.harness.report.table import data_name
from s5eval.harness.report.templates import templates_of
from s5eval.harness.report.text import ABSENT, typeset_interval, typeset_number

_LONGEST = 1000
"""Characters of one text; an error of ten thousand makes a page nobody can read."""

_NAME = 80
"""Characters of a name in a heading or a cell."""


def make_environment() -> Environment:
    """What pages are made with."""
    environment = templates_of("s5eval.harness.view", "templates", finalize=_settle)
    environment.filters |= {"number": shown, "interval": interval, "short": short, "markup": Markup, "data": data_name}
    environment.globals |= {"absent": ABSENT, "flag_notes": FLAG_NOTES}
    return environment


def _settle(value: Any) -> Any:
    """Texts from files are shown, never obeyed; what is markup already was made of such."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return plain(value, _LONGEST)
    return "" if value is None else value


def shown(value: float | None, digits: int = 2, signed: bool = False) -> str:
    """A number with so many decimals; a dash where there is none."""
    return typeset_number(value, digits, signed=signed)


def interval(metric: Any, digits: int = 2) -> str:
    """`value [low, high]` of a metric of a summary."""
    if metric is None:
        return ABSENT
    return typeset_interval(metric.value, metric.ci_low, metric.ci_high, digits)


def short(text: object) -> str:
    """A name, cut where it is long."""
    return plain(text, _NAME)
