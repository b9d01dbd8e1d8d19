"""Numbers of things in sentences, and lists that say what they leave out."""

import doctest
import re
from pathlib import Path

from s5eval.data_manifests.common import words

ROOT = Path(__file__).parents[3]


def test_one_is_not_several() -> None:
    assert doctest.testmod(words).attempted == 2
    assert doctest.testmod(words).failed == 0


def test_no_sentence_has_several_of_what_may_be_one() -> None:
    """Numbers of mixtures go through `counted`; what is `of` a larger whole is several."""
    several = re.compile(r"(?<!\} of )(?<!split's )\{[^{}A-Z]+\} (?:mixtures|scenes|findings|targets)\b")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for folder in ("data_manifests", "systems", "submissions", "harness")
        for path in (ROOT / folder).rglob("*.py")
        for match in several.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []
