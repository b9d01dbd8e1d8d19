"""What recordings and models may be used for, as their makers say."""


def licence_class(licence: str) -> str:
    """A licence without its licensor and remarks.

    >>> licence_class("CC-BY, InspectorJ (freesound 484344)")
    'CC BY'
    """
    name = licence.split(",", 1)[0].split("(", 1)[0].strip()
    return name.replace("-", " ") if name.startswith("CC-") else name
