"""Numbers of things in sentences."""


def counted(number: int, noun: str) -> str:
    """A number and its noun, one of them or several.

    >>> counted(1, "mixture"), counted(0, "mixture"), counted(2567, "mixture")
    ('1 mixture', '0 mixtures', '2567 mixtures')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
