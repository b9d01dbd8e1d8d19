"""The table of a result: beside the value stand what silence would earn, and over how many mixtures it is a mean."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]


def test_the_floors_and_the_mixtures_that_define_the_value_stand_beside_it(
    small_set: Path, tmp_path: Path, s5eval: Call, summary: Call
) -> None:
    """One of five scenes is silent and was answered with silence."""
    shown = s5eval("score", small_set / "estimate", "--data", small_set, "--out", tmp_path / "run").out
    metrics = summary(tmp_path / "run")["metrics"]
    value, zero, gain = (metrics[f"capi_sdri{floor}"]["value"] for floor in ("", "_zero_floor", "_gain_floor"))
    assert value != zero != gain
    header, row, *bounds = (re.split(r"\s{2,}", line) for line in shown.splitlines() if re.search(r"\(\S+\)$", line))
    cells = dict(zip(header[1:], row[1:], strict=True))
    assert (cells["zero floor"], cells["n (defined)"]) == (f"{zero:.3f}", "5 (4)")
    assert cells["CAPI-SDRi dB"].startswith(f"{value:.3f} [")
    assert "oracle-zeros" in {bound[1].partition(" ")[0] for bound in bounds}
    page = (tmp_path / "run" / "report.html").read_text()
    system, *_ = re.findall(r'<tr class="system">.*?</tr>', page, re.DOTALL)
    parts = re.findall(r"<td>(.*?)</td>", system, re.DOTALL)
    assert parts[-1] == "5 (4)"
    assert [part.partition(" ")[0] for part in parts[1:4]] == [
        f"{number:.2f}".replace("-", "−") for number in (value, zero, gain)
    ]
