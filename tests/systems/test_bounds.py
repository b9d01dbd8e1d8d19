"""The bounds as systems, and as rows computed from the pair matrix, are the same numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("name", ["silence", "oracle-mixture", "oracle-zeros", "oracle-gain", "oracle"])
def test_running_a_bound_gives_the_row_that_every_report_shows(
    name: str, small_set: Path, tmp_path: Path, s5eval: Callable[..., Any]
) -> None:
    summary = s5eval("run", "--system", name, "--data", small_set, "--out", tmp_path / "run", "--json").json
    for metric, row in summary["bounds"][name].items():
        assert summary["metrics"][metric]["value"] == pytest.approx(row["value"], abs=1e-3)
        assert summary["metrics"][metric]["n_defined"] == row["n_defined"]
    assert summary["oracle"] is (name != "silence")


def test_the_mixture_itself_improves_nothing(
    small_set: Path, tmp_path: Path, s5eval: Callable[..., Any], lines: Callable[[Path], Any]
) -> None:
    result = s5eval("run", "--system", "oracle-mixture", "--data", small_set, "--out", tmp_path / "run")
    values = {id_: line["capi"]["value"] for id_, line in lines(tmp_path / "run").items()}
    assert values.pop("m_10") is None
    assert values == {id_: pytest.approx(0.0, abs=1e-9) for id_ in ("m_1", "m_2", "m_3", "m_4")}
    assert "-0.000" not in result.out


def test_a_bound_needs_references(small_set: Path, tmp_path: Path, s5eval: Callable[..., Any]) -> None:
    (small_set / "oracle_target").rename(small_set / "away")
    result = s5eval("run", "--system", "oracle", "--data", small_set, "--out", tmp_path / "run")
    assert (result.code, "needs references" in result.err) == (3, True)
