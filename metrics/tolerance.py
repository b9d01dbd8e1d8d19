"""When two numbers count as equal: sums differ in their last bits from one processor's kernels to another's.

Whatever is compared, sorted, counted or filtered by a level or a probability goes through here, so that no
pairing, rank, star or line of a table hangs on those bits.
"""

PLACES = 9
"""Decimals that count, of levels in dB and of shares: far above the noise of float64 sums, far below what is shown."""

LAST_BITS = 10.0**-PLACES
"""Numbers that differ by no more are equal."""


def equal(first: float, second: float) -> bool:
    """Whether two numbers are the same but for their last bits."""
    return abs(first - second) <= LAST_BITS


def settled(value: float) -> float:
    """The number as a key to sort or group by, without its last bits; never −0.

    >>> settled(-3e-17), settled(0.1 + 0.2)
    (0.0, 0.3)
    """
    return round(value, PLACES) + 0.0
