"""Numbers of things in sentences."""

import doctest

from s5eval.data_manifests.common import words


def test_one_is_not_several() -> None:
    assert doctest.testmod(words).attempted == 1
    assert doctest.testmod(words).failed == 0
