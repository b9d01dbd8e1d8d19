"""`s5eval profile`: what it prints fits the terminal, and says what was measured on what."""

from collections.abc import Callable
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.mark.parametrize("width", [60, 80, 160])
def test_tables_and_sentences_are_within_the_terminal(
    width: int, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    setting = "system.preset=mini"
    found = s5eval("profile", "--system", "baseline-1c", "--set", setting, "--seconds", "0.5", "--device", "cpu")
    assert found.code == 0, found.err
    lines = found.out.split("\n")
    assert lines[0] == f"baseline-1c | set: {setting} | cpu, 0.5 s of noise"
    assert max(map(len, lines)) <= width, found.out
    words = " ".join(found.out.split())
    for told in ("multiply-adds/s", "fixed tables and transforms are not", "= 1 × tagger + 1 × separator", "real-time"):
        assert told in words


def test_a_system_without_a_profile_is_told_which_have_one(s5eval: Call) -> None:
    found = s5eval("profile", "--system", "silence")
    assert found.code == 2
    assert "cannot be profiled; systems that can: baseline-1c, " in found.err
