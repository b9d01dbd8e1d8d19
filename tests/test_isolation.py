"""No test finds what another has kept, and none reaches for the cache of whoever runs them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def named_for_the_module() -> str:
    return os.environ.get("S5EVAL_CACHE", "the user's own")


@pytest.mark.parametrize("turn", ["the first", "the second"])
def test_stages_that_one_test_keeps_are_not_there_for_the_next(
    turn: str, small_set: Path, tmp_path: Path, s5eval: Callable[..., Any], systems_on_path: None
) -> None:
    assert s5eval("cache", "ls", "--json").json["stages"] == {}, turn
    assert s5eval("run", "--system", "staged:build", "--data", small_set, "--out", tmp_path / "run").code == 0
    assert set(s5eval("cache", "ls", "--json").json["stages"]) == {"stage1", "stage2", "stage3"}


def test_what_is_made_once_for_many_tests_is_made_in_a_cache_of_theirs(
    named_for_the_module: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert Path(named_for_the_module).is_relative_to(tmp_path_factory.getbasetemp())
