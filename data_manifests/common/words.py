"""Numbers of things in sentences, and lists that say what they leave out."""

from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """A number and its noun, one of them or several.

    >>> counted(1, "mixture"), counted(0, "mixture"), counted(2567, "mixture"), counted(2, "entry")
    ('1 mixture', '0 mixtures', '2567 mixtures', '2 entries')
    """
    if number == 1:
        return f"{number} {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("ry") else f"{number} {noun}s"


def first_of(things: Iterable[object], most: int, *, between: str = ", ") -> str:
    """The first so many of a list, and how many more there are: a part is never taken for all.

    >>> first_of(["m_1", "m_2", "m_3"], 2)
    'm_1, m_2, … and 1 more'
    """
    texts = [str(thing) for thing in things]
    more = [f"… and {len(texts) - most} more"] if len(texts) > most else []
    return between.join([*texts[:most], *more])
