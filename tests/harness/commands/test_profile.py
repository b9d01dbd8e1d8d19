"""`s5eval profile`: what it prints fits the terminal, and says what was measured on what."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from s5eval.harness.commands.profile import _table

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


def test_costs_stand_under_their_heads_in_their_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    costs = {
        "parts": [
            {"name": "tagger", "networks": 1, "parameters": 1_234_567, "macs_per_second": 2.5e9, "calls": 1},
            {"name": "separator", "networks": 2, "parameters": 10, "macs_per_second": 0.25e9, "calls": 3},
        ],
        "parameters": 1_234_577,
        "trainable_parameters": 1000,
        "macs_per_second": 3.25e9,
        "stages": [{"name": "one", "seconds": 1.5, "peak_mb": 2048.4, "real_time_factor": 0.15}],
    }
    lines = [re.split(r"\s{2,}", line.strip()) for line in _table(costs, "heading", None).splitlines()]
    for cells in (
        ["part", "parameters", "multiply-adds/s"],
        ["tagger", "1,234,567", "2.50 G"],
        ["separator", "10", "0.25 G"],
        ["total", "1,234,577"],
        ["stage", "seconds", "peak MB", "real-time factor"],
        ["one", "1.50", "2,048", "0.150"],
        ["multiply-adds of a mixture without silent slots: 3.25 G/s = 1 × tagger + 3 × separator"],
    ):
        assert cells in lines
    (counted,) = (line[0] for line in lines if line[0].startswith("parameters: "))
    assert "every network once (2 separator)" in counted and "1,000 are trainable" in counted


def test_a_system_without_a_profile_is_told_which_have_one(s5eval: Call) -> None:
    found = s5eval("profile", "--system", "silence")
    assert found.code == 2
    assert "cannot be profiled. Systems that can: baseline-1c, " in found.err
