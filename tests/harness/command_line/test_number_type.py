"""Options that are numbers refuse what is none, wherever they stand."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("value", ["nan", "inf", "-1"])
@pytest.mark.parametrize(
    "words",
    [
        ("train", "mini/m2d", "--dry-run", "--max-minutes"),
        ("train", "mini/m2d", "--dry-run", "--checkpoint-minutes"),
        ("profile", "--system", "none", "--seconds"),
        ("cache", "prune", "--keep-gb"),
        ("run", "--system", "none", "--mixture-timeout"),
    ],
)
def test_numbers_are_finite_and_within_their_range(
    s5eval: Callable[..., Any], words: tuple[str, ...], value: str
) -> None:
    outcome = s5eval(*words, value)
    assert outcome.code == 2
    assert words[-1] in outcome.err and f"{value} is no" in outcome.err.replace("-1.0 is not", "-1 is not")
