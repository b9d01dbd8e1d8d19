"""Numbers as text: the one formatter of tables, pages and messages.

A number is rounded before its sign is written, and settled at nine digits before that: what a reader sees never
depends on the last bit of a sum, which differs from processor to processor.
"""

import re

from s5eval.metrics.tolerance import PLACES, equal

ABSENT = "–"

_MINUS = re.compile(r"(?<![\w-])-(?=\d)")


def number(value: float | None, digits: int, *, signed: bool = False) -> str:
    """A value with so many decimals, a dash where it is undefined.

    What rounds to zero has no sign: "+0.00" for a bound of −0.004 would say that an interval lies above zero.

    >>> number(-1e-17, 3), number(0.4124, 3, signed=True), number(-0.004, 2, signed=True)
    ('0.000', '+0.412', '0.00')
    """
    if value is None:
        return ABSENT
    settled = round(round(value, PLACES), digits) + 0.0  # + 0.0: no "-0.000"
    return f"{settled:+.{digits}f}" if signed and settled else f"{settled:.{digits}f}"


def number_and_interval(
    value: float | None, low: float | None, high: float | None, digits: int, *, signed: bool = False, places: int = 2
) -> str:
    """`value [low, high]`, the bounds with `places` decimals; without them where they say nothing.

    >>> number_and_interval(1.5, 1.0, 2.0, 3)
    '1.500 [1.00, 2.00]'
    """
    text = number(value, digits, signed=signed)
    if value is None or not has_width(low, high):
        return text
    return f"{text} [{number(low, places, signed=signed)}, {number(high, places, signed=signed)}]"


def typeset(text: str) -> str:
    """The numbers of a text as pages and charts print them: with a true minus sign, which is as wide as a plus.

    Terminals, files and LaTeX keep the hyphen, since what stands there is copied and read back.

    >>> typeset("dev-test -0.25 [-1.00, +0.50]")
    'dev-test −0.25 [−1.00, +0.50]'
    """
    return _MINUS.sub("−", text)


def typeset_number(value: float | None, digits: int, *, signed: bool = False) -> str:
    """`number` for pages and charts."""
    return typeset(number(value, digits, signed=signed))


def typeset_interval(
    value: float | None, low: float | None, high: float | None, digits: int, *, signed: bool = False, places: int = 2
) -> str:
    """`number_and_interval` for pages and charts."""
    return typeset(number_and_interval(value, low, high, digits, signed=signed, places=places))


def has_width(low: float | None, high: float | None) -> bool:
    """Whether an interval is known and more than a point."""
    return low is not None and high is not None and not equal(low, high)
